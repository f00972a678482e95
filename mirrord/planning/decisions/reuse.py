"""Which object already holds a file's bytes under another name, and may be copied by the store. Pure.

Owns the rule; that the bytes are still the same, `reconcile.reuse` finds out by reading the file. A file's inode, size
and mtime only say where to look: inodes are used again, and mtimes are set by tar, rsync and builds.
"""

from collections.abc import Iterable

from mirrord.model import ChecksumKind, Item, Observed, Overwrite, Record
from mirrord.planning.decisions.decide import identifies_bytes
from mirrord.providers import Provider, profile

_KIND = ChecksumKind.CRC64NVME


def may_reuse(item: Item, observed: Observed, provider: Provider, attempt: int) -> bool:
    """Whether to look for such an object at all.

    Only at stores whose own checksum of the copy can be asked for, and which copy nothing but the object that was
    meant: others copy whatever stands there. Not where the entry's rules are about bytes on their way, or about what
    stands at the key. Not after a first attempt: a store that cannot copy must not be asked for ever.
    """
    requires, size = item.options.requires, observed.revision.length
    if observed.revision.file is None or not size or size > provider.max_put or attempt > 1:
        return False
    if provider.checksum is not _KIND or profile(provider.name).checksum is not _KIND:
        return False
    if requires.checksum is not None or requires.content_type is not None:
        return False
    return item.options.overwrite is Overwrite.ALWAYS and (requires.max_size is None or size <= requires.max_size)


def reusable_record(item: Item, records: Iterable[Record]) -> Record | None:
    """The first of these records of the same file whose object can serve; also one that left the manifests."""
    return next((record for record in records if record.item_id != item.id and _serves(record)), None)


def _serves(record: Record) -> bool:
    return identifies_bytes(record) and record.object.checksum is not None and record.object.checksum.kind is _KIND
