"""`plan`: what `sync` would do and why. The same reconciler, with the last step withheld (`reconcile.dry_run`).

Owns the program and its answer. Reads only: the journal without its lock, heads of objects and buckets, heads of
sources (an answer is closed before its body is read), files that were touched or renamed, and lists of declared
checksums. A store that no item needs is not opened.
"""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from functools import partial

from mirrord.engine.clock import SystemClock
from mirrord.engine.local_files import LocalFiles
from mirrord.engine.stores import Stores
from mirrord.engine.wiring import source_of
from mirrord.errors import BucketMissing, Problem, Reason, SourceTimedOut, StoreDenied
from mirrord.events import Event
from mirrord.journal.sqlite.journal import SqliteJournal
from mirrord.model import (
    ChecksumKind,
    Destination,
    FileRemoval,
    Integrity,
    Item,
    KeepFile,
    Outcome,
    Record,
    State,
    TransferKind,
)
from mirrord.planning.decisions.departure import unproven
from mirrord.planning.transfers.parts import part_layout
from mirrord.ports import Journal, ObjectStore, Observer
from mirrord.programs.desired import Desired, announce
from mirrord.programs.report import Left
from mirrord.programs.snapshot import PlannedItem, Snapshot, SnapshotOptions
from mirrord.reconcile.dry_run import DryRun
from mirrord.reconcile.reconciler import Reconciler
from mirrord.reconcile.told import Told
from mirrord.scheduling.workers import work_through
from mirrord.settings import Settings
from mirrord.sources.http import HttpSources
from mirrord.transfer.budget import Budget

_QUIET = {State.WAITING, State.SUSPENDED}


@dataclass(frozen=True, slots=True)
class NewBucket:
    """A declared bucket that would be created."""

    store: str
    bucket: str


@dataclass(frozen=True, slots=True)
class Copy:
    """An object that would be written. `size` in bytes, None where the source does not say."""

    item: Item
    why: str
    kind: TransferKind
    size: int | None
    original: Destination | None = None
    """The object that the store would copy, so that no byte is sent; None: the bytes are sent."""
    readback: bool = False
    """It will be read back: the entry says so, or the last copy of its kind at this store had to be."""


@dataclass(frozen=True, slots=True)
class Removal:
    """An object that would be deleted."""

    item: Item
    why: str


@dataclass(frozen=True, slots=True)
class Leaving:
    """A local file that `removal` would take away, once its copy is proven."""

    item: Item
    removal: FileRemoval


@dataclass(slots=True)
class Plan:
    """Filled while `plan` runs, each list sorted at its end. `problems` are those of manifests that were left out."""

    problems: tuple[Problem, ...] = ()
    buckets: list[NewBucket] = field(default_factory=list)
    copies: list[Copy] = field(default_factory=list)
    removals: list[Removal] = field(default_factory=list)
    leaving: list[Leaving] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)
    """Items that `sync` would leave out of sync: Blocked, Retrying, Waiting or Suspended."""
    unchanged: int = 0
    adopted: int = 0
    """Of those unchanged: equal objects that the journal does not know yet."""
    differences: tuple[str, ...] = ()
    """How buckets that exist differ from what is declared: nothing that `sync` changes."""
    incomplete: list[str] = field(default_factory=list)
    """Folders that could not be read wholly, each with why."""
    duration: float = 0.0

    @property
    def seen(self) -> int:
        """How many items and folders the plan is about."""
        items = self.unchanged + len(self.copies) + len(self.removals) + len(self.leaving) + len(self.left)
        return items + len(self.incomplete)

    @property
    def changes(self) -> int:
        """How much `sync` would change: at stores, and files by `after_upload`."""
        return len(self.buckets) + len(self.copies) + len(self.removals) + len(self.leaving)

    @property
    def failed(self) -> bool:
        """Whether `sync` would leave anything that needs a person, or another try."""
        return bool(self.incomplete) or any(left.outcome.state not in _QUIET for left in self.left)


async def plan(desired: Desired, settings: Settings, observer: Observer, only: Sequence[str] = ()) -> Plan:
    """What `sync` would do with `desired` now. Raises JournalError and its children only."""
    announce(desired, observer)
    clock, found = SystemClock(), Plan(problems=desired.problems)
    began = clock.monotonic()
    async with AsyncExitStack() as life:
        journal = await life.enter_async_context(_WithheldJournal(settings.state, read_only=True))
        stores = await life.enter_async_context(Stores(desired.loaded.stores, settings.directory, looking=True))
        http = await life.enter_async_context(HttpSources(per_host=settings.per_host_connections))
        files = LocalFiles(settings.own_paths)
        await files.replace(desired.expansion.folders, desired.expansion.items)
        program = _Planning(found, journal, stores, http, files, settings)
        items = Snapshot(
            desired=desired,
            journal=journal,
            clock=clock,
            observer=observer,
            options=SnapshotOptions(cause="plan", only=only, reads_only=True),
            files=files,
        )
        await work_through(items.items(), program.handle, settings.transfers)
        found.incomplete = items.incomplete
        found.copies = [program.with_readback(copy) for copy in found.copies]
        found.buckets = [NewBucket(*pair) for pair in sorted(stores.missing)]
        found.differences = stores.differences
    found.copies.sort(key=lambda copy: _place(copy.item))
    found.removals.sort(key=lambda removal: _place(removal.item))
    found.leaving.sort(key=lambda leaving: _place(leaving.item))
    found.left.sort(key=lambda left: _place(left.item))
    found.duration = clock.monotonic() - began
    return found


def _place(item: Item) -> tuple[str, str, str]:
    return item.destination.store, item.destination.bucket, item.destination.key


class _WithheldJournal(SqliteJournal):
    """A journal opened to be read: what the reconciler would record is withheld."""

    async def save(self, record: Record) -> None:
        """Withheld."""

    async def retire(self, item_ids: Sequence[str], when: float) -> None:
        """Withheld."""

    async def finish(self, transfer_id: str, record: Record) -> None:
        """Withheld."""


class _Planning:
    """One run: has each item reconciled as a dry run, and sorts what is due into the plan.

    `rival` as of `AfterUpload`. Every item is tried once, on its own: no breaker holds one back for another's failure.
    """

    def __init__(
        self,
        found: Plan,
        journal: Journal,
        stores: Stores,
        http: HttpSources,
        files: LocalFiles,
        settings: Settings,
    ) -> None:
        self._plan = found
        self._journal = journal
        self._stores = stores
        self._http = http
        self._source_of = partial(source_of, http, files)
        self._budget = Budget(settings.memory_limit)
        self._rival = files.rival
        self._buckets: dict[tuple[str, str], bool] = {}
        self._shows_none: set[tuple[str, TransferKind]] = set()
        """(store, kind of transfer) whose copies had to be read back, because the store showed no checksum of them."""

    def with_readback(self, copy: Copy) -> Copy:
        """What is known of the store once all items were looked at."""
        known = (copy.item.destination.store, copy.kind) in self._shows_none
        return replace(copy, readback=copy.item.options.readback or known)

    async def _hindrance(self, item: Item) -> str:
        """See `Overlaps.rival`; nothing while the folder does not answer, which the look at the item says."""
        try:
            return "" if item.options.suspend or item.gone else await self._rival(item)
        except SourceTimedOut:
            return ""

    async def handle(self, planned: PlannedItem) -> None:
        item = planned.item
        if planned.waits is not None:
            self._plan.left.append(Left(item, planned.waits))
            return
        if why := await self._hindrance(item):
            outcome = Outcome(state=State.BLOCKED, reason=Reason.CONFLICT, message=why)
            self._plan.left.append(Left(item, outcome))
            return
        clock = SystemClock()
        dry_run = DryRun(
            journal=self._journal,
            budget=self._budget,
            told=Told(_unobserved, clock),
            declared=self._http.declared,
            require_bucket=self._require_bucket,
        )
        reconciler = Reconciler(
            journal=self._journal,
            store_of=self._stores.of,
            source_of=self._source_of,
            transfers=dry_run,
            observer=_unobserved,
            clock=clock,
            retry=_never,
        )
        self._add(item, await reconciler.reconcile(item), dry_run)

    def _add(self, item: Item, outcome: Outcome, dry_run: DryRun) -> None:
        self._note_readback(item, dry_run)
        if (due := dry_run.copy_due) is not None:
            self._plan.copies.append(Copy(item, due.why, due.kind, due.size, due.original))
            if dry_run.store is not None and dry_run.store.provider.checksum is not ChecksumKind.NONE:
                self._leave(item)
        elif outcome.pruned:
            self._plan.removals.append(Removal(item, "its file is gone"))
        elif outcome.state is not State.SYNCED:
            self._plan.left.append(Left(item, outcome))
        elif not item.gone:
            self._plan.unchanged += 1
            self._plan.adopted += outcome.adopted
            if outcome.adopted or not unproven(dry_run.record):
                self._leave(item)

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
        self._shows_none.add((item.destination.store, made))

    def _leave(self, item: Item) -> None:
        if not isinstance(item.after_upload, KeepFile):
            self._plan.leaving.append(Leaving(item, item.after_upload))

    async def _require_bucket(self, item: Item, store: ObjectStore) -> None:
        """HEAD of an object tells no missing bucket from a missing object."""
        at = item.destination
        pair = at.store, at.bucket
        if pair not in self._buckets:
            self._buckets[pair] = pair in self._stores.missing or await _stands(store, at.bucket)
        if not self._buckets[pair]:
            raise BucketMissing(
                f"the bucket {at.bucket} does not exist; create it or set buckets.{at.bucket}.create: true"
            )


async def _stands(store: ObjectStore, bucket: str) -> bool:
    try:
        return await store.has_bucket(bucket)
    except StoreDenied:
        return True  # who may not ask about buckets may still write to them


def _unobserved(event: Event) -> None:
    """Nothing happens to the items."""


def _never(_failures: int, _retry_after: float | None) -> None:
    """`plan` tries everything once."""
