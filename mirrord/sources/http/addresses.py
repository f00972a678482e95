"""Which network addresses a source or a webhook may have: rules over the address that a connection goes to.

Owns SPEC section 7: link-local and cloud-metadata addresses never; private ones never after a public one. The rules
apply to each new connection after the name was resolved, so neither an IP address in the URL nor a forged DNS answer
avoids them.
"""

import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

Address = IPv4Address | IPv6Address

_FORBIDDEN = tuple(map(ip_network, ("169.254.0.0/16", "fe80::/10", "fd00:ec2::254/128", "100.100.100.200/32")))
_NAT64 = ip_network("64:ff9b::/96")


def final_address(text: str) -> Address:
    """The address at which packets to `text` arrive: IPv4 inside IPv6 (mapped, 6to4, NAT64) is extracted.

    Raises ValueError if the text is no address.
    """
    address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


class AddressRefused(OSError):
    """A rule of SPEC section 7 forbids the connection; `str()` is the reason."""


class AddressRules:
    """Which addresses may be connected to. `allow`: exempt networks (CIDR); ValueError if one is malformed."""

    def __init__(self, allow: Iterable[str] = ()) -> None:
        self._allow = tuple(map(ip_network, allow))

    def refusal(self, text: str, *, behind_public: bool) -> str | None:
        """Why this address is refused, as the end of a sentence; None if it may be connected to."""
        address = final_address(text)
        if any(address in network for network in self._allow):
            return None
        if any(address in network for network in _FORBIDDEN):
            return "leads to a link-local or cloud-metadata address, which mirrord does not ask"
        if behind_public and not address.is_global:
            return "a redirect leads from a public address to a private one, which mirrord does not follow"
        return None

    def is_public(self, text: str) -> bool:
        """Whether the address belongs to the public internet; an exempt address counts as private."""
        address = final_address(text)
        return address.is_global and not any(address in network for network in self._allow)


def checked_socket(
    rules: AddressRules, info: tuple[int, int, int, str, tuple[object, ...]], *, behind_public: bool
) -> socket.socket:
    """A socket for an address in the form of getaddrinfo; AddressRefused if the rules forbid it."""
    if reason := rules.refusal(str(info[4][0]), behind_public=behind_public):
        raise AddressRefused(reason)
    return socket.socket(info[0], info[1], info[2])
