"""Finds out whether the store can copy an item's source itself: the source is an object of the same store.

Owns the observation; `planning.transfers.store_copy` decides, and `transfer.store_copy` copies.
"""

from mirrord.model import ChecksumKind, S3Object, TransferKind
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
    kind = stored.checksum.kind if stored.checksum is not None else ChecksumKind.CRC64NVME
    if store.provider.checksum is ChecksumKind.NONE and layout.kind is TransferKind.PUT:
        kind = ChecksumKind.NONE
    return Original(at=origin.at, stored=stored, layout=layout, checksum=kind)
