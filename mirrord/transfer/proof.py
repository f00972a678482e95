"""The level of integrity that the store's answers prove.

Owns the decision, from the answer to a write or from a HEAD after it. A provider's profile decides which checksum is
sent, but never proves anything: a store that ignores checksums accepts any bytes. If no checksum is shown, the level is
LENGTH, and the caller must read the object back.
"""

import re
from collections.abc import Sequence

from mirrord import checksums
from mirrord.errors import ChecksumMismatch, LengthMismatch
from mirrord.model import Checksum, ChecksumKind, Integrity, Part, Revision, StoredObject

_OF_BYTES = re.compile(r'"[0-9a-f]{32}(?:-[1-9][0-9]{0,5})?"')
"""An ETag that is an MD5 of the bytes, or of the MD5s of the parts."""


def of_put(sent: Checksum | None, stored: StoredObject, size: int) -> Integrity:
    """The level of a single put. Raises ChecksumMismatch or LengthMismatch if the store shows other bytes."""
    _same(sent, stored, size)
    return put_level(sent, stored)


def put_level(sent: Checksum | None, stored: StoredObject) -> Integrity:
    """The level that `stored` proves for a body whose checksum was `sent`."""
    if sent is not None and sent.kind is ChecksumKind.MD5:
        return Integrity.MD5 if _is_md5(sent, stored.etag) else Integrity.LENGTH
    return Integrity.FULL_OBJECT if sent is not None and stored.checksum == sent else Integrity.LENGTH


def of_multipart(whole: Checksum | None, parts: Sequence[Part], stored: StoredObject, size: int) -> Integrity:
    """The level of a multipart upload. `whole` was sent with Complete, each part's checksum with the part.

    Raises what `of_put` raises.
    """
    _same(whole, stored, size)
    composite, shown = _composite(parts), stored.composite
    if composite and shown and shown.kind is composite.kind and shown != composite:
        raise ChecksumMismatch(f"the store holds composite {shown.kind} {shown.value}, sent was {composite.value}")
    return multipart_level(whole, parts, stored)


def multipart_level(whole: Checksum | None, parts: Sequence[Part], stored: StoredObject) -> Integrity:
    """The level that `stored` proves for these parts.

    A composite checksum counts only if a HEAD shows it: then it is a property of the object.
    """
    if whole is not None and stored.checksum == whole:
        return Integrity.FULL_OBJECT
    if stored.from_head and stored.composite is not None and stored.composite == _composite(parts):
        return Integrity.COMPOSITE
    if parts and all(part.checksum and _is_md5(part.checksum, part.etag) for part in parts):
        return Integrity.MD5
    return Integrity.LENGTH


def of_copy(known: Checksum | None, stored: StoredObject, size: int | None) -> Integrity:
    """The level of an object that the store copied from an object with the checksum `known`.

    No checksum was sent that the store could verify, so only the checksum and size that it shows for the copy count.
    """
    shown = known is not None and stored.checksum == known and stored.size == size
    return Integrity.FULL_OBJECT if shown else Integrity.LENGTH


def of_object_copy(original: StoredObject, stored: StoredObject) -> Integrity:
    """The level of an object that the store copied from `original`, an object that another program may have written.

    Equal checksums of one kind prove it, else equal ETags: both are MD5s of the bytes, or of the same parts, or the
    store shows that it has the same data. LENGTH: nothing can be compared. Raises what `of_put` raises.
    """
    _same(original.checksum, stored, original.size)
    if original.checksum is not None and stored.checksum == original.checksum:
        return Integrity.FULL_OBJECT
    same_etag = bool(original.etag.strip('"')) and stored.etag.lower() == original.etag.lower()
    return Integrity.MD5 if same_etag else Integrity.LENGTH


def has_etag_of(source: Revision, stored: StoredObject) -> bool:
    """Whether the object has the length and the ETag of its source, and the ETag shows the bytes: as after a copy that
    the store made itself."""
    etag = (source.strong_etag or "").lower()
    return (stored.size, stored.etag.lower()) == (source.length, etag) and _OF_BYTES.fullmatch(etag) is not None


def _composite(parts: Sequence[Part]) -> Checksum | None:
    """The composite checksum of `parts`. None: some part has no checksum, or the kinds differ."""
    known = [part.checksum for part in parts if part.checksum is not None]
    kinds = {checksum.kind for checksum in known}
    return checksums.composite(kinds.pop(), known) if len(known) == len(parts) and len(kinds) == 1 else None


def _is_md5(sent: Checksum, etag: str) -> bool:
    """Whether the ETag is the MD5 that was sent. That is so for puts and parts without encryption.

    Source: AWS, "Checking object integrity", ETags.
    """
    return sent.kind is ChecksumKind.MD5 and etag.strip('"').lower() == checksums.hexadecimal(sent)


def _same(sent: Checksum | None, stored: StoredObject, size: int) -> None:
    if stored.size != size:
        raise LengthMismatch(f"the store holds {stored.size:,} bytes where {size:,} were sent")
    if sent and stored.checksum and stored.checksum.kind is sent.kind and stored.checksum != sent:
        raise ChecksumMismatch(f"the store holds {sent.kind} {stored.checksum.value}, sent was {sent.value}")
