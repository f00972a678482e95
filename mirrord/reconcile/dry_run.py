"""A reconciler's actions without the last step: what `plan` reports about one item.

Owns the prediction of a copy: whether the store would copy an object that it has, or which kind of write sends the
bytes. Sends only HEADs to the store, reads files that were touched or renamed, and fetches lists of declared checksums.
Changes nothing at the store; its journal must withhold writes, too. The reconciler decides what is due.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

from mirrord.frozen import frozen
from mirrord.model import (
    META_TRANSFER,
    Copied,
    Destination,
    Item,
    Observed,
    Outcome,
    Overwrite,
    Record,
    State,
    Transfer,
    TransferKind,
)
from mirrord.planning.decisions.adoption import SameBytes
from mirrord.planning.decisions.decide import Action
from mirrord.planning.decisions.object_identity import is_recorded
from mirrord.planning.decisions.rewrites import changed_options
from mirrord.ports import Clock, Journal, ObjectStore, Observer, Source
from mirrord.reconcile.adoption import same_bytes
from mirrord.reconcile.due_copy import DueCopy
from mirrord.reconcile.observation import Observation
from mirrord.reconcile.reuse import CopySourceGuard, Reuse
from mirrord.reconcile.rewrite import Rewrite
from mirrord.reconcile.store_copies import original_of
from mirrord.reconcile.transfer_attempt import TransferAttempt
from mirrord.reconcile.transfers import Declared
from mirrord.reconcile.unfinished import UnfinishedTransfers
from mirrord.transfer.budget import Budget
from mirrord.transfer.conditions import RefusedConditions
from mirrord.transfer.copy import refuse
from mirrord.transfer.verify import has_recorded_bytes

_MAY_BE_ADOPTED = "another object of this length stands there: adopted instead if its bytes are the same, not read yet"


@frozen
class WithheldCopy:
    """A copy that is due. `size` in bytes; None: the source does not give it. `item` has the source that serves it."""

    item: Item
    why: str
    kind: TransferKind
    size: int | None
    original: Destination | None
    """The object that the store would copy, so that no byte is sent; None: the bytes are sent."""
    options: tuple[str, ...] | None = None
    """The names of the object's options that changed, if nothing else did; empty: they are not known."""


@dataclass(slots=True, kw_only=True)
class DryRun:
    """`Actions` for one check of one item. `record` and `store` are those that the decision was made with."""

    journal: Journal
    observer: Observer
    clock: Clock
    budget: Budget
    declared: Declared
    require_bucket: Callable[[Item, ObjectStore], Awaitable[None]]
    """Raises BucketMissing: a HEAD of an object cannot distinguish a missing bucket from a missing object."""
    may_read: Callable[[int], bool]
    """Whether so many bytes may be read only to find out whether an object of another tool is adopted."""
    copy_sources: CopySourceGuard = field(default_factory=CopySourceGuard)
    refused_conditions: RefusedConditions = field(default_factory=RefusedConditions)
    record: Record | None = None
    store: ObjectStore | None = None
    copy_due: WithheldCopy | None = None
    foreign: bool = False
    """The object was adopted, and has no transfer id of mirrord."""
    unread: bool = False
    """It was not read whether the object would be adopted."""

    async def resolve(self, attempt: TransferAttempt, store: ObjectStore) -> Sequence[Transfer]:
        """As `Transfers.resolve`, but an object that would be read back is taken as proven."""
        unfinished = UnfinishedTransfers(self.journal, self.clock, self.observer)
        self.record, left = await unfinished.resolve(attempt.item, attempt.record, store, _taken_as_proven)
        attempt.record, self.store = self.record, store
        return left

    async def equal(self, source: Source, observed: Observed, record: Record) -> bool:
        """Whether the source has the bytes that were recorded: reads it. Raises SourceError."""
        return await has_recorded_bytes(source, observed, record, self.budget)

    async def same_bytes(self, item: Item, source: Source, store: ObjectStore, seen: Observation) -> SameBytes | None:
        """As `Transfers.same_bytes`, as long as `may_read` allows it, or if the file would be no copy."""
        due = DueCopy.of(item, source, store, seen, await self.declared(item))
        stored, revision = seen.stored, due.observed.revision
        if stored is None:
            return None
        if revision.file is not None and item.options.overwrite is Overwrite.ALWAYS:
            self.unread = not self.may_read(revision.length or 0)
            if self.unread:
                return None
        same = await same_bytes(due, stored, self.budget)
        self.foreign = same is not None and META_TRANSFER not in stored.metadata
        return same

    async def copy(
        self,
        attempt: TransferAttempt,
        source: Source,
        store: ObjectStore,
        seen: Observation,
        unfinished: Sequence[Transfer] = (),  # noqa: ARG002 - bytes at the store are part of the copy's size
    ) -> Outcome:
        """Note what the copy would do. Raises the error that it would end with before its first byte."""
        item, changed = attempt.item, await self._changed_options(attempt.item, seen)
        if changed is not None:
            change = await Rewrite(self.journal).lock_alone(item, store, seen.record, self.clock.now())
            if change is not None and seen.record is not None:
                size = seen.record.object.size
                self.copy_due = WithheldCopy(item, str(change), TransferKind.PUT, size, item.destination, changed)
                return Outcome(state=State.SYNCED)
            rewrite = await Rewrite(self.journal).due(item, source, store, seen)
            if rewrite is not None and rewrite.original is not None:
                size, kind = rewrite.original.stored.size, rewrite.original.layout.kind
                self.copy_due = WithheldCopy(item, seen.decision.message, kind, size, item.destination, changed)
                return Outcome(state=State.SYNCED)
            seen = replace(seen, observed=seen.observed or await source.probe())
        due = DueCopy.of(item, source, store, seen, await self.declared(item))
        observed = due.observed
        by_store = await original_of(due)
        original, kind = await self._original(attempt, due), TransferKind.PUT
        if by_store is not None:
            original, kind = by_store.at, by_store.layout.kind
        elif original is None:
            kind = due.layout(self.budget.limit).kind
        if by_store is not None or original is None:
            refuse(observed, due.demands)
        if due.vacant:
            await self.require_bucket(item, store)
        why = _MAY_BE_ADOPTED if self.unread else seen.decision.message
        self.copy_due = WithheldCopy(item, why, kind, observed.revision.length, original, changed)
        return Outcome(state=State.SYNCED)

    async def _changed_options(self, item: Item, seen: Observation) -> tuple[str, ...] | None:
        """See `WithheldCopy.options`."""
        if seen.decision.action is not Action.REWRITE or seen.record is None:
            return None
        return changed_options(await Rewrite(self.journal).previous(seen.record), item.options.object)

    async def _original(self, attempt: TransferAttempt, due: DueCopy) -> Destination | None:
        record = await Reuse(self.journal, self.clock, self.budget, self.copy_sources).reusable_record(attempt, due)
        if record is None:
            return None
        stored = await due.store.head_object(record.object_at)
        return record.destination if stored is not None and is_recorded(record, stored) else None

    async def discard(self, transfer: Transfer, store: ObjectStore, item: Item) -> None:
        """Withheld."""

    async def delete(self, store: ObjectStore, at: Destination, etag: str) -> bool:  # noqa: ARG002 - the protocol's
        """Withheld."""
        return False


async def _taken_as_proven(copied: Copied) -> Copied:
    return copied
