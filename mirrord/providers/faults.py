"""Known faults of servers by version, found by the Server header of their answers. Pure.

Owns the versions and the words. A header without a version shows no fault. `reconcile.learned_facts` shows what is
found.
"""

import re

from mirrord.frozen import frozen

_Version = tuple[int, ...]


@frozen
class ServerFault:
    """A fault of the versions from `since` on and before `fixed`. `source`: as of a `Fact`."""

    product: str
    since: _Version
    fixed: _Version
    text: str
    source: str

    @property
    def summary(self) -> str:
        """The fault with its versions."""
        first = f"from {_dotted(self.since)} on, " if self.since else ""
        return f"{first}before {_dotted(self.fixed)}: {self.text}"


def _dotted(version: _Version) -> str:
    return ".".join(map(str, version))


_WEED = "SeaweedFS"
SEAWEEDFS_FAULTS = (
    ServerFault(
        _WEED,
        (),
        (4, 48),
        "an abort that comes after CompleteMultipartUpload destroys the object",
        "https://github.com/seaweedfs/seaweedfs/issues/11382",
    ),
    ServerFault(
        _WEED,
        (4, 44),
        (4, 48),
        "a listing that starts after a key before its prefix is empty",
        "measured: SeaweedFS 4.47 and 4.48",
    ),
)
_FAULTS = SEAWEEDFS_FAULTS
_VERSION = r"[ /]+v?(?P<version>\d{1,6}(?:\.\d{1,6}){1,3})"
_PRODUCTS = {_WEED: re.compile(rf"SeaweedFS(?:[ /]+\d+[KMGT]?B)?{_VERSION}", re.IGNORECASE)}
"""What a product's Server header looks like: `SeaweedFS 30GB 4.47`."""


def known_faults(server: str) -> tuple[str, ...]:
    """The faults of the server that sends this Server header, each with what to do."""
    found = []
    for one in _FAULTS:
        shown = _PRODUCTS[one.product].search(server)
        version = tuple(map(int, shown["version"].split("."))) if shown else ()
        if version and one.since <= version < one.fixed:
            found.append(f"{one.product} {_dotted(version)}: {one.text}; upgrade it to {_dotted(one.fixed)} or newer")
    return tuple(found)
