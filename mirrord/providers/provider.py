"""The profile of a provider as code uses it: the values of its facts, and a careful value where one is unknown.

Owns these careful values. `facts` and the data modules own what is known. No other module compares names of providers.
"""

from typing import Any

from mirrord.frozen import frozen
from mirrord.model import ChecksumKind, ProviderName
from mirrord.providers.facts import FactName, FactSheet
from mirrord.units import GiB, MiB, TiB


@frozen(kw_only=True)
class Provider:
    """One provider's profile. Sizes in bytes. Each field is the fact of that name (`facts.MEANINGS`)."""

    name: ProviderName
    checksum: ChecksumKind = ChecksumKind.MD5
    """The checksum kind that is sent with each write. `transfer.proof` decides from the store's answers what it
    proves."""
    min_part: int = 5 * MiB
    max_part: int = 5 * GiB
    max_parts: int = 10_000
    max_put: int = 5 * GiB
    max_object: int = 5 * TiB
    equal_parts: bool = False
    multipart_threshold: int | None = None
    """None: mirrord's own."""
    late_abort_harmless: bool = False
    conditional_puts: bool = False
    """False: unknown, or some versions ignore it."""
    conditional_deletes: bool = False
    """False: unknown, or ignored. A HEAD precedes each deletion anyway."""
    checked_part_copies: bool = True
    """True if unknown: a refused copy is sent."""
    merges_slashes: bool = False
    merges_unicode: bool = False
    storage_classes: tuple[str, ...] = ()
    """Empty: unknown, so that any name is sent."""


_USED = (
    *(FactName.MIN_PART, FactName.MAX_PART, FactName.MAX_PARTS, FactName.MAX_PUT, FactName.MAX_OBJECT),
    *(FactName.EQUAL_PARTS, FactName.MULTIPART_THRESHOLD, FactName.LATE_ABORT, FactName.CONDITIONAL_PUTS),
    *(FactName.CONDITIONAL_DELETES, FactName.PART_COPIES, FactName.MERGES_SLASHES, FactName.MERGES_UNICODE),
    FactName.STORAGE_CLASSES,
)
"""The facts that are fields of `Provider`, besides the checksum."""


def provider_from(known: FactSheet) -> Provider:
    """The profile that these facts make."""
    values: dict[str, Any] = {str(name): known.facts[name].value for name in _USED if name in known.facts}
    if kind := known.text(FactName.CHECKSUM):
        values["checksum"] = ChecksumKind(kind)
    return Provider(name=known.name, **values)
