"""Files that `after_upload` set aside: no listing yields them, and each scan reports them by their original names."""

import asyncio
import os
from pathlib import Path

import pytest

from mirrord.model import FileIdentity
from mirrord.planning.decisions.file_removal import QUARANTINE, quarantine_name
from mirrord.sources.folder.scan import LocalFolder

LONG = "l" * 251 + ".csv"


@pytest.mark.parametrize("exclude", [(), ("!.*",)], ids=["plain", "hidden names brought back"])
async def test_each_is_reported_by_its_original_name(tmp_path: Path, exclude: tuple[str, ...]) -> None:
    def laid_out() -> dict[str, FileIdentity]:
        names = {"a.csv", LONG, "sub/b.csv", f"sub/{LONG}", "sub/deep/.c"}
        for name in names:
            path = tmp_path / name
            aside = path.parent / quarantine_name(path.name)
            aside.parent.mkdir(parents=True, exist_ok=True)
            aside.write_text(name)
        (tmp_path / "stays").write_text("stays")
        (tmp_path / f"{QUARANTINE}-link").symlink_to(tmp_path / "stays")
        (tmp_path / f"{QUARANTINE}-directory").mkdir()
        (tmp_path / f"{QUARANTINE}-").touch()
        (tmp_path / os.fsdecode(b"sub/" + QUARANTINE.encode() + b"-\xff")).touch()
        return {name: FileIdentity.of(os.lstat(_aside(tmp_path / name))) for name in names}

    expected = await asyncio.to_thread(laid_out)
    folder = LocalFolder(str(tmp_path), exclude=exclude)
    assert folder.quarantined == ()
    for _ in range(2):
        assert [one.name async for one in folder.enumerate()] == ["stays"]
        assert {one.name: one.revision.file for one in folder.quarantined} == expected
    assert folder.complete


async def test_deleted_ones_are_no_longer_reported(tmp_path: Path) -> None:
    aside = tmp_path / quarantine_name("a")
    aside.touch()
    folder = LocalFolder(str(tmp_path))
    assert [one async for one in folder.enumerate()] == []
    assert [one.name for one in folder.quarantined] == ["a"]
    aside.unlink()
    assert [one async for one in folder.enumerate()] == []
    assert folder.quarantined == ()


def _aside(path: Path) -> Path:
    return path.parent / quarantine_name(path.name)
