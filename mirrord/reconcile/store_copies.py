"""Finds out whether the store can copy one of its own objects: the source of an item, or the item's object itself.

Owns the observation; `planning.transfers.store_copy` decides, and `transfer.store_copy` copies.
"""

from mirrord.model import ChecksumKind, Destination, Overwrite, S3Object, StoredObject, TransferKind
from mirrord.planning.transfers.parts import PartLayout
from mirrord.planning.transfers.store_copy import copied_at_once, needs_first_part, part_copies, put_copy
from mirrord.ports import ObjectStore
from mirrord.providers import Provider
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
    layout = await layout_of_copy(origin.at, stored, store, due.item.options.overwrite)
    if layout is None:
        return None
    kind = checksum_of_copy(stored, layout, store.provider)
    return Original(at=origin.at, stored=stored, layout=layout, checksum=kind)


async def layout_of_copy(
    at: Destination, stored: StoredObject, store: ObjectStore, overwrite: Overwrite
) -> PartLayout | None:
    """The requests by which the store copies its object `stored`; None: none, so that the copy could be compared."""
    if copied_at_once(stored, store.provider, overwrite):
        return put_copy(stored.size)
    first = await store.inspect_object(at, part=1) if needs_first_part(stored) else None
    return part_copies(stored, first, store.provider)


def checksum_of_copy(stored: StoredObject, layout: PartLayout, provider: Provider) -> ChecksumKind:
    """That of the original, so that the two can be compared; else none where the store verifies MD5 only: B2 and others
    refuse a request with `x-amz-checksum-algorithm`. None, too, if the store refuses it for parts (MinIO)."""
    of_store = provider.checksum
    if layout.kind is TransferKind.MULTIPART and not provider.checked_part_copies:
        return ChecksumKind.NONE
    if stored.checksum is not None and (of_store is not ChecksumKind.NONE or layout.kind is TransferKind.MULTIPART):
        return stored.checksum.kind
    return of_store if of_store in (ChecksumKind.MD5, ChecksumKind.NONE) else ChecksumKind.CRC64NVME
