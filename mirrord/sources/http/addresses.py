"""Which network addresses a source may be asked at. Pure rules over the address that is connected to.

Owns SPEC section 7: link-local and cloud-metadata addresses never, private ones not behind a public one. It is asked
for each new connection, after the name was resolved, so neither a literal nor a lying DNS answer gets around it.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

Address = IPv4Address | IPv6Address

_FORBIDDEN = tuple(map(ip_network, ("169.254.0.0/16", "fe80::/10", "fd00:ec2::254/128", "100.100.100.200/32")))
_NAT64 = ip_network("64:ff9b::/96")


def reached(text: str) -> Address:
    """The address that packets to `text` end at: IPv4 inside IPv6 (mapped, 6to4, NAT64) is taken out.

    Raises ValueError if the text is no address.
    """
    address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


class AddressRules:
    """What may be connected to. `allow` holds networks (CIDR) that are exempt; ValueError if one is malformed."""

    def __init__(self, allow: Iterable[str] = ()) -> None:
        self._allow = tuple(map(ip_network, allow))

    def refuses(self, text: str, *, behind_public: bool) -> str | None:
        """Why this address is refused, as the end of a sentence; None if it may be connected to."""
        address = reached(text)
        if any(address in network for network in self._allow):
            return None
        if any(address in network for network in _FORBIDDEN):
            return "leads to a link-local or cloud-metadata address, which mirrord does not ask"
        if behind_public and not address.is_global:
            return "a redirect leads from a public address to a private one, which mirrord does not follow"
        return None

    def public(self, text: str) -> bool:
        """Whether the address belongs to the public internet; an exempt one counts as ours."""
        address = reached(text)
        return address.is_global and not any(address in network for network in self._allow)
