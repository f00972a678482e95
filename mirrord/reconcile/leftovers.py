"""What earlier attempts at an item left behind, by crash, interruption or a lost answer, and what becomes of it.

Owns settling (an object that carries a transfer's id was written by it, whatever its last answer was), the question
what of an open upload can be used again, and its removal otherwise. An upload that was asked for and whose id no edge
recorded cannot be told from a stranger's here: its intent stays for the sweep (`janitor`), as does an upload that the
store would not abort, or that may still be completed (`uncertain`).
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from mirrord.checksums import combines
from mirrord.errors import NoSuchUpload, StoreError, StoreRefused
from mirrord.model import Copied, Integrity, Item, Part, Record, StoredObject, Transfer, TransferKind
from mirrord.planning.decisions.decide import adopted
from mirrord.planning.transfers.resume import confirmed_parts
from mirrord.planning.transfers.sweep import lacks_upload_id, uncertain
from mirrord.ports import Clock, Journal, ObjectStore
from mirrord.reconcile.records import with_copy, with_doubt, with_landed
from mirrord.reconcile.uncertain import Fate, fate
from mirrord.transfer import proof
from mirrord.transfer.ledger import ResumedUpload
from mirrord.transfer.writes import confirms_write, is_written_by


@dataclass(frozen=True, slots=True)
class Leftovers:
    """Asks and changes the journal and one store at a time. `aborted` is told of each upload that was removed."""

    journal: Journal
    clock: Clock
    aborted: Callable[[Transfer, Item | None], None]

    async def settle(
        self, item: Item, record: Record | None, store: ObjectStore, prove: Callable[[Copied], Awaitable[Copied]]
    ) -> tuple[Record | None, Sequence[Transfer]]:
        """The item's record, and its transfers that are still unfinished: one may turn out to be done all the time.

        Asks the store (one HEAD) only where there is an unfinished one. What was done is held to the proof that it
        would have needed at its end: what cannot be proven any more is not done. An object of other bytes than were
        meant is recorded as of no revision, so that nothing adopts it.
        """
        known = await self.journal.open_of(item.id)
        left = [transfer for transfer in known if transfer.progress.given_up is None]
        asked = [transfer for transfer in known if transfer.progress.given_up is None or uncertain(transfer)]
        if not asked:
            return record, left
        standing = await store.head_object(item.destination)
        done = next((one for one in asked if standing is not None and is_written_by(one.id, standing)), None)
        if done is None or standing is None:
            return record, left
        copied = as_copied(done, standing, await self.journal.parts(done.id))
        if confirms_write(done.id, done.progress.whole, standing):
            try:
                copied = await prove(copied)
            except StoreRefused:
                return record, left
            settled = with_copy(item, record, copied, self.clock.now())
            settled = replace(settled, object=replace(settled.object, options_digest=done.options_digest))
        else:
            settled = with_doubt(item, copied, self.clock.now())
        await self.journal.finish(done.id, settled)
        return settled, [transfer for transfer in left if transfer is not done]

    async def kept(self, transfer: Transfer, store: ObjectStore) -> ResumedUpload | None:
        """What of `transfer`, whose upload is known, need not be sent again; None: its upload is gone."""
        length, part_size, upload_id = transfer.revision.length, transfer.part_size, transfer.progress.upload_id
        if length is None or part_size is None or upload_id is None:
            return None
        try:
            listed = [part async for part in store.list_parts(transfer.destination, upload_id)]
        except NoSuchUpload:
            return None
        parts = confirmed_parts(await self.journal.parts(transfer.id), listed, length, part_size)
        return ResumedUpload(upload_id, parts, uncertain=uncertain(transfer))

    async def discard(self, transfer: Transfer, store: ObjectStore, item: Item | None = None) -> bool:
        """Give `transfer` up: abort its upload, then forget it. False: a sweep must do it, find the upload first, or
        wait until nothing can complete it any more."""
        if lacks_upload_id(transfer) or not await self._aborted(transfer, store, item):
            await self.journal.give_up(transfer.id, self.clock.now())
            return False
        await self.journal.abandon(transfer.id)
        return True

    async def _aborted(self, transfer: Transfer, store: ObjectStore, item: Item | None) -> bool:
        if transfer.progress.upload_id is not None:
            try:
                if uncertain(transfer) and await fate(transfer, store, self.clock.now()) is not Fate.ABORT:
                    return False
                await store.abort_upload(transfer.destination, transfer.progress.upload_id)
            except StoreError:
                return False
            self.aborted(transfer, item)
        return True


async def record_landed(transfer: Transfer, store: ObjectStore, journal: Journal, now: float) -> None:
    """The object turned out to be the work of `transfer`, whose item is not checked: end it in the journal.

    What the store does not prove now is recorded as of no revision: should the item come back, it is written again.
    """
    record, standing = await journal.record(transfer.item_id), await store.head_object(transfer.destination)
    if standing is None or not confirms_write(transfer.id, transfer.progress.whole, standing):
        return
    if record is None:  # the object's own metadata says all that is known
        await journal.abandon(transfer.id)
        return
    copied = as_copied(transfer, standing, await journal.parts(transfer.id))
    await journal.finish(transfer.id, with_landed(record, transfer, copied, now))


def as_copied(transfer: Transfer, standing: StoredObject, parts: Sequence[Part]) -> Copied:
    """What `transfer` would have said at its end, from what a HEAD shows now."""
    copied = _is_copy(transfer)
    if not confirms_write(transfer.id, transfer.progress.whole, standing):
        integrity = Integrity.LENGTH  # it is other bytes
    elif copied:
        integrity = proof.of_copy(transfer.progress.whole, standing, transfer.revision.length)
    elif transfer.kind is TransferKind.PUT:
        integrity = proof.of_put(transfer.progress.whole or standing.checksum, standing, standing.size)
    else:
        integrity = proof.of_multipart(transfer.progress.whole, parts, standing, standing.size)
    return Copied(
        transfer_id=transfer.id,
        revision=adopted(transfer.revision, standing),
        kind=transfer.kind,
        size=standing.size,
        parts=len(parts) or 1,
        etag=standing.etag,
        etag_from_head=True,
        checksum=transfer.progress.whole or standing.checksum,
        integrity=integrity,
        reused=copied,
    )


def _is_copy(transfer: Transfer) -> bool:
    """Whether the store was to make the object of another one: only then a single write's intent has a CRC."""
    return (
        transfer.kind is TransferKind.PUT
        and transfer.progress.whole is not None
        and combines(transfer.progress.whole.kind)
    )
