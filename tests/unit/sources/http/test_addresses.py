"""Address rules: forbidden addresses, addresses forbidden after a public one, exempt networks."""

import pytest

from mirrord.sources.http.addresses import AddressRules

FORBIDDEN = [
    "169.254.169.254",
    "169.254.0.1",
    "fe80::1",
    "fe80::1%eth0",
    "febf::1",
    "fd00:ec2::254",
    "100.100.100.200",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "64:ff9b:1::a9fe:a9fe",
    "::169.254.169.254",
    "2001:0:4136:e378:8000:63bf:5601:5601",
    "::ffff:100.100.100.200",
    "64:ff9b::100.100.100.200",
    "2002:6464:64c8::",
    "fe80:0:0:0:ffff::1",
    "FD00:EC2:0:0::254",
    "169.254.170.2",
    "169.254.255.255",
    "fe90::1",
    "febf:ffff::1",
    "64:ff9b::169.254.170.2",
]
PRIVATE = [
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "::1",
    "::",
    "fd12::1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "2002:c0a8:1::",
    "::127.0.0.1",
    "::ffff:0.0.0.0",
    "::ffff:127.0.0.1%eth0",
    "0.1.2.3",
    "10.255.255.255",
    "172.31.255.255",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "fc00::1",
    "fec0::1",
    "ff02::1",
    "2001:db8::1",
    "fd00:ec2::253",
]
PUBLIC = [
    "93.184.216.34",
    "1.1.1.1",
    "172.32.0.1",
    "100.128.0.1",
    "11.0.0.1",
    "2002:808:808::1",
    "2606:2800:220:1::1",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
    "101.100.100.200",
]


@pytest.mark.parametrize("behind_public", [False, True])
@pytest.mark.parametrize("address", FORBIDDEN)
def test_link_local_and_metadata_are_refused_always(address: str, behind_public: bool) -> None:
    assert "metadata" in (AddressRules().refusal(address, behind_public=behind_public) or "")


@pytest.mark.parametrize("address", PRIVATE)
def test_private_is_refused_behind_public_only(address: str) -> None:
    rules = AddressRules()
    assert rules.refusal(address, behind_public=False) is None
    assert rules.refusal(address, behind_public=True) is not None
    assert not rules.is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_is_allowed(address: str) -> None:
    rules = AddressRules()
    assert rules.refusal(address, behind_public=False) is None
    assert rules.refusal(address, behind_public=True) is None
    assert rules.is_public(address)


def test_listed_networks_are_exempt() -> None:
    rules = AddressRules(["10.0.0.0/8", "169.254.169.254/32", "fe80::/64"])
    for address in ("10.9.9.9", "169.254.169.254", "::ffff:169.254.169.254", "fe80::1%eth0"):
        assert rules.refusal(address, behind_public=True) is None
    assert rules.refusal("169.254.169.253", behind_public=False)
    assert rules.refusal("192.168.0.1", behind_public=True)


def test_a_malformed_network_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"10\.0\.0\.1/8"):
        AddressRules(["10.0.0.1/8"])
