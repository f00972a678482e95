"""Two sources, one object: which file of a folder stands back, for whom, and until when."""

import pytest

from mirrord.errors import Reason
from mirrord.events import ItemBlocked
from mirrord.folders.ports import Rival
from mirrord.model import State
from tests.support.folder_world import World
from tests.support.records import with_fields


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
    blocked = world.waiting()["b/x"]
    assert (blocked.state, blocked.reason) == (State.BLOCKED, Reason.CONFLICT)
    assert "b/x and a/x have one object, s3://bucket/in/x" in blocked.message
    assert world.loop.status().problem == blocked.message
    await world.mirror("a/x")
    await world.live(180)
    assert world.names[-1] == "a/x"
    assert [event.reason for event in world.events_of(ItemBlocked)] == [Reason.CONFLICT], "said once"
    assert world.waiting().keys() == {"b/x"}
    count = len(world.names)

    del world.tree.files["a/x"]
    world.kernel.hint("a/x")
    await world.live(65)
    assert world.names[count:] == ["b/x"]
    assert world.waiting() == {}
    assert world.loop.status().problem == ""


async def test_a_conflict_ends_with_its_file_without_an_event(worlds: list[World]) -> None:
    worlds.append(world := World(key="in/{name}"))
    world.tree.write("a/x")
    world.tree.write("b/x")
    await world.live(3)
    assert world.waiting().keys() == {"b/x"}
    del world.tree.files["b/x"]
    await world.live(60)
    assert world.waiting() == {}
    assert world.names == ["a/x"]


async def test_a_later_file_that_is_first_by_name_gets_the_key(world: World) -> None:
    world.spec = with_fields(world.spec, key="in/{name}")
    world.loop = world.new_loop()
    world.tree.write("b/x")
    await world.live(3)
    await world.mirror("b/x")
    world.tree.write("a/x")
    world.kernel.hint("a/x")
    await world.live(3)
    assert world.names == ["b/x", "a/x"]
    assert world.waiting()["b/x"].state is State.BLOCKED
    await world.mirror("a/x")
    await world.live(130)
    assert world.names == ["b/x", "a/x"], "it does not go back and forth"


async def test_an_object_that_another_entry_has_is_left_to_it(world: World) -> None:
    world.tree.write("a")
    await world.live(0.5)
    (waiting,) = world.waiting().values()
    world.owners[waiting.id] = Rival("mirror https://example.org/a")
    await world.live(3)
    assert world.names == []
    assert "a and mirror https://example.org/a have one object" in world.waiting()["a"].message
    world.owners.clear()
    await world.live(65)
    assert world.names == ["a"]


async def test_other_folders_can_ask_whether_a_file_has_an_object(world: World) -> None:
    world.tree.write("a")
    await world.live(3)
    item = world.items["a"]
    assert await world.loop.claim_of(item.origin.address, item.id)
    assert not await world.loop.claim_of(item.origin.address, "0" * 16)
    assert not await world.loop.claim_of("file:///elsewhere/a", item.id)
    del world.tree.files["a"]
    assert not await world.loop.claim_of(item.origin.address, item.id)


async def test_conflicts_that_are_kept_are_bounded(worlds: list[World], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mirrord.folders.candidates.MOST_CONFLICTS", 5)
    worlds.append(world := World(key="in/{name}", settle=0.0))
    for number in range(20):
        world.tree.write(f"{number:02}/x")
    await world.live(130)
    assert world.names == ["00/x"]
    assert len(world.waiting()) == 5
    assert len(world.events_of(ItemBlocked)) == 5


async def test_a_file_that_two_links_lead_to_is_in_no_conflict(worlds: list[World]) -> None:
    worlds.append(world := World(key="in/{name}"))
    world.tree.write("b/x")
    await world.live(3)
    await world.mirror("b/x")
    world.tree.files["a/x"] = world.tree.files["b/x"]
    await world.live(65)
    assert world.names == ["b/x", "a/x"]
    await world.mirror("a/x")
    await world.live(130)
    assert world.names == ["b/x", "a/x"], "it does not go back and forth"
    assert world.waiting() == {}
    assert not world.events_of(ItemBlocked)
    del world.tree.files["a/x"]
    await world.live(65)
    assert world.names == ["b/x", "a/x", "b/x"]


async def test_the_same_file_of_another_folder_is_in_no_conflict(world: World) -> None:
    world.tree.write("a")
    await world.live(0.5)
    (waiting,) = world.waiting().values()
    world.owners[waiting.id] = Rival("file:///elsewhere/a in the folder b", same_file=True)
    await world.live(3)
    assert (world.names, world.waiting()) == ([], {})
    assert not world.events_of(ItemBlocked)


async def test_what_a_folder_wants(worlds: list[World]) -> None:
    """Objects of files that wait, were submitted or are in conflict; not of those that are done."""
    worlds.append(world := World(key="in/{name}"))
    for name in ("a/x", "b/x", "c/y"):
        world.tree.write(name)
    await world.live(3)
    x, y = (world.items[name].id for name in ("a/x", "c/y"))
    assert (world.loop.wants(x), world.loop.wants(y), world.loop.wants("0" * 16)) == (True, True, False)
    for name in ("a/x", "c/y"):
        await world.mirror(name)
    await world.live(65)
    assert (world.loop.wants(x), world.loop.wants(y)) == (True, False)
