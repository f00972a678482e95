"""`plan`: what `sync` would do and why. Uses the same reconciler without its last step (`reconcile.dry_run`).

Owns the program and its result. Reads only: the journal without its lock, heads of objects and buckets, heads of
sources (a response is closed before its body is read), files that were modified or renamed, and lists of declared
checksums. A store that no item needs is not opened.
"""

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace

from mirrord.engine.wiring import Adapters, read_only
from mirrord.errors import BucketMissing, Reason, SourceTimedOut, StoreDenied
from mirrord.frozen import frozen
from mirrord.model import (
    ChecksumKind,
    Destination,
    FileRemoval,
    Integrity,
    Item,
    KeepFile,
    Outcome,
    State,
    TransferKind,
)
from mirrord.planning.decisions.file_removal import why_unproven
from mirrord.planning.decisions.rewrites import are_many
from mirrord.planning.transfers.parts import part_layout
from mirrord.ports import ObjectStore, Observer
from mirrord.programs.desired import Desired, announce
from mirrord.programs.lists import ListReader
from mirrord.programs.planned import PlannedItem, SnapshotOptions
from mirrord.programs.report import Left, Result
from mirrord.programs.snapshot import Snapshot
from mirrord.programs.sorted_rows import SortedRows
from mirrord.reconcile.dry_run import DryRun
from mirrord.reconcile.observation import Listings
from mirrord.reconcile.reconciler import Reconciler
from mirrord.reconcile.store_listings import StoreListings
from mirrord.scheduling.workers import Pauses, Slots, reconcile_with_retries, work_through
from mirrord.settings import Settings
from mirrord.telemetry.fanout import unobserved
from mirrord.transfer.bandwidth import Bandwidth
from mirrord.transfer.budget import Budget
from mirrord.units import GiB

READ_TO_ADOPT = 4 * GiB
"""Bytes of files that one plan reads only to tell adoptions from copies: 10 s. Files beyond are shown as copies that
may be adoptions."""


@frozen
class NewBucket:
    """A declared bucket that would be created."""

    store: str
    bucket: str


@frozen
class PlannedCopy:
    """An object that would be written. `size` in bytes, None if the source does not give it."""

    item: Item
    why: str
    kind: TransferKind
    size: int | None
    original: Destination | None = None
    """The object that the store would copy, so that no bytes are sent; None: the bytes are sent."""
    options: tuple[str, ...] | None = None
    """See `WithheldCopy.options`."""
    readback: bool = False
    """It will be read back: by the entry's option, or because the last copy of its kind at this store was."""


@frozen
class PlannedRewrites:
    """Many objects of one entry that would be rewritten because its `object:` changed. `options`: those that changed,
    as far as they are known."""

    entry: str
    rewrites: int
    objects: int
    options: tuple[str, ...]


@frozen
class PlannedAdoption:
    """An object that equals its source and would be recorded; nothing would be written to the store."""

    item: Item
    why: str


@frozen
class PlannedDeletion:
    """An object that would be deleted."""

    item: Item
    why: str


@frozen
class PlannedFileRemoval:
    """A local file that `removal` would delete or move, once its copy is proven."""

    item: Item
    removal: FileRemoval


@dataclass(slots=True)
class Plan(Result):
    """The result of `plan`; rows of items are sorted by store, bucket and key."""

    buckets: list[NewBucket] = field(default_factory=list)
    copies: Sequence[PlannedCopy] = ()
    rewrites: list[PlannedRewrites] = field(default_factory=list)
    """Entries of which many objects would be rewritten; each of them is one of `copies`, too."""
    removals: Sequence[PlannedDeletion] = ()
    leaving: Sequence[PlannedFileRemoval] = ()
    adoptions: Sequence[PlannedAdoption] = ()
    adopted: int = 0
    """Of those unchanged: equal objects that are not in the journal yet, the `adoptions`."""
    differences: tuple[str, ...] = ()
    """How existing buckets differ from their declaration; `sync` does not change them."""

    @property
    def seen(self) -> int:
        """Number of items and folders of the plan."""
        items = self.unchanged + len(self.copies) + len(self.removals) + len(self.leaving) + len(self.left)
        return items + self.guarded + len(self.incomplete)

    @property
    def changes(self) -> int:
        """How much `sync` would change: buckets, objects, and files by `after_upload`. An adoption changes none."""
        return len(self.buckets) + len(self.copies) + len(self.removals) + len(self.leaving)


async def plan(desired: Desired, settings: Settings, observer: Observer, only: Sequence[str] = ()) -> Plan:
    """What `sync` would do with `desired` now. Raises JournalError and its children only."""
    announce(desired, observer)
    found, slots = Plan(problems=desired.problems), Slots(settings.transfers)
    async with read_only(settings, desired.loaded.stores, slots.wake) as adapters:
        began = adapters.clock.monotonic()
        desired = await desired.with_lists(ListReader(source_of=adapters.list_source, sleep=adapters.clock.sleep))
        await adapters.files.replace(desired.expansion.folders, desired.local_items())
        listings = StoreListings(adapters.journal, adapters.stores.at, adapters.clock)
        await listings.replace(desired.items(only), desired.expansion.folders)
        planning = _Planning(found, adapters, settings, listings, slots)
        snapshot = Snapshot(
            desired=desired,
            journal=adapters.journal,
            clock=adapters.clock,
            observer=observer,
            options=SnapshotOptions(cause="plan", only=only, reads_only=True),
            files=adapters.files,
            listings=listings,
        )
        await work_through(snapshot.items(), planning.handle, slots)
        found.incomplete = snapshot.incomplete
        found.unchanged += snapshot.unchanged
        found.guarded = snapshot.guarded
        found.buckets = [NewBucket(*pair) for pair in sorted(adapters.stores.missing)]
        found.differences = adapters.stores.differences
        found.rewrites = [one async for one in planning.many_rewrites()]
        found.duration = adapters.clock.monotonic() - began
    return found


class _Planning:
    """One run: reconciles each item as a dry run, and adds the result to the plan.

    Every item is tried once, without breakers: a failure of one item does not block another. One that waits for its
    turn at a host, or was refused because too many calls ran, is tried again, and holds no slot meanwhile.
    """

    def __init__(self, found: Plan, adapters: Adapters, settings: Settings, listings: Listings, slots: Slots) -> None:
        self._slots = slots
        self._plan = found
        found.copies = self._copies = SortedRows(PlannedCopy, self._with_readback)
        found.adoptions = self._adoptions = SortedRows(PlannedAdoption)
        found.removals = self._removals = SortedRows(PlannedDeletion)
        found.leaving = self._leaving = SortedRows(PlannedFileRemoval)
        found.left = self._left = SortedRows(Left)
        self._rewrites = Counter[str]()
        self._changed_options: dict[str, set[str]] = defaultdict(set)
        self._listings = listings
        self._adapters = adapters
        self._budget = Budget(settings.memory_limit, Bandwidth(settings.bandwidth))
        self._to_read = READ_TO_ADOPT
        self._buckets: dict[tuple[str, str], bool] = {}
        self._without_checksum: set[tuple[str, TransferKind]] = set()
        """(store, kind of transfer) whose copies had to be read back: the store showed no checksum of them."""

    async def many_rewrites(self) -> AsyncIterator[PlannedRewrites]:
        """See `Plan.rewrites`."""
        for entry, rewrites in sorted(self._rewrites.items()):
            objects = await self._adapters.journal.count(entry)
            if are_many(rewrites, objects):
                yield PlannedRewrites(entry, rewrites, objects, tuple(sorted(self._changed_options[entry])))

    def _with_readback(self, copy: PlannedCopy) -> PlannedCopy:
        """As it is known once every item was checked."""
        known = (copy.item.destination.store, copy.kind) in self._without_checksum
        return replace(copy, readback=copy.item.options.readback or known)

    async def handle(self, planned: PlannedItem) -> None:
        """Add one item to the plan."""
        item, waits = planned.item, planned.waits or await self._conflict(planned.item)
        if waits is not None:
            self._left.add(Left(item, waits))
            return
        dry_run = DryRun(
            journal=self._adapters.journal,
            budget=self._budget,
            observer=unobserved,
            clock=self._adapters.clock,
            declared=self._adapters.http.declared,
            require_bucket=self._require_bucket,
            may_read=self._may_read,
        )
        reconciler = Reconciler(
            journal=self._adapters.journal,
            store_of=self._adapters.stores.of,
            source_of=self._adapters.source_of,
            transfers=dry_run,
            observer=unobserved,
            clock=self._adapters.clock,
            retry=_never,
            breakers=self._adapters.breakers,
            listings=self._listings,
        )
        pauses = Pauses(self._slots, item.id, self._adapters.clock)
        outcome = await reconcile_with_retries(reconciler, item, pauses)
        if outcome.pruned:
            why = f"it left {planned.file}" if planned.file else "its file is gone"
            self._removals.add(PlannedDeletion(item, why))
        else:
            self._add(item, outcome, dry_run)

    async def _conflict(self, item: Item) -> Outcome | None:
        """See `Overlaps.rival`. None while the folder does not answer: the check of the item reports that."""
        if item.options.suspend or item.gone:
            return None
        try:
            rival = await self._adapters.files.rival(item)
        except SourceTimedOut:
            return None
        return Outcome(state=State.BLOCKED, reason=Reason.CONFLICT, message=rival) if rival else None

    def _add(self, item: Item, outcome: Outcome, dry_run: DryRun) -> None:
        self._note_readback(item, dry_run)
        if (due := dry_run.copy_due) is not None:
            self._copies.add(PlannedCopy(due.item, due.why, due.kind, due.size, due.original, due.options))
            if due.options is not None:
                self._rewrites[item.entry] += 1
                self._changed_options[item.entry].update(due.options)
            if dry_run.store is not None and dry_run.store.provider.checksum is not ChecksumKind.NONE:
                self._leave(item)
        elif outcome.state is not State.SYNCED:
            self._left.add(Left(item, outcome))
        elif not item.gone:
            self._plan.unchanged += 1
            if outcome.adopted:
                self._plan.adopted += 1
                self._adoptions.add(PlannedAdoption(item, outcome.message))
            if not (dry_run.foreign if outcome.adopted else why_unproven(dry_run.record)):
                self._leave(item)

    def _may_read(self, size: int) -> bool:
        """See `DryRun.may_read`: the files of the whole plan together, up to `READ_TO_ADOPT`."""
        if size > self._to_read:
            return False
        self._to_read -= size
        return True

    def _note_readback(self, item: Item, dry_run: DryRun) -> None:
        record, store = dry_run.record, dry_run.store
        if (
            record is None
            or store is None
            or record.object.integrity is not Integrity.READBACK
            or item.options.readback
        ):
            return
        made = part_layout(record.object.size, item.options.upload, store.provider, self._budget.limit).kind
        self._without_checksum.add((item.destination.store, made))

    def _leave(self, item: Item) -> None:
        if not isinstance(item.after_upload, KeepFile):
            self._leaving.add(PlannedFileRemoval(item, item.after_upload))

    async def _require_bucket(self, item: Item, store: ObjectStore) -> None:
        """Raises BucketMissing. HEAD of an object cannot distinguish a missing bucket from a missing object."""
        at = item.destination
        pair = at.store, at.bucket
        if pair not in self._buckets:
            self._buckets[pair] = pair in self._adapters.stores.missing or await _bucket_exists(store, at.bucket)
        if not self._buckets[pair]:
            raise BucketMissing(
                f"the bucket {at.bucket} does not exist; create it or set buckets.{at.bucket}.create: true"
            )


async def _bucket_exists(store: ObjectStore, bucket: str) -> bool:
    try:
        return await store.has_bucket(bucket)
    except StoreDenied:
        return True  # without permission for HEAD of buckets, writes may still be allowed


def _never(_failures: int, _retry_after: float | None) -> None:
    """No retries: `plan` tries everything once."""
