"""One attempt at moving one item: its intent in the journal, the copy, its terminal event, its record.

Owns the edges between the journal and the bytes: begin before the store is asked to write, finish after the proof,
abandon after the undo. The bytes are `transfer.copy`'s; what to do about a failure is the reconciler's.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from uuid import uuid4

from mirrord.aio import finish
from mirrord.errors import SourceRefused
from mirrord.events import TransferCompleted, TransferInterrupted, TransferProgress, TransferStarted, UploadAborted
from mirrord.model import Copied, Item, Observed, Outcome, Overwrite, Record, State, Transfer, TransferKind
from mirrord.planning.describe import described
from mirrord.planning.parts import Cut, cut
from mirrord.ports import Clock, Journal, ObjectStore, Observer, Source
from mirrord.reconcile.records import with_copy
from mirrord.transfer.budget import Budget
from mirrord.transfer.copy import copy
from mirrord.transfer.job import Job, Means

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

    @classmethod
    def of(cls, item: Item, number: int, clock: Clock) -> "Attempt":
        return cls(item, number, uuid4().hex, clock.monotonic())


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfers:
    """Carries out copies, all within one buffer budget."""

    journal: Journal
    observer: Observer
    clock: Clock
    budget: Budget
    declared: Declared = declared_inline

    async def copy(
        self, attempt: Attempt, source: Source, observed: Observed, store: ObjectStore, record: Record | None
    ) -> Outcome:
        """Move the bytes and record it. Raises what `transfer.copy` raises; the journal then holds no intent."""
        item = attempt.item
        declared = await self.declared(item)
        plan = cut(observed.revision.length, item.options.upload, store.provider, self.budget.limit)
        attempt.kind = plan.kind
        await self.journal.begin(self._intent(attempt, observed, plan))
        self._started(attempt, observed)
        try:
            job = _job(attempt, observed, plan, store, declared)
            means = Means(store=store, budget=self.budget, aborted=partial(self._aborted, item))
            copied = await copy(job, source, observed, means, partial(self._progress, attempt, observed))
        except BaseException as error:
            await finish(self.journal.abandon(attempt.transfer_id))
            if not isinstance(error, Exception):
                self._interrupted(attempt)
            raise
        attempt.kind = copied.kind
        done = with_copy(item, record, copied, self.clock.now())
        await finish(self.journal.finish(attempt.transfer_id, copied, done))
        self._completed(attempt, copied)
        return Outcome(state=State.SYNCED, copied=copied)

    def _intent(self, attempt: Attempt, observed: Observed, plan: Cut) -> Transfer:
        return Transfer(
            id=attempt.transfer_id,
            item_id=attempt.item.id,
            destination=attempt.item.destination,
            revision=observed.revision,
            kind=plan.kind,
            part_size=plan.part_size if plan.kind is TransferKind.MULTIPART else None,
            started=self.clock.now(),
        )

    def _started(self, attempt: Attempt, observed: Observed) -> None:
        self.observer(
            TransferStarted(
                item=attempt.item,
                transfer_id=attempt.transfer_id,
                kind=attempt.kind,
                attempt=attempt.number,
                size=observed.revision.length,
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

    def _interrupted(self, attempt: Attempt) -> None:
        self.observer(
            TransferInterrupted(
                item=attempt.item,
                transfer_id=attempt.transfer_id,
                kind=attempt.kind,
                attempt=attempt.number,
                duration=self.clock.monotonic() - attempt.began,
            )
        )

    def _aborted(self, item: Item, upload_id: str) -> None:
        at = item.destination
        self.observer(UploadAborted(item=item, bucket=at.bucket, key=at.key, upload_id=upload_id))


def _job(attempt: Attempt, observed: Observed, plan: Cut, store: ObjectStore, sha256: str | None) -> Job:
    item = attempt.item
    stamped = replace(observed, revision=replace(observed.revision, digest=f"sha256:{sha256}")) if sha256 else observed
    return Job(
        transfer_id=attempt.transfer_id,
        at=item.destination,
        options=described(item.options.object, stamped, item.destination.key, attempt.transfer_id),
        cut=plan,
        checksum=store.provider.checksum,
        max_size=item.options.max_size,
        expect_content_type=item.options.expect_content_type,
        sha256=sha256,
        if_none_match=item.options.overwrite is Overwrite.NEVER,
    )
