"""What becomes of the files that a folder's loop finds: they settle, wait for markers, are known, or are submitted."""

from dataclasses import replace

import pytest

from mirrord.errors import Reason
from mirrord.events import FolderSettled
from mirrord.model import ObjectOptions, Options, Outcome, State
from mirrord.reconcile.records import with_outcome
from mirrord.units import MiB
from tests.support.folder_world import World


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
    assert [(event.folder, event.files, event.waiting) for event in world.events_of(FolderSettled)] == [
        ("inbox", 1, 0)
    ] * 2


async def test_a_growing_file_waits_with_a_reason(world: World) -> None:
    world.tree.write("a", 1 * MiB)
    await world.live(1)
    (waiting,) = world.waiting().values()
    assert (waiting.state, waiting.reason) == (State.WAITING, Reason.STILL_GROWING)
    assert (waiting.destination, waiting.store, waiting.entry) == ("s3://bucket/in/a", "default", "inbox")
    assert waiting.message == "settling, 1.0 MiB, first seen 1s ago"
    assert waiting.since == world.clock.now() - 1
    for size in range(2, 13):
        world.tree.write("a", size * MiB)
        await world.live(1)
    assert world.submitted == []
    assert world.waiting()["a"].message.startswith("still growing, 1")
    assert world.waiting()["a"].since == waiting.since
    await world.live(4)
    assert world.names == ["a"]
    assert world.waiting() == {}


async def test_a_hint_of_a_change_restarts_the_settle_at_once(world: World) -> None:
    world.tree.write("a")
    await world.live(1.5)
    world.tree.write("a")
    world.kernel.hint("a")
    await world.live(3)
    assert world.submitted == [(3.5, "a")]


async def test_a_file_that_is_removed_before_it_settles_is_forgotten(world: World) -> None:
    world.tree.write("a")
    world.tree.write("b")
    await world.live(0.5)
    del world.tree.files["a"], world.tree.files["b"]
    world.kernel.hint("a")
    await world.live(0.5)
    assert world.waiting().keys() == {"b"}, "only what was hinted at is looked at early"
    await world.live(3)
    assert world.waiting() == {}
    assert world.submitted == []


async def test_more_unsettled_files_than_the_table_holds_are_submitted_in_turns(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mirrord.folders.candidates.MOST_UNSETTLED", 10)
    names = {f"f{number}" for number in range(35)}
    for name in names:
        world.tree.write(name)
    await world.live(1)
    assert len(world.waiting()) == 10
    await world.live(9)
    assert sorted(world.names) == sorted(names)
    assert world.causes == ["start", "retry", "retry", "retry"]


# ── markers ───────────────────────────────────────────────────────────────────────────────────────
async def test_a_file_is_submitted_when_its_marker_exists(worlds: list[World]) -> None:
    worlds.append(world := World(ready="*.done", rescan=300.0))
    world.tree.write("d/a.csv")
    await world.live(1)
    assert world.waiting()["d/a.csv"].reason is Reason.STILL_GROWING
    await world.live(2)
    waiting = world.waiting()["d/a.csv"]
    assert (waiting.state, waiting.reason) == (State.WAITING, Reason.NO_MARKER)
    assert waiting.message == "no marker: waits for d/a.csv.done or d/a.done"
    assert waiting.since == world.clock.now() - 1
    world.tree.markers.add("d/b.done")
    world.kernel.hint("d/b.done")
    await world.live(5)
    assert world.submitted == []
    assert world.waiting()["d/a.csv"].since == waiting.since
    world.tree.markers.add("d/a.done")
    world.kernel.hint("d/a.done")
    await world.live(0.25)
    assert world.submitted == [(8.0, "d/a.csv")], "at once: it was settled already"
    assert world.waiting() == {}
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
    assert world.waiting()["a"].reason is Reason.STILL_GROWING
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
    assert world.waiting().keys() == {"z/c"}


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
    assert world.waiting()["a"].reason is Reason.NO_MARKER


async def test_a_file_that_is_removed_without_its_marker_is_forgotten(worlds: list[World]) -> None:
    worlds.append(world := World(ready="*.done"))
    world.tree.write("hinted")
    world.tree.write("unseen")
    await world.live(3)
    world.tree.files.clear()
    world.kernel.hint("hinted")
    await world.live(1)
    assert world.waiting().keys() == {"unseen"}
    world.tree.write("other")
    await world.live(60)
    assert world.waiting().keys() == {"other"}


async def test_more_files_without_marker_than_are_kept_are_found_all_the_same(
    worlds: list[World], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mirrord.folders.candidates.MOST_UNMARKED", 5)
    worlds.append(world := World(ready="_SUCCESS"))
    for number in range(20):
        world.tree.write(f"f{number}")
    await world.live(3)
    assert len(world.waiting()) == 5
    world.tree.markers.add("_SUCCESS")
    world.kernel.hint("_SUCCESS")
    await world.live(1)
    assert len(world.names) == 5
    await world.live(122)
    assert len(set(world.names)) == 20


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
    assert world.waiting() == {}
    assert {names for _, names in world.tree.scanned} == {("a", "b", "c")}, "one check for the settle, none later"


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
    monkeypatch.setattr("mirrord.folders.candidates.MOST_SUBMITTED", 10)
    for wave in range(10):
        names = [f"{wave}-{number}" for number in range(20)]
        for name in names:
            world.tree.write(name)
        world.kernel.hint(*names)
        await world.live(3)
        await world.mirror(*names)
    assert len(world.names) == len(set(world.names)) == 200
    assert len(world.loop._intake.candidates.submitted) <= 30
    await world.live(60)
    assert len(world.loop._intake.candidates.submitted) == 0


async def test_only_files_without_a_record_arrive_and_their_ctime_shows_whether_they_just_appeared(
    worlds: list[World],
) -> None:
    worlds.append(world := World(settle=0.0))
    world.tree.write("old")
    await world.live(1)
    await world.mirror("old")
    world.tree.write("old", 2)
    world.tree.write("new")
    later = int((world.clock.now() + 1) * 1e9)
    world.tree.files["new"] = replace(world.tree.files["new"], ctime_ns=later)
    world.tree.files["old"] = replace(world.tree.files["old"], ctime_ns=later)
    world.kernel.hint("old", "new")
    await world.live(1)
    assert sorted(world.names) == ["new", "old", "old"]
    assert world.arrived == {"old": False, "new": True}
