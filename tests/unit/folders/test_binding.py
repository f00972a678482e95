"""Keys with `{date}`: a path keeps the date of when it was first recorded, whatever its file's mtime is by then."""

from collections import Counter
from collections.abc import Collection
from dataclasses import replace

import pytest

from mirrord.errors import Reason
from mirrord.folders.loop import BATCH
from mirrord.model import FileIdentity, State
from mirrord.reconcile.removal import without_object
from mirrord.testing import MemoryJournal
from tests.support.folder_world import World
from tests.support.records import with_fields

DAY = 86_400
KEY = "in/{date:%m-%d}/{path}"


def put(world: World, name: str, day: int) -> None:
    """A file whose mtime is on that day of 1970, from the first of January."""
    world.tree.write(name)
    file = world.tree.files[name]
    world.tree.files[name] = replace(file, mtime_ns=((day - 1) * DAY + 60) * 10**9)


def keys(world: World) -> list[str]:
    return [world.items[name].destination.key for name in sorted(world.items)]


async def dated(worlds: list[World], **spec: object) -> World:
    worlds.append(world := World(**{"key": KEY, "settle": 0.0, **spec}))
    return world


@pytest.mark.parametrize("settle", [0.0, 2.0])
async def test_a_file_that_is_edited_another_day_keeps_its_object(worlds: list[World], settle: float) -> None:
    world = await dated(worlds, settle=settle)
    put(world, "a", day=1)
    await world.live(3)
    assert keys(world) == ["in/01-01/a"]
    await world.mirror("a")
    put(world, "a", day=2)
    put(world, "b", day=2)
    world.kernel.hint("a", "b")
    await world.live(1)
    waiting = {name: one.destination for name, one in world.waiting().items()}
    assert waiting == ({"a": "s3://bucket/in/01-01/a", "b": "s3://bucket/in/01-02/b"} if settle else {})
    await world.live(5)
    assert world.names == (["a", "b", "a"] if world.names[1] == "b" else ["a", "a", "b"])
    assert keys(world) == ["in/01-01/a", "in/01-02/b"], "a new path takes its file's mtime"
    await world.mirror("a", "b")
    await world.live(130)
    assert len(world.names) == 3


@pytest.mark.parametrize("settle", [0.0, 2.0])
async def test_a_file_that_changes_before_anything_is_recorded_keeps_the_date_it_was_queued_with(
    worlds: list[World], settle: float
) -> None:
    """As `cp -p` does where there is no settle: written today, then given the time of long ago."""
    world = await dated(worlds, settle=settle)
    put(world, "a", day=9)
    await world.live(3)
    put(world, "a", day=1)
    world.kernel.hint("a")
    await world.live(5)
    assert world.names == ["a", "a"]
    assert keys(world) == ["in/01-09/a"], "the one item that is looked at"
    del world.tree.files["a"]
    world.kernel.hint("a")
    await world.live(3)
    put(world, "a", day=2)
    world.kernel.hint("a")
    await world.live(5)
    assert keys(world) == ["in/01-02/a"], "nothing was recorded, and it is another file"


async def test_a_growing_file_is_recorded_with_its_last_mtime(worlds: list[World]) -> None:
    world = await dated(worlds, settle=2.0, ready="*.done")
    for day in (1, 2, 3):
        put(world, "a", day)
        world.kernel.hint("a")
        await world.live(1)
        assert [one.destination for one in world.waiting().values()] == ["s3://bucket/in/01-01/a"]
    await world.live(3)
    assert world.waiting()["a"].destination == "s3://bucket/in/01-03/a"
    assert world.waiting()["a"].reason is Reason.NO_MARKER
    world.tree.markers.add("a.done")
    world.kernel.hint("a.done")
    await world.live(1)
    assert keys(world) == ["in/01-03/a"]
    assert set(world.loop._intake.candidates._claims) == {world.items["a"].id}, "no claim on the other days is left"


async def test_files_that_are_removed_and_created_again(worlds: list[World]) -> None:
    world = await dated(worlds, delete="mirror")
    put(world, "a", day=1)
    put(world, "b", day=1)
    await world.live(1)
    await world.mirror("a", "b")
    put(world, "a", day=2)
    await world.live(130)
    assert world.names.count("a") == 2
    assert world.gone == [], "the object of the first day is that of the file"
    await world.mirror("a")

    old = world.items["a"].id
    del world.tree.files["a"]
    await world.live(65)
    assert world.gone == ["a"]
    put(world, "a", day=3)
    await world.live(65)
    assert world.items["a"].id == old, "back while its item is in force"
    del world.tree.files["a"]
    world.kernel.hint("a")
    await world.live(1)
    (before,) = (await world.journal.recorded([old])).values()
    await world.journal.save(without_object(before, 1.0, "its file is gone"))
    put(world, "a", day=4)
    await world.live(65)
    assert keys(world) == ["in/01-04/a", "in/01-01/b"], "its object was deleted"


async def test_a_change_of_the_template_makes_new_keys_of_the_dates_that_are_kept(worlds: list[World]) -> None:
    world = await dated(worlds)
    put(world, "a", day=1)
    await world.live(1)
    await world.mirror("a")
    put(world, "a", day=2)
    await world.stop()
    world.spec = with_fields(world.spec, key="other/{path}.{date:%m%d}")
    world.loop = world.new_loop()
    await world.live(1)
    assert keys(world) == ["other/a.0101"]
    await world.mirror("a")
    await world.stop()
    world.spec = with_fields(world.spec, key="plain/{path}")
    world.loop = world.new_loop()
    await world.live(1)
    assert keys(world) == ["plain/a"]
    assert world.items["a"].dated is None


async def test_an_entry_by_another_name_keeps_the_dates(worlds: list[World]) -> None:
    world = await dated(worlds)
    put(world, "a", day=1)
    await world.live(1)
    await world.mirror("a")
    await world.stop()
    await world.journal.retire([world.items["a"].id], 1.0)
    world.spec = replace(world.spec, entry="renamed")
    world.loop = world.new_loop()
    put(world, "a", day=2)
    await world.live(1)
    assert keys(world) == ["in/01-01/a"]


async def test_conflicts_are_of_the_dates_that_are_kept(worlds: list[World]) -> None:
    world = await dated(worlds, key="{date:%m-%d}/{name}")
    put(world, "a/x", day=1)
    await world.live(1)
    await world.mirror("a/x")
    put(world, "a/x", day=2)
    world.kernel.hint("a/x")
    await world.live(1)
    await world.mirror("a/x")
    put(world, "b/x", day=2)
    world.kernel.hint("b/x")
    await world.live(1)
    assert world.waiting() == {}
    assert keys(world) == ["01-01/x", "01-02/x"]
    put(world, "c/x", day=1)
    world.kernel.hint("c/x")
    await world.live(1)
    assert world.waiting()["c/x"].state is State.BLOCKED
    item = world.items["a/x"]
    assert await world.loop.claim_of(item.origin.address, item.id)
    put(world, "c/x", day=3)  # never recorded: its mtime is its date
    world.kernel.hint("c/x")
    await world.live(1)
    assert world.waiting() == {}
    assert keys(world)[2] == "01-03/x"


@pytest.mark.parametrize(("key", "questions"), [(KEY, 3), ("in/{path}", 0)])
async def test_dates_cost_one_question_a_batch_and_none_where_there_are_none(
    worlds: list[World], monkeypatch: pytest.MonkeyPatch, key: str, questions: int
) -> None:
    asked: Counter[int] = Counter()
    dates = MemoryJournal.dates

    async def counted(self: MemoryJournal, sources: Collection[str]) -> dict[str, float]:
        asked[len(sources)] += 1
        return await dates(self, sources)

    monkeypatch.setattr(MemoryJournal, "dates", counted)
    world = await dated(worlds, key=key)
    for number in range(2 * BATCH + 1):
        world.tree.files[f"f{number}"] = FileIdentity(1, number, 1, 1, 1)
    await world.live(1)
    assert len(world.names) == 2 * BATCH + 1
    assert asked.total() == questions
