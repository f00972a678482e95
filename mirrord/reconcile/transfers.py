"""The actions of a check that change the store: copies, deletions, and the end of unfinished transfers.

Owns the order of the journal's steps and the bytes: begin before the first write to the store, finish after the proof,
abandon after the undo; `JournalLedger` writes the steps between them. `transfer.copy` moves the bytes. The reconciler
decides what follows a failure.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import field, replace
from functools import partial
from logging import INFO, WARNING, getLogger

from mirrord.aio import finish
from mirrord.errors import (
    ActionDenied,
    ConditionRefused,
    ReadbackMismatch,
    SourceRefused,
    StoreCopyRefused,
    StoreCopyUnproven,
    StoreDenied,
    StoreError,
    StoreRefused,
)
from mirrord.frozen import frozen
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
from mirrord.planning.decisions.adoption import SameBytes
from mirrord.planning.decisions.decide import Action, options_digest
from mirrord.planning.decisions.rewrites import MOST_AT_ONCE
from mirrord.planning.transfers.resume import can_resume
from mirrord.ports import Clock, Journal, ObjectStore, Observer, Source
from mirrord.reconcile.adoption import same_bytes
from mirrord.reconcile.due_copy import DueCopy
from mirrord.reconcile.learned_facts import LearnedFacts
from mirrord.reconcile.ledger import JournalLedger, record_other_bytes
from mirrord.reconcile.observation import Observation
from mirrord.reconcile.records import with_copy, with_new_lock
from mirrord.reconcile.reuse import CopySourceGuard, Reuse
from mirrord.reconcile.rewrite import Rewrite
from mirrord.reconcile.running_copy import RunningCopy
from mirrord.reconcile.store_copies import original_of
from mirrord.reconcile.transfer_attempt import TransferAttempt
from mirrord.reconcile.transfer_slots import TransferSlots
from mirrord.reconcile.unfinished import UnfinishedTransfers
from mirrord.transfer.budget import Budget
from mirrord.transfer.conditions import RefusedConditions
from mirrord.transfer.copy import copy
from mirrord.transfer.ledger import ResumedUpload
from mirrord.transfer.readback import expected_bytes, read_back
from mirrord.transfer.spec import Original
from mirrord.transfer.verify import has_recorded_bytes
from mirrord.transfer.writes import ETagAgreement

_log = getLogger(__name__)
_RESTORED = (
    "it was restored to an older version, and the store cannot give that other options by a copy: set the options "
    "back, or wait for a new revision of the source"
)

FRESH = 1.0
"""Seconds for which an observed file need not be observed again."""

Declared = Callable[[Item], Awaitable[str | None]]
"""The sha256 (hex) that the item's bytes must have; None: nothing is declared. Raises SourceError and its children."""


async def declared_inline(item: Item) -> str | None:
    """`Declared` where no list can be fetched."""
    declared, sha256 = item.options.requires.checksum, item.declared_sha256
    if declared is not None and sha256 is None:
        raise SourceRefused("checksum: a list of digests by URL cannot be fetched here")
    return sha256


def _ignore(_item: Item) -> None:
    """For programs without breakers."""


@frozen(kw_only=True)
class Transfers:
    """`Actions` that are carried out: all copies within one buffer budget, as many at a time as there are `slots`."""

    journal: Journal
    observer: Observer
    clock: Clock
    budget: Budget
    slots: TransferSlots
    declared: Declared = declared_inline
    copy_sources: CopySourceGuard = field(default_factory=CopySourceGuard)
    etags: ETagAgreement = field(default_factory=ETagAgreement)
    learned: LearnedFacts = field(default_factory=partial(LearnedFacts, None, time.time))
    wrote: Callable[[Item], None] = _ignore
    """Called as soon as the store confirms bytes of an item."""
    rewrites: asyncio.Semaphore = field(default_factory=partial(asyncio.Semaphore, MOST_AT_ONCE))

    @property
    def refused_conditions(self) -> RefusedConditions:
        return self.learned.refused_conditions

    @property
    def unfinished(self) -> UnfinishedTransfers:
        """Transfers of earlier attempts, in the same journal."""
        return UnfinishedTransfers(self.journal, self.clock, self.observer)

    async def discard(self, transfer: Transfer, store: ObjectStore, item: Item) -> None:
        """Give up an unfinished transfer that does not run: see `UnfinishedTransfers.discard`."""
        await self.unfinished.discard(transfer, store, item)

    async def delete(self, store: ObjectStore, at: Destination, etag: str) -> bool:
        """Delete the object with this ETag, which a HEAD showed just now; see `delete_object`. Raises StoreError."""
        only = etag if store.provider.conditional_deletes else None
        try:
            try:
                return await store.delete_object(at, only=only)
            except ConditionRefused:
                return await store.delete_object(at)
        except StoreDenied as error:
            raise await self._locked(store, at, error) from error

    async def _locked(self, store: ObjectStore, at: Destination, denied: StoreDenied) -> StoreDenied:
        """The refusal of a deletion, with the end of the object's lock if it has one."""
        with suppress(StoreError):
            details = await store.inspect_object(at)
            if details is not None and details.lock is not None:
                return StoreDenied(f"{at} is locked until {details.lock}: {denied}", answered=True)
        return denied

    async def equal(self, source: Source, observed: Observed, record: Record) -> bool:
        """Whether the source has the bytes that were recorded: read in a slot, as a copy would. Raises SourceError."""
        if self.slots.full(observed.revision.length):  # its connection may be what a transfer with a slot waits for
            source.release()
        async with self.slots.taken(record.entry, observed.revision.length):
            return await has_recorded_bytes(source, observed, record, self.budget)

    async def same_bytes(self, item: Item, source: Source, store: ObjectStore, seen: Observation) -> SameBytes | None:
        """See `adoption.same_bytes`. A file is read in a slot, as for a copy."""
        due = DueCopy.of(item, source, store, seen, await self.declared(item))
        if seen.stored is None:
            return None
        revision = due.observed.revision
        async with nullcontext() if revision.file is None else self.slots.taken(item.entry, revision.length):
            return await same_bytes(due, seen.stored, self.budget)

    # ── copies ────────────────────────────────────────────────────────────────────────────────────
    async def copy(
        self,
        attempt: TransferAttempt,
        source: Source,
        store: ObjectStore,
        seen: Observation,
        unfinished: Sequence[Transfer] = (),
    ) -> Outcome:
        """Write or rewrite the object and record it; resume one of `unfinished`, the item's transfers, if that is
        possible.

        Raises what `transfer.copy` raises; the journal then holds an intent only where the store may hold something of
        it. Raises ConditionRefused before anything is sent if the write needs the condition, and another write learned
        meanwhile that the store refuses it. A source that does not keep to pinned ranges is observed once more and read
        as one stream.
        """
        rewrites = seen.decision.action is Action.REWRITE
        size = 0 if rewrites else seen.length
        waits, began = self.slots.full(size) or (rewrites and self.rewrites.locked()), self.clock.monotonic()
        if waits:  # its connection may be the one that a transfer with a slot waits for
            source.release()
        if rewrites and (locked := await self._lock_alone(attempt.item, store, seen.record, unfinished)) is not None:
            return locked
        async with self.rewrites if rewrites else nullcontext(), self.slots.taken(attempt.item.entry, size) as slot:
            waited = self.clock.monotonic() - began if waits else None
            due = await self._due(attempt.item, source, store, seen, waited)
            copied = await self._reused(attempt, due, unfinished)
            while copied is None:
                running = await self._begun(attempt, due, unfinished)
                try:
                    context = running.context(self.budget, self.etags)
                    made = await copy(running.spec, source, due.observed, context, slot.counted(running.progress))
                    running.ledger.completed()
                    copied = await self._proven(attempt, store, made, unseen=bool(seen.denied))
                except BaseException as error:
                    await running.failed(self.journal, error)
                    if (again := await self._after(attempt, running, error)) is None:
                        raise
                    due, unfinished = again, ()
        await finish(self._recorded(attempt, copied, seen.record, due))
        if due.written_with is not attempt.item.options.object:
            await self.lock_copy(attempt, store)
        if due.original is None or due.original.storage_class is None:
            await self.learned.after_copy(attempt.item, store, copied.kind)
        return Outcome(state=State.SYNCED, copied=copied, rewritten=due.rewrites)

    async def lock_copy(self, attempt: TransferAttempt, store: ObjectStore) -> None:
        """Check, and set, the lock of an object that the store copied. If that fails, the next check repeats it without
        a copy. If the store shows no version of it, another copy would not give it a lock either."""
        item, record = attempt.item, attempt.record
        if record is not None and await self._lock_alone(item, store, record, ()) is None:
            _log.warning("%s: its lock is not known, because the store shows no version of it", item.destination)
            await self.journal.save(with_new_lock(item, record, self.clock.now()))

    async def _lock_alone(
        self, item: Item, store: ObjectStore, record: Record | None, unfinished: Sequence[Transfer]
    ) -> Outcome | None:
        """Change the lock of the object, if nothing else in its options changed; None: something else did."""
        now = self.clock.now()
        change = await Rewrite(self.journal).lock_alone(item, store, record, now)
        if change is None or record is None:
            return None
        if change.changes:
            async with self.rewrites:
                await change.make(store, item.destination)
        for earlier in unfinished:
            await self.discard(earlier, store, item)
        level = INFO if change.changes or change.asked else WARNING
        _log.log(level, "%s: %s", item.destination, change, extra={"item": item.id})
        await self.journal.save(with_new_lock(item, record, now))
        return Outcome(state=State.SYNCED, message=str(change), rewritten=True)

    async def _due(
        self, item: Item, source: Source, store: ObjectStore, seen: Observation, waited: float | None
    ) -> DueCopy:
        """What is written, after a wait of `waited` seconds for a slot; None: there was no wait."""
        if seen.decision.action is Action.REWRITE:
            rewrite = await Rewrite(self.journal).due(item, source, store, seen)
            if rewrite is not None:
                return rewrite
            if seen.record is not None and seen.record.restored is not None:
                raise StoreRefused(f"{item.destination}: {_RESTORED}", answered=True)
        if waited is not None or seen.observed is None:
            seen = await self._observed_again(source, seen, waited or 0.0)
        await self.learned.recall()
        sha256, at = await self.declared(item), item.destination
        conditional = at.endpoint not in self.refused_conditions
        if seen.unlisted and not conditional:
            raise ConditionRefused(f"{at}: the store refuses If-None-Match")
        due = DueCopy.of(item, source, store, seen, sha256, conditional=conditional)
        return replace(due, original=await self._original(due))

    async def _original(self, due: DueCopy) -> Original | None:
        """See `original_of`. None also where the store proved no such copy before."""
        original = await original_of(due)
        if original is None or self.etags.proves_no_copy(due.item.destination, original.layout.kind):
            return None
        return original

    async def _after(self, attempt: TransferAttempt, running: RunningCopy, error: BaseException) -> DueCopy | None:
        """See `DueCopy.after`. None also if the store may hold something of the failed copy."""
        if isinstance(error, StoreCopyUnproven):
            self.etags.observe_unproven_copy(attempt.item.destination, running.transfer.kind)
        if isinstance(error, StoreCopyRefused) and running.ledger.stored is not None:  # recorded: its transfer ended
            attempt.failed(error, 0.0)
            attempt.renew()
        if attempt.may_be_at_store or (running.due.rewrites and running.transfer.revision.restored is not None):
            return None
        return await running.due.after(error)

    async def _observed_again(self, source: Source, seen: Observation, waited: float) -> Observation:
        """The observation after a wait of `waited` seconds for a slot. A file has no connection that was released, and
        each of many small files waits for some milliseconds."""
        if waited < FRESH and seen.observed is not None and seen.observed.revision.file is not None:
            return seen
        observed = await source.probe()
        return replace(seen, observed=observed) if observed else seen

    async def _recorded(self, attempt: TransferAttempt, copied: Copied, record: Record | None, due: DueCopy) -> None:
        attempt.kind = copied.kind
        digest = options_digest(due.written_with)
        attempt.record = with_copy(attempt.item, record, copied, self.clock.now(), digest)
        await self.journal.finish(copied.transfer_id, attempt.record)
        attempt.completed(copied)

    async def _reused(self, attempt: TransferAttempt, due: DueCopy, unfinished: Sequence[Transfer]) -> Copied | None:
        """The object as the store copied it from one with the same bytes: see `Reuse`. None: the bytes must be sent."""
        if due.rewrites:
            return None
        copied = await Reuse(self.journal, self.clock, self.budget, self.copy_sources).copied(attempt, due)
        if copied is None:
            return None
        attempt.started(copied.transfer_id, copied.kind, due.observed.revision.length)
        copied = await self._proven(attempt, due.store, copied)
        for earlier in unfinished:
            await self.discard(earlier, due.store, attempt.item)
        return copied

    async def _begun(self, attempt: TransferAttempt, due: DueCopy, unfinished: Sequence[Transfer]) -> RunningCopy:
        """A copy, journaled: the transfer of an earlier attempt is resumed, or a new one begins."""
        length, limit = due.observed.revision.length, self.budget.limit
        layout = due.layout(limit)
        wanted = due.intent(attempt.transfer_id, layout, self.clock.now())
        transfer, resumed = await self._resumed(due, wanted, unfinished) or (wanted, None)
        running = RunningCopy(
            attempt=attempt,
            due=due,
            spec=due.spec(transfer, layout, resumed, limit),
            transfer=transfer,
            ledger=JournalLedger(self.journal, transfer, self.clock, resumable=due.resumable),
            wrote=self.wrote,
            confirmed=resumed.size if resumed else 0,
        )
        if resumed is None:
            if due.written_with is not due.item.options.object:
                await self.journal.remember_options(options_digest(due.written_with), due.written_with)
            await self.journal.begin(transfer)
        attempt.started(transfer.id, transfer.kind, length, resumed)
        return running

    async def _resumed(
        self, due: DueCopy, wanted: Transfer, unfinished: Sequence[Transfer]
    ) -> tuple[Transfer, ResumedUpload] | None:
        """The latest of `unfinished` that can replace the intent `wanted`, with its upload; the others are given up."""
        found: tuple[Transfer, ResumedUpload] | None = None
        for earlier in reversed(unfinished):
            upload = None
            largest = self.budget.limit // 2 if due.original is None else due.store.provider.max_part
            if found is None and due.resumable and can_resume(earlier, wanted, largest):
                upload = await self.unfinished.upload_of(earlier, due.store)
            if upload is not None and due.takes_parts_of(earlier, upload):
                found = earlier, upload
            else:
                await self.discard(earlier, due.store, due.item)
        return found

    # ── proof ─────────────────────────────────────────────────────────────────────────────────────
    async def _proven(
        self, attempt: TransferAttempt, store: ObjectStore, copied: Copied, *, unseen: bool = False
    ) -> Copied:
        """`copied`, read back where the manifest asks for it, or where the store confirmed only the length.

        If the bytes differ, the object is recorded without a revision, so it is never adopted; also if the store denies
        the read, as it denied the HEAD before (`unseen`), so it is not written again until the store shows it.
        """
        item = attempt.item
        confirmed = copied.integrity is not Integrity.LENGTH or store.provider.checksum is ChecksumKind.NONE
        if confirmed and not item.options.readback:
            return copied
        attempt.reading_back(copied)
        expected = expected_bytes(copied.checksum, await self.journal.parts(copied.transfer_id), copied.size)
        try:
            whole = await read_back(store, item.destination, expected, self.budget)
        except (ReadbackMismatch, ActionDenied) as error:
            if unseen or isinstance(error, ReadbackMismatch):
                await record_other_bytes(self.journal, attempt, copied)
            raise
        return replace(copied, integrity=Integrity.READBACK, checksum=whole)

    async def resolve(self, attempt: TransferAttempt, store: ObjectStore) -> Sequence[Transfer]:
        """The item's unfinished transfers, once it is known which of them were done: see `UnfinishedTransfers.resolve`.

        Updates the attempt's record. Raises what a read-back raises.
        """
        proven: list[Copied] = []

        async def prove(copied: Copied) -> Copied:
            try:
                proven.append(await self._proven(attempt, store, copied))
            except StoreRefused as error:
                if attempt.running:
                    attempt.failed(error, None)
                raise
            return proven[-1]

        attempt.record, left = await self.unfinished.resolve(attempt.item, attempt.record, store, prove)
        if attempt.running:
            attempt.completed(proven[-1])
        if proven:
            attempt.renew()
        return left
