"""Settled is two equal stats, one settle apart, by a clock that the test owns."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from mirrord.model import FileIdentity
from mirrord.sources.folder.scan import LocalFolder
from mirrord.sources.folder.settle import SettledFolder, Stats
from mirrord.testing import AutoAdvancingClock

FILE = FileIdentity(1, 2, 3, 4, 5)


@pytest.mark.parametrize("field", ["device", "inode", "size", "mtime_ns", "ctime_ns"])
def test_any_difference_of_two_stats_counts(field: str) -> None:
    stats = Stats()
    stats.add("a", FILE)
    assert stats.contains("a", FILE)
    assert not stats.contains("a", replace(FILE, **{field: 9}))
    assert not stats.contains("b", FILE)


def test_many_stats_are_told_apart() -> None:
    stats = Stats()
    for number in range(0, 20_000, 2):
        stats.add(f"f{number}", replace(FILE, inode=number))
    assert [n for n in range(20_000) if stats.contains(f"f{n}", replace(FILE, inode=n))] == list(range(0, 20_000, 2))
    stats.add("late", FILE)
    assert stats.contains("late", FILE)


async def listed(folder: SettledFolder) -> dict[str, bool]:
    return {found.name: found.settled async for found in folder.enumerate()}


async def test_what_changes_within_the_settle_may_still_be_growing(tmp_path: Path) -> None:
    for name in ("still", "grows", "swapped", "removed"):
        (tmp_path / name).write_text(name)
    clock = AutoAdvancingClock()

    def others() -> None:
        with (tmp_path / "grows").open("a") as growing:
            growing.write("more")
        (tmp_path / "other").write_text("swapped")
        os.replace(tmp_path / "other", tmp_path / "swapped")
        (tmp_path / "removed").unlink()
        (tmp_path / "new").write_text("new")

    clock.meanwhile = others
    folder = SettledFolder(LocalFolder(str(tmp_path)), 2.0, clock)
    assert await listed(folder) == {"still": True, "grows": False, "swapped": False, "new": False}
    assert clock.slept == [2.0]
    clock.meanwhile = None
    assert await listed(folder) == {"still": True, "grows": True, "swapped": True, "new": True}


async def test_several_folders_share_one_wait(tmp_path: Path) -> None:
    clock = AutoAdvancingClock()
    folders = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
        folders.append(SettledFolder(LocalFolder(str(tmp_path / name)), 2.0, clock))
    for folder in folders:
        await folder.first_scan()
        clock.move(0.5)
    assert [await listed(folder) for folder in folders] == [{"file": True}] * 2
    assert clock.slept == [1.0, 0.5]


async def test_no_settle_takes_each_file_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    clock = AutoAdvancingClock()
    assert await listed(SettledFolder(LocalFolder(str(tmp_path)), 0.0, clock)) == {"file": True}
    assert clock.slept == []
