"""One review of held and desired items: what is held, what leaves, what the guard refuses, and what is recorded."""

import tracemalloc
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from mirrord.errors import Reason
from mirrord.events import Event, ItemBlocked
from mirrord.journal.sqlite import SqliteJournal
from mirrord.model import Destination, FormerSource, Holder, Record, State, Transfer
from mirrord.planning.decisions.leaving import EntryInForce, LoadedEntries
from mirrord.ports import Journal
from mirrord.reconcile.leaving import Leaving
from mirrord.reconcile.left_items import LeftItem, LeftItems
from mirrord.reconcile.records import LEFT
from mirrord.testing import ManualClock, MemoryJournal
from tests.support.journals import transfer
from tests.support.records import make_record

MINE = EntryInForce("/m.yaml", prunes=True)
HOLDER = Holder(file="/m.yaml", entry="mine")


def place(name: str) -> Destination:
    return Destination("default", "http://s", "bucket", name)


def recorded(name: str, **changes: object) -> Record:
    values = {"state": State.SYNCED, "etag": '"e"', "transfer_id": "t", "etag_from_head": True, **changes}
    at = place(name)
    return make_record(item_id=at.item_id, entry="mine", source=f"https://h/{name}", destination=at, **values)


@dataclass
class Desired:
    items: Mapping[str, str]

    def entry_of(self, item_id: str) -> str | None:
        return self.items.get(item_id)

    def pairs(self) -> Iterator[tuple[str, str]]:
        return iter(self.items.items())


@dataclass
class World:
    journal: Journal = field(default_factory=MemoryJournal)
    events: list[Event] = field(default_factory=list)
    clock: ManualClock = field(default_factory=ManualClock)

    @property
    def leaving(self) -> Leaving:
        return Leaving(self.journal, self.events.append, self.clock)

    async def review(
        self, *names: str, entry: str = "mine", most: float | None = None, **entries: EntryInForce
    ) -> LeftItems:
        """With these items of `entry`, and the entries in force."""
        now = LoadedEntries(files={"/m.yaml"}, entries=entries, stores={"default": "http://s"})
        return await self.leaving.review(Desired({place(name).item_id: entry for name in names}), now, most)

    async def allowed(self, found: LeftItems) -> list[LeftItem]:
        return [one async for one in self.leaving.all_items(found, await found.allowed())]

    async def note(self, found: LeftItems) -> None:
        await self.leaving.note(found, await found.allowed())

    async def held(self) -> dict[str, Holder]:
        return {item_id: holder async for item_id, holder in self.journal.held()}


@pytest.fixture
def world() -> World:
    return World()


async def test_items_are_held_by_the_version_that_has_them(world: World) -> None:
    names, ids = "abc", [place(name).item_id for name in "abc"]
    assert not (await world.review(*names, mine=replace(MINE, prunes=False))).held
    assert await world.held() == {}
    await world.review(*names, mine=MINE)
    assert await world.held() == dict.fromkeys(ids, HOLDER)
    await world.review(*names, "d", mine=MINE)
    assert await world.held() == dict.fromkeys([*ids, place("d").item_id], HOLDER)
    await world.journal.release([place("d").item_id])
    await world.review(*names, mine=replace(MINE, most=0.5))
    assert await world.held() == dict.fromkeys(ids, replace(HOLDER, most=0.5))
    await world.review(*names, entry="renamed", renamed=MINE)
    assert await world.held() == dict.fromkeys(ids, replace(HOLDER, entry="renamed"))
    await world.review(*names, entry="renamed", renamed=replace(MINE, prunes=False))
    assert await world.held() == {}


async def test_what_left_is_deleted_by_the_word_of_its_last_holder(world: World) -> None:
    await world.journal.save_all([recorded("a"), recorded("b")])
    await world.review("a", "b", mine=MINE)
    found = await world.review("a", mine=replace(MINE, prunes=False))
    (left,) = await world.allowed(found)
    assert (left.item.destination, left.item.origin, left.item.gone) == (
        place("b"),
        FormerSource("https://h/b"),
        True,
    )
    assert set(found.held) == {place("b").item_id}
    assert await world.held() == {place("b").item_id: HOLDER}  # until it is deleted, also if the process is killed
    await world.note(found)
    record = await world.journal.record(place("b").item_id)
    assert record is not None
    assert (record.condition.state, record.condition.message, record.removed) == (State.PENDING, LEFT, None)
    assert not (await world.review("a", "b", mine=MINE)).held


@pytest.mark.parametrize(("every", "expected"), [(None, 3600.0), (60.0, 60.0)])
async def test_a_failed_deletion_is_tried_again_at_the_every_of_its_entry(
    world: World, every: float | None, expected: float
) -> None:
    await world.journal.save(recorded("b"))
    await world.review("b", mine=MINE)
    (left,) = await world.allowed(await world.review(mine=replace(MINE, every=every)))
    assert left.item.options.schedule.every == expected


async def test_an_item_that_was_never_in_sync_leaves_with_its_transfers(world: World) -> None:
    await world.review("a", "b", mine=MINE)
    at = place("b")
    opened: Transfer = replace(transfer(), item_id=at.item_id, destination=at)
    await world.journal.begin(opened)
    found = await world.review(mine=MINE)
    assert [one.item.destination for one in await world.allowed(found)] == [at]
    assert await world.held() == {at.item_id: HOLDER}  # nothing is known of `a`


@pytest.mark.parametrize(("most", "state", "events"), [(1.0, State.PENDING, 0), (None, State.BLOCKED, 1)])
async def test_many_are_noted_some_at_a_time(
    world: World, most: float | None, state: State, events: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mirrord.reconcile.leaving._BATCH", 3)
    names = [f"{number}" for number in range(20)]
    await world.journal.save_all([recorded(name) for name in names])
    await world.review(*names, mine=MINE)
    await world.note(await world.review(mine=MINE, most=most))
    records = await world.journal.recorded([place(name).item_id for name in names])
    assert [one.condition.state for one in records.values()] == [state] * 20
    assert [type(event) for event in world.events] == [ItemBlocked] * events, "of an entry, one is reported"


async def test_an_item_that_left_takes_little_memory(tmp_path: Path) -> None:
    """Its id and a number: a million may leave at once."""
    names = [f"data/{number:05}.bin" for number in range(3_000)]
    async with SqliteJournal(tmp_path / "state.db") as journal:
        world = World(journal)
        await journal.save_all([recorded(name) for name in names])
        await world.review(*names, mine=MINE)
        tracemalloc.start()
        try:
            found = await world.review(mine=replace(MINE, every=60.0), most=1.0)
            assert len(await found.allowed()) == 3_000
            assert tracemalloc.get_traced_memory()[0] < 3_000 * 400
        finally:
            tracemalloc.stop()


async def test_the_guard_refuses_all_deletions_of_an_entry(world: World) -> None:
    names = [f"{number}" for number in range(100)]
    await world.journal.save_all([recorded(name) for name in names])
    await world.review(*names, mine=MINE)
    found = await world.review(*names[:89], mine=MINE)
    (why,) = found.refused.values()
    assert (list(await found.allowed()), len(await found.blocked())) == ([], 11)
    assert why[:37] == "11 of 100 objects would be deleted, m"
    await world.note(found)
    await world.note(await world.review(*names[:89], mine=MINE))
    assert [type(event) for event in world.events] == [ItemBlocked]
    record = await world.journal.record(place("99").item_id)
    assert record is not None
    assert (record.condition.state, record.condition.reason) == (State.BLOCKED, Reason.PRUNE_GUARD)
    assert len(await world.allowed(await world.review(*names[:90], mine=MINE))) == 10
    await world.review(*names, mine=MINE)
    for allowed, given in [(0.1, {}), (0.11, {}), (None, {"most": 0.11})]:
        mine = replace(MINE, most=None if given else allowed)
        left = await world.review(*names[:89], mine=mine, **given)
        assert len(await left.allowed()) == (0 if allowed == 0.1 else 11)


async def test_what_the_manifest_allowed_for_one_item_does_not_count_for_others(world: World) -> None:
    names = [f"{number}" for number in range(100)]
    await world.journal.save_all([recorded(name) for name in names])
    await world.review(*names, mine=replace(MINE, most=1.0))
    await world.review(*names[1:], mine=MINE)  # the deletion of the first one is late
    found = await world.review(*names[50:], mine=MINE)
    assert (list(await found.allowed()), len(await found.blocked())) == ([], 50)


async def test_the_guard_does_not_count_an_entry_of_another_file(world: World) -> None:
    """Two manifests that are never loaded together, with entries of the same name."""
    names = [f"{number}" for number in range(20)]
    theirs = [recorded(f"theirs{number}") for number in range(200)]
    await world.journal.save_all([*(recorded(name) for name in names), *theirs])
    await world.journal.hold({replace(HOLDER, file="/theirs.yaml"): [one.item_id for one in theirs]})
    await world.review(*names, mine=MINE)
    assert not await (await world.review(*names[12:], mine=MINE)).allowed()


async def test_a_desired_object_that_may_be_the_same_goes_with_the_deletion(world: World) -> None:
    await world.journal.save_all([recorded("a"), recorded("b")])
    await world.review("a", "b", mine=MINE)
    public = replace(place("a"), store="public", endpoint="http://p")
    now = LoadedEntries(files={"/m.yaml"}, entries={"mine": MINE}, stores={"default": "http://s", "public": "http://p"})
    found = await world.leaving.review(Desired({public.item_id: "mine"}), now)
    assert {one.item.destination: one.item.origin for one in await world.allowed(found)} == {
        place("a"): FormerSource("https://h/a", (public,)),
        place("b"): FormerSource("https://h/b"),
    }


async def test_objects_of_other_tools_do_not_count(world: World) -> None:
    names = [f"{number}" for number in range(20)]
    await world.journal.save_all([recorded(name, transfer_id=None) for name in names])
    await world.review(*names, mine=MINE)
    assert len(await world.allowed(await world.review(names[0], mine=MINE))) == 19


async def test_a_change_of_the_guard_calls_deletions_off(world: World) -> None:
    names = [f"{number}" for number in range(20)]
    await world.journal.save_all([recorded(name) for name in names])
    await world.review(*names, mine=MINE)
    await world.note(await world.review(names[0], mine=MINE))
    found = await world.review(names[0], mine=replace(MINE, prunes=False))
    assert (list(found.held), found.refused) == ([], {})
    assert await world.held() == {}
