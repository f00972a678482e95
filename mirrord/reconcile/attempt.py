"""One attempt at moving one item: its intent in the journal, the copy, its terminal event, its record.

Owns the edges between the journal and the bytes: begin before the store is asked to write, finish after the proof,
abandon after the undo, and between them those that `JournalLedger` writes. The bytes are `transfer.copy`'s; what to do
about a failure is the reconciler's.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from uuid import uuid4

from mirrord.aio import finish
from mirrord.errors import ReadbackMismatch, SourceChanged, SourceRefused
from mirrord.events import (
    TransferCompleted,
    TransferInterrupted,
    TransferProgress,
    TransferResumed,
    TransferStarted,
    UploadAborted,
)
from mirrord.model import (
    ChecksumKind,
    Copied,
    Integrity,
    Item,
    Observed,
    Outcome,
    Overwrite,
    Record,
    Revision,
    State,
    Transfer,
    TransferKind,
)
from mirrord.planning.decide import options_digest
from mirrord.planning.describe import described
from mirrord.planning.parts import Cut, cut
from mirrord.planning.resume import fits, pinned
from mirrord.ports import Clock, Journal, ObjectStore, Observer, Source
from mirrord.reconcile.ledger import JournalLedger
from mirrord.reconcile.leftovers import Leftovers
from mirrord.reconcile.records import with_copy
from mirrord.transfer.budget import Budget
from mirrord.transfer.copy import copy
from mirrord.transfer.job import Job, Means
from mirrord.transfer.ledger import Kept
from mirrord.transfer.readback import read_back, sent

Declared = Callable[[Item], Awaitable[str | None]]
"""The sha256 (hex) that the item's bytes must have; None: nothing is declared. Raises SourceError and its children."""


async def declared_inline(item: Item) -> str | None:
    """`Declared` where no list can be fetched."""
    declared = item.options.checksum
    if declared is not None and declared.sha256 is None:
        raise SourceRefused("checksum: a list of digests by URL cannot be fetched here")
    return declared.sha256 if declared else None


@dataclass(slots=True)
class Attempt:
    """What is known of a try before and while bytes move. `kind` is None until the transfer starts."""

    item: Item
    number: int  # from 1
    transfer_id: str
    began: float  # monotonic seconds
    kind: TransferKind | None = None
    vacant: bool = False  # no object was seen there: the store is asked to hold us to that, where it matters
    doubted: Record | None = None  # what the journal says since the object turned out to be other bytes than were sent
    unsettled: bool = False  # it failed, and the store may hold something of it

    @classmethod
    def of(cls, item: Item, number: int, clock: Clock) -> "Attempt":
        return cls(item, number, uuid4().hex, clock.monotonic())


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfers:
    """Carries out copies, all within one buffer budget, as many at a time as there are `slots`."""

    journal: Journal
    observer: Observer
    clock: Clock
    budget: Budget
    slots: asyncio.Semaphore
    declared: Declared = declared_inline

    @property
    def leftovers(self) -> Leftovers:
        """What earlier attempts left, in the same journal."""
        return Leftovers(self.journal, self.clock, self._removed)

    async def discard(self, transfer: Transfer, store: ObjectStore, item: Item | None = None) -> bool:
        """Give up an unfinished transfer that does not run: see `Leftovers.discard`."""
        return await self.leftovers.discard(transfer, store, item)

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
            source.let_go()
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
        sha256 = await self.declared(attempt.item)
        try:
            copied = await self._moved(_Errand(attempt, source, observed, store, sha256), left)
        except SourceChanged:
            if attempt.unsettled or not _pinned_by_validator(observed):
                raise
            again = await source.probe()
            if again is None:
                raise
            copied = await self._moved(_Errand(attempt, source, replace(again, ranges=False), store, sha256), ())
        attempt.kind = copied.kind
        done = with_copy(attempt.item, record, copied, self.clock.now())
        await finish(self.journal.finish(copied.transfer_id, copied, done))
        self._completed(attempt, copied)
        return Outcome(state=State.SYNCED, copied=copied)

    async def _moved(self, errand: "_Errand", left: Sequence[Transfer]) -> Copied:
        """Begin or go on, move the bytes; on a failure settle what can be settled."""
        attempt, observed, store = errand.attempt, errand.observed, errand.store
        plan = cut(observed.revision.length, attempt.item.options.upload, store.provider, self.budget.limit)
        transfer, kept = await self._begun(errand, errand.intent(plan, self.clock.now()), left)
        attempt.transfer_id, attempt.kind = transfer.id, transfer.kind
        self._started(attempt, observed, kept)
        ledger = JournalLedger(self.journal, transfer, self.clock, resumable=errand.resumable)

        def aborted(upload_id: str) -> None:
            ledger.aborted()
            self._aborted(attempt.item, upload_id)

        try:
            job = errand.job(transfer, plan, kept, self.budget.limit)
            means = Means(store=store, budget=self.budget, ledger=ledger, aborted=aborted)
            copied = await copy(job, errand.source, observed, means, partial(self._progress, attempt, observed))
            return await self._read_back(errand, copied)
        except BaseException as error:
            attempt.unsettled = ledger.unsettled(error)
            if not attempt.unsettled:
                await finish(self.journal.abandon(transfer.id))
            if not isinstance(error, Exception):
                self._interrupted(attempt, kept=ledger.upload_id is not None and ledger.keeps(error))
            raise

    async def _read_back(self, errand: "_Errand", copied: Copied) -> Copied:
        """Where it was asked for, or the store confirmed nothing but the length: compare what stands with what went.

        Of other bytes the journal remembers that they are there and of no revision, so that nobody takes them over.
        """
        item, store = errand.attempt.item, errand.store
        confirmed = copied.integrity is not Integrity.LENGTH or store.provider.checksum is ChecksumKind.NONE
        if confirmed and not item.options.readback:
            return copied
        stretches = sent(copied.checksum, await self.journal.parts(copied.transfer_id), copied.size)
        try:
            whole = await read_back(store, item.destination, stretches, self.budget)
        except ReadbackMismatch:
            nothing = replace(copied, revision=Revision(address=copied.revision.address))
            record = with_copy(item, None, nothing, self.clock.now())
            errand.attempt.doubted = replace(record, state=State.RETRYING, integrity=None)
            await finish(self.journal.finish(copied.transfer_id, nothing, errand.attempt.doubted))
            raise
        return replace(copied, integrity=Integrity.READBACK, checksum=whole)

    async def _begun(
        self, errand: "_Errand", wanted: Transfer, left: Sequence[Transfer]
    ) -> tuple[Transfer, Kept | None]:
        """The transfer to carry out, journaled: an earlier one with what it left, or `wanted`. Others are given up."""
        resumed: tuple[Transfer, Kept] | None = None
        for earlier in reversed(left):
            kept = None
            if resumed is None and errand.resumable and fits(earlier, wanted, self.budget.limit // 2):
                kept = await self.leftovers.kept(earlier, errand.store)
            if kept is not None:
                resumed = earlier, kept
            else:
                await self.discard(earlier, errand.store, errand.attempt.item)
        if resumed is None:
            await self.journal.begin(wanted)
            return wanted, None
        return resumed

    # ── what is told ──────────────────────────────────────────────────────────────────────────────
    def _started(self, attempt: Attempt, observed: Observed, kept: Kept | None) -> None:
        self.observer(
            TransferStarted(
                item=attempt.item,
                transfer_id=attempt.transfer_id,
                kind=attempt.kind,
                attempt=attempt.number,
                size=observed.revision.length,
            )
        )
        if kept is not None:
            self.observer(
                TransferResumed(
                    item=attempt.item,
                    transfer_id=attempt.transfer_id,
                    kind=attempt.kind,
                    attempt=attempt.number,
                    parts=len(kept.parts),
                    bytes=kept.size,
                )
            )

    def _progress(self, attempt: Attempt, observed: Observed, read: int, sent: int) -> None:
        self.observer(
            TransferProgress(
                item=attempt.item,
                transfer_id=attempt.transfer_id,
                kind=attempt.kind,
                attempt=attempt.number,
                bytes_read=read,
                bytes_sent=sent,
                size=observed.revision.length,
            )
        )

    def _completed(self, attempt: Attempt, copied: Copied) -> None:
        self.observer(
            TransferCompleted(
                item=attempt.item,
                transfer_id=attempt.transfer_id,
                kind=copied.kind,
                attempt=attempt.number,
                copied=copied,
                duration=self.clock.monotonic() - attempt.began,
            )
        )

    def _interrupted(self, attempt: Attempt, *, kept: bool) -> None:
        self.observer(
            TransferInterrupted(
                item=attempt.item,
                transfer_id=attempt.transfer_id,
                kind=attempt.kind,
                attempt=attempt.number,
                duration=self.clock.monotonic() - attempt.began,
                outcome="parts kept" if kept else "parts dropped",
            )
        )

    def _aborted(self, item: Item, upload_id: str) -> None:
        at = item.destination
        self.observer(UploadAborted(item=item, bucket=at.bucket, key=at.key, upload_id=upload_id))

    def _removed(self, transfer: Transfer, item: Item | None) -> None:
        at = transfer.destination
        self.observer(UploadAborted(item=item, bucket=at.bucket, key=at.key, upload_id=transfer.upload_id or ""))


@dataclass(frozen=True, slots=True)
class _Errand:
    """One revision of one item to be moved to its store."""

    attempt: Attempt
    source: Source
    observed: Observed
    store: ObjectStore
    sha256: str | None  # declared

    @property
    def resumable(self) -> bool:
        """Whether the rest can be fetched without the beginning. A declared sha256 is of all bytes in their order."""
        return pinned(self.observed) and self.sha256 is None

    def intent(self, plan: Cut, now: float) -> Transfer:
        item = self.attempt.item
        return Transfer(
            id=self.attempt.transfer_id,
            item_id=item.id,
            destination=item.destination,
            revision=self.observed.revision,
            kind=plan.kind,
            part_size=plan.part_size if plan.kind is TransferKind.MULTIPART else None,
            started=now,
            checksum_kind=self.store.provider.checksum,
            options_digest=options_digest(item.options.object),
        )

    def job(self, transfer: Transfer, plan: Cut, kept: Kept | None, memory_limit: int) -> Job:
        """`transfer` is the journal's: the id is in the object's metadata, the part size is the upload's own."""
        item, observed = self.attempt.item, self.observed
        if self.sha256 is not None:
            observed = replace(observed, revision=replace(observed.revision, digest=f"sha256:{self.sha256}"))
        if kept is not None and transfer.part_size is not None:
            fitting = max(1, min(item.options.upload.concurrency, memory_limit // transfer.part_size))
            plan = Cut(transfer.kind, transfer.part_size, fitting)
        return Job(
            transfer_id=transfer.id,
            at=item.destination,
            options=described(item.options.object, observed, item.destination.key, transfer.id),
            cut=plan,
            checksum=self.store.provider.checksum,
            max_size=item.options.max_size,
            expect_content_type=item.options.expect_content_type,
            sha256=self.sha256,
            if_none_match=_only_if_none(item.options.overwrite, self.attempt.vacant),
            readers=item.options.http.connections if _pinned_by_validator(observed) else 1,
            kept=kept,
        )


def _only_if_none(overwrite: Overwrite, vacant: bool) -> bool:
    """Whether an object that a stranger wrote since the look must not be replaced."""
    return overwrite is Overwrite.NEVER or (overwrite is Overwrite.OWNED and vacant)


def _pinned_by_validator(observed: Observed) -> bool:
    """Not a local file: one reader is what a disk likes best, and its ranges cannot lie."""
    return pinned(observed) and observed.revision.file is None
