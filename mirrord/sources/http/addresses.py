"""Which network addresses a source or a webhook may have: rules over the address that a connection goes to.

Owns SPEC section 7: link-local and cloud-metadata addresses never; private ones never after a public one. The rules
apply to each new connection after the name was resolved, so neither an IP address in the URL nor a forged DNS answer
avoids them.
"""

import socket
from collections.abc import Iterable
from ipaddress import IPv6Address, ip_network

from mirrord.proxies import Address, final_address

_FORBIDDEN = tuple(map(ip_network, ("169.254.0.0/16", "fe80::/10", "fd00:ec2::254/128", "100.100.100.200/32")))


def _is_public(address: Address) -> bool:
    """Multicast, and fec0::/10 (site-local, RFC 3879), are global to Python."""
    local = isinstance(address, IPv6Address) and address.is_site_local
    return address.is_global and not address.is_multicast and not local


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
        if behind_public and not _is_public(address):
            return "a redirect leads from a public address to a private one, which mirrord does not follow"
        return None

    def is_public(self, text: str) -> bool:
        """Whether the address belongs to the public internet; an exempt address counts as private."""
        address = final_address(text)
        return _is_public(address) and not any(address in network for network in self._allow)


def checked_socket(
    rules: AddressRules, info: tuple[int, int, int, str, tuple[object, ...]], *, behind_public: bool
) -> socket.socket:
    """A socket for an address in the form of getaddrinfo; AddressRefused if the rules forbid it."""
    if reason := rules.refusal(str(info[4][0]), behind_public=behind_public):
        raise AddressRefused(reason)
    return socket.socket(info[0], info[1], info[2])
