"""`plan`: what `sync` would do and why. The same look and the same decision; the last step is withheld.

Owns the program and its answer. Reads only: the journal without its lock, heads of objects and buckets, heads of
sources (an answer is closed before its body is read), files that were touched, and lists of declared checksums. A store
that no item needs is not opened.
"""

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace

from mirrord.daemon.clock import SystemClock
from mirrord.daemon.desired import Desired, announce
from mirrord.daemon.one_pass import OnePass, Turn
from mirrord.daemon.report import Left
from mirrord.daemon.stores import Stores
from mirrord.daemon.wiring import source_of
from mirrord.errors import BucketMissing, JournalError, MirrordError, Problem, Reason, StoreDenied
from mirrord.folders.after_upload import no_rival
from mirrord.journal.sqlite.journal import SqliteJournal
from mirrord.model import (
    ChecksumKind,
    FileRemoval,
    Integrity,
    Item,
    KeepFile,
    Observed,
    Outcome,
    Record,
    State,
    TransferKind,
)
from mirrord.planning.decisions.decide import Action
from mirrord.planning.decisions.departure import unproven
from mirrord.planning.decisions.standing import is_ours
from mirrord.planning.transfers.parts import cut
from mirrord.ports import JournalQueries, ObjectStore, Observer
from mirrord.reconcile.reconciler import Look, judge, look
from mirrord.scheduling.workers import work_through
from mirrord.settings import Settings
from mirrord.sources.folder import Overlaps
from mirrord.sources.http import HttpSources
from mirrord.sources.mounts import Mounts
from mirrord.transfer.budget import Budget
from mirrord.transfer.copy import refuse
from mirrord.transfer.verify import holds

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
        journal = await life.enter_async_context(SqliteJournal(settings.state, read_only=True))
        stores = await life.enter_async_context(Stores(desired.loaded.stores, settings.directory, looking=True))
        http = await life.enter_async_context(HttpSources(per_host=settings.per_host_connections))
        overlaps = Overlaps(Mounts.now)
        overlaps.replace(desired.expansion.folders, desired.expansion.items)
        program = _Planning(found, journal, stores, http, settings)
        program.rival = overlaps.rival
        items = OnePass(desired, journal, clock, observer, only, "plan")
        items.linked = overlaps.refresh
        items.own = settings.own_paths
        items.reads_only = True
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


class _Planning:
    """One run: looks at items and sorts what it sees into the plan. `rival` as of `AfterUpload`."""

    rival: Callable[[Item], str] = staticmethod(no_rival)

    def __init__(
        self, found: Plan, journal: JournalQueries, stores: Stores, http: HttpSources, settings: Settings
    ) -> None:
        self._plan = found
        self._journal = journal
        self._stores = stores
        self._http = http
        self._own = settings.own_paths
        self._memory_limit = settings.memory_limit
        self._budget = Budget(settings.memory_limit)
        self._buckets: dict[tuple[str, str], bool] = {}
        self._shows_none: set[tuple[str, TransferKind]] = set()
        """(store, kind of transfer) whose copies had to be read back, because the store showed no checksum of them."""

    def with_readback(self, copy: Copy) -> Copy:
        """What is known of the store once all items were looked at."""
        known = (copy.item.destination.store, copy.kind) in self._shows_none
        return replace(copy, readback=copy.item.options.readback or known)

    async def handle(self, turn: Turn) -> None:
        item = turn.item
        if turn.waits is not None or item.options.suspend:
            self._plan.left.append(Left(item, turn.waits or Outcome(state=State.SUSPENDED)))
            return
        if why := self.rival(item):
            outcome = Outcome(state=State.BLOCKED, reason=Reason.CONFLICT, message=why)
            self._plan.left.append(Left(item, outcome))
            return
        try:
            await self._look(item)
        except JournalError:
            raise
        except MirrordError as error:
            self._plan.left.append(Left(item, judge(error, 1, _never)))

    async def _look(self, item: Item) -> None:
        record = await self._journal.record(item.id)
        store = await self._stores.of(item)
        if item.gone:
            await self._remove(item, record, store)
            return
        if record is not None and record.integrity is Integrity.READBACK and not item.options.readback:
            made = cut(record.size, item.options.upload, store.provider, self._memory_limit).kind
            self._shows_none.add((item.destination.store, made))
        async with source_of(self._http, self._own, item) as source:
            seen = await look(item, record, store, source)
            if record is not None and (touched := seen.touched):
                seen = seen.compared(item, equal=await holds(source, touched, record, self._budget))
        match seen.decision.action:
            case Action.COPY if seen.observed is not None:
                await self._copy(item, seen, seen.observed, store)
            case Action.BLOCK:
                decision = seen.decision
                outcome = Outcome(state=State.BLOCKED, reason=decision.reason, message=decision.message)
                self._plan.left.append(Left(item, outcome))
            case action:
                self._plan.unchanged += 1
                self._plan.adopted += action is Action.ADOPT
                if action is Action.ADOPT or not unproven(record):
                    self._leave(item)

    def _leave(self, item: Item) -> None:
        if not isinstance(item.after_upload, KeepFile):
            self._plan.leaving.append(Leaving(item, item.after_upload))

    async def _remove(self, item: Item, record: Record | None, store: ObjectStore) -> None:
        if record is None or record.etag is None:
            return
        standing = await store.head_object(item.destination)
        if standing is not None and is_ours(record, standing):
            self._plan.removals.append(Removal(item, "its file is gone"))

    async def _copy(self, item: Item, seen: Look, observed: Observed, store: ObjectStore) -> None:
        """Raises what the copy would end with before its first byte."""
        options, size = item.options, observed.revision.length
        refuse(observed, options.max_size, options.expect_content_type)
        kind = cut(size, options.upload, store.provider, self._memory_limit).kind
        await self._http.declared(item)
        if seen.standing is None:
            await self._require_bucket(item, store)
        self._plan.copies.append(Copy(item, seen.decision.message, kind, size))
        if store.provider.checksum is not ChecksumKind.NONE:
            self._leave(item)

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


def _never(_failures: int, _retry_after: float | None) -> None:
    """`plan` tries everything once."""
