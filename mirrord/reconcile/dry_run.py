"""A reconciler's actions with the last step withheld: what `plan` learns of one item.

Owns the prediction of a copy: whether the store would copy an object that it has, or which kind of write sends the
bytes. Asks the store by HEADs only, reads files that were touched or renamed, and fetches lists of declared checksums.
Changes nothing at the store; its journal must withhold writes, too. Leaves to the reconciler what is due.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from mirrord.model import Copied, Destination, Item, Observed, Outcome, Record, State, Transfer, TransferKind
from mirrord.planning.decisions.object_identity import is_recorded
from mirrord.planning.transfers.parts import part_layout
from mirrord.ports import Journal, ObjectStore, Source
from mirrord.reconcile.attempt import Declared
from mirrord.reconcile.errand import Attempt, Errand
from mirrord.reconcile.leftovers import Leftovers
from mirrord.reconcile.reuse import Lending, Reuse
from mirrord.reconcile.told import Told
from mirrord.transfer.budget import Budget
from mirrord.transfer.copy import refuse
from mirrord.transfer.verify import has_recorded_bytes


@dataclass(frozen=True, slots=True)
class WithheldCopy:
    """A copy that is due. `size` in bytes, None where the source does not say."""

    why: str
    kind: TransferKind
    size: int | None
    original: Destination | None
    """The object that the store would copy, so that no byte is sent; None: the bytes are sent."""


@dataclass(slots=True, kw_only=True)
class DryRun:
    """`reconciler.Actions` for one item. `record` and `store` are those that it was decided with."""

    journal: Journal
    budget: Budget
    told: Told
    declared: Declared
    require_bucket: Callable[[Item, ObjectStore], Awaitable[None]]
    """Raises BucketMissing: a HEAD of an object does not tell a missing bucket from a missing object."""
    lending: Lending = field(default_factory=Lending)
    record: Record | None = None
    store: ObjectStore | None = None
    copy_due: WithheldCopy | None = None

    async def settle(
        self, attempt: Attempt, store: ObjectStore, record: Record | None
    ) -> tuple[Record | None, Sequence[Transfer]]:
        """As `Transfers.settle`, but an object that would be read back is taken as proven."""
        leftovers = Leftovers(self.journal, self.told.clock, self.told.removed)
        self.record, left = await leftovers.settle(attempt.item, record, store, _taken_as_proven)
        self.store = store
        return self.record, left

    async def equal(self, source: Source, observed: Observed, record: Record) -> bool:
        """Whether the source has the bytes that were recorded: reads it. Raises SourceError."""
        return await has_recorded_bytes(source, observed, record, self.budget)

    async def copy(
        self,
        attempt: Attempt,
        source: Source,
        observed: Observed,
        store: ObjectStore,
        record: Record | None,  # noqa: ARG002 - the new record is withheld
        left: Sequence[Transfer] = (),  # noqa: ARG002 - bytes that are at the store already are part of the copy's size
    ) -> Outcome:
        """Note what the copy would do. Raises what it would end with before its first byte."""
        item, size = attempt.item, observed.revision.length
        errand = Errand(attempt, source, observed, store, await self.declared(item))
        original, kind = await self._original(errand), TransferKind.PUT
        if original is None:
            kind = part_layout(size, item.options.upload, store.provider, self.budget.limit).kind
            refuse(observed, item.options.requires.max_size, item.options.requires.content_type)
        if attempt.vacant:
            await self.require_bucket(item, store)
        self.copy_due = WithheldCopy(attempt.why, kind, size, original)
        return Outcome(state=State.SYNCED)

    async def _original(self, errand: Errand) -> Destination | None:
        record = await Reuse(self.journal, self.told.clock, self.budget, self.lending).reusable_record(errand)
        if record is None:
            return None
        standing = await errand.store.head_object(record.destination)
        return record.destination if standing is not None and is_recorded(record, standing) else None

    async def discard(self, transfer: Transfer, store: ObjectStore, item: Item | None = None) -> None:
        """Withheld."""

    async def delete(self, store: ObjectStore, at: Destination) -> None:
        """Withheld."""


async def _taken_as_proven(copied: Copied) -> Copied:
    return copied
