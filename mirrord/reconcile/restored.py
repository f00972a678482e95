"""The end of a transfer that made a version of an object current, found after a crash: its proof and its record."""

from mirrord.errors import IntegrityError
from mirrord.model import Copied, Integrity, Record, StoredObject, Transfer
from mirrord.ports import JournalQueries, ObjectStore
from mirrord.reconcile.records import with_restored
from mirrord.reconcile.versions import inspect_version
from mirrord.transfer import proof


async def restored_record(
    record: Record, transfer: Transfer, stored: StoredObject, store: ObjectStore, journal: JournalQueries, now: float
) -> Record | None:
    """The record of the item whose object `stored` was written by `transfer`; None: it is not shown to equal the
    version. One HEAD of the version. Raises StoreError."""
    version_id = transfer.revision.restored
    if version_id is None or record.revision is None:
        return None
    _, original = await inspect_version(store, transfer.destination, version_id, journal)
    try:
        level = proof.of_object_copy(original.stored, stored) if original is not None else Integrity.LENGTH
    except IntegrityError:
        return None
    if level is Integrity.LENGTH:
        return None
    copied = Copied(
        transfer_id=transfer.id,
        revision=transfer.revision,
        kind=transfer.kind,
        size=stored.size,
        parts=1,
        etag=stored.etag,
        etag_from_head=True,
        checksum=stored.checksum,
        integrity=level,
        reused=True,
    )
    return with_restored(record, version_id, copied, transfer.options_digest, now)
