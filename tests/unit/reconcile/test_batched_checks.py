"""Checks of new small files that are due together: who joins a batch, how many run, and what each check returns."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace

import pytest

from mirrord import checksums
from mirrord.declared import FolderSpec, FolderTarget
from mirrord.errors import JournalUnavailable, StoreUnavailable
from mirrord.model import (
    Checksum,
    ChecksumKind,
    Condition,
    Destination,
    File,
    FileIdentity,
    Item,
    ObjectOptions,
    Options,
    Outcome,
    Record,
    Revision,
    SourceRequirements,
    State,
    StoredObject,
    Transfer,
)
from mirrord.planning.decisions.listed import Verdict
from mirrord.reconcile.batch_pace import BatchPace
from mirrord.reconcile.batched_checks import AT_A_TIME, OF_A_FOLDER, BatchedChecks
from mirrord.reconcile.breakers import Breakers
from mirrord.reconcile.file_batch import MOST_FILES, FileBatches
from mirrord.reconcile.transfer_slots import TransferSlots
from mirrord.reconcile.transfers import Transfers
from mirrord.scheduling.queue import LocalQueue
from mirrord.testing import ManualClock, MemoryJournal, MemoryStore
from mirrord.transfer.budget import Budget
from mirrord.units import KiB, MiB

TARGET = FolderTarget(store="default", endpoint="http://store", bucket="bucket", key="in/{path}")
FOLDER = FolderSpec(entry="inbox", path="/srv/inbox", target=TARGET)
SYNCED = Outcome(state=State.SYNCED)


class Journal(MemoryJournal):
    """`begun`: the number of intents of each commit."""

    def __init__(self) -> None:
        super().__init__()
        self.begun: list[int] = []
        self.fails = False

    async def begin_all(self, transfers: Sequence[Transfer]) -> None:
        if self.fails:
            raise JournalUnavailable("the disk is full")
        self.begun.append(len(transfers))
        await super().begin_all(transfers)


class Store(MemoryStore):
    """Puts wait for `open`, and fail where `down`."""

    def __init__(self) -> None:
        super().__init__()
        self.buckets["bucket"] = {}
        self.open = asyncio.Event()
        self.down = False

    async def put_object(
        self,
        at: Destination,
        body: memoryview,
        options: ObjectOptions,
        checksum: Checksum | None = None,
        *,
        if_none_match: bool = False,
    ) -> StoredObject:
        await self.open.wait()
        if self.down:
            raise StoreUnavailable("no answer")
        return await super().put_object(at, body, options, checksum, if_none_match=if_none_match)


@dataclass
class World:
    """A queue of a few checks at a time. `alone`: the files that got a check of their own."""

    journal: Journal = field(default_factory=Journal)
    store: Store = field(default_factory=Store)
    shows: Verdict = Verdict.PROBABLY_ABSENT
    alone: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    outcomes: dict[str, Outcome | BaseException] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)
    items: dict[str, Item] = field(default_factory=dict)
    attempts: int = 0
    """The failures before each check."""
    concurrency: int = 2

    def __post_init__(self) -> None:
        async def store_of(_item: Item) -> Store:
            return self.store

        self.clock = ManualClock(1000.0)
        self.queue = LocalQueue(self.clock)
        transfers = Transfers(
            journal=self.journal,
            observer=lambda _event: None,
            clock=self.clock,
            budget=Budget(64 * MiB),
            slots=TransferSlots(4),
        )
        batches = FileBatches(
            transfers=transfers,
            store_of=store_of,
            read=self._read,
            breakers=Breakers(),
            retry=lambda _failures, _after: 7.0,
            workers=4,
            doubt=lambda _item_id: None,
        )
        self.checks = BatchedChecks(checks=Checks(self), batches=batches, listings=self, apart=self.queue.apart)
        self.running = asyncio.create_task(self.queue.run(self._check, self.concurrency))

    def arrive(self, item: Item, *, just_appeared: bool) -> None:
        assert just_appeared, item

    async def verdict(self, _item: Item, _record: Record | None) -> Verdict:
        return self.shows

    async def _read(
        self, _root: str, files: Sequence[tuple[str, FileIdentity]], view: memoryview, kind: ChecksumKind
    ) -> list[Checksum | None]:
        return [None if name in self.changed else checksums.compute(kind, view[: file.size]) for name, file in files]

    async def _check(self, item_id: str) -> None:
        item = self.items[item_id]
        name = item.destination.key.removeprefix("in/")
        try:
            self.outcomes[name] = await self.checks.reconcile(item, self.attempts)
        except (JournalUnavailable, asyncio.CancelledError) as error:
            self.outcomes[name] = error
            raise

    async def drop(self, *names: str, folder: FolderSpec = FOLDER, size: int = 100) -> None:
        """These files are found and submitted, and their checks begin."""
        for name in names:
            at = Destination("default", "http://store", "bucket", f"in/{name}")
            item = Item(id=at.item_id, entry=folder.entry, origin=File(folder.path, name), destination=at)
            self.items[item.id] = item
            file = FileIdentity(1, len(self.items), size, 4, 5)
            revision = Revision(address=name, length=file.size, file=file)
            self.checks.arrive(folder, item, revision, just_appeared=True)
            await self.queue.enqueue(item.id)
        await self.clock.run_ready()

    async def cancel(self, name: str) -> None:
        await self.queue.cancel(Destination("default", "http://store", "bucket", f"in/{name}").item_id)
        await self.clock.run_ready()

    async def let_through(self) -> None:
        self.store.open.set()
        await self.clock.run_ready()

    async def stop(self) -> None:
        self.running.cancel()
        await asyncio.wait([self.running])
        assert not self.checks._crowds
        assert not self.checks._running


@dataclass
class Checks:
    """A check of its own for one item: recorded by name."""

    world: World

    async def reconcile(self, item: Item, failures: int = 0) -> Outcome:
        self.world.alone.append(item.destination.key.removeprefix("in/"))
        return Outcome(state=State.SYNCED, message=f"alone after {failures}")

    async def record_failed(self, item: Item, outcome: Outcome) -> Outcome:
        self.world.failed.append(item.destination.key.removeprefix("in/"))
        return outcome


@pytest.fixture(autouse=True)
def busy(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether the process counts as busy, as the only element."""
    value = [False]
    monkeypatch.setattr(BatchPace, "one_by_one", property(lambda _: value[0]))
    return value


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    await world.stop()


def names(count: int, prefix: str = "f") -> list[str]:
    return [f"{prefix}{number:03}" for number in range(count)]


# ── members ───────────────────────────────────────────────────────────────────────────────────────
async def test_files_that_are_due_together_are_one_batch_and_wait_apart(world: World) -> None:
    await world.drop("first")
    assert world.journal.begun == [1], "it waited for others"
    await world.drop(*names(30))
    await world.let_through()
    assert sum(world.journal.begun) == 31
    assert len(world.journal.begun) == OF_A_FOLDER + 1, "two checks at a time: only the last batch is large"
    assert {one.state for one in world.outcomes.values() if isinstance(one, Outcome)} == {State.SYNCED}
    assert (len(world.outcomes), world.alone, len(world.store.buckets["bucket"])) == (31, [], 31)


@pytest.mark.parametrize("verdict", [one for one in Verdict if not one.is_free])
async def test_a_key_that_may_not_be_free_is_checked_alone(world: World, verdict: Verdict) -> None:
    world.shows = verdict
    await world.drop("a")
    assert (world.alone, world.journal.begun) == (["a"], [])


async def test_a_later_attempt_is_made_alone(world: World) -> None:
    world.attempts = 1
    await world.drop("a")
    assert world.outcomes["a"] == Outcome(state=State.SYNCED, message="alone after 1")


@pytest.mark.parametrize(
    ("folder", "size"),
    [
        (FOLDER, 0),
        (FOLDER, 256 * KiB + 1),
        (replace(FOLDER, options=Options(requires=SourceRequirements(max_size=10))), 100),
    ],
)
async def test_files_that_need_more_than_a_put_are_checked_alone(world: World, folder: FolderSpec, size: int) -> None:
    await world.drop("a", folder=folder, size=size)
    assert (world.alone, world.journal.begun) == (["a"], [])


async def test_a_recorded_item_is_checked_alone_beside_a_batch(world: World) -> None:
    at = Destination("default", "http://store", "bucket", "in/known")
    condition = Condition(state=State.PENDING, since=0.0)
    await world.journal.save(Record(item_id=at.item_id, entry="inbox", source="f", destination=at, condition=condition))
    await world.drop("known", "new")
    await world.let_through()
    assert (world.alone, world.journal.begun) == (["known"], [1])


async def test_a_store_whose_answers_prove_nothing_gets_no_batch(world: World) -> None:
    world.checks.batches.unproven.add("http://store")
    await world.drop("a")
    assert (world.alone, world.journal.begun) == (["a"], [])


async def test_files_of_a_folder_that_left_are_forgotten(world: World) -> None:
    world.store.open.set()
    item = Item(id="x", entry="inbox", origin=File("/srv/inbox", "x"), destination=Destination("s", "e", "b", "x"))
    revision = Revision(address="x", length=1, file=FileIdentity(1, 2, 3, 4, 5))
    world.checks.arrive(FOLDER, item, revision, just_appeared=True)
    world.checks.forget("another")
    assert len(world.checks._arrived) == 1
    world.checks.forget("inbox")
    assert not world.checks._arrived


# ── outcomes ──────────────────────────────────────────────────────────────────────────────────────
async def test_a_file_that_changed_is_checked_alone(world: World) -> None:
    world.changed.add("b")
    world.store.open.set()
    await world.drop("a", "b")
    assert (world.alone, world.journal.begun) == (["b"], [1])
    assert world.outcomes["b"] == Outcome(state=State.SYNCED, message="alone after 0")
    assert set(world.store.buckets["bucket"]) == {"in/a"}


async def test_a_failed_attempt_is_recorded_and_the_next_is_due_after_its_pause(world: World) -> None:
    world.store.down = True
    world.store.open.set()
    await world.drop("a", "b")
    found = [one for one in world.outcomes.values() if isinstance(one, Outcome)]
    assert {(one.state, one.retry_in) for one in found} == {(State.RETRYING, 7.0)}
    assert (sorted(world.failed), world.alone) == (["a", "b"], [])


async def test_an_error_of_the_journal_is_raised_in_each_check(world: World) -> None:
    world.journal.fails = True
    await world.drop("a", "b")
    assert {type(one) for one in world.outcomes.values()} == {JournalUnavailable}
    assert len(world.outcomes) == 2


# ── fairness ──────────────────────────────────────────────────────────────────────────────────────
async def test_a_single_file_of_another_folder_never_waits_for_room(world: World) -> None:
    crowd, second, third = (replace(FOLDER, entry=name) for name in ("crowd", "second", "third"))
    for number in range(OF_A_FOLDER + 2):
        await world.drop(*names(2, f"{number}-"), folder=crowd)
    assert len(world.journal.begun) == OF_A_FOLDER
    for number in range(AT_A_TIME - OF_A_FOLDER):
        await world.drop(f"b{number}", folder=second)
    assert len(world.journal.begun) == AT_A_TIME
    await world.drop("c", folder=third)
    assert world.alone == ["c"]
    await world.let_through()
    assert (world.alone, len(world.store.buckets["bucket"])) == (["c"], 2 * (OF_A_FOLDER + 2) + AT_A_TIME - OF_A_FOLDER)


@pytest.mark.parametrize("is_busy", [False, True])
async def test_where_the_process_is_busy_a_batch_that_fills_the_slots_is_followed_by_the_next(
    busy: list[bool], *, is_busy: bool
) -> None:
    busy[0] = is_busy
    world = World(concurrency=10)
    await world.drop(*names(10))
    await world.drop(*names(3, "later"))
    assert world.journal.begun == ([10] if is_busy else [10, 3])
    await world.let_through()
    assert (world.journal.begun, len(world.outcomes)) == ([10, 3], 13)
    await world.stop()


async def test_a_batch_is_bounded_and_checks_beyond_it_count(world: World) -> None:
    for name in names(OF_A_FOLDER, "first"):
        await world.drop(name)
    await world.drop(*names(2 * MOST_FILES))
    waiting = world.checks._crowds["inbox"].waiting
    assert len(waiting) == MOST_FILES + 2, "two checks at a time"
    await world.let_through()
    assert max(world.journal.begun) <= MOST_FILES
    assert sum(world.journal.begun) == len(world.outcomes) == 2 * MOST_FILES + OF_A_FOLDER


async def test_a_batch_has_at_most_so_many_bytes(world: World) -> None:
    for name in names(OF_A_FOLDER, "first"):
        await world.drop(name)
    await world.drop(*names(20), size=200 * KiB)
    await world.let_through()
    assert world.journal.begun[OF_A_FOLDER:] == [10, 10]


async def test_all_batches_have_at_most_the_bytes_of_three() -> None:
    world = World(concurrency=10)
    for number in range(OF_A_FOLDER):
        await world.drop(*names(10, f"{number}-"), size=200 * KiB)
    assert world.journal.begun == [10, 10, 10]
    await world.let_through()
    assert world.journal.begun == [10, 10, 10, 10]
    await world.stop()


async def test_a_transfer_that_waits_for_a_slot_gets_one_before_the_batch_ends() -> None:
    world = World(concurrency=40)
    await world.drop(*names(40))
    objects, seen = world.store.buckets["bucket"], list[int]()

    async def transfer() -> None:
        async with world.checks.batches.transfers.slots.taken("other"):
            seen.append(len(objects))

    waiting = asyncio.create_task(transfer())
    await world.clock.run_ready()
    assert (seen, world.journal.begun) == ([], [40])
    await world.let_through()
    await waiting
    assert seen[0] <= 16, "four workers, each with four puts"
    assert len(objects) == 40
    await world.stop()


# ── cancellation ──────────────────────────────────────────────────────────────────────────────────
async def test_a_cancelled_check_ends_its_batch_and_the_others_are_checked_alone(world: World) -> None:
    await world.drop("a", "b")
    assert world.journal.begun == [2]
    await world.cancel("a")
    assert isinstance(world.outcomes["a"], asyncio.CancelledError)
    assert world.alone == ["b"]
    await world.let_through()
    assert not world.store.buckets["bucket"]


async def test_a_cancelled_check_that_waits_leaves_the_others(world: World) -> None:
    for name in names(OF_A_FOLDER, "first"):
        await world.drop(name)
    await world.drop("c", "d")
    await world.cancel("c")
    assert isinstance(world.outcomes["c"], asyncio.CancelledError)
    await world.let_through()
    assert ("in/d" in world.store.buckets["bucket"], "in/c" in world.store.buckets["bucket"]) == (True, False)
    assert (len(world.outcomes), world.alone) == (OF_A_FOLDER + 2, [])
