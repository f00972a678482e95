"""A file that the store has under another name, renamed or linked: the store copies that object, no byte is sent.

Owns the order: find the object in the journal (`planning.decisions.reuse` decides which one may be copied), read the
file to check that it still has those bytes, journal the intent, request a copy of exactly the recorded object, observe
the result. If the store refuses any of it, the bytes are sent. An unknown outcome is resolved as for any write.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from logging import getLogger

from mirrord.aio import finish
from mirrord.errors import (
    BucketMissing,
    ChecksumMismatch,
    PreconditionFailed,
    StoreDenied,
    StoreRefused,
    StoreUnavailable,
)
from mirrord.frozen import frozen
from mirrord.model import Copied, JournaledProgress, PartSizes, Record, StoredObject, Transfer, TransferKind
from mirrord.planning.decisions.describe import described
from mirrord.planning.decisions.reuse import may_reuse, reusable_record
from mirrord.planning.transfers.parts import PartLayout
from mirrord.ports import Clock, Journal
from mirrord.reconcile.due_copy import DueCopy
from mirrord.reconcile.ledger import record_other_bytes
from mirrord.reconcile.transfer_attempt import TransferAttempt
from mirrord.reconcile.unfinished import as_copied
from mirrord.transfer.budget import Budget
from mirrord.transfer.verify import has_recorded_bytes
from mirrord.transfer.writes import ObjectWrite, confirms_write

_log = getLogger(__name__)
_LAYOUT = PartLayout(TransferKind.PUT, PartSizes.equal(0), 1)
_REFUSED = (PreconditionFailed, StoreRefused, StoreDenied, BucketMissing, ChecksumMismatch)
"""Errors that show that the object was not copied, and that a repeat would not help."""


class CopySourceGuard:
    """The items whose objects are about to be copied by the store: these objects are not deleted meanwhile."""

    def __init__(self) -> None:
        self._in_use: Counter[str] = Counter()

    @contextmanager
    def protect(self, item_id: str) -> Iterator[None]:
        self._in_use[item_id] += 1
        try:
            yield
        finally:
            self._in_use[item_id] -= 1
            self._in_use += Counter()  # drops the items that are not in use any more

    def __contains__(self, item_id: str) -> bool:
        return self._in_use[item_id] > 0


@frozen
class Reuse:
    """Copies made by the store."""

    journal: Journal
    clock: Clock
    budget: Budget
    copy_sources: CopySourceGuard

    async def copied(self, attempt: TransferAttempt, due: DueCopy) -> Copied | None:
        """The copy that the store made, its intent still unfinished; None: there is none, and the bytes must be sent.

        Raises what the source raises, StoreUnavailable, and OutcomeUnknown, whose intent stays.
        """
        record = await self._recorded(attempt.number, due)
        if record is None or (due.unlisted and await due.store.head_object(due.item.destination) is not None):
            return None  # CopyObject has no If-None-Match; the put that follows has it
        with self.copy_sources.protect(record.item_id):
            return await self._copied(attempt, due, record) if await self._is_equal(due, record) else None

    async def reusable_record(self, attempt: TransferAttempt, due: DueCopy) -> Record | None:
        """The record of the object that `copied` would copy. Reads the file; raises what the source raises."""
        record = await self._recorded(attempt.number, due)
        return record if record is not None and await self._is_equal(due, record) else None

    async def _is_equal(self, due: DueCopy, record: Record) -> bool:
        return await has_recorded_bytes(due.source, due.observed, record, self.budget)

    async def _recorded(self, attempt: int, due: DueCopy) -> Record | None:
        item, file = due.item, due.observed.revision.file
        if file is None or not may_reuse(item, due.observed, due.store.provider, attempt):
            return None
        return reusable_record(item, await self.journal.made_from(file, item.destination.endpoint))

    async def _copied(self, attempt: TransferAttempt, due: DueCopy, record: Record) -> Copied | None:
        intent = due.intent(attempt.transfer_id, _LAYOUT, self.clock.now())
        intent = replace(intent, progress=JournaledProgress(whole=record.object.checksum))
        await self.journal.begin(intent)
        stored = await self._copy_of(due, record, intent)
        if stored is None:
            await finish(self.journal.abandon(intent.id))
        elif _is_copy(record, stored):
            return as_copied(intent, stored, ())
        else:
            _log.info("%s is sent: the store's copy has another length or checksum than its source", intent.destination)
            await record_other_bytes(self.journal, attempt, as_copied(intent, stored, ()))
        attempt.renew()
        return None

    async def _copy_of(self, due: DueCopy, record: Record, intent: Transfer) -> StoredObject | None:
        """The object at the key after the store copied `record`'s object, as a HEAD shows it: the answer has neither
        its length nor its transfer id, and not always a checksum. None: refused, or already replaced."""
        answer = await self._requested(due, record, intent)
        if answer is None or answer.from_head:
            return answer
        stored = await due.store.head_object(intent.destination)
        return stored if confirms_write(intent.id, None, stored) else None

    async def _requested(self, due: DueCopy, record: Record, intent: Transfer) -> StoredObject | None:
        """The answer to CopyObject, its outcome resolved. None: the store refuses it."""
        at, store = intent.destination, due.store
        options = described(due.item.options.object, due.observed, at.key, intent.id)
        size, etag, kind = record.object.size or 0, record.object.etag or "", intent.checksum_kind
        write = ObjectWrite(store=store, at=at, transfer_id=intent.id, size=size, whole=intent.progress.whole)
        try:
            return await write.resolve(
                lambda: store.copy_object(record.object_at, at, options, kind, if_match=etag, size=size)
            )
        except _REFUSED as error:
            _log.debug("%s is sent and not copied from %s: %s", at, record.destination, error)
            return None
        except StoreUnavailable:
            await finish(self.journal.abandon(intent.id))
            raise


def _is_copy(record: Record, stored: StoredObject) -> bool:
    """Whether the object is a copy of the recorded one, as far as the store shows. MinIO computes a false checksum
    where it compresses, and SDK clients refuse to read such an object."""
    return stored.size == record.object.size and stored.checksum in (None, record.object.checksum)
