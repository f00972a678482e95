"""Which proxy the environment and the setting choose, NO_PROXY, numeric hosts, and no password in any text."""

import pytest

from mirrord.model import Secret, secret_of
from mirrord.proxies import (
    EnvironmentProxies,
    HttpPeer,
    Proxy,
    UsedProxies,
    chosen_proxy,
    exempts,
    is_local,
    literal_address,
)

P, Q, R = "http://p:1", "http://q:2", "http://r:3"


@pytest.mark.parametrize(
    ("variables", "url", "expected"),
    [
        ({}, "http://h/", None),
        ({"HTTP_PROXY": P}, "http://h/", P),
        ({"HTTP_PROXY": P}, "https://h/", None),
        ({"HTTPS_PROXY": P}, "https://h/", P),
        ({"HTTPS_PROXY": P}, "http://h/", None),
        ({"ALL_PROXY": P}, "http://h/", P),
        ({"ALL_PROXY": P, "HTTPS_PROXY": Q}, "https://h/", Q),
        ({"http_proxy": P, "HTTP_PROXY": Q}, "http://h/", P),
        ({"http_proxy": "", "HTTP_PROXY": Q, "ALL_PROXY": R}, "http://h/", None),
        ({"all_proxy": P, "ALL_PROXY": Q}, "https://h/", P),
        ({"HTTP_PROXY": P, "NO_PROXY": "h"}, "http://h/", None),
        ({"HTTP_PROXY": P, "no_proxy": "", "NO_PROXY": "h"}, "http://h/", P),
        ({"HTTP_PROXY": P, "NO_PROXY": "h:81"}, "http://h:80/", P),
        ({"HTTP_PROXY": P, "NO_PROXY": "h:80"}, "http://h/", None),
        ({"HTTP_PROXY": P}, "http://localhost:8080/", None),
        ({"HTTP_PROXY": P}, "http://127.1.2.3/", None),
        ({"HTTP_PROXY": P}, "http://[::1]/", None),
        ({"HTTP_PROXY": P}, "http://169.254.1.1/", None),
        ({"HTTP_PROXY": P}, "http://[fe80::1]/", None),
        ({"HTTP_PROXY": P}, "http://0x7f000001/", None),
        ({"HTTP_PROXY": P}, "http://10.0.0.1/", P),
        ({"HTTP_PROXY": P}, "http://[bad/", None),
    ],
)
def test_the_environment_chooses(variables: dict[str, str], url: str, expected: str | None) -> None:
    assert EnvironmentProxies.read(variables).proxy(url) == secret_of(expected)


@pytest.mark.parametrize(
    ("no_proxy", "host", "port", "exempt"),
    [
        ("*", "anything", 80, True),
        ("example.org", "example.org", 80, True),
        ("example.org", "sub.example.org", 80, True),
        ("example.org", "notexample.org", 80, False),
        ("Example.ORG", "EXAMPLE.org.", 80, True),
        (".example.org", "sub.example.org", 80, True),
        (".example.org", "example.org", 80, True),
        ("*.example.org", "a.b.example.org", 80, True),
        ("example.org.", "example.org", 80, True),
        ("example.org:8080", "example.org", 8080, True),
        ("example.org:8080", "example.org", 80, False),
        ("a.org, example.org b.org", "example.org", 80, True),
        ("a.org,,  ,b.org", "example.org", 80, False),
        (".", "example.org", 80, False),
        ("10.0.0.0/8", "10.9.9.9", 80, True),
        ("10.0.0.0/8", "11.0.0.1", 80, False),
        ("10.0.0.1/8", "10.9.9.9", 80, True),
        ("10.0.0.1", "10.0.0.1", 80, True),
        ("10.0.0.1", "10.0.0.10", 80, False),
        ("10.0.0.1:443", "10.0.0.1", 443, True),
        ("10.0.0.1:443", "10.0.0.1", 80, False),
        ("0.0.1", "10.0.0.1", 80, False),
        ("10.0.0.0/8", "ten.example.org", 80, False),
        ("fd00::/8", "fd12::1", 80, True),
        ("fd00::/8", "[fd12::1]", 80, True),
        ("::ffff:10.0.0.1", "10.0.0.1", 80, True),
        ("[fd12::1]", "fd12::1", 80, True),
        ("[fd12::1]:8443", "fd12::1", 8443, True),
        ("[fd12::1]:8443", "fd12::1", 80, False),
        ("fd12::1", "fd12::1", 80, True),
        ("fd12::1:80", "fd12::1", 80, False),
        ("fe80::1", "fe80::1%eth0", 80, True),
        ("10.0.0.0/99", "10.0.0.1", 80, False),
    ],
)
def test_no_proxy(no_proxy: str, host: str, port: int, exempt: bool) -> None:
    parts = EnvironmentProxies.read({"NO_PROXY": no_proxy}).exempt
    assert exempts(parts, host, port) is exempt


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("2130706433", "127.0.0.1"),
        ("0x7f000001", "127.0.0.1"),
        ("0X7F.1", "127.0.0.1"),
        ("0177.0.0.1", "127.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("0251.0376.0xa9fe", "169.254.169.254"),
        ("0", "0.0.0.0"),
        ("[::ffff:7f00:1]", "127.0.0.1"),
        ("::7f00:1", "127.0.0.1"),
        ("::1", "::1"),
        ("2002:a9fe:a9fe::1", "169.254.169.254"),
        ("64:ff9b::a9fe:a9fe", "169.254.169.254"),
        ("64:ff9b:1::7f00:1", "127.0.0.1"),
        ("2001:0:4136:e378:8000:63bf:5601:5601", "169.254.169.254"),
        ("4294967296", None),
        ("256.1", None),
        ("1.256.1", None),
        ("1.2.3.4.5", None),
        ("08.1", None),
        ("a.b", None),
        ("", None),
    ],
)
def test_numeric_hosts(host: str, address: str | None) -> None:
    found = literal_address(host)
    assert (found and str(found)) == address


def test_what_is_local() -> None:
    assert all(
        map(is_local, ("localhost", "LOCALHOST.", "a.localhost", "127.9.9.9", "::1", "2130706433", "fe80::1%eth0"))
    )
    assert not any(map(is_local, ("localhost.example", "10.0.0.1", "0.0.0.0", "::", "example.org")))


def test_the_setting_wins() -> None:
    environment = EnvironmentProxies.read({"HTTP_PROXY": P, "NO_PROXY": "exempt"})
    assert chosen_proxy(Secret("none"), environment, "http://h/") is None
    for url in ("http://h/", "https://h/", "http://exempt/", "http://127.0.0.1/"):
        found = chosen_proxy(Secret(Q), environment, url)
        assert found is not None
        assert found.shown == Q


@pytest.mark.parametrize(
    ("url", "shown", "authorization"),
    [
        ("p:3128", "http://p:3128", None),
        ("//p:3128", "http://p:3128", None),
        ("HTTPS://P", "https://P", None),
        ("http://me:p%40ss%2F@p:1/", "http://p:1", "Basic bWU6cEBzcy8="),
        ("me:s3cret@p:1", "http://p:1", "Basic bWU6czNjcmV0"),
        ("http://m%3Ae@p", "http://p", "Basic bTplOg=="),
        ("http://:pw@[fd00::1]:3128", "http://[fd00::1]:3128", "Basic OnB3"),
    ],
)
def test_a_proxy_is_read(url: str, shown: str, authorization: str | None) -> None:
    proxy = Proxy.of(url)
    assert (proxy.shown, proxy.peer.authorization) == (shown, secret_of(authorization))
    assert "s3cret" not in repr(proxy)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("socks5://me:s3cret@p:1080", "cannot be used: mirrord supports http:// and https:// proxies"),
        ("socks5h://p", "mirrord supports"),
        ("ftp://p", "mirrord supports"),
        ("http://me:s3cret/x@p:1", "write / [?] # in its user or password as"),
        ("http://me:s3cret@p:port", "no valid address"),
        ("http://", "no valid address"),
        ("http://p:0", "no valid address"),
        ("http://p:65536", "no valid address"),
        ("http://p?me@x", "write / [?] # in"),
        ("http://me:s3cret#@p", "write / [?] # in"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_refused_without_its_password(url: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        chosen_proxy(Secret(url), EnvironmentProxies.read({}), "http://h/")
    assert "s3cret" not in str(caught.value)
    with pytest.raises(ValueError, match="the environment's proxy"):
        chosen_proxy(None, EnvironmentProxies.read({"ALL_PROXY": url}), "http://h/")


@pytest.mark.parametrize(
    ("url", "authority", "place"),
    [
        ("http://h/x", "h", "h:80"),
        ("https://h:443", "h", "h:443"),
        ("https://h:80", "h:80", "h:80"),
        ("https://[fd00::1]", "[fd00::1]", "[fd00::1]:443"),
        ("https://[fd00::1]:8443", "[fd00::1]:8443", "[fd00::1]:8443"),
        ("http://b\u00fccher.example", "xn--bcher-kva.example", "xn--bcher-kva.example:80"),
    ],
)
def test_a_peer_has_its_authority_and_its_place(url: str, authority: str, place: str) -> None:
    peer = HttpPeer.of(url)
    assert (peer.authority, peer.place) == (authority, place)


def test_the_last_connection_through_a_proxy_counts() -> None:
    used, one, other = UsedProxies(), Proxy.of("http://me:s3cret@p"), Proxy.of(Q)
    used.note(one, "it does not answer")
    used.note(other)
    assert used.problems() == {"http://p": "it does not answer", Q: ""}
    used.note(one)
    assert used.problems() == {"http://p": "", Q: ""}
    assert one in used
    assert Proxy.of(R) not in used
