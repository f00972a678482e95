"""The object that already holds a file's bytes under another name, so that the store can copy it. Pure.

Owns the rule. `reconcile.reuse` reads the file to check that its bytes are still the same. A file's inode, size and
mtime are only a hint: inodes are used again, and tar, rsync and builds set mtimes.
"""

from collections.abc import Iterable

from mirrord.model import ChecksumKind, Item, Observed, Overwrite, Record
from mirrord.planning.decisions.decide import identifies_bytes
from mirrord.providers import Provider, profile

_KIND = ChecksumKind.CRC64NVME


def may_reuse(item: Item, observed: Observed, provider: Provider, attempt: int) -> bool:
    """Whether to search for such an object.

    Only at stores that return a checksum of the copy and that copy only the expected object; other stores copy any
    object at the key. Not if the entry has requirements on the bytes of the source or on the existing object, or
    locks objects (see `rewrites.without_lock`). Only in the first attempt, because a store that cannot copy would fail
    again.
    """
    requires, size = item.options.requires, observed.revision.length
    if observed.revision.file is None or not size or size > provider.max_put or attempt > 1:
        return False
    if provider.checksum is not _KIND or profile(provider.name).checksum is not _KIND:
        return False
    if item.declared is not None or requires.checksum is not None or requires.content_type is not None:
        return False
    if item.options.object.locks:
        return False
    return item.options.overwrite is Overwrite.ALWAYS and (requires.max_size is None or size <= requires.max_size)


def reusable_record(item: Item, records: Iterable[Record]) -> Record | None:
    """The first of these records of the same file whose object can be copied, also of an item that left the
    manifests."""
    return next((record for record in records if record.item_id != item.id and _serves(record)), None)


def _serves(record: Record) -> bool:
    if record.restored is not None:
        return False  # the object has the bytes of an older revision
    return identifies_bytes(record) and record.object.checksum is not None and record.object.checksum.kind is _KIND
