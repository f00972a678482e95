"""An upload whose CompleteMultipartUpload was sent and whose outcome is unknown: what to do with it (guarantee 5).

Owns the requests to the store, and the rule: an upload whose object exists is never aborted, because some stores then
delete the object (FIELD_NOTES 17). Changes nothing in store and journal: `unfinished` and `sweeper` do.
"""

from enum import StrEnum

from mirrord.model import Transfer
from mirrord.planning.transfers.sweep import may_be_result, window_ends
from mirrord.ports import ObjectStore
from mirrord.transfer.writes import confirms_write, has_transfer_id


class Resolution(StrEnum):
    """What to do with such an upload now."""

    FINISH = "finish"  # it made the object: end its transfer
    FORGET = "forget"  # its object is not the current version, has another checksum or cannot be read: never abort
    ABORT = "abort"
    WAIT = "wait"  # it may still be completed


async def resolution_of(transfer: Transfer, store: ObjectStore, now: float) -> Resolution:
    """Resolve it: one HEAD, and in versioned buckets one HEAD of each version that may be its. Raises StoreError."""
    stored = await store.head_object(transfer.destination)
    if has_transfer_id(transfer.id, stored):
        return Resolution.FINISH if confirms_write(transfer.id, transfer.progress.whole, stored) else Resolution.FORGET
    if store.provider.late_abort_harmless:
        return Resolution.ABORT
    if now < (window_ends(transfer) or 0.0):
        return Resolution.WAIT
    if stored is not None and stored.unreadable:  # it may be its work: the key that would show it is not declared
        return Resolution.FORGET
    return Resolution.FORGET if await _in_a_version(transfer, store) else Resolution.ABORT


async def _in_a_version(transfer: Transfer, store: ObjectStore) -> bool:
    at = transfer.destination
    if not await store.bucket_versioning(at.bucket):
        return False
    async for version in store.list_versions(at):
        if not version.deleted and may_be_result(transfer, version.last_modified):
            stored = await store.head_version(at, version.version_id)
            if has_transfer_id(transfer.id, stored) or (stored is not None and stored.unreadable):
                return True
    return False
