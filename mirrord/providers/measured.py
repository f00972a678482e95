"""The profile of a store of which `doctor --store` measured what it does. Pure.

Owns which measured values replace those of the profile: all that need more care, and what is not known otherwise. A
measurement never overrules a documented fault: a race is not seen by requests one after the other.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from mirrord.frozen import frozen
from mirrord.model import ChecksumKind
from mirrord.providers.facts import FactName, FactSheet, FactValue
from mirrord.providers.provider import Provider

KEPT_FOR = 30 * 86400.0
"""Seconds for which a measured value counts."""
_STRONGEST_FIRST = ("crc64nvme", "crc32c", "crc32", "sha256", "md5")
_GOOD = (FactName.CONDITIONAL_PUTS, FactName.CONDITIONAL_DELETES, FactName.PART_COPIES)
"""Facts of which True needs less care."""


@frozen
class MeasuredFacts:
    """The values by name (of a `FactName`, or a word of `programs.doctor`). `server` is the Server header then."""

    server: str
    when: float  # seconds since the epoch
    values: tuple[tuple[str, FactValue], ...]

    def value(self, name: str) -> FactValue | None:
        """None: it was not measured."""
        return dict(self.values).get(name)


@lru_cache(maxsize=64)
def measured_provider(base: Provider, known: "KnownFacts", measured: MeasuredFacts, server: str) -> Provider:
    """The profile with what was measured. `base` is that of the store, `known` has what its profile documents, and
    `server` is its Server header now: if it is another one, `base` is unchanged. While the header is unknown (empty),
    only what needs more care counts."""
    if server and server != measured.server:
        return base
    same = server == measured.server
    changes: dict[str, Any] = {}
    for name in _GOOD:
        value = measured.value(name)
        if value is False or (value is True and same and name not in known.names):
            changes[str(name)] = value
    changes |= _part_limits(base, measured)
    if known.checksum_is_free and same and (kind := _best_checksum(measured)) is not None:
        changes["checksum"] = kind
    return replace(base, **changes)


@frozen
class KnownFacts:
    """The names of what a profile documents; `checksum_is_free`: neither it nor the manifest says which to send."""

    names: frozenset[str]
    checksum_is_free: bool

    @staticmethod
    def of(sheet: FactSheet, declared: ChecksumKind | None) -> "KnownFacts":
        return KnownFacts(frozenset(map(str, sheet.facts)), declared is None and FactName.CHECKSUM not in sheet.facts)


@frozen
class MeasuredProfile:
    """What counts of one store. `measured` None: nothing was measured."""

    known: KnownFacts
    measured: MeasuredFacts | None = None

    def of(self, base: Provider, server: str) -> Provider:
        """See `measured_provider`."""
        return base if self.measured is None else measured_provider(base, self.known, self.measured, server)


UNMEASURED = MeasuredProfile(KnownFacts(frozenset(), False))


def _part_limits(base: Provider, measured: MeasuredFacts) -> Mapping[str, Any]:
    changes: dict[str, Any] = {}
    if measured.value(FactName.EQUAL_PARTS) is True:
        changes["equal_parts"] = True
    most = measured.value(FactName.MAX_PARTS)
    if isinstance(most, int) and 1 < most < base.max_parts:
        changes["max_parts"] = most
    return changes


def _best_checksum(measured: MeasuredFacts) -> ChecksumKind | None:
    """The strongest kind that the store compares of puts and, if it is a CRC, of uploads."""
    puts, uploads = measured.value(FactName.CHECKSUMS), measured.value("upload_checksums")
    if not isinstance(puts, tuple) or not isinstance(uploads, tuple):
        return None
    both = (kind for kind in _STRONGEST_FIRST if kind in puts and (kind in uploads or not kind.startswith("crc")))
    best = next(both, None)
    return None if best is None else ChecksumKind(best)
