"""The contract of `ports.Listing`, on every listing: a folder, and a folder that waits for its files to settle."""

import asyncio
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from mirrord.model import FileIdentity, file_address, fingerprint
from mirrord.sources.folder.scan import LocalFolder
from mirrord.sources.folder.settle import SettledFolder
from mirrord.sources.folder.walk import FoundFile
from mirrord.testing import AutoAdvancingClock

Make = Callable[..., LocalFolder | SettledFolder]


@pytest.fixture(params=["folder", "settled folder"])
def make(request: pytest.FixtureRequest) -> Make:
    if request.param == "folder":
        return LocalFolder
    return lambda *about, **more: SettledFolder(LocalFolder(*about, **more), 2.0, AutoAdvancingClock())


async def found_in(listing: LocalFolder | SettledFolder) -> dict[str, FoundFile]:
    found = [found async for found in listing.enumerate()]
    assert len({each.name for each in found}) == len(found), "each name once"
    return {each.name: each for each in found}


async def test_every_file_is_listed_with_its_identity(make: Make, tmp_path: Path) -> None:
    names = {"a", "b c/ä.txt", "d/e/f/g.csv", "d/e/h"} | {f"many/{number}" for number in range(1000)}
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "empty").mkdir()
    listing = make(str(tmp_path))
    found = await found_in(listing)
    assert found.keys() == names
    for name, each in found.items():
        path = str(tmp_path / name)
        assert each.revision.address == fingerprint(file_address(path))
        assert each.revision.file == FileIdentity.of(os.stat(path))
        assert each.revision.length == len(name.encode())
        assert each.settled
    assert listing.complete
    assert not listing.problems


async def test_patterns_select_files_and_skip_directories(make: Make, tmp_path: Path) -> None:
    for name in ("a.csv", "a.txt", ".hidden.csv", "d/b.csv", "d/b.csv.part", ".git/c.csv", "out/d.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    listing = make(str(tmp_path), ["*.csv"], ["/out/"])
    assert (await found_in(listing)).keys() == {"a.csv", "d/b.csv"}
    assert listing.complete


async def test_markers_are_excluded_and_can_be_queried(make: Make, tmp_path: Path) -> None:
    for name in ("a.csv", "a.csv.done", "b.csv", "d/.c.done", "d/c"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "x.done").mkdir()
    (tmp_path / "x.done" / "e.csv").touch()
    (tmp_path / "link.done").symlink_to(tmp_path / "a.csv.done")
    listing = make(str(tmp_path), ["*.csv"], ["*.done"], "*.done")
    assert (await found_in(make(str(tmp_path), (), (), "*.done"))).keys() == {"a.csv", "b.csv", "d/c", "x.done/e.csv"}
    assert await listing.existing({"a.csv.done", "b.csv.done", "x.done", "link.done", "d/.c.done", "d/c"}) == {
        "a.csv.done",
        "d/.c.done",
        "d/c",
    }


async def test_excluded_names_are_counted_without_markers(tmp_path: Path) -> None:
    for name in ("a.csv", "a.csv.done", "b.txt", "c.tmp", ".git/d", ".git/e", "f/g.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    listing = LocalFolder(str(tmp_path), ["*.csv"], (), "*.done")
    assert (await found_in(listing)).keys() == {"a.csv"}
    assert [(one.count, one.first) for one in listing.excluded] == [(4, ".git")]
    assert listing.left_out == ()


async def test_absent_files_of_a_root_that_exists(make: Make, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    for name in ("stands", "file", "d/out.tmp"):
        (tmp_path / name).touch()
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "away").symlink_to("d")
    os.mkfifo(tmp_path / "fifo")
    here = os.stat(tmp_path).st_dev
    listing = make(str(tmp_path))
    files = ("stands", "d/out.tmp", "gone", "d/gone", "no/such/dir", "file/below", "d", "link", "fifo", "away/below")
    gone = {"gone", "d/gone", "no/such/dir", "file/below", "d"}  # a link or a FIFO exists
    assert await listing.absent(dict.fromkeys(files, here)) == gone
    assert await listing.absent(dict.fromkeys(files)) == gone, "the device is unknown"
    assert await listing.absent(dict.fromkeys(files, here + 1)) == frozenset(), "something is not mounted"
    assert await make(str(tmp_path / "missing")).absent({"a": here, "b/c": None}) == frozenset(), "the root is missing"
    assert await listing.absent({"n" * 300: here}) == frozenset(), "cannot be examined"


def socket_at(directory: Path, name: str) -> None:
    with socket.socket(socket.AF_UNIX) as unix:
        descriptor = os.open(directory, os.O_RDONLY)  # the path itself may be too long for a socket's name
        unix.bind(f"/proc/self/fd/{descriptor}/{name}")
        os.close(descriptor)


def left(listing: LocalFolder | SettledFolder) -> dict[str, tuple[int, str]]:
    return {one.kind: (one.count, one.first) for one in listing.left_out}


async def test_links_and_special_files_are_counted_and_skipped(make: Make, tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "d").mkdir(parents=True)
    (root / "file").touch()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").touch()
    (root / "link").symlink_to(root / "file")
    (root / "d" / "tree").symlink_to(tmp_path / "outside")
    (root / "loop").symlink_to(root)
    (root / "dangling").symlink_to("nowhere")
    (root / ".hidden").symlink_to("nowhere")
    os.mkfifo(root / "fifo")
    os.mkfifo(root / "e\nf")
    os.mkfifo(root / "fifo.tmp")
    socket_at(root, "socket")
    listing = make(str(root))
    assert (await found_in(listing)).keys() == {"file"}
    assert listing.complete
    assert listing.problems == ()
    assert left(listing) == {"symbolic link": (4, "d/tree"), "FIFO": (2, "e\\nf"), "socket": (1, "socket")}
    assert ", ".join(map(str, listing.left_out)) == (
        "2 FIFOs (first: e\\nf), 1 socket (socket), 4 symbolic links (first: d/tree)"
    )
    (root / "d" / "tree").unlink()
    os.unlink(root / "fifo")
    await found_in(listing)
    assert left(listing) == {"symbolic link": (3, "dangling"), "FIFO": (1, "e\\nf"), "socket": (1, "socket")}


async def test_devices_are_skipped(make: Make) -> None:
    listing = make("/dev", ["/null", "/zero"], ["*/"])
    assert await found_in(listing) == {}
    assert left(listing)["device"] == (2, "null")
    assert listing.complete


# ── links that are followed ───────────────────────────────────────────────────────────────────────
async def test_a_link_counts_as_its_target_with_follow_symlinks(make: Make, tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "d").mkdir(parents=True)
    (outside / "deep").mkdir(parents=True)
    (outside / "deep" / "b").write_text("b")
    (outside / "a").write_text("aa")
    (root / "file").touch()
    (root / "link").symlink_to("file")
    (root / "again").symlink_to("link")
    (root / "d" / "tree").symlink_to(outside)
    (root / "out.tmp").symlink_to(outside)
    (root / "nowhere").symlink_to("gone")
    (root / "below").symlink_to("file/below")
    (root / "itself").symlink_to("itself")
    os.mkfifo(outside / "fifo")
    (root / "pipe").symlink_to(outside / "fifo")
    listing = make(str(root), follow=True)
    found = await found_in(listing)
    assert found.keys() == {"file", "link", "again", "d/tree/a", "d/tree/deep/b"}
    assert found["d/tree/a"].revision.file == FileIdentity.of(os.stat(outside / "a"))
    assert found["d/tree/a"].revision.address == fingerprint(file_address(f"{root}/d/tree/a"))
    assert found["link"].revision.file == found["file"].revision.file
    assert listing.complete, "a link that leads nowhere hides nothing"
    assert left(listing) == {"dangling link": (2, "below"), "looping link": (1, "itself"), "FIFO": (2, "d/tree/fifo")}
    assert await listing.existing({"link", "d/tree/a", "nowhere", "d/tree"}) == {"link", "d/tree/a"}


async def test_a_loop_of_links_is_left_out(make: Make, tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "d").mkdir(parents=True)
    outside.mkdir()
    (root / "d" / "file").touch()
    (root / "d" / "up").symlink_to("..")
    (root / "out").symlink_to(outside)
    (outside / "back").symlink_to(root)
    (root / "twice").symlink_to("d")
    listing = make(str(root), follow=True)
    assert (await found_in(listing)).keys() == {"d/file", "twice/file"}, "the same directory by two paths is no loop"
    assert left(listing) == {"looping link": (3, "d/up")}
    assert listing.complete


async def test_a_file_behind_a_link_is_not_absent(make: Make, tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (outside / "file").touch()
    for name, to in {"tree": outside, "a": outside / "file", "nowhere": "gone"}.items():
        (root / name).symlink_to(to)
    listing = make(str(root), follow=True)
    files = ("tree/file", "tree/gone", "a", "nowhere", "nowhere/below", "gone")
    here = os.stat(root).st_dev
    assert await listing.absent(dict.fromkeys(files, here)) == {"tree/gone", "gone"}
    assert await listing.absent(dict.fromkeys(files, here + 1)) == frozenset(), "its file system is not mounted now"


async def test_a_directory_that_is_replaced_by_a_link_is_not_followed(make: Make, tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "d").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").touch()
    for number in range(600):  # more than one batch: `d` is read after the first file is yielded
        (root / str(number)).touch()
    names = set()
    async for found in make(str(root)).enumerate():
        if not names:
            (root / "d").rmdir()
            (root / "d").symlink_to(tmp_path / "outside")
        names.add(found.name)
    assert names == {str(number) for number in range(600)}


async def test_a_root_may_be_a_link(make: Make, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "file").touch()
    (tmp_path / "link").symlink_to("real")
    assert (await found_in(make(str(tmp_path / "link") + "/"))).keys() == {"file"}


@pytest.mark.parametrize("root", ["gone", "file", "file/below"])
async def test_a_root_that_cannot_be_read_is_incomplete(make: Make, tmp_path: Path, root: str) -> None:
    (tmp_path / "file").touch()
    listing = make(str(tmp_path / root))
    assert await found_in(listing) == {}
    assert not listing.complete
    assert [problem.path for problem in listing.problems] == [str(tmp_path / root)]
    assert "cannot be read" in listing.problems[0].message


async def test_an_unreadable_directory_does_not_stop_the_scan(make: Make, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    place = os.open(tmp_path, os.O_RDONLY)
    for _ in range(4096 // 250 + 1):  # permissions do not stop root, but a path has at most 4,096 bytes
        os.mkdir("d" * 250, dir_fd=place)
        inner = os.open("d" * 250, os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = inner
    os.close(place)
    listing = make(str(tmp_path))
    assert (await found_in(listing)).keys() == {"file"}
    assert not listing.complete
    assert ["name too long" in problem.message for problem in listing.problems] == [True]


async def test_a_name_that_is_not_utf_8_is_reported_and_does_not_stop_the_scan(make: Make, tmp_path: Path) -> None:
    raw = os.fsencode(tmp_path)
    for name in (b"good", b"bad-\xff", b".hidden-\xff"):
        os.close(os.open(raw + b"/" + name, os.O_CREAT))
    os.mkdir(raw + b"/dir-\xfe")
    listing = make(str(tmp_path))
    assert (await found_in(listing)).keys() == {"good"}
    assert listing.complete
    assert {problem.path for problem in listing.problems} == {f"{tmp_path}/bad-\\xff", f"{tmp_path}/dir-\\xfe"}
    assert "not UTF-8" in listing.problems[0].message
    assert left(listing) == {"non-UTF-8 name": (2, "bad-\\xff")}


async def test_a_second_scan_sees_the_files_of_its_time(make: Make, tmp_path: Path) -> None:
    listing = make(str(tmp_path / "root"))
    assert await found_in(listing) == {}
    assert not listing.complete
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "file").touch()
    assert (await found_in(listing)).keys() == {"file"}
    assert listing.complete
    assert listing.problems == ()


async def test_a_scan_that_is_stopped_early_is_incomplete_and_closes_its_files(make: Make, tmp_path: Path) -> None:
    for number in range(1000):
        (tmp_path / str(number)).touch()
    listing = make(str(tmp_path))
    await found_in(listing)
    before = len(os.listdir("/proc/self/fd"))
    entries = listing.enumerate()
    await anext(entries)
    await entries.aclose()
    assert not listing.complete
    assert len(os.listdir("/proc/self/fd")) == before


async def test_a_scan_does_not_block_the_loop(make: Make, tmp_path: Path) -> None:
    for number in range(3000):
        (tmp_path / str(number)).touch()
    turns = 0

    async def turning() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as tasks:
        other = tasks.create_task(turning())
        assert len(await found_in(make(str(tmp_path)))) == 3000
        other.cancel()
    assert turns > 3000 / 256
