"""The Host headers that are accepted."""

import pytest

from mirrord.web.hosts import LOOPBACK, hosts_of

OURS = hosts_of("mirror.lan", "Node-7.corp.example", ["mirror.example.org", "*.Internal.example", "xn--mnchen-3ya.de."])


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:8420",
        "LOCALHOST.",
        "localhost.:80",
        "127.0.0.1:8420",
        "10.1.2.3",
        "169.254.0.1:1",
        "[::1]",
        "[::1]:8420",
        "[fe80::1%25eth0]:8420",
        "[2001:db8::7]",
        "::1",
        "mirror.lan:9",
        "node-7",
        "node-7.corp.example:8420",
        "mirror.example.org",
        "MIRROR.example.ORG.:443",
        "a.internal.example",
        "b.a.internal.example.:1",
        "xn--mnchen-3ya.de",
        " localhost ",
    ],
)
def test_known(host: str) -> None:
    assert OURS.known(host)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8420",
        "localhost.evil.example",
        "evil.localhost",
        "127.0.0.1.evil.example",
        "127.0.0.1.nip.io:8420",
        "internal.example",
        "xinternal.example",
        ".internal.example.evil",
        "mirror.example.org.evil.example",
        "user@localhost",
        "localhost@evil.example",
        "localhost,evil.example",
        "evil.example localhost",
        "localhost/evil",
        "localhost:80:80",
        "localhost:x",
        "[::1",
        "[evil.example]",
        "[::1]evil",
        "2130706433",
        "0x7f.1",
        "127.1",
        "node-8",
        "*.internal.example.org",
        ":8420",
        "mirror.example.org..",
    ],
)
def test_unknown(host: str) -> None:
    assert not OURS.known(host)


def test_by_default_only_localhost_and_ip_literals_are_accepted() -> None:
    assert LOOPBACK.known("localhost:1")
    assert LOOPBACK.known("192.0.2.1")
    assert not LOOPBACK.known("node-7")
    assert not hosts_of("0.0.0.0", "", []).known("")
