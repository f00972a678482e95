"""One attempt at moving one item: its intent in the journal, the copy, its terminal event, its record.

Owns the edges between the journal and the bytes: begin before the store is asked to write, finish after the proof,
abandon after the undo, and between them those that `JournalLedger` writes. The bytes are `transfer.copy`'s; what to do
about a failure is the reconciler's.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from uuid import uuid4

from mirrord.aio import finish
from mirrord.errors import ReadbackMismatch, SourceChanged, SourceRefused, StoreRefused
from mirrord.model import (
    ChecksumKind,
    Copied,
    Destination,
    Integrity,
    Item,
    Observed,
    Outcome,
    Record,
    State,
    Transfer,
)
from mirrord.planning.transfers.parts import part_layout
from mirrord.planning.transfers.resume import can_resume
from mirrord.ports import Clock, Journal, ObjectStore, Observer, Source
from mirrord.reconcile.errand import Attempt, Errand, pinned_by_validator
from mirrord.reconcile.ledger import JournalLedger
from mirrord.reconcile.leftovers import Leftovers, as_copied
from mirrord.reconcile.records import with_copy, with_doubt
from mirrord.reconcile.reuse import Lending, Reuse
from mirrord.reconcile.told import Told
from mirrord.transfer.budget import Budget
from mirrord.transfer.copy import copy
from mirrord.transfer.ledger import ResumedUpload
from mirrord.transfer.readback import expected_bytes, read_back
from mirrord.transfer.spec import TransferContext
from mirrord.transfer.verify import has_recorded_bytes
from mirrord.transfer.writes import ETagAgreement

Declared = Callable[[Item], Awaitable[str | None]]
"""The sha256 (hex) that the item's bytes must have; None: nothing is declared. Raises SourceError and its children."""


async def declared_inline(item: Item) -> str | None:
    """`Declared` where no list can be fetched."""
    declared = item.options.requires.checksum
    if declared is not None and declared.sha256 is None:
        raise SourceRefused("checksum: a list of digests by URL cannot be fetched here")
    return declared.sha256 if declared else None


def _untold(_item: Item) -> None:
    """Where nobody asks whether the store takes bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfers:
    """Carries out copies, all within one buffer budget, as many at a time as there are `slots`."""

    journal: Journal
    observer: Observer
    clock: Clock
    budget: Budget
    slots: asyncio.Semaphore
    declared: Declared = declared_inline
    lending: Lending = field(default_factory=Lending)
    etags: ETagAgreement = field(default_factory=ETagAgreement)
    wrote: Callable[[Item], None] = _untold
    """Called as soon as the store confirms bytes of an item."""

    @property
    def leftovers(self) -> Leftovers:
        """What earlier attempts left, in the same journal."""
        return Leftovers(self.journal, self.clock, self.told.removed)

    @property
    def told(self) -> Told:
        """What is said of attempts."""
        return Told(self.observer, self.clock)

    async def discard(self, transfer: Transfer, store: ObjectStore, item: Item | None = None) -> None:
        """Give up an unfinished transfer that does not run: see `Leftovers.discard`."""
        await self.leftovers.discard(transfer, store, item)

    async def delete(self, store: ObjectStore, at: Destination) -> None:
        """Delete the object of an item whose file is gone. Raises StoreError."""
        await store.delete_object(at)

    async def equal(self, source: Source, observed: Observed, record: Record) -> bool:
        """Whether the source has the bytes that were recorded: read in a slot, as a copy would. Raises SourceError."""
        async with self.slots:
            return await has_recorded_bytes(source, observed, record, self.budget)

    async def copy(
        self,
        attempt: Attempt,
        source: Source,
        observed: Observed,
        store: ObjectStore,
        record: Record | None,
        left: Sequence[Transfer] = (),
    ) -> Outcome:
        """Move the bytes and record it, going on with one of `left`, the item's unfinished transfers, if one fits.

        Raises what `transfer.copy` raises; the journal then holds an intent only where the store may hold something of
        it. A source that does not keep to pinned ranges is observed once more and read as one stream.
        """
        waits = self.slots.locked()
        if waits:  # with a connection in hand that one of those who have a slot may be waiting for
            source.release()
        async with self.slots:
            observed = (await source.probe() if waits else None) or observed
            return await self._copied(attempt, source, observed, store, record, left)

    async def _copied(
        self,
        attempt: Attempt,
        source: Source,
        observed: Observed,
        store: ObjectStore,
        record: Record | None,
        left: Sequence[Transfer],
    ) -> Outcome:
        errand = Errand(attempt, source, observed, store, await self.declared(attempt.item))
        copied = await self._reused(errand, left) or await self._sent(errand, left)
        attempt.kind = copied.kind
        done = with_copy(attempt.item, record, copied, self.clock.now())
        await finish(self._recorded(attempt, copied, done))
        return Outcome(state=State.SYNCED, copied=copied)

    async def _recorded(self, attempt: Attempt, copied: Copied, record: Record) -> None:
        await self.journal.finish(copied.transfer_id, record)
        self.told.completed(attempt, copied)

    async def _reused(self, errand: Errand, left: Sequence[Transfer]) -> Copied | None:
        """The object as the store made it of one that holds the same bytes: see `Reuse`. None: they are to be sent."""
        copied = await Reuse(self.journal, self.clock, self.budget, self.lending).copied(errand)
        if copied is None:
            return None
        self.told.started(errand.attempt, errand.observed, None)
        copied = await self.proven(errand.attempt, errand.store, copied)
        for earlier in left:
            await self.discard(earlier, errand.store, errand.attempt.item)
        return copied

    async def _sent(self, errand: Errand, left: Sequence[Transfer]) -> Copied:
        try:
            return await self._moved(errand, left)
        except SourceChanged:
            if errand.attempt.unsettled or not pinned_by_validator(errand.observed):
                raise
            again = await errand.source.probe()
            if again is None:
                raise
            return await self._moved(replace(errand, observed=replace(again, ranges=False)), ())

    async def _moved(self, errand: Errand, left: Sequence[Transfer]) -> Copied:
        """Begin or go on, move the bytes; on a failure settle what can be settled."""
        attempt, observed, store = errand.attempt, errand.observed, errand.store
        plan = part_layout(observed.revision.length, attempt.item.options.upload, store.provider, self.budget.limit)
        transfer, kept = await self._begun(errand, errand.intent(plan, self.clock.now()), left)
        attempt.transfer_id, attempt.kind = transfer.id, transfer.kind
        self.told.started(attempt, observed, kept)
        ledger = JournalLedger(self.journal, transfer, self.clock, resumable=errand.resumable)

        def aborted(upload_id: str) -> None:
            ledger.aborted()
            self.told.aborted(attempt.item, upload_id)

        confirmed = kept.size if kept else 0

        def moved(read: int, sent: int) -> None:
            nonlocal confirmed
            if sent > confirmed:
                confirmed = sent
                self.wrote(attempt.item)
            self.told.progress(attempt, observed, read, sent)

        copied: Copied | None = None
        try:
            spec = errand.spec(transfer, plan, kept, self.budget.limit)
            context = TransferContext(store=store, budget=self.budget, ledger=ledger, etags=self.etags, aborted=aborted)
            copied = await copy(spec, errand.source, observed, context, moved)
            return await self.proven(attempt, store, copied)
        except BaseException as error:
            attempt.unsettled = copied is not None or ledger.unsettled(error)  # it stands, but nobody could prove it
            attempt.kept = ledger.upload_id is not None and ledger.keeps(error)
            if ledger.stored is not None:
                await self._doubt(attempt, as_copied(transfer, ledger.stored, ()))
            elif not attempt.unsettled:
                await finish(self.journal.abandon(transfer.id))
            elif ledger.nameless:  # nobody can go on with it, and the sweep looks for it
                await finish(self.journal.give_up(transfer.id, self.clock.now()))
            raise

    async def proven(self, attempt: Attempt, store: ObjectStore, copied: Copied) -> Copied:
        """Where it was asked for, or the store confirmed nothing but the length: compare what stands with what went.

        Of other bytes the journal remembers that they are there and of no revision, so that nobody takes them over.
        """
        item = attempt.item
        confirmed = copied.integrity is not Integrity.LENGTH or store.provider.checksum is ChecksumKind.NONE
        if confirmed and not item.options.readback:
            return copied
        self.told.reading_back(attempt, copied)
        stretches = expected_bytes(copied.checksum, await self.journal.parts(copied.transfer_id), copied.size)
        try:
            whole = await read_back(store, item.destination, stretches, self.budget)
        except ReadbackMismatch:
            await self._doubt(attempt, copied)
            raise
        return replace(copied, integrity=Integrity.READBACK, checksum=whole)

    async def _doubt(self, attempt: Attempt, copied: Copied) -> None:
        attempt.doubted = with_doubt(attempt.item, copied, self.clock.now())
        await finish(self.journal.finish(copied.transfer_id, attempt.doubted))

    async def settle(
        self, attempt: Attempt, store: ObjectStore, record: Record | None
    ) -> tuple[Record | None, Sequence[Transfer]]:
        """What earlier attempts at the item left: see `Leftovers.settle`. Raises what `proven` raises."""
        proven: list[Copied] = []

        async def prove(copied: Copied) -> Copied:
            try:
                proven.append(await self.proven(attempt, store, copied))
            except StoreRefused as error:
                if attempt.running:
                    self.told.failed(attempt, error, None)
                raise
            return proven[-1]

        known = await self.leftovers.settle(attempt.item, record, store, prove)
        if attempt.running:
            self.told.completed(attempt, proven[-1])
        attempt.transfer_id, attempt.kind = uuid4().hex, None
        return known

    async def _begun(
        self, errand: Errand, wanted: Transfer, left: Sequence[Transfer]
    ) -> tuple[Transfer, ResumedUpload | None]:
        """The transfer to carry out, journaled: an earlier one with what it left, or `wanted`. Others are given up."""
        resumed: tuple[Transfer, ResumedUpload] | None = None
        for earlier in reversed(left):
            kept = None
            if resumed is None and errand.resumable and can_resume(earlier, wanted, self.budget.limit // 2):
                kept = await self.leftovers.kept(earlier, errand.store)
            if kept is not None:
                resumed = earlier, kept
            else:
                await self.discard(earlier, errand.store, errand.attempt.item)
        if resumed is None:
            await self.journal.begin(wanted)
            return wanted, None
        return resumed
