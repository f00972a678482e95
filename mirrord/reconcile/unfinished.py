"""Transfers of earlier attempts at an item that did not end, after a crash, an interruption or a lost answer.

Owns their outcome (an object that carries a transfer's id was written by it, whatever its last answer was), which parts
of an open upload can be used again, and the abort of the others. An upload that was requested and whose id no step
recorded cannot be distinguished here from an upload of another program: its intent is left to the sweep (`sweeper`), as
is an upload that the store did not abort, or that may still be completed (`uncertain`).
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from mirrord.checksums import combines
from mirrord.errors import ActionDenied, NoSuchUpload, StoreError, StoreRefused
from mirrord.frozen import frozen
from mirrord.model import Copied, Integrity, Item, Part, Record, StoredObject, Transfer, TransferKind
from mirrord.planning.decisions.decide import adopted
from mirrord.planning.transfers.resume import confirmed_parts
from mirrord.planning.transfers.sweep import lacks_upload_id, uncertain
from mirrord.ports import Clock, Journal, ObjectStore, Observer
from mirrord.reconcile.records import with_copy, with_finished, with_other_bytes
from mirrord.reconcile.restored import restored_record
from mirrord.reconcile.transfer_attempt import upload_aborted
from mirrord.reconcile.uncertain import Resolution, resolution_of
from mirrord.transfer import proof
from mirrord.transfer.ledger import ResumedUpload
from mirrord.transfer.writes import confirms_write, is_written_by

Prove = Callable[[Copied], Awaitable[Copied]]
"""Read an object back where its manifest or its store needs that. Raises ReadbackMismatch and StoreError."""


@frozen
class UnfinishedTransfers:
    """The unfinished transfers of one journal, each with its store."""

    journal: Journal
    clock: Clock
    observer: Observer

    async def resolve(
        self, item: Item, record: Record | None, store: ObjectStore, prove: Prove
    ) -> tuple[Record | None, Sequence[Transfer]]:
        """The item's record, and its transfers that are still unfinished; one that is found to be done is ended.

        Sends one HEAD, only if there are any. If the credentials do not allow it, the outcome of a put stays unknown,
        and the next write repeats it; the outcome of a requested completion must be known first, because it may replace
        a later object: raises ActionDenied. A finished transfer must still pass the same integrity check: a transfer
        that cannot be proven any more is not done. An object of other bytes is recorded without a revision, so it is
        never adopted.
        """
        known = await self.journal.open_of(item.id)
        left = [transfer for transfer in known if transfer.progress.given_up is None]
        possible = [transfer for transfer in known if transfer.progress.given_up is None or uncertain(transfer)]
        if not possible:
            return record, left
        try:
            stored = await store.head_object(item.destination)
        except ActionDenied as denied:
            if (open_upload := next(filter(uncertain, possible), None)) is not None:
                raise _unsettled(open_upload, denied) from denied
            return record, left
        done = next((one for one in possible if stored is not None and is_written_by(one.id, stored)), None)
        if done is None or stored is None:
            return record, left
        if done.revision.restored is not None and record is not None:
            resolved = await restored_record(record, done, stored, store, self.journal, self.clock.now())
            if resolved is None:  # not proven: the record stays, so that the object counts as replaced
                await self.journal.abandon(done.id)
                return record, [transfer for transfer in left if transfer is not done]
        else:
            resolved = await self._record_of(item, record, done, stored, prove)
        if resolved is None:
            return record, left
        await self.journal.finish(done.id, resolved)
        return resolved, [transfer for transfer in left if transfer is not done]

    async def _record_of(
        self, item: Item, record: Record | None, done: Transfer, stored: StoredObject, prove: Prove
    ) -> Record | None:
        """The item's record after `done`, which wrote the object `stored`; None: the store refuses the proof."""
        copied = as_copied(done, stored, await self.journal.parts(done.id))
        if not confirms_write(done.id, done.progress.whole, stored):
            return with_other_bytes(item, copied, self.clock.now())
        try:
            copied = await prove(copied)
        except StoreRefused:
            return None
        resolved = with_copy(item, record, copied, self.clock.now())
        return replace(resolved, object=replace(resolved.object, options_digest=done.options_digest))

    async def upload_of(self, transfer: Transfer, store: ObjectStore) -> ResumedUpload | None:
        """The open upload of `transfer` with the parts that need not be sent again; None: there is none any more.

        If the credentials may not list the parts, those of the journal count: the store confirmed each of them.
        """
        length, sizes, upload_id = transfer.revision.length, transfer.part_sizes, transfer.progress.upload_id
        if length is None or sizes is None or upload_id is None:
            return None
        journaled = listed = await self.journal.parts(transfer.id)
        try:
            with suppress(ActionDenied):
                listed = [part async for part in store.list_parts(transfer.destination, upload_id)]
        except NoSuchUpload:
            return None
        parts = confirmed_parts(journaled, listed, length, sizes.first)
        return ResumedUpload(upload_id, parts, uncertain=uncertain(transfer))

    async def discard(self, transfer: Transfer, store: ObjectStore, item: Item) -> None:
        """Abort the upload of `transfer`, then forget the transfer. If that is not possible now it is given up.

        The sweep then repeats the abort, after it found the upload's id, or after the upload can no longer be
        completed.
        """
        if lacks_upload_id(transfer) or not await self._aborted(transfer, store, item):
            await self.journal.give_up(transfer.id, self.clock.now())
        else:
            await self.journal.abandon(transfer.id)

    async def _aborted(self, transfer: Transfer, store: ObjectStore, item: Item) -> bool:
        """Whether no upload of `transfer` is left."""
        upload_id = transfer.progress.upload_id
        if upload_id is None:
            return True
        try:
            if uncertain(transfer) and await resolution_of(transfer, store, self.clock.now()) is not Resolution.ABORT:
                return False
            await store.abort_upload(transfer.destination, upload_id)
        except StoreError:
            return False
        self.observer(upload_aborted(item, transfer, upload_id))
        return True


async def record_finished(transfer: Transfer, store: ObjectStore, journal: Journal, now: float) -> None:
    """End `transfer` in the journal: it wrote the object, and its item is not checked here.

    An object that the store does not prove now is recorded without a revision: if the item comes back, it is written
    again.
    """
    record, stored = await journal.record(transfer.item_id), await store.head_object(transfer.destination)
    if stored is None or not confirms_write(transfer.id, transfer.progress.whole, stored):
        return
    if record is None:  # the metadata of the object is all that is known
        await journal.abandon(transfer.id)
        return
    if (restored := await restored_record(record, transfer, stored, store, journal, now)) is not None:
        await journal.finish(transfer.id, restored)
        return
    copied = as_copied(transfer, stored, await journal.parts(transfer.id))
    if transfer.revision.restored is not None:
        copied = replace(copied, integrity=Integrity.LENGTH)
    await journal.finish(transfer.id, with_finished(record, transfer, copied, now))


def _unsettled(transfer: Transfer, denied: ActionDenied) -> ActionDenied:
    """The error of a check that may not ask whether `transfer` was completed."""
    return ActionDenied(
        f"it is not known whether upload {transfer.progress.upload_id} of {transfer.destination} was completed, so it "
        f"stays open and nothing is written: {denied}",
        answered=True,
    )


def as_copied(transfer: Transfer, stored: StoredObject, parts: Sequence[Part]) -> Copied:
    """The result of `transfer`, made from what a HEAD shows now."""
    reused = _is_store_copy(transfer)
    if not (confirmed := confirms_write(transfer.id, transfer.progress.whole, stored)):
        integrity = Integrity.LENGTH  # it has other bytes
    elif reused:
        integrity = proof.of_copy(transfer.progress.whole, stored, transfer.revision.length)
    elif transfer.kind is TransferKind.PUT:
        integrity = proof.of_put(transfer.progress.whole or stored.checksum, stored, stored.size)
    else:
        integrity = proof.of_multipart(transfer.progress.whole, parts, stored, stored.size)
    if confirmed and integrity is Integrity.LENGTH and proof.has_etag_of(transfer.revision, stored):
        integrity = Integrity.MD5  # the source is an object, and its store made the copy
    return Copied(
        transfer_id=transfer.id,
        revision=adopted(transfer.revision, stored),
        kind=transfer.kind,
        size=stored.size,
        parts=len(parts) or 1,
        etag=stored.etag,
        etag_from_head=True,
        checksum=transfer.progress.whole or stored.checksum,
        integrity=integrity,
        reused=reused,
    )


def _is_store_copy(transfer: Transfer) -> bool:
    """Whether the store copies the object from another one: only then the intent of a single write has a CRC."""
    return (
        transfer.kind is TransferKind.PUT
        and transfer.progress.whole is not None
        and combines(transfer.progress.whole.kind)
    )
