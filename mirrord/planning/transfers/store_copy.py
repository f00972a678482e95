"""In which requests a store copies one of its own objects. Pure.

Owns the rule that a copy must be comparable with its original: an object that was uploaded in parts has an ETag that
depends on their sizes, so its copy is made of the same parts, unless a checksum of the whole object is known.
"""

from mirrord.model import ChecksumKind, ObjectDetails, Overwrite, PartSizes, StoredObject, TransferKind
from mirrord.planning.transfers.parts import PartLayout
from mirrord.providers import Provider
from mirrord.units import GiB, MiB

_AUTO_PART = GiB
_CONCURRENCY = 8
"""Parts that a store copies at the same time: no byte of them passes through this process."""


def copied_at_once(original: StoredObject, provider: Provider, overwrite: Overwrite) -> bool:
    """Whether one CopyObject makes the copy. It has no If-None-Match, so another object at the key could be lost."""
    comparable = original.checksum is not None or "-" not in original.etag
    return original.size <= provider.max_put and comparable and overwrite is Overwrite.ALWAYS


def needs_first_part(original: StoredObject) -> bool:
    """Whether a HEAD of its first part shows the sizes of its parts."""
    return "-" in original.etag


def put_copy(size: int) -> PartLayout:
    """The layout of one CopyObject."""
    return PartLayout(TransferKind.PUT, PartSizes.equal(size), 1)


def part_copies(original: StoredObject, first: ObjectDetails | None, provider: Provider) -> PartLayout | None:
    """The layout of UploadPartCopy requests. `first`: a HEAD of the first part. None: the store cannot copy it like
    this so that the copy could be compared."""
    size = original.size
    part_size = first.stored.size if first is not None and first.parts is not None else 0
    if part_size and first is not None and -(-size // part_size) == first.parts:
        fits = part_size <= provider.max_part and (part_size >= provider.min_part or first.parts == 1)
        return _in_parts(size, part_size) if fits and first.parts <= provider.max_parts else None
    if original.checksum is None or original.checksum.kind is ChecksumKind.SHA256 or not size:
        return None  # an upload has no checksum of the whole object of this kind
    if not provider.checked_part_copies:
        return None
    part_size = _automatic(size, provider)
    return _in_parts(size, part_size) if part_size <= provider.max_part else None


def uncompared_copy(size: int, provider: Provider) -> PartLayout:
    """The layout of a copy of which the store shows nothing that could be compared: the bytes are read."""
    if size <= provider.max_put:
        return put_copy(size)
    return _in_parts(size, _automatic(size, provider))


def _automatic(size: int, provider: Provider) -> int:
    least = -(-size // provider.max_parts)
    return max(provider.min_part, min(_AUTO_PART, provider.max_part), -(-least // MiB) * MiB)


def _in_parts(size: int, part_size: int) -> PartLayout:
    parts = -(-size // part_size)
    return PartLayout(TransferKind.MULTIPART, PartSizes.equal(part_size), min(_CONCURRENCY, parts))
