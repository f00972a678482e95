"""Finds out whether the store can copy an item's source itself: the source is an object of the same store.

Owns the observation; `planning.transfers.store_copy` decides, and `transfer.store_copy` copies.
"""

from mirrord.model import ChecksumKind, S3Object, StoredObject, TransferKind
from mirrord.planning.transfers.parts import PartLayout
from mirrord.planning.transfers.store_copy import copied_at_once, needs_first_part, part_copies, put_copy
from mirrord.reconcile.due_copy import DueCopy
from mirrord.transfer.spec import Original


async def original_of(due: DueCopy) -> Original | None:
    """The source as an object that the store copies; None: its bytes are read and sent.

    Not if the bytes must be compared with a declared digest. Raises StoreError.
    """
    details, origin, store = due.observed.object, due.item.origin, due.store
    if details is None or not isinstance(origin, S3Object) or origin.at.store != due.item.destination.store:
        return None
    if due.demands.in_order or due.observed.revision.strong_etag is None:
        return None
    stored = details.stored
    if copied_at_once(stored, store.provider, due.item.options.overwrite):
        layout = put_copy(stored.size)
    else:
        first = await store.inspect_object(origin.at, part=1) if needs_first_part(stored) else None
        found = part_copies(stored, first, store.provider)
        if found is None:
            return None
        layout = found
    return Original(at=origin.at, stored=stored, layout=layout, checksum=_kind(stored, layout, store.provider.checksum))


def _kind(stored: StoredObject, layout: PartLayout, of_store: ChecksumKind) -> ChecksumKind:
    """That of the original, so that the two can be compared; else none where the store verifies MD5 only: B2 and others
    refuse a request with `x-amz-checksum-algorithm`."""
    if stored.checksum is not None and (of_store is not ChecksumKind.NONE or layout.kind is TransferKind.MULTIPART):
        return stored.checksum.kind
    return of_store if of_store in (ChecksumKind.MD5, ChecksumKind.NONE) else ChecksumKind.CRC64NVME
