"""What is a file's own in a source: kinds that are refused, links, roots, states of one file."""

import asyncio
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from mirrord.errors import SourceChanged, SourceError, SourceMissing, SourceRefused, SourceTimedOut
from mirrord.model import FileIdentity
from mirrord.sources import file as files
from mirrord.sources.file import FileSource
from mirrord.sources.pool import THREADS, FilePool
from mirrord.transfer.budget import Budget
from mirrord.units import KiB, MiB
from tests.support.reading import probed, read

T = TypeVar("T")

BODY = os.urandom(5 * MiB + 17)


CALLS = ("stat", "lstat", "open", "fstat", "preadv", "close")


@pytest.fixture
def in_loop(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The system calls that were made in the loop's thread."""
    made: list[str] = []

    def watched(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def made_here(*about: Any, **more: Any) -> Any:
            if threading.current_thread() is threading.main_thread():
                made.append(name)
            return call(*about, **more)

        return made_here

    for name in CALLS:
        monkeypatch.setattr(os, name, watched(name, getattr(os, name)))
    return made


@pytest.mark.parametrize("size", [0, 1, files.READ_MOST, files.READ_MOST + 17])
@pytest.mark.parametrize("below", [False, True])
async def test_no_system_call_is_made_in_the_loop(
    tmp_path: Path, in_loop: list[str], size: int, *, below: bool
) -> None:
    path = tmp_path / "f"
    path.write_bytes(BODY[:size])
    in_loop.clear()
    async with FileSource(str(path), str(tmp_path) if below else None) as source:
        observed = await probed(source)
        assert await read(source, observed) == BODY[:size]
        await source.confirm(observed)
    assert in_loop == []


async def test_a_small_file_is_copied_in_three_calls_to_the_threads(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(BODY[: 4 * KiB])
    pool = CountedPool(str(tmp_path))
    async with FileSource(str(tmp_path / "f"), str(tmp_path), pool=pool) as source:
        observed = await probed(source)
        async with source.open(observed) as stream:
            assert await stream.readinto(memoryview(bytearray(4 * KiB + 1))) == 4 * KiB
            assert await stream.readinto(memoryview(bytearray(1))) == 0
        await source.confirm(observed)
    assert pool.calls == 3


class CountedPool(FilePool):
    calls = 0

    async def run(self, work: Callable[[], T], drop: Callable[[T], object] | None = None, *, surely: bool = False) -> T:
        self.calls += 1
        return await super().run(work, drop, surely=surely)


async def test_the_buffer_of_a_cancelled_read_is_not_lent_while_a_thread_may_write_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on, written = threading.Event(), threading.Event(), threading.Event()

    def slow(_file: int, views: list[memoryview], _at: int) -> int:
        begun.set()
        assert go_on.wait(10)
        views[0][:4] = b"late"
        written.set()
        return 4

    (tmp_path / "f").write_bytes(BODY)
    budget = Budget(8 * MiB)
    async with FileSource(str(tmp_path / "f")) as source:
        observed = await probed(source)
        async with source.open(observed) as stream:
            monkeypatch.setattr(os, "preadv", slow)
            with pytest.raises(asyncio.CancelledError):  # noqa: PT012 - the buffer's end is part of it
                async with budget.buffer(MiB) as view:
                    reading = asyncio.ensure_future(stream.readinto(view))
                    await asyncio.to_thread(begun.wait, 10)
                    reading.cancel()
                    await reading
            async with budget.buffer(MiB) as other:
                other[:4] = b"mine"
                go_on.set()
                assert await asyncio.to_thread(written.wait, 10)
                assert bytes(other[:4]) == b"mine"


async def test_a_file_is_closed_after_its_root_hung(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(BODY)
    pool, go_on = FilePool(str(tmp_path), silence=0.05), threading.Event()
    async with FileSource(str(tmp_path / "f"), pool=pool) as source:
        async with source.open(await probed(source)):
            assert is_open(tmp_path / "f")
        hung = (pool.run(lambda: go_on.wait(10)) for _ in range(THREADS))
        assert len(await asyncio.gather(*hung, return_exceptions=True)) == THREADS
    go_on.set()
    async with asyncio.timeout(20):
        while is_open(tmp_path / "f"):  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.01)


def is_open(path: Path) -> bool:
    open_files = [os.path.realpath(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")]
    return os.path.realpath(path) in open_files


async def test_streams_that_begin_at_once_share_one_open_file_that_is_closed_with_the_source(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(BODY)
    async with FileSource(str(tmp_path / "f")) as source:
        observed = await probed(source)

        starts = (0, MiB, 2 * MiB)
        found = await asyncio.gather(*(read(source, observed, start, start + 1) for start in starts))
        assert found == [BODY[start : start + 1] for start in starts]
        assert is_open(tmp_path / "f")
    assert not is_open(tmp_path / "f")


async def test_a_read_without_an_answer_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    (tmp_path / "f").write_bytes(BODY)
    async with FileSource(str(tmp_path / "f"), pool=FilePool(str(tmp_path), silence=0.05)) as source:
        observed = await probed(source)
        async with source.open(observed) as stream:
            with monkeypatch.context() as hanging:
                hanging.setattr(os, "preadv", lambda *_: go_on.wait(10))
                with pytest.raises(SourceTimedOut, match=r"has not answered for 0\.05 s"):
                    await stream.readinto(memoryview(bytearray(1000)))
            go_on.set()
            assert await stream.readinto(memoryview(bytearray(1000))) == 1000


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("directory", "a directory: list it under `folders`"),
        ("link", "a symbolic link, which is not followed"),
        ("fifo", "a FIFO"),
        ("socket", "a socket"),
        ("/dev/null", "a device"),
    ],
)
async def test_only_regular_files_are_read(tmp_path: Path, kind: str, words: str) -> None:
    path = tmp_path / "it"
    (tmp_path / "f").write_bytes(b"x")
    async with FileSource(str(tmp_path / "f")) as source:
        observed = await probed(source)
    if kind == "directory":
        path.mkdir()
    elif kind == "link":
        path.symlink_to(tmp_path / "f")
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as unix:
            place = os.open(tmp_path, os.O_RDONLY)
            unix.bind(f"/proc/self/fd/{place}/it")
            os.close(place)
    else:
        path = Path(kind)
    async with FileSource(str(path)) as source:
        with pytest.raises(SourceRefused, match=words):
            await source.probe()
        with pytest.raises(SourceRefused, match=words):
            await read(source, observed)  # swapped in between look and open: no hang, no read


@pytest.mark.parametrize("change", ["append", "cut", "same size", "replace", "remove"])
async def test_a_change_while_it_is_read_is_found(tmp_path: Path, change: str) -> None:
    path = tmp_path / "f"
    path.write_bytes(BODY)
    async with FileSource(str(path)) as source:
        observed = await probed(source)
        with pytest.raises(SourceChanged, match=str(path)):  # noqa: PT012 - either step may find it
            async with source.open(observed) as stream:
                await stream.readinto(memoryview(bytearray(1000)))
                if change == "append":
                    os.truncate(path, len(BODY) + 1)
                elif change == "cut":
                    os.truncate(path, 500)
                elif change == "same size":
                    path.write_bytes(BODY[::-1])
                elif change == "replace":
                    (tmp_path / "g").write_bytes(BODY)
                    os.replace(tmp_path / "g", path)
                else:
                    path.unlink()
                while await stream.readinto(memoryview(bytearray(4 * MiB))):
                    pass
                await source.confirm(observed)


@pytest.mark.parametrize(("size", "words"), [(1000, "it changed since"), (len(BODY), "cut to 600 bytes")])
async def test_a_file_cut_short_ends_with_an_error(tmp_path: Path, size: int, words: str) -> None:
    path = tmp_path / "f"
    path.write_bytes(BODY[:size])
    async with FileSource(str(path)) as source, source.open(await probed(source)) as stream:
        await stream.readinto(memoryview(bytearray(600)))
        os.truncate(path, 600)
        with pytest.raises(SourceChanged, match=words):
            await stream.readinto(memoryview(bytearray(600)))


@pytest.mark.parametrize("name", ["../f", "d/../../f", "d//f", "./d/f", "d/f/", ""])
async def test_no_path_leaves_its_root(tmp_path: Path, name: str) -> None:
    root = tmp_path / "root"
    (root / "d").mkdir(parents=True)
    (tmp_path / "f").write_bytes(b"x")
    (root / "d" / "f").write_bytes(b"x")
    async with FileSource(str(tmp_path / "f")) as source:
        observed = await probed(source)
    async with FileSource(f"{root}/{name}", str(root)) as source:
        with pytest.raises(SourceRefused, match="not inside"):
            await read(source, observed)


async def test_a_directory_swapped_for_a_link_leads_nowhere(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "d").mkdir(parents=True)
    (root / "d" / "f").write_bytes(b"mine")
    async with FileSource(f"{root}/d/f", str(root)) as source:
        observed = await probed(source)
        (root / "d").rename(tmp_path / "d")  # the same file, inode and all, but outside
        (root / "d").symlink_to(tmp_path / "d")
        with pytest.raises(SourceError, match="symbolic link in a folder"):
            await read(source, observed)


@pytest.mark.parametrize("swapped", ["link", "fifo", "socket"])
async def test_a_file_of_a_folder_that_was_replaced_after_the_probe_is_never_read(tmp_path: Path, swapped: str) -> None:
    root, path = tmp_path / "root", tmp_path / "root" / "d" / "f"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"mine")
    for follow in (False, True):
        async with FileSource(str(path), str(root), follow=follow) as source:
            observed = await probed(source)
            path.rename(tmp_path / "f")
            if swapped == "link":
                path.symlink_to("/etc/passwd")
            elif swapped == "fifo":
                os.mkfifo(path)  # nobody writes to it: to open it must not wait
            else:
                with socket.socket(socket.AF_UNIX) as unix:
                    place = os.open(path.parent, os.O_RDONLY)
                    unix.bind(f"/proc/self/fd/{place}/f")
                    os.close(place)
            with pytest.raises(SourceChanged if follow and swapped == "link" else SourceRefused):
                await read(source, observed)
        path.unlink()
        (tmp_path / "f").rename(path)


async def test_a_link_that_is_followed_is_the_file_that_it_leads_to(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (tmp_path / "outside").mkdir()
    root.mkdir()
    for name in ("f", "g"):
        (tmp_path / "outside" / name).write_bytes(name.encode())
    (root / "d").symlink_to(tmp_path / "outside")
    (tmp_path / "outside" / "link").symlink_to("f")
    async with FileSource(f"{root}/d/link", str(root), follow=True) as source:
        observed = await probed(source)
        assert observed.revision.file == FileIdentity.of(os.stat(tmp_path / "outside" / "f"))
        assert await read(source, observed) == b"f"
        await source.confirm(observed)
        (tmp_path / "outside" / "link").unlink()
        (tmp_path / "outside" / "link").symlink_to("g")
        with pytest.raises(SourceChanged):
            await source.confirm(observed)
    async with FileSource(f"{root}/d/../../outside/f", str(root), follow=True) as source:
        with pytest.raises(SourceRefused, match="not inside"):
            await read(source, observed)


@pytest.mark.parametrize("name", ["gone", "f/below"])
async def test_no_such_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "f").touch()
    async with FileSource(str(tmp_path / name)) as source:
        with pytest.raises(SourceMissing):
            await source.probe()


@pytest.mark.parametrize("name", ["n\0l", "x" * 300])
async def test_a_name_that_no_file_can_have(tmp_path: Path, name: str) -> None:
    async with FileSource(str(tmp_path / name)) as source:
        with pytest.raises(SourceRefused):
            await source.probe()


async def test_a_touched_file_is_another_revision(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x")
    async with FileSource(str(tmp_path / "f")) as source:
        known = (await probed(source)).revision
        os.utime(tmp_path / "f", ns=(1, 1))
        assert await source.probe(known) is not None


# ── files whose size is not true ──────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("path", ["/proc/self/status", "/proc/version", "/sys/devices/system/cpu/online"])
async def test_a_file_with_a_false_size_is_refused(path: str) -> None:
    async with FileSource(path) as source:
        with pytest.raises(SourceRefused, match="size is not true"):
            await source.probe()


@pytest.mark.parametrize("size", [0, 1, 3 * KiB, 5 * MiB])
async def test_an_empty_or_a_sparse_file_has_its_true_size(tmp_path: Path, size: int) -> None:
    path = tmp_path / "sparse"
    path.touch()
    os.truncate(path, size)
    async with FileSource(str(path)) as source:
        observed = await source.probe()
        assert observed is not None
        async with source.open(observed) as stream:
            view, count = memoryview(bytearray(MiB)), 0
            while got := await stream.readinto(view):
                count += got
        assert count == size
        await source.confirm(observed)
