"""The host names that this server answers to: the protection against DNS rebinding (a page of another site sends
requests to a name of that site, which resolves to our address).

Pure. An IP literal cannot be rebound, so each one is accepted. Ports are ignored.
"""

import re
from collections.abc import Iterable
from ipaddress import ip_address

from mirrord.frozen import frozen

_AUTHORITY = re.compile(r"(?:\[(?P<six>[^\[\]@/\s]+)\]|(?P<name>[^\[\]:@/\s,]+))(?::\d*)?")


@frozen
class Hosts:
    """Names without ports, lower case, no dot at the end; `suffixes` begin with a dot."""

    names: frozenset[str] = frozenset({"localhost"})
    suffixes: tuple[str, ...] = ()

    def known(self, host: str) -> bool:
        """Whether a Host header has one of our names; False for an invalid one."""
        parts = _AUTHORITY.fullmatch(host.strip())
        if parts is None:
            return _is_address(host.strip())
        if parts["six"]:
            return _is_address(parts["six"].replace("%25", "%"))
        name = _plain(parts["name"])
        return name in self.names or name.endswith(self.suffixes or ("\0",)) or _is_address(name)


LOOPBACK = Hosts()
"""The names that are accepted for every listen address."""


def hosts_of(listen: str, machine: str, declared: Iterable[str]) -> Hosts:
    """localhost, the listen host, this machine's name (whole, and its first label), and the `declared` names, where
    `*.suffix` is every name below it."""
    plain = [_plain(one) for one in declared]
    names = {"localhost", _plain(listen), _plain(machine), _plain(machine).partition(".")[0]}
    names |= {one for one in plain if not one.startswith("*.")}
    return Hosts(frozenset(names - {""}), tuple(one[1:] for one in plain if one.startswith("*.")))


def _plain(name: str) -> str:
    return name.lower().removesuffix(".")


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
