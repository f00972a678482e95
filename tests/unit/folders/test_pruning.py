"""Files that go from a watched folder, and when their objects go with them."""

from dataclasses import replace
from typing import Any

import pytest

from mirrord.errors import Reason
from mirrord.events import ItemBlocked
from mirrord.folders.ports import Rival
from mirrord.model import State
from tests.support.folder_world import World


# ── files that go ─────────────────────────────────────────────────────────────────────────────────
async def mirrored(worlds: list[World], count: int, **spec: Any) -> World:
    """A world whose files stand at the store."""
    worlds.append(world := World(delete="mirror", **spec))
    for number in range(count):
        world.tree.write(f"f{number}")
    await world.live(world.spec.times.settle + 1)
    assert len(world.names) == count
    await world.mirror(*world.names)
    await world.live(61)
    assert world.gone == []
    return world


async def test_the_object_of_a_missing_file_is_deleted_with_delete_mirror(worlds: list[World]) -> None:
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


async def test_a_renamed_file_is_submitted_before_its_old_object_is_deleted(worlds: list[World]) -> None:
    """One scan finds the new name and misses the old one: what is copied must stand until then."""
    world = await mirrored(worlds, 3)
    del world.tree.files["f1"]
    world.tree.write("new")
    for _ in range(700):
        if "new" in world.names:
            break
        await world.live(0.1)
    assert "new" in world.names
    await world.live(0.9)
    assert world.gone == []
    await world.live(0.5)
    assert world.gone == ["f1"]


async def test_a_file_that_after_upload_removed_does_not_count_as_missing(worlds: list[World]) -> None:
    world = await mirrored(worlds, 3)
    record = await world.journal.record(world.items["f1"].id)
    assert record is not None
    assert record.revision is not None
    await world.journal.save(replace(record, revision=replace(record.revision, departs=True)))
    del world.tree.files["f1"], world.tree.files["f2"]
    await world.live(65)
    assert world.gone == ["f2"]


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
async def test_a_file_that_is_created_again_within_the_settle_keeps_its_object(worlds: list[World], back: bool) -> None:
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
    assert (record.condition.state, record.condition.reason) == (State.BLOCKED, Reason.PRUNE_GUARD)
    assert "11 of 20 objects would be deleted" in record.condition.message
    assert record.condition.message in world.loop.status().problem
    assert len(world.events_of(ItemBlocked)) == 1, "once for the entry"
    world.tree.files |= away
    await world.live(61)
    assert sorted(world.names) == sorted([*(f"f{number}" for number in range(20)), *away]), "looked at again"
    await world.mirror(*away)
    await world.live(61)
    assert world.loop.status().problem == ""


async def test_an_object_that_another_entry_has_by_now_is_not_deleted(worlds: list[World]) -> None:
    world = await mirrored(worlds, 3)
    world.owners[world.items["f1"].id] = Rival("mirror https://example.org/f1")
    del world.tree.files["f1"]
    await world.live(130)
    assert world.gone == []


# ── another directory in the folder's place ───────────────────────────────────────────────────────
async def test_one_that_lacks_a_file_deletes_nothing_until_it_has_it_or_the_former_is_back(worlds: list[World]) -> None:
    world = await mirrored(worlds, 3)
    del world.tree.files["f1"]
    world.tree.root = (1, 2_000)
    await world.live(130)
    assert world.gone == []
    assert "another one" in world.loop.status().problem
    record = await world.journal.record(world.items["f1"].id)
    assert record is not None
    assert (record.condition.state, record.condition.reason) == (State.BLOCKED, Reason.PRUNE_GUARD)
    await world.stop()
    world.loop = world.new_loop()
    await world.live(130)
    assert world.gone == [], "a restart forgets nothing"
    world.tree.root = (1, 1_000)
    await world.live(65)
    assert world.gone == ["f1"], "the former directory may lack a file"
    assert world.loop.status().problem == ""


async def test_one_that_has_every_file_is_the_folder_from_then_on(worlds: list[World]) -> None:
    world = await mirrored(worlds, 3)
    world.tree.root = (1, 2_000)
    await world.live(65)
    assert world.loop.status().problem == ""
    del world.tree.files["f1"]
    await world.live(65)
    assert world.gone == ["f1"]


async def test_a_folder_that_deletes_nothing_remembers_its_directory_too(worlds: list[World]) -> None:
    worlds.append(world := World())
    world.tree.write("a")
    await world.live(5)
    assert await world.journal.folder_root(world.spec.entry, world.spec.path) == (1, 1_000)
