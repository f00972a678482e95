"""What proved a copy: the level of integrity that the store's answer and its profile stand for (SPEC guarantee 3).

Owns the verdict, made from facts already at hand. Claims no more than was shown: a checksum that the store merely
ignored proves nothing but the length.
"""

from collections.abc import Sequence

from mirrord.checksums import hexadecimal
from mirrord.errors import ChecksumMismatch, LengthMismatch
from mirrord.model import Checksum, ChecksumKind, Integrity, Part, StoredObject
from mirrord.providers import Provider, profile

_HEADERS = frozenset({ChecksumKind.CRC64NVME, ChecksumKind.CRC32C, ChecksumKind.CRC32, ChecksumKind.SHA256})


def of_put(sent: Checksum | None, stored: StoredObject, size: int, provider: Provider) -> Integrity:
    """The level that a single put reached. Raises ChecksumMismatch or LengthMismatch if the store holds other bytes."""
    _same(sent, stored, size)
    if sent is None:
        return Integrity.LENGTH
    if sent.kind is ChecksumKind.MD5:
        return Integrity.MD5 if _md5_shown(sent, stored.etag, provider) else Integrity.LENGTH
    return Integrity.FULL_OBJECT if _confirmed(sent, stored, provider) else Integrity.LENGTH


def of_multipart(
    whole: Checksum | None, parts: Sequence[Part], stored: StoredObject, size: int, provider: Provider
) -> Integrity:
    """The level that a multipart upload reached: `whole` was sent with Complete, each part's checksum with the part."""
    _same(whole, stored, size)
    if whole is not None:
        return Integrity.FULL_OBJECT if _confirmed(whole, stored, provider) else Integrity.LENGTH
    kinds = {part.checksum.kind if part.checksum else ChecksumKind.NONE for part in parts}
    if kinds == {ChecksumKind.MD5}:
        shown = all(part.checksum and _md5_shown(part.checksum, part.etag, provider) for part in parts)
        return Integrity.MD5 if shown else Integrity.LENGTH
    if kinds == {ChecksumKind.SHA256} and _verifies(provider):
        return Integrity.COMPOSITE
    return Integrity.LENGTH


def of_copy(known: Checksum | None, stored: StoredObject, size: int | None) -> Integrity:
    """The level of an object that the store made of another one, which has the checksum `known`. Nothing was sent that
    the store could have verified, so only what it says of the copy counts; all else is to be read back."""
    shown = known is not None and stored.checksum == known and stored.size == size
    return Integrity.FULL_OBJECT if shown else Integrity.LENGTH


def _confirmed(sent: Checksum, stored: StoredObject, provider: Provider) -> bool:
    """The store said the checksum back, or is known to refuse a wrong one."""
    return stored.checksum == sent or _verifies(provider)


def _md5_shown(sent: Checksum, etag: str, provider: Provider) -> bool:
    """The ETag is the MD5 of what came (so it is of a plain put or part, unless encrypted), or Content-MD5 is honoured.

    RFC 1864; AWS: "Checking object integrity", ETags.
    """
    return etag.strip('"').lower() == hexadecimal(sent) or profile(provider.name).honours_md5


def _verifies(provider: Provider) -> bool:
    """By the provider's own profile: `provider` may carry the checksum that a manifest asked for instead."""
    return profile(provider.name).checksum in _HEADERS


def _same(sent: Checksum | None, stored: StoredObject, size: int) -> None:
    if stored.size != size:
        raise LengthMismatch(f"the store holds {stored.size:,} bytes where {size:,} were sent")
    if sent and stored.checksum and stored.checksum.kind is sent.kind and stored.checksum != sent:
        raise ChecksumMismatch(f"the store holds {sent.kind} {stored.checksum.value}, sent was {sent.value}")
