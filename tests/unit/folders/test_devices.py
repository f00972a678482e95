"""Devices that got other numbers, by a reboot or a remount: nothing is sent again, and what is gone still goes."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from tests.support.folder_world import World
from tests.support.records import with_fields

NAMES = ("a", "b", "sub/c", "sub/d")


class Mounts:
    """Which device each directory at the top is on now; the folder itself is ''."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.devices = {"": 1, "sub": 2}
        world.tree.absent = self.absent  # type: ignore[method-assign]

    def number(self, *, top: int, sub: int) -> None:
        """Mounted anew: the same files, on devices of these numbers."""
        self.devices = {"": top, "sub": sub}
        files = self._world.tree.files
        for name in files:
            files[name] = replace(files[name], device=self._of(name))

    def _of(self, name: str) -> int:
        return self.devices.get(name.rpartition("/")[0], self.devices[""])

    async def absent(self, files: Mapping[str, int | None]) -> frozenset[str]:
        standing = self._world.tree.files
        return frozenset(name for name, device in files.items() if name not in standing and device == self._of(name))


@pytest.fixture
async def mounts(worlds: list[World]) -> Mounts:
    """Files on two devices, mirrored; their folder is not followed at the moment."""
    worlds.append(world := World(delete="mirror", settle=0.0))
    mounts = Mounts(world)
    for name in NAMES:
        world.tree.write(name)
    mounts.number(top=1, sub=2)
    await world.live(1)
    assert sorted(world.names) == list(NAMES)
    await world.mirror(*NAMES)
    await world.stop()
    world.loop = world.new_loop()
    return mounts


async def test_files_on_devices_of_other_numbers_are_not_sent_again(worlds: list[World], mounts: Mounts) -> None:
    (world,) = worlds
    mounts.number(top=2, sub=3)
    await world.live(130)
    assert len(world.names) == len(NAMES)
    assert world.gone == []


@pytest.mark.parametrize(("top", "sub"), [(1, 2), (11, 2), (1, 12), (11, 12), (2, 1), (2, 3)])
async def test_the_object_of_a_missing_file_is_still_deleted(
    worlds: list[World], mounts: Mounts, top: int, sub: int
) -> None:
    (world,) = worlds
    mounts.number(top=top, sub=sub)
    del world.tree.files["a"], world.tree.files["sub/c"]
    await world.live(65)
    assert set(world.gone) == {"a", "sub/c"}


async def test_the_object_is_deleted_one_scan_later_too(worlds: list[World], mounts: Mounts) -> None:
    (world,) = worlds
    mounts.number(top=11, sub=12)
    await world.live(130)
    world.tree.write("sub/new")
    mounts.number(top=11, sub=12)
    await world.live(65)
    await world.mirror("sub/new")
    del world.tree.files["sub/c"]
    await world.live(65)
    assert set(world.gone) == {"sub/c"}
    del world.tree.files["sub/new"]
    await world.live(65)
    assert set(world.gone) == {"sub/c", "sub/new"}


@pytest.mark.parametrize("top", [1, 11])
async def test_what_is_not_mounted_is_not_gone(worlds: list[World], mounts: Mounts, top: int) -> None:
    (world,) = worlds
    mounts.number(top=top, sub=top)
    del world.tree.files["sub/c"], world.tree.files["sub/d"]
    world.tree.write("sub/written meanwhile")
    mounts.number(top=top, sub=top)
    await world.live(130)
    assert world.gone == []


async def test_submitted_files_that_are_done_are_forgotten_on_other_devices_too(
    worlds: list[World], mounts: Mounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where an entry's options changed and the object turned out to be right: the record keeps its device."""
    monkeypatch.setattr("mirrord.folders.candidates.MOST_SUBMITTED", 1)
    (world,) = worlds
    records = await world.journal.recorded([item.id for item in world.items.values()])
    await world.journal.save_all([with_fields(one, options_digest="other") for one in records.values()])
    mounts.number(top=11, sub=12)
    await world.live(1)
    assert len(world.names) == 2 * len(NAMES)
    await world.journal.save_all(list(records.values()))
    world.tree.write("new")
    world.kernel.hint("new")
    await world.live(3)
    assert set(world.loop._intake.candidates.submitted) == {"new"}
