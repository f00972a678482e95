"""When a folder is looked at, in whole or in places: hints, storms of them, none at all, and what goes wrong."""

import asyncio
from collections.abc import AsyncGenerator
from itertools import pairwise
from types import SimpleNamespace

import pytest

from mirrord.errors import LeftOut
from mirrord.events import FolderOverflowed, FolderRescanned
from mirrord.folders import candidates, due, listener
from mirrord.folders.ports import Rival
from mirrord.model import Destination, Item
from mirrord.status import FolderWait
from tests.support.folder_world import ROOT, Tree, World


# ── hints ─────────────────────────────────────────────────────────────────────────────────────────
async def test_a_storm_of_hints_takes_a_fifth_of_the_time_at_most(world: World) -> None:
    await world.live(1)
    world.tree.takes = 0.1
    for _ in range(400):
        world.kernel.hint("a", "b/c", "x.tmp")
        await world.live(0.05)
    assert 10 < len(world.tree.scanned) <= 20 / 0.5 + 1
    assert world.tree.scans == 1
    begins = [at for at, _ in world.tree.scanned]
    assert min(later - sooner for sooner, later in pairwise(begins)) >= 0.5 - 1e-9


async def test_files_that_follow_each_other_are_taken_one_by_one_without_a_pause(worlds: list[World]) -> None:
    worlds.append(world := World(settle=0.0))
    await world.live(1)
    for name in "abc":
        world.tree.write(name)
        world.kernel.hint(name)
        await world.live(0.002)
    assert world.names == ["a", "b", "c"]


async def test_a_storm_of_hints_of_nothing_leads_to_fifty_scans_a_second(world: World) -> None:
    await world.live(1)
    for _ in range(2_000):
        world.kernel.hint("x.tmp")
        await world.live(0.001)
    assert len(world.tree.scanned) <= 2 * 50 + due.SCANS_AT_ONCE + 1


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


async def test_many_new_files_do_not_wait_for_pauses(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some names are due at a time. A scan of names that submits all of them is followed by the next at once."""
    monkeypatch.setattr(candidates, "MOST_DUE", 2)
    for name in "abcdefgh":
        world.tree.write(name)
    await world.live(1)
    world.tree.takes = 1.0
    await world.live(10)
    assert sorted(world.names) == list("abcdefgh")


async def test_waiting_for_the_scheduler_does_not_lengthen_the_pause(worlds: list[World]) -> None:
    worlds.append(world := World(settle=0.0))

    async def submit(item: Item) -> None:
        await world.clock.sleep(1000.0)
        world.submitted.append((world.clock.monotonic(), item.origin.address))

    world.submit = submit  # type: ignore[method-assign]
    world.loop = world.new_loop()
    await world.live(1)
    for name in "ab":
        world.tree.write(name)
        world.kernel.hint(name)
        await world.live(1001)
    assert len(world.submitted) == 2


async def test_names_below_a_hinted_directory_are_scanned_once(world: World) -> None:
    await world.live(1)
    for name in ("d/a", "d/e/b", "dd"):
        world.tree.write(name)
    world.kernel.hint("d", "d/a", "d/e/b", "d/e", "dd")
    await world.live(0.25)
    assert world.tree.scanned == [(1.0, ("d", "dd"))]
    assert world.waiting().keys() == {"d/a", "d/e/b", "dd"}


async def test_a_new_directory_is_scanned_once_more(world: World) -> None:
    await world.live(1)
    world.kernel.hint("new")
    await world.live(1)
    world.tree.write("new/a")  # before the kernel watches `new`, so that no hint comes
    await world.live(5)
    assert world.names == ["new/a"]
    assert world.causes == ["start"]


async def test_more_hints_than_are_kept_become_a_scan(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(due, "MOST_HINTED", 5)
    await world.live(1)
    world.tree.write("other")
    world.kernel.hint(*"abcdef")
    await world.live(3)
    assert world.causes == ["start", "event"]
    assert len(world.events_of(FolderOverflowed)) == 1
    assert world.names == ["other"]


async def test_an_overflow_is_reported_once_for_a_scan(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(due, "MOST_HINTED", 5)
    world.tree.takes = 10.0
    await world.live(1)
    for _ in range(3):
        world.kernel.hint(*"abcdef")
        await world.live(1)
    assert len(world.events_of(FolderOverflowed)) == 1


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


async def test_names_hinted_at_before_a_scan_are_not_scanned_after_it(world: World) -> None:
    await world.live(1)
    world.tree.write("a")
    world.kernel.paths.put_nowait(frozenset({ROOT, f"{ROOT}/a"}))
    await world.live(1)
    assert world.tree.scans == 2
    assert world.tree.scanned == []


async def test_a_person_may_ask_for_a_scan(world: World) -> None:
    await world.live(1)
    world.loop.rescan()
    await world.live(1)
    assert world.causes == ["start", "event"]


# ── no events ─────────────────────────────────────────────────────────────────────────────────────
async def test_without_events_a_folder_is_polled_with_one_warning_until_there_are_events(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.kernel.refuses = OSError(28, "inotify watch limit reached")
    await world.live(121)
    status = world.loop.status()
    assert status.watching == "poll"
    assert "watch limit" in status.problem
    assert 23 <= world.tree.scans <= 27, "every 5 s"
    assert len([one for one in caplog.records if one.name == listener.__name__]) == 1
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
    assert [event.folder for event in world.events_of(FolderOverflowed)] == ["inbox"]
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
async def test_a_missing_root_is_reported_and_found_again(world: World) -> None:
    world.tree.write("a")
    await world.live(3)
    assert world.loop.status().complete
    world.tree.missing = True
    await world.live(60)
    status = world.loop.status()
    assert (status.complete, status.files, status.problem) == (False, 0, f"{ROOT}: cannot be read")
    assert world.events_of(FolderRescanned)[-1].problem == f"{ROOT}: cannot be read"
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


async def test_a_name_that_makes_no_key_is_reported_and_stops_nothing(world: World) -> None:
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


async def test_a_failing_journal_is_reported_and_tried_again(world: World) -> None:
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


async def test_a_storm_of_writes_to_the_same_files_takes_a_fifth_of_the_time_at_most(worlds: list[World]) -> None:
    """Without a settle each scan submits them again."""
    worlds.append(world := World(settle=0.0))
    await world.live(1)
    world.tree.takes = 0.1
    for size in range(400):
        world.tree.write("a", size=size + 1)
        world.kernel.hint("a")
        await world.live(0.05)
    assert 10 < len(world.tree.scanned) <= 20 / 0.5 + 2
    assert len(world.names) > 10


# ── status ────────────────────────────────────────────────────────────────────────────────────────
async def test_the_status_says_what_waits_and_why(worlds: list[World]) -> None:
    worlds.append(world := World(ready="*.done", settle=2.0, rescan=10.0))
    for name in ("a", "b", "c", "d", "late\n"):
        world.tree.write(name)
    world.tree.markers |= {"d.done"}
    world.owners[Destination("default", "http://store", "bucket", "in/c").item_id] = Rival("the mirror m")
    world.tree.unlisted = (SimpleNamespace(path="/srv/inbox/secret", message="cannot be read: denied"),) * 5
    world.tree.excluded = (LeftOut("excluded name", 12, "x.tmp"),)
    world.tree.quarantined = (SimpleNamespace(name="old"),)
    await world.live(1)
    waits = {one.kind: one for one in world.loop.status().waits}
    assert waits["settling"].count == 4
    assert waits["settling"].examples == tuple(f"{name}: settling, 1 B, first seen 1s ago" for name in "abd")
    assert waits["conflict"] == FolderWait("conflict", 1, (waits["conflict"].examples[0],))
    assert "the mirror m" in waits["conflict"].examples[0]
    assert waits["unreadable"] == FolderWait("unreadable", 5, ("/srv/inbox/secret: cannot be read: denied",) * 3)
    assert waits["excluded"] == FolderWait("excluded", 12, ("x.tmp",))
    assert waits["set aside"] == FolderWait("set aside", 1, ("old",))
    await world.live(3)
    waits = {one.kind: one for one in world.loop.status().waits}
    assert waits["no marker"] == FolderWait("no marker", 3, ("a", "b", "late\\n"))
    assert "settling" not in waits
    assert world.names == ["d"]


async def test_the_status_says_since_when_a_scan_runs(worlds: list[World]) -> None:
    worlds.append(world := World(settle=0.0))
    world.tree.write("a")
    world.tree.takes = 5.0
    await world.live(1)
    began = world.clock.now() - 1
    assert (world.loop.status().scan_began, world.loop.status().scan_files) == (began, 0)
    await world.live(5)
    status = world.loop.status()
    assert (status.scan_began, status.scan_files, status.files) == (None, 0, 1)
