"""A folder's loop over a scripted listing and a clock turned by hand: what is looked at when, submitted, and said."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest

from mirrord.declared import FolderSpec
from mirrord.errors import JournalUnavailable, LeftOut, Reason
from mirrord.events import Event, FolderOverflowed, FolderRescanned, FolderSettled, ItemBlocked
from mirrord.journal.memory import MemoryJournal
from mirrord.model import FileIdentity, Item, ObjectOptions, Options, Outcome, Record, Revision, State, fingerprint
from mirrord.planning.decide import options_digest
from mirrord.reconcile import folders
from mirrord.reconcile.folder_ports import FolderPorts
from mirrord.reconcile.folders import FolderLoop
from mirrord.reconcile.records import with_outcome
from mirrord.status import ItemStatus
from mirrord.units import MiB
from tests.support.manual_clock import ManualClock

ROOT = "/srv/inbox"
SPEC = FolderSpec(entry="inbox", path=ROOT, store="default", endpoint="http://store", bucket="bucket", key="in/{path}")


@dataclass
class Tree:
    """ports.FolderListing: files by name; a look takes `takes` seconds."""

    clock: ManualClock
    files: dict[str, FileIdentity] = field(default_factory=dict)
    markers: set[str] = field(default_factory=set)
    device: int = 1
    unread: bool = False
    problems: tuple[SimpleNamespace, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    missing: bool = False
    complete: bool = False
    takes: float = 0.0
    scans: int = 0
    looks: list[tuple[float, tuple[str, ...]]] = field(default_factory=list)
    open: int = 0
    inodes: int = 0

    def write(self, name: str, size: int = 1) -> None:
        self.inodes += 1
        self.files[name] = FileIdentity(1, self.inodes, size, self.inodes, self.inodes)

    async def enumerate(self) -> AsyncGenerator[SimpleNamespace]:
        self.scans += 1
        self.complete = False
        async for found in self._yielded(() if self.missing else tuple(self.files)):
            yield found
        self.complete = not self.missing and not self.unread
        self.problems = (SimpleNamespace(path=ROOT, message="cannot be read"),) if self.missing else ()

    async def look(self, names: Iterable[str]) -> AsyncGenerator[SimpleNamespace]:
        wanted = tuple(sorted(names))
        self.looks.append((self.clock.monotonic(), wanted))
        at = [name for name in self.files for one in wanted if name == one or name.startswith(f"{one}/")]
        async for found in self._yielded(() if self.missing else tuple(at)):
            yield found

    async def standing(self, names: Collection[str]) -> frozenset[str]:
        return frozenset(names).intersection((*self.files, *self.markers))

    async def gone(self, files: Mapping[str, int | None]) -> frozenset[str]:
        return frozenset(name for name, at in files.items() if name not in self.files and at == self.device)

    async def _yielded(self, names: tuple[str, ...]) -> AsyncIterator[SimpleNamespace]:
        assert self.open == 0, "one look at a time"
        self.open += 1
        try:
            if self.takes:
                await self.clock.sleep(self.takes)
        finally:
            self.open -= 1
        for name in names:
            file = self.files[name]
            revision = Revision(address=fingerprint(f"file://{ROOT}/{name}"), length=file.size, file=file)
            yield SimpleNamespace(name=name, revision=revision)


class Kernel:
    """ports.Hints, and the way to them."""

    def __init__(self) -> None:
        self.paths: asyncio.Queue[frozenset[str] | OSError] = asyncio.Queue()
        self.refuses: OSError | None = None
        self.opened = self.closed = 0
        self.watching, self.problem = "events", ""

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Kernel"]:
        if self.refuses:
            raise self.refuses
        self.opened += 1
        try:
            yield self
        finally:
            self.closed += 1

    async def changed(self) -> frozenset[str]:
        got = await self.paths.get()
        if isinstance(got, OSError):
            raise got
        return got

    def hint(self, *names: str) -> None:
        self.paths.put_nowait(frozenset(f"{ROOT}/{name}".rstrip("/") for name in names))


class FailingJournal(MemoryJournal):
    broken = False

    async def recorded(self, item_ids: Collection[str]) -> dict[str, Record]:
        if self.broken:
            raise JournalUnavailable("disk full")
        return await super().recorded(item_ids)


class World:
    """A running loop and everything it touches."""

    def __init__(self, **spec: Any) -> None:
        self.clock = ManualClock()
        self.tree = Tree(self.clock)
        self.kernel = Kernel()
        self.journal = FailingJournal()
        self.events: list[Event] = []
        self.submitted: list[tuple[float, str]] = []
        self.gone: list[str] = []
        self.items: dict[str, Item] = {}
        self.owners: dict[str, str] = {}  # item id -> who has it
        self.spec = replace(SPEC, **spec)
        self.loop = self.new_loop()
        self.task: asyncio.Task[None] | None = None

    def new_loop(self) -> FolderLoop:
        ports = FolderPorts(
            listing=self.tree,  # type: ignore[arg-type]  # its files are plain
            watch=self.kernel.open,
            journal=self.journal,
            submit=self.submit,
            observer=self.events.append,
            clock=self.clock,
            taken=self.taken,
        )
        return FolderLoop(self.spec, ports)

    async def submit(self, item: Item) -> None:
        name = item.source.removeprefix(f"file://{ROOT}/")
        if item.gone:
            self.gone.append(name)
            return
        self.items[name] = item
        self.submitted.append((round(self.clock.monotonic(), 6), name))

    async def taken(self, item: Item, record: Record | None) -> str:
        return self.owners.get(item.id, "")

    async def mirror(self, *names: str) -> None:
        """What the scheduler does with what it was given, in the end."""
        for name in names:
            item, file = self.items[name], self.tree.files[name]
            done = with_outcome(item, None, Outcome(state=State.SYNCED), 0.0)
            revision = Revision(address=fingerprint(item.source), length=file.size, file=file)
            digest = options_digest(item.options.object)
            await self.journal.save(replace(done, revision=revision, options_digest=digest, etag='"e"'))

    async def live(self, seconds: float = 0.0) -> None:
        if self.task is None:
            self.task = asyncio.create_task(self.loop.run())
        for _ in range(20):
            await self.clock.settle()
        left = seconds
        while left > 1e-9:
            await self.clock.advance(min(0.25, left))
            left -= 0.25
            for _ in range(3):
                await self.clock.settle()
        if self.task.done():
            await self.task

    async def stop(self) -> None:
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)
            self.task = None

    @property
    def names(self) -> list[str]:
        return [name for _, name in self.submitted]

    def said(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def causes(self) -> list[str]:
        return [event.cause for event in self.said(FolderRescanned)]

    def held(self) -> dict[str, ItemStatus]:
        return {one.source.removeprefix(f"file://{ROOT}/"): one for one in self.loop.held()}


@pytest.fixture
async def worlds() -> AsyncIterator[list[World]]:
    made: list[World] = []
    yield made
    for world in made:
        await world.stop()
        assert world.tree.open == 0
        assert world.kernel.closed == world.kernel.opened


@pytest.fixture
def world(worlds: list[World]) -> World:
    worlds.append(World())
    return worlds[0]


# ── settling ──────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("settle", [0.0, 0.25, 2.0, 30.0])
async def test_a_file_is_submitted_once_it_has_rested_for_a_settle(worlds: list[World], settle: float) -> None:
    worlds.append(world := World(settle=settle, rescan=300.0))
    world.tree.write("a")
    await world.live(settle + 1)
    assert world.submitted == [(settle, "a")]
    world.tree.write("b/c")
    world.kernel.hint("b/c")
    await world.live(settle + 1)
    assert world.submitted[1:] == [(2 * settle + 1, "b/c")]
    assert world.causes == ["start"]
    assert [(event.folder, event.files, event.waiting) for event in world.said(FolderSettled)] == [("inbox", 1, 0)] * 2


async def test_a_growing_file_waits_and_says_why(world: World) -> None:
    world.tree.write("a", 1 * MiB)
    await world.live(1)
    (waiting,) = world.loop.held()
    assert (waiting.state, waiting.reason) == (State.WAITING, Reason.STILL_GROWING)
    assert (waiting.destination, waiting.store, waiting.entry) == ("s3://bucket/in/a", "default", "inbox")
    assert waiting.message == "settling, 1.0 MiB, first seen 1s ago"
    assert waiting.since == world.clock.now() - 1
    for size in range(2, 13):
        world.tree.write("a", size * MiB)
        await world.live(1)
    assert world.submitted == []
    assert world.held()["a"].message.startswith("still growing, 1")
    assert world.held()["a"].since == waiting.since
    await world.live(4)
    assert world.names == ["a"]
    assert world.held() == {}


async def test_a_hint_of_a_change_restarts_the_settle_at_once(world: World) -> None:
    world.tree.write("a")
    await world.live(1.5)
    world.tree.write("a")
    world.kernel.hint("a")
    await world.live(3)
    assert world.submitted == [(3.5, "a")]


async def test_a_file_that_goes_before_it_settles_is_forgotten(world: World) -> None:
    world.tree.write("a")
    world.tree.write("b")
    await world.live(0.5)
    del world.tree.files["a"], world.tree.files["b"]
    world.kernel.hint("a")
    await world.live(0.5)
    assert world.held().keys() == {"b"}, "only what was hinted at is looked at early"
    await world.live(3)
    assert world.held() == {}
    assert world.submitted == []


async def test_more_unsettled_files_than_there_is_room_for_come_in_turns(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mirrord.reconcile.settling.MOST_UNSETTLED", 10)
    names = {f"f{number}" for number in range(35)}
    for name in names:
        world.tree.write(name)
    await world.live(1)
    assert len(world.held()) == 10
    await world.live(9)
    assert sorted(world.names) == sorted(names)
    assert world.causes == ["start", "retry", "retry", "retry"]


# ── markers ───────────────────────────────────────────────────────────────────────────────────────
async def test_a_file_is_submitted_once_its_marker_stands(worlds: list[World]) -> None:
    worlds.append(world := World(ready="*.done", rescan=300.0))
    world.tree.write("d/a.csv")
    await world.live(1)
    assert world.held()["d/a.csv"].reason is Reason.STILL_GROWING
    await world.live(2)
    waiting = world.held()["d/a.csv"]
    assert (waiting.state, waiting.reason) == (State.WAITING, Reason.NO_MARKER)
    assert waiting.message == "no marker: waits for d/a.csv.done or d/a.done"
    assert waiting.since == world.clock.now() - 1
    world.tree.markers.add("d/b.done")
    world.kernel.hint("d/b.done")
    await world.live(5)
    assert world.submitted == []
    assert world.held()["d/a.csv"].since == waiting.since
    world.tree.markers.add("d/a.done")
    world.kernel.hint("d/a.done")
    await world.live(0.25)
    assert world.submitted == [(8.0, "d/a.csv")], "at once: it was settled already"
    assert world.held() == {}
    assert world.causes == ["start"]


async def test_a_marked_file_still_has_to_settle(worlds: list[World]) -> None:
    worlds.append(world := World(ready="_SUCCESS"))
    world.tree.write("a")
    await world.live(3)
    world.tree.write("a")
    world.tree.markers.add("_SUCCESS")
    world.kernel.hint("a", "_SUCCESS")
    await world.live(1)
    assert world.submitted == []
    assert world.held()["a"].reason is Reason.STILL_GROWING
    await world.live(2)
    assert world.submitted == [(5.0, "a")]


async def test_a_marker_that_no_hint_told_of_is_found_by_the_rescan(worlds: list[World]) -> None:
    worlds.append(world := World(ready="_SUCCESS"))
    for name in ("x/a", "x/y/b", "z/c"):
        world.tree.write(name)
    await world.live(3)
    world.tree.markers.add("x/_SUCCESS")
    await world.live(60)
    assert sorted(world.names) == ["x/a", "x/y/b"]
    assert world.held().keys() == {"z/c"}


async def test_what_was_uploaded_needs_its_marker_no_longer_until_it_changes(worlds: list[World]) -> None:
    worlds.append(world := World(ready="*.done", options=Options(object=ObjectOptions(cache_control="a"))))
    world.tree.write("a")
    world.tree.markers.add("a.done")
    await world.live(3)
    await world.mirror("a")
    world.tree.markers.clear()
    world.spec = replace(world.spec, options=Options(object=ObjectOptions(cache_control="b")))
    await world.stop()
    world.loop = world.new_loop()
    await world.live(3)
    assert world.names == ["a", "a"], "its options changed, not the file"
    await world.mirror("a")
    world.tree.write("a")
    world.kernel.hint("a")
    await world.live(3)
    assert world.names == ["a", "a"]
    assert world.held()["a"].reason is Reason.NO_MARKER


async def test_a_file_that_goes_without_its_marker_is_forgotten(worlds: list[World]) -> None:
    worlds.append(world := World(ready="*.done"))
    world.tree.write("hinted")
    world.tree.write("unseen")
    await world.live(3)
    world.tree.files.clear()
    world.kernel.hint("hinted")
    await world.live(1)
    assert world.held().keys() == {"unseen"}
    world.tree.write("other")
    await world.live(60)
    assert world.held().keys() == {"other"}


async def test_more_files_without_marker_than_are_kept_are_found_all_the_same(
    worlds: list[World], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mirrord.reconcile.unmarked.MOST_UNMARKED", 5)
    worlds.append(world := World(ready="_SUCCESS"))
    for number in range(20):
        world.tree.write(f"f{number}")
    await world.live(3)
    assert len(world.held()) == 5
    world.tree.markers.add("_SUCCESS")
    world.kernel.hint("_SUCCESS")
    await world.live(1)
    assert len(world.names) == 5
    await world.live(122)
    assert len(set(world.names)) == 20


# ── files that go ─────────────────────────────────────────────────────────────────────────────────
async def mirrored(worlds: list[World], count: int, **spec: Any) -> World:
    """A world whose files stand at the store."""
    worlds.append(world := World(delete="mirror", **spec))
    for number in range(count):
        world.tree.write(f"f{number}")
    await world.live(world.spec.settle + 1)
    assert len(world.names) == count
    await world.mirror(*world.names)
    await world.live(61)
    assert world.gone == []
    return world


async def test_a_file_that_is_gone_takes_its_object_with_it_if_the_folder_says_so(worlds: list[World]) -> None:
    world = await mirrored(worlds, 3)
    del world.tree.files["f1"]
    await world.live(57)
    assert world.gone == []
    await world.live(5)
    assert world.gone == ["f1"]
    item = world.items["f1"]
    (record,) = [one for one in [await world.journal.record(item.id)] if one]
    await world.journal.save(replace(record, removed=1.0))
    await world.live(125)
    assert world.gone == ["f1"]


async def test_by_default_objects_stay(world: World) -> None:
    for name in ("a", "b"):
        world.tree.write(name)
    await world.live(3)
    await world.mirror("a", "b")
    del world.tree.files["a"]
    await world.live(130)
    assert world.gone == []


@pytest.mark.parametrize("fault", ["missing", "empty", "incomplete", "unmounted"])
async def test_a_folder_that_cannot_be_trusted_deletes_nothing(worlds: list[World], fault: str) -> None:
    world = await mirrored(worlds, 3)
    match fault:
        case "missing":
            world.tree.missing = True
        case "empty":
            world.tree.files.clear()
        case "incomplete":
            world.tree.unread = True
            del world.tree.files["f1"]
        case "unmounted":
            world.tree.device = 2
            del world.tree.files["f1"]
    await world.live(130)
    assert world.gone == []


@pytest.mark.parametrize("back", [True, False])
async def test_a_file_that_comes_back_within_the_settle_keeps_its_object(worlds: list[World], back: bool) -> None:
    world = await mirrored(worlds, 3, settle=10.0)
    file = world.tree.files.pop("f1")
    await world.live(49)
    assert world.causes == ["start", "timer", "timer"], "a second ago"
    await world.live(5)
    if back:
        world.tree.files["f1"] = file
    await world.live(6)
    assert world.gone == ([] if back else ["f1"])


async def test_too_many_at_once_block_the_entry_until_they_are_back(worlds: list[World]) -> None:
    world = await mirrored(worlds, 20)
    away = {f"f{number}": world.tree.files.pop(f"f{number}") for number in range(11)}
    await world.live(130)
    assert world.gone == []
    record = await world.journal.record(world.items["f0"].id)
    assert record is not None
    assert (record.state, record.reason) == (State.BLOCKED, Reason.PRUNE_GUARD)
    assert "11 of 20 objects would be deleted" in record.message
    assert record.message in world.loop.status().problem
    assert len(world.said(ItemBlocked)) == 1, "once for the entry"
    world.tree.files |= away
    await world.live(61)
    assert sorted(world.names) == sorted([*(f"f{number}" for number in range(20)), *away]), "looked at again"
    await world.mirror(*away)
    await world.live(61)
    assert world.loop.status().problem == ""


async def test_an_object_that_another_entry_has_by_now_is_not_deleted(worlds: list[World]) -> None:
    world = await mirrored(worlds, 3)
    world.owners[world.items["f1"].id] = "mirror https://example.org/f1"
    del world.tree.files["f1"]
    await world.live(130)
    assert world.gone == []


# ── what is known already ─────────────────────────────────────────────────────────────────────────
async def test_what_the_journal_knows_is_not_submitted(world: World) -> None:
    for name in ("a", "b", "c"):
        world.tree.write(name)
    await world.live(3)
    await world.mirror("a", "b", "c")
    await world.live(200)
    assert world.names == ["a", "b", "c"]
    assert world.causes == ["start", "timer", "timer", "timer"]
    assert world.loop.status().files == 3

    await world.stop()
    world.loop = world.new_loop()
    await world.live(100)
    assert world.names == ["a", "b", "c"], "nor after a restart"
    assert world.held() == {}
    assert {looked for _, looked in world.tree.looks} == {("a", "b", "c")}, "one look for the settle, none later"


@pytest.mark.parametrize("what", ["options", "left the manifests"])
async def test_what_the_journal_knows_otherwise_is_submitted(worlds: list[World], what: str) -> None:
    worlds.append(world := World(settle=0.0))
    world.tree.write("a")
    await world.live(1)
    await world.mirror("a")
    await world.stop()
    if what == "options":
        world.spec = replace(world.spec, options=Options(object=ObjectOptions(cache_control="no-cache")))
    else:
        await world.journal.retire([world.items["a"].id], 1.0)
    world.loop = world.new_loop()
    await world.live(1)
    assert world.names == ["a", "a"]


async def test_what_the_scheduler_has_is_not_submitted_again_until_it_changes(world: World) -> None:
    world.tree.write("a")
    await world.live(2.5)
    for _ in range(5):
        world.kernel.hint("a")
        await world.live(60)
    assert world.names == ["a"]
    world.tree.write("a")
    await world.live(70)
    assert world.names == ["a", "a"]
    await world.mirror("a")
    await world.live(70)
    assert world.names == ["a", "a"]


async def test_what_the_scheduler_gave_up_as_missing_is_submitted_when_it_is_there(world: World) -> None:
    world.tree.write("a")
    await world.live(3)
    gone = Outcome(state=State.BLOCKED, reason=Reason.SOURCE_MISSING)
    await world.journal.save(with_outcome(world.items["a"], None, gone, 0.0))
    await world.live(65)
    assert world.names == ["a", "a"]


async def test_files_of_a_suspended_folder_are_recorded_once(worlds: list[World]) -> None:
    worlds.append(world := World(settle=0.0, options=Options(suspend=True)))
    world.tree.write("a")
    await world.live(1)
    assert world.names == ["a"]
    await world.journal.save(with_outcome(world.items["a"], None, Outcome(state=State.SUSPENDED), 0.0))
    world.tree.write("a")
    await world.live(130)
    assert world.names == ["a"]


async def test_submitted_files_that_are_done_do_not_pile_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mirrord.reconcile.arrivals.MOST_SUBMITTED", 10)
    for wave in range(10):
        names = [f"{wave}-{number}" for number in range(20)]
        for name in names:
            world.tree.write(name)
        world.kernel.hint(*names)
        await world.live(3)
        await world.mirror(*names)
    assert len(world.names) == len(set(world.names)) == 200
    assert len(world.loop._arrivals._submitted) <= 30
    await world.live(60)
    assert len(world.loop._arrivals._submitted) == 0


# ── hints ─────────────────────────────────────────────────────────────────────────────────────────
async def test_a_storm_of_hints_takes_a_fifth_of_the_time_at_most(world: World) -> None:
    await world.live(1)
    world.tree.takes = 0.1
    for _ in range(400):
        world.kernel.hint("a", "b/c", "x.tmp")
        await world.live(0.05)
    assert 10 < len(world.tree.looks) <= 20 / 0.5 + 1
    assert world.tree.scans == 1
    begins = [at for at, _ in world.tree.looks]
    assert min(later - sooner for sooner, later in pairwise(begins)) >= 0.5 - 1e-9


async def test_a_storm_of_lost_events_is_scanned_for_no_more_than_that(world: World) -> None:
    world.tree.takes = 0.1
    for _ in range(400):
        world.kernel.hint("")
        await world.live(0.05)
    assert 10 < world.tree.scans <= 20 / 0.5 + 1


async def test_a_hinted_file_does_not_wait_for_the_pause_after_a_long_scan(worlds: list[World]) -> None:
    worlds.append(world := World(settle=0.0))
    world.tree.takes = 10.0
    await world.live(10.5)
    world.tree.takes = 0.0
    world.tree.write("a")
    world.kernel.hint("a")
    await world.live(0.25)
    assert world.names == ["a"]


async def test_who_is_held_up_by_the_scheduler_makes_no_pause_of_it(worlds: list[World]) -> None:
    worlds.append(world := World(settle=0.0))

    async def submit(item: Item) -> None:
        await world.clock.sleep(1000.0)
        world.submitted.append((world.clock.monotonic(), item.source))

    world.submit = submit  # type: ignore[method-assign]
    world.loop = world.new_loop()
    await world.live(1)
    for name in "ab":
        world.tree.write(name)
        world.kernel.hint(name)
        await world.live(1001)
    assert len(world.submitted) == 2


async def test_names_below_a_hinted_directory_are_looked_at_once(world: World) -> None:
    await world.live(1)
    for name in ("d/a", "d/e/b", "dd"):
        world.tree.write(name)
    world.kernel.hint("d", "d/a", "d/e/b", "d/e", "dd")
    await world.live(0.25)
    assert world.tree.looks == [(1.0, ("d", "dd"))]
    assert world.held().keys() == {"d/a", "d/e/b", "dd"}


async def test_a_new_directory_is_looked_at_once_more(world: World) -> None:
    await world.live(1)
    world.kernel.hint("new")
    await world.live(1)
    world.tree.write("new/a")  # before the kernel watches `new`, so that no hint comes
    await world.live(5)
    assert world.names == ["new/a"]
    assert world.causes == ["start"]


async def test_more_hints_than_are_kept_become_a_scan(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "MOST_HINTED", 5)
    await world.live(1)
    world.tree.write("other")
    world.kernel.hint(*"abcdef")
    await world.live(3)
    assert world.causes == ["start", "event"]
    assert len(world.said(FolderOverflowed)) == 1
    assert world.names == ["other"]


async def test_an_overflow_is_said_once_for_a_scan(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "MOST_HINTED", 5)
    world.tree.takes = 10.0
    await world.live(1)
    for _ in range(3):
        world.kernel.hint(*"abcdef")
        await world.live(1)
    assert len(world.said(FolderOverflowed)) == 1


async def test_a_scan_that_takes_long_is_made_again_after_a_rescan_at_the_latest(world: World) -> None:
    world.tree.takes = 30.0
    await world.live(95)
    assert world.tree.scans == 2


async def test_a_hint_of_the_root_is_a_scan(world: World) -> None:
    await world.live(1)
    world.tree.write("a")
    world.kernel.hint("")
    await world.live(3)
    assert world.causes == ["start", "event"]
    assert world.names == ["a"]


async def test_what_was_hinted_at_before_a_scan_is_not_looked_at_after_it(world: World) -> None:
    await world.live(1)
    world.tree.write("a")
    world.kernel.paths.put_nowait(frozenset({ROOT, f"{ROOT}/a"}))
    await world.live(1)
    assert world.tree.scans == 2
    assert world.tree.looks == []


async def test_a_person_may_ask_for_a_scan(world: World) -> None:
    await world.live(1)
    world.loop.rescan()
    await world.live(1)
    assert world.causes == ["start", "event"]


# ── no events ─────────────────────────────────────────────────────────────────────────────────────
async def test_without_events_it_polls_with_one_warning_until_they_come(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.kernel.refuses = OSError(28, "inotify watch limit reached")
    await world.live(121)
    status = world.loop.status()
    assert status.watching == "poll"
    assert "watch limit" in status.problem
    assert 23 <= world.tree.scans <= 27, "every 5 s"
    assert len([one for one in caplog.records if one.name == folders.__name__]) == 1
    world.kernel.refuses = None
    await world.live(60)
    assert world.loop.status().watching == "events"
    assert world.loop.status().problem == ""
    before = world.tree.scans
    await world.live(55)
    assert world.tree.scans - before <= 1


async def test_events_that_end_lead_to_a_scan(world: World) -> None:
    await world.live(1)
    world.tree.write("a")
    world.kernel.paths.put_nowait(OSError("watch died"))
    await world.live(3)
    assert world.causes == ["start", "retry"]
    assert world.names == ["a"]
    assert [event.folder for event in world.said(FolderOverflowed)] == ["inbox"]
    assert world.loop.status().watching == "poll"
    assert "watch died" in world.loop.status().problem


async def test_hints_that_say_they_poll_are_believed(world: World) -> None:
    world.kernel.watching, world.kernel.problem = "poll", "a link to a directory"
    await world.live(51)
    assert world.tree.scans == 11
    assert world.loop.status().watching == "poll"
    assert world.loop.status().problem == "a link to a directory"


async def test_polling_by_setting_asks_for_no_events(worlds: list[World]) -> None:
    worlds.append(world := World(watch="poll", poll_interval=10.0))
    await world.live(51)
    assert world.kernel.opened == 0
    assert world.causes == ["start"] + ["timer"] * 5
    assert (world.loop.status().watching, world.loop.status().problem) == ("poll", "")


# ── trouble ───────────────────────────────────────────────────────────────────────────────────────
async def test_a_root_that_is_gone_is_said_and_found_again(world: World) -> None:
    world.tree.write("a")
    await world.live(3)
    assert world.loop.status().complete
    world.tree.missing = True
    await world.live(60)
    status = world.loop.status()
    assert (status.complete, status.files, status.problem) == (False, 0, f"{ROOT}: cannot be read")
    assert world.said(FolderRescanned)[-1].problem == f"{ROOT}: cannot be read"
    world.tree.missing = False
    world.tree.write("b")
    await world.live(8)
    assert world.names == ["a", "b"], "within a poll_interval and a settle; what the scheduler has, it still has"
    assert world.loop.status().complete
    assert world.causes[-1] == "retry"


async def test_an_unreadable_part_stops_nothing_and_hurries_nothing(world: World) -> None:
    world.tree.write("a")
    trouble = (SimpleNamespace(path=f"{ROOT}/{one}", message="denied") for one in "xy")

    class Partly(Tree):
        async def enumerate(self) -> AsyncGenerator[SimpleNamespace]:
            async for found in super().enumerate():
                yield found
            self.complete = False

    world.tree.__class__ = Partly
    problems = tuple(trouble)
    Partly.problems = property(lambda self: problems, lambda self, _: None)  # type: ignore[assignment]
    await world.live(100)
    assert world.names == ["a"]
    assert world.causes == ["start", "timer"]
    assert world.loop.status().problem == f"{ROOT}/x: denied (and 1 more)"


async def test_a_name_that_makes_no_key_is_said_and_stops_nothing(world: World) -> None:
    for name in ("x" * 1100, "y" * 1100, "good"):
        world.tree.write(name)
    await world.live(3)
    assert world.names == ["good"]
    problem = world.loop.status().problem
    assert "1,102 bytes" not in problem.split(":")[0]
    assert "S3 takes 1,024" in problem
    assert "1 more names make no key" in problem
    del world.tree.files["x" * 1100], world.tree.files["y" * 1100]
    await world.live(60)
    assert world.loop.status().problem == ""


async def test_a_journal_that_fails_is_said_and_waited_for(world: World) -> None:
    world.journal.broken = True
    world.tree.write("a")
    await world.live(21)
    assert world.loop.status().problem == "nothing is queued: disk full"
    assert 3 <= world.tree.scans <= 5
    world.journal.broken = False
    await world.live(8)
    assert world.names == ["a"]
    assert world.loop.status().problem == ""


async def test_cancelled_it_leaves_nothing_and_runs_again(world: World) -> None:
    world.tree.takes = 5.0
    world.tree.write("a")
    await world.live(1)
    assert world.tree.open == 1
    before = len(asyncio.all_tasks())
    await world.stop()
    assert world.tree.open == 0
    assert world.kernel.closed == 1
    assert len(asyncio.all_tasks()) <= before - 2
    await world.live(40)
    assert world.names == ["a"]
    assert world.causes == ["start"]


async def test_a_fault_of_ours_is_raised_as_itself(world: World) -> None:
    async def submit(item: Item) -> None:
        raise ZeroDivisionError

    world.submit = submit  # type: ignore[method-assign]
    world.loop = world.new_loop()
    world.tree.write("a")
    with pytest.raises(ZeroDivisionError):
        await world.live(3)
    world.task = None


# ── conflicts ─────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("order", ["ab", "ba"])
@pytest.mark.parametrize("settle", [0.0, 2.0])
async def test_of_two_files_with_one_key_the_first_by_name_has_it(
    worlds: list[World], order: str, settle: float
) -> None:
    worlds.append(world := World(key="in/{name}", settle=settle))
    for directory in order:
        world.tree.write(f"{directory}/x")
    await world.live(3)
    assert world.names[-1] == "a/x"
    if settle:
        assert world.names == ["a/x"]
    blocked = world.held()["b/x"]
    assert (blocked.state, blocked.reason) == (State.BLOCKED, Reason.CONFLICT)
    assert "b/x and a/x have one object, s3://bucket/in/x" in blocked.message
    assert world.loop.status().problem == blocked.message
    await world.mirror("a/x")
    await world.live(180)
    assert world.names[-1] == "a/x"
    assert [event.reason for event in world.said(ItemBlocked)] == [Reason.CONFLICT], "said once"
    assert world.held().keys() == {"b/x"}
    count = len(world.names)

    del world.tree.files["a/x"]
    world.kernel.hint("a/x")
    await world.live(65)
    assert world.names[count:] == ["b/x"]
    assert world.held() == {}
    assert world.loop.status().problem == ""


async def test_a_conflict_ends_with_its_file_though_no_event_tells(worlds: list[World]) -> None:
    worlds.append(world := World(key="in/{name}"))
    world.tree.write("a/x")
    world.tree.write("b/x")
    await world.live(3)
    assert world.held().keys() == {"b/x"}
    del world.tree.files["b/x"]
    await world.live(60)
    assert world.held() == {}
    assert world.names == ["a/x"]


async def test_a_file_that_comes_later_but_is_first_by_name_takes_the_key(world: World) -> None:
    world.spec = replace(world.spec, key="in/{name}")
    world.loop = world.new_loop()
    world.tree.write("b/x")
    await world.live(3)
    await world.mirror("b/x")
    world.tree.write("a/x")
    world.kernel.hint("a/x")
    await world.live(3)
    assert world.names == ["b/x", "a/x"]
    assert world.held()["b/x"].state is State.BLOCKED
    await world.mirror("a/x")
    await world.live(130)
    assert world.names == ["b/x", "a/x"], "it does not go back and forth"


async def test_an_object_that_another_entry_has_is_left_to_it(world: World) -> None:
    world.tree.write("a")
    await world.live(0.5)
    (waiting,) = world.loop.held()
    world.owners[waiting.id] = "mirror https://example.org/a"
    await world.live(3)
    assert world.names == []
    assert "a and mirror https://example.org/a have one object" in world.held()["a"].message
    world.owners.clear()
    await world.live(65)
    assert world.names == ["a"]


async def test_other_folders_can_ask_whether_a_file_has_an_object(world: World) -> None:
    world.tree.write("a")
    await world.live(3)
    item = world.items["a"]
    assert await world.loop.has(item.source, item.id)
    assert not await world.loop.has(item.source, "0" * 16)
    assert not await world.loop.has("file:///elsewhere/a", item.id)
    del world.tree.files["a"]
    assert not await world.loop.has(item.source, item.id)


async def test_conflicts_that_are_kept_are_bounded(worlds: list[World], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mirrord.reconcile.conflicts.MOST_CONFLICTS", 5)
    worlds.append(world := World(key="in/{name}", settle=0.0))
    for number in range(20):
        world.tree.write(f"{number:02}/x")
    await world.live(130)
    assert world.names == ["00/x"]
    assert len(world.held()) == 5
    assert len(world.said(ItemBlocked)) == 5
