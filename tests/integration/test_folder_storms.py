"""A watched folder with all kinds of writers and editors, and with overflows of the kernel's event queue.

The real `mirrord run`, a real store and real inotify events. At the end the bucket equals the folder without a restart,
each object was written once, and a thread that lists the bucket all the time has seen complete files only.
MIRRORD_SOAK=1 makes an archive of 50,000 files.
"""

import asyncio
import os
import shutil
import signal
import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from tests.support.inbox import RESCAN, SETTLE, Inbox, folder, md5, tree
from tests.support.measuring import SOAK
from tests.support.proxy import StoreProxy
from tests.support.weed import Server

ARCHIVED = 50_000 if SOAK else 500
QUEUE = Path("/proc/sys/fs/inotify/max_queued_events")

Open = Callable[..., Any]


@pytest.fixture
def watched(tmp_path: Path, weed: Server, bucket: str, store_proxy: StoreProxy) -> Open:
    """`async with watched() as inbox`: a daemon that watches the folder tmp_path/inbox."""
    return partial(folder, tmp_path, weed, bucket, store_proxy)


@pytest.fixture
def unproxied(tmp_path: Path, weed: Server, bucket: str) -> Open:
    """As `watched` but without a proxy, which would take most of the time with very many files."""
    return partial(folder, tmp_path, weed, bucket, None)


# ── one file ──────────────────────────────────────────────────────────────────────────────────────
async def test_a_slow_writer(watched: Open) -> None:
    async with watched(settle="2s") as inbox:  # longer than its pauses, even if the test has to wait for a core
        pieces = [b"%d" % number * 50_000 for number in range(20)]
        inbox.watch.allow("slow", b"".join(pieces))
        with (inbox.root / "slow").open("wb", buffering=0) as file:
            for piece in pieces:
                file.write(piece)
                await asyncio.sleep(SETTLE / 4)
        await inbox.equal()
        await inbox.once()


async def test_an_append_after_the_settle(watched: Open) -> None:
    async with watched() as inbox:
        content = b""
        for number in range(3):
            content += b"%d" % number * 1000
            inbox.watch.allow("log", content)
            with (inbox.root / "log").open("ab") as file:
                file.write(content[-1000:])
            await inbox.equal()
        await inbox.once(log=3)


async def test_written_elsewhere_then_renamed(watched: Open) -> None:
    async with watched() as inbox:
        content = b"x" * 300_000
        for temporary, name in ((".a", "a"), ("b.part", "b"), ("c.tmp", "c"), ("d~", "d"), ("../outside", "e")):
            inbox.watch.allow(name, content)
            half = len(content) // 2
            with (inbox.root / temporary).open("wb", buffering=0) as file:
                file.write(content[:half])
                await asyncio.sleep(SETTLE * 1.5)  # settled under its temporary name, but excluded
                file.write(content[half:])
            (inbox.root / temporary).rename(inbox.root / name)
        await inbox.equal()
        assert set(inbox.puts) == set("abcde")
        await inbox.once()


async def test_saved_by_vim(watched: Open) -> None:
    """backupcopy=no: test the directory with 4913, rename the old file to the backup, write, remove the backup."""
    async with watched() as inbox:
        inbox.write("notes", b"first")
        await inbox.equal()
        for number in range(1, 4):
            content = b"saved %d" % number
            (inbox.root / "4913").touch()
            (inbox.root / "4913").unlink()
            (inbox.root / ".notes.swp").write_bytes(os.urandom(4096))
            (inbox.root / "notes").rename(inbox.root / "notes~")
            inbox.write("notes", content)
            (inbox.root / "notes~").unlink()
            await inbox.equal()
        (inbox.root / ".notes.swp").unlink()
        await inbox.once(notes=4)
        assert set(inbox.puts) == {"notes"}


async def test_brought_by_rsync(watched: Open) -> None:
    """Slowly into .name.XXXXXX, then set the modification time, then rename; later again over the same name."""
    async with watched() as inbox:
        for lap in range(2):
            content = os.urandom(400_000)
            inbox.watch.allow("sub/film", content)
            (inbox.root / "sub").mkdir(exist_ok=True)
            temporary = inbox.root / "sub" / f".film.Xy7{lap}Qa"
            with temporary.open("wb", buffering=0) as file:
                for at in range(0, len(content), 50_000):
                    file.write(content[at : at + 50_000])
                    await asyncio.sleep(SETTLE / 5)
            os.utime(temporary, (1_600_000_000, 1_600_000_000))  # the time of the sender's file, the same both times
            temporary.rename(inbox.root / "sub" / "film")
            await inbox.equal()
        await inbox.once(**{"sub/film": 2})


async def test_hard_links(watched: Open) -> None:
    """Each name is an object; a write through one name changes the objects of all names."""
    async with watched() as inbox:
        for name in ("one", "two", "deep/three"):
            inbox.watch.allow(name, b"shared")
            inbox.watch.allow(name, b"shared, and more")
        inbox.write("one", b"shared")
        (inbox.root / "deep").mkdir()
        os.link(inbox.root / "one", inbox.root / "two")
        os.link(inbox.root / "one", inbox.root / "deep" / "three")
        await inbox.equal()
        await inbox.once()
        with (inbox.root / "two").open("ab") as file:
            file.write(b", and more")
        await inbox.equal()
        await inbox.once(one=2, two=2, **{"deep/three": 2})


# ── many files ────────────────────────────────────────────────────────────────────────────────────
def _fill(directory: Path, files: int, directories: int) -> None:
    for number in range(files):
        place = directory / f"d{number % directories}" / "deeper"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"f{number}").write_bytes(b"%d" % number * 10)


async def test_a_big_directory_moved_in_then_renamed(watched: Open, tmp_path: Path) -> None:
    """Its new keys are uploaded; with `delete: keep` the old ones stay."""
    _fill(tmp_path / "big", files=200, directories=20)
    async with watched() as inbox:
        inbox.allow_all("big", tmp_path / "big")
        (tmp_path / "big").rename(inbox.root / "big")
        await inbox.equal()
        before = tree(inbox.root)
        inbox.allow_all("renamed", inbox.root / "big")
        (inbox.root / "big").rename(inbox.root / "renamed")
        await inbox.equal(kept=before)
        await inbox.once()


@pytest.mark.timeout(1800 if SOAK else 480)
async def test_an_archive_unpacked(unproxied: Open, tmp_path: Path) -> None:
    archive = tmp_path / "a.tar"
    contents = {f"d{number % 50}/e{number % 250}/f{number}": b"%d" % number * 20 for number in range(ARCHIVED)}
    with tarfile.open(archive, "w") as tar:
        for name, content in contents.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, BytesIO(content))
    async with unproxied(rescan="3s") as inbox:
        for name, content in contents.items():
            inbox.watch.allow(name, content)
        unpacker = await asyncio.create_subprocess_exec("tar", "-xf", str(archive), "-C", str(inbox.root))
        assert await unpacker.wait() == 0
        took = await inbox.equal(seconds=1500 if SOAK else 400)
        print(f"{ARCHIVED:,} files unpacked: the bucket was equal {took:.1f} s after tar's end")
        await inbox.once()
        assert len(inbox.puts) == ARCHIVED


# ── the root, and the kernel's queue ─────────────────────────────────────────────────────────────
async def test_a_root_removed_and_made_again(watched: Open) -> None:
    async with watched() as inbox:
        kept = {}
        for lap in range(3):
            inbox.write(f"late{lap}", b"late")
            await inbox.equal(kept)
            kept |= tree(inbox.root)
            shutil.rmtree(inbox.root)
            if lap:
                await inbox.daemon.wait_for(partial(_incomplete, inbox), what="the loss is detected")
            inbox.write(f"early{lap}", b"early")
            await inbox.equal(kept)
            kept |= tree(inbox.root)
        await inbox.once()
        assert len(inbox.puts) == 6


async def _incomplete(inbox: Inbox) -> bool:
    return not (await inbox.status())["complete"]


@contextmanager
def _a_short_queue() -> Iterator[int]:
    """Set the inotify queue to 16 events for new processes, if permitted; its present length."""
    length = QUEUE.read_text()
    try:
        QUEUE.write_text("16")
    except OSError:
        yield int(length)
        return
    try:
        yield 16
    finally:
        QUEUE.write_text(length)


def _storm(inbox: Inbox, events: int, lap: int) -> None:
    """Make at least this many events (two in a row of one file count as one), then changes that these do not report.

    In the root itself, which is watched: a directory that comes while the daemon is stopped is not yet, and sends none.
    """
    with ExitStack() as files:
        names = [f"storm{lap}-{number}" for number in range(50)]
        opened = [files.enter_context((inbox.root / name).open("wb", buffering=0)) for name in names]
        rounds = events // len(names) + 1
        for _ in range(rounds):
            for file in opened:
                file.write(b"x")
    for name in names:
        inbox.watch.allow(name, b"x" * rounds)
    for number in range(50):
        inbox.write(f"new{lap}/{number}/file", b"%d" % number)


def _overflow(inbox: Inbox) -> None:
    _storm(inbox, 2 * int(QUEUE.read_text()), 0)


async def _stopped(inbox: Inbox) -> None:
    inbox.daemon.signal(signal.SIGSTOP)
    stat = Path(f"/proc/{inbox.daemon.process.pid}/stat")
    await inbox.daemon.wait_for(lambda: stat.read_text().rsplit(")", 1)[1].split()[0] == "T", what="the pause")


@pytest.mark.alone  # it changes a setting of the whole machine
async def test_the_kernels_queue_overflows(watched: Open) -> None:
    with _a_short_queue() as length:  # all the time: lost events must be found by rescans
        async with watched() as inbox:
            await inbox.daemon.log("folder.rescanned", cause="start")  # its events stay in the queue
            for lap in range(3):
                await _stopped(inbox)
                await asyncio.to_thread(_storm, inbox, 2 * length, lap)
                inbox.daemon.signal(signal.SIGCONT)
                took = await inbox.equal()
                print(f"queue of {length}, lap {lap}: equal after {took:.1f} s")
            await inbox.once()


async def test_events_lost_while_it_is_paused(watched: Open) -> None:
    """More creations, changes, renames and deletions than the queue holds. A rescan finds them, without a restart."""
    async with watched() as inbox:
        _fill(inbox.root, files=200, directories=10)
        inbox.allow_all("", inbox.root)
        await inbox.equal()
        before = tree(inbox.root)
        await _stopped(inbox)
        await asyncio.to_thread(_overflow, inbox)
        inbox.allow_all("moved", inbox.root / "d1")
        (inbox.root / "d1").rename(inbox.root / "moved")
        shutil.rmtree(inbox.root / "d2")
        inbox.write("d3/deeper/f3", b"changed")
        os.truncate(inbox.root / "d4/deeper/f4", 1)
        inbox.watch.allow("d4/deeper/f4", md5(b"4"))
        inbox.daemon.signal(signal.SIGCONT)
        await inbox.equal(kept=before | tree(inbox.root), seconds=RESCAN + SETTLE + 60)
        await inbox.once(**{"d3/deeper/f3": 2, "d4/deeper/f4": 2})
