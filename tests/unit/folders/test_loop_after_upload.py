"""A folder whose files leave: its whole scans try again what lingers, and go on with what was set aside."""

from dataclasses import replace

import pytest

from mirrord.folders import loop
from mirrord.folders.loop import FolderLoop
from mirrord.model import DeleteFile, FileAction, KeepFile, MoveFile, Options
from mirrord.planning.decisions.file_removal import QUARANTINE
from tests.support.folder_world import World


class Leaving(World):
    """A world whose `resume` is counted."""

    resumed = 0

    def new_loop(self) -> FolderLoop:
        loop = super().new_loop()

        async def resume() -> None:
            self.resumed += 1

        return FolderLoop(self.spec, replace(loop._ports, resume=resume))


@pytest.mark.parametrize(("after", "times"), [(KeepFile(), 1), (DeleteFile(), 4), (MoveFile("/done"), 4)])
async def test_only_whole_scans_try_the_removal_of_a_remaining_file_again(
    worlds: list[World], after: FileAction, times: int
) -> None:
    worlds.append(world := World(after_upload=after, settle=0.0, rescan=60.0))
    world.tree.write("a")
    await world.live(1)
    await world.mirror("a")
    for _ in range(5):
        world.kernel.hint("a")
        await world.live(2)
    assert world.names == ["a"]
    await world.live(180)
    assert world.names == ["a"] * times


async def test_not_while_the_folder_is_suspended(worlds: list[World]) -> None:
    worlds.append(world := World(after_upload=DeleteFile(), settle=0.0, rescan=60.0))
    world.tree.write("a")
    await world.live(1)
    await world.mirror("a")
    await world.stop()
    world.spec = replace(world.spec, options=Options(suspend=True))
    world.loop = world.new_loop()
    submitted = len(world.names)
    await world.live(180)
    assert len(world.names) <= submitted + 1, "once, to be recorded as suspended"


async def test_each_whole_scan_resumes_the_removal_of_files_that_were_set_aside(worlds: list[World]) -> None:
    worlds.append(world := Leaving(after_upload=DeleteFile(), rescan=60.0))
    await world.live(1)
    assert world.resumed == 1
    world.kernel.hint("b")
    await world.live(10)
    assert world.resumed == 1
    await world.live(60)
    assert world.resumed == 2


async def test_events_of_files_that_are_set_aside_are_no_hints(
    worlds: list[World], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "MOST_HINTED", 3)
    worlds.append(world := World(after_upload=DeleteFile(), rescan=300.0))
    await world.live(1)
    world.kernel.hint(*(f"sub/{QUARANTINE}-{n}" for n in range(50)), f"{QUARANTINE}/long")
    await world.live(20)
    assert world.tree.scanned == []
    assert world.causes == ["start"]
