"""Looking at single names of a folder: the same rules as a scan of the whole, at the price of a stat."""

import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from mirrord.model import FileIdentity
from mirrord.sources.folder.scan import LocalFolder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    for name in ("a.csv", "a.csv.part", ".hidden", ".git/x.csv", "d/b.csv", "d/e/c.csv", "d/e/.f/g.csv", "out/h.csv"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.csv").touch()
    (root / "link").symlink_to(tmp_path / "outside")
    (root / "link.csv").symlink_to(root / "a.csv")
    os.mkfifo(root / "fifo.csv")
    return root


async def names_at(folder: LocalFolder, names: Iterable[str]) -> list[str]:
    return sorted([found.name async for found in folder.scan(names)])


@pytest.mark.parametrize(
    ("at", "found"),
    [
        ("a.csv", ["a.csv"]),
        ("d/e/c.csv", ["d/e/c.csv"]),
        ("d", ["d/b.csv", "d/e/c.csv"]),
        ("d/e", ["d/e/c.csv"]),
        ("a.csv.part", []),
        (".hidden", []),
        (".git", []),
        (".git/x.csv", []),
        ("d/e/.f/g.csv", []),
        ("out", []),
        ("out/h.csv", []),
        ("link", []),
        ("link/secret.csv", []),
        ("link.csv", []),
        ("fifo.csv", []),
        ("gone", []),
        ("a.csv/below", []),
        ("../outside/secret.csv", []),
        ("d/../a.csv", []),
        ("/etc/hostname", []),
        ("", []),
        ("nul\0", []),
        ("x" * 300, []),
    ],
)
async def test_a_name_leads_to_what_a_scan_would_find_there(root: Path, at: str, found: list[str]) -> None:
    assert await names_at(LocalFolder(str(root), exclude=["/out/"]), [at]) == found


async def test_where_links_are_followed_a_name_leads_through_them(root: Path) -> None:
    (root / "d" / "up").symlink_to("..")
    folder = LocalFolder(str(root), exclude=["/out/"], follow=True)
    found = {
        "link/secret.csv": ["link/secret.csv"],
        "link": ["link/secret.csv"],
        "link.csv": ["link.csv"],
        "d/up": [],
        "d/up/a.csv": [],
        "d/up/d/b.csv": [],
        "fifo.csv": [],
        "d/../a.csv": [],
    }
    assert {at: await names_at(folder, [at]) for at in found} == found


async def test_many_names_and_their_stats(root: Path) -> None:
    for number in range(1000):
        (root / f"n{number}").touch()
    folder = LocalFolder(str(root))
    wanted = [f"n{number}" for number in range(0, 1000, 2)] + ["gone", "d"]
    assert len(await names_at(folder, wanted)) == 502
    (found,) = [found async for found in folder.scan(["a.csv"])]
    (same,) = [found async for found in folder.enumerate() if found.name == "a.csv"]
    assert found == same
    assert found.revision.file == FileIdentity.of(os.stat(root / "a.csv"))


async def test_a_scan_of_names_keeps_the_result_of_the_last_whole_scan(root: Path, tmp_path: Path) -> None:
    folder = LocalFolder(str(root))
    await names_at(folder, ["a.csv"])
    assert not folder.complete
    assert [found async for found in folder.enumerate()]
    os.close(os.open(os.fsencode(root) + b"/bad-\xff.csv", os.O_CREAT))
    assert await names_at(folder, ["bad-\udcff.csv", "d"]) == ["d/b.csv", "d/e/c.csv"]
    assert folder.complete
    assert folder.problems == ()


async def test_a_root_that_is_gone_has_nothing(tmp_path: Path) -> None:
    assert await names_at(LocalFolder(str(tmp_path / "gone")), ["a", "b/c"]) == []


async def test_a_scan_of_names_that_ends_early_leaves_nothing_open(root: Path) -> None:
    for number in range(1000):
        (root / "d" / str(number)).touch()
    folder = LocalFolder(str(root))
    await names_at(folder, ["d"])
    before = len(os.listdir("/proc/self/fd"))
    scan = folder.enumerate()
    await anext(scan)
    look = folder.scan(["d"])
    await anext(look)
    await look.aclose()
    await scan.aclose()
    assert len(os.listdir("/proc/self/fd")) == before
