"""`sources.watch`: one suite on both readers of events, over real directories and real events.

What changes is hinted at, where it is now; nothing that befalls a root, the kernel's queue or its limits ends a watch.
"""

import asyncio
import errno
import os
import resource
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from pathlib import Path
from textwrap import dedent

import pytest

from mirrord.sources import watch as watching
from mirrord.sources.watch import DirectoryWatch, inotify, portable
from mirrord.sources.watch.reader import EventReader

QUEUE = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())


@pytest.fixture(params=[inotify, portable], ids=["inotify", "watchfiles"])
def reader(request: pytest.FixtureRequest) -> EventReader:
    """What reads the events."""
    found: EventReader = request.param.read_events
    return found


async def hinted(watch: DirectoryWatch, wanted: Path, meanwhile: Callable[[], object] = lambda: None) -> set[str]:
    """Everything hinted at until `wanted` is; `meanwhile` is done again before each wait."""
    seen: set[str] = set()
    async with asyncio.timeout(20):
        while str(wanted) not in seen:
            meanwhile()
            seen |= await watch.changed()
    return seen


@contextmanager
def no_more_files() -> Iterator[None]:
    """Every descriptor that this process may open is in use."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(name) for name in os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, hard))
    taken: list[int] = []
    try:
        while True:
            try:
                taken.append(os.dup(0))
            except OSError:
                break
        yield
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("name", ["a.csv", "a.swp", "a.pyc", "node_modules", ".git", "a~"])
async def test_a_file_of_any_name_is_hinted_at(tmp_path: Path, name: str, reader: EventReader) -> None:
    async with DirectoryWatch([tmp_path], reader=reader) as watch:
        (tmp_path / name).write_text("x")
        await hinted(watch, tmp_path / name)
        assert watch.watching == "events"


async def test_a_file_saved_by_rename_is_hinted_at(tmp_path: Path, reader: EventReader) -> None:
    manifest = tmp_path / "a.yaml"
    manifest.write_text("old")
    async with DirectoryWatch([tmp_path], reader=reader) as watch:
        (tmp_path / "4913").write_text("new")
        (tmp_path / "4913").rename(manifest)
        await hinted(watch, manifest)


async def test_every_swap_of_a_config_map_is_hinted_at(tmp_path: Path, reader: EventReader) -> None:
    def swap(number: int) -> None:
        (tmp_path / f"..{number}").mkdir()
        (tmp_path / f"..{number}" / "a.yaml").write_text(str(number))
        (tmp_path / "..tmp").symlink_to(f"..{number}")
        (tmp_path / "..tmp").rename(tmp_path / "..data")
        if number:
            shutil.rmtree(tmp_path / f"..{number - 1}")

    swap(0)
    (tmp_path / "a.yaml").symlink_to("..data/a.yaml")
    async with DirectoryWatch([tmp_path], reader=reader) as watch:
        for number in (1, 2, 3):
            swap(number)
            await hinted(watch, tmp_path / "..data")
            assert (tmp_path / "a.yaml").read_text() == str(number)


async def test_recursion_is_asked_for(tmp_path: Path, reader: EventReader) -> None:
    deep = tmp_path / "deep"
    deep.mkdir()
    async with (
        DirectoryWatch([tmp_path], reader=reader) as flat,
        DirectoryWatch([tmp_path], recursive=True, reader=reader) as whole,
    ):
        (deep / "a").write_text("x")
        await hinted(whole, deep / "a")
        (tmp_path / "b").write_text("x")
        assert str(deep / "a") not in await hinted(flat, tmp_path / "b")


async def test_a_new_directory_is_watched_too(tmp_path: Path, reader: EventReader) -> None:
    async with DirectoryWatch([tmp_path], recursive=True, reader=reader) as watch:
        (tmp_path / "new").mkdir()
        await hinted(watch, tmp_path / "new" / "a", lambda: (tmp_path / "new" / "a").write_text("x"))


async def test_one_watch_has_many_roots(tmp_path: Path, reader: EventReader) -> None:
    roots = [tmp_path / name for name in "abc"]
    for root in roots:
        root.mkdir()
    async with DirectoryWatch(roots, reader=reader) as watch:
        for root in roots:
            (root / "x").write_text("x")
        await hinted(watch, roots[0] / "x")


@pytest.mark.parametrize("gone", ["removed", "moved away"])
async def test_a_root_that_is_made_again_is_watched_again(tmp_path: Path, gone: str, reader: EventReader) -> None:
    root = tmp_path / "inbox"
    root.mkdir()
    async with DirectoryWatch([root], recursive=True, reader=reader) as watch:
        if gone == "removed":
            root.rmdir()
        else:
            root.rename(tmp_path / "elsewhere")
        await hinted(watch, root)
        root.mkdir()
        (root / "early").write_text("x")  # before anything watches: the hint of the root stands for it
        await hinted(watch, root)
        (root / "late").write_text("x")
        await hinted(watch, root / "late")
        assert watch.watching == "events"


async def test_a_root_that_is_replaced_between_two_checks_is_watched(tmp_path: Path, reader: EventReader) -> None:
    root, other = tmp_path / "inbox", tmp_path / "other"
    root.mkdir()
    other.mkdir()
    async with DirectoryWatch([root], reader=reader) as watch:
        root.rename(tmp_path / "old")
        other.rename(root)
        await hinted(watch, root)
        await hinted(watch, root / "a", lambda: (root / "a").write_text("x"))


async def test_a_root_may_be_created_later_than_another(tmp_path: Path, reader: EventReader) -> None:
    stands, late = tmp_path / "stands", tmp_path / "late"
    stands.mkdir()
    async with DirectoryWatch([stands, late], reader=reader) as watch:
        (stands / "a").write_text("x")
        await hinted(watch, stands / "a")
        late.mkdir()
        await hinted(watch, late)
        await hinted(watch, late / "a", lambda: (late / "a").write_text("x"))


async def test_if_too_many_paths_change_their_root_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: EventReader
) -> None:
    monkeypatch.setattr(watching, "KEPT_PATHS", 10)
    async with DirectoryWatch([tmp_path], reader=reader) as watch:
        for number in range(50):
            (tmp_path / str(number)).write_text("x")
        assert len(await hinted(watch, tmp_path)) <= 11


async def test_a_link_to_a_directory_is_not_followed(tmp_path: Path, reader: EventReader) -> None:
    root, outside = tmp_path / "inbox", tmp_path / "outside"
    (root / "sub").mkdir(parents=True)
    outside.mkdir()
    (root / "sub" / "link").symlink_to(outside)
    async with DirectoryWatch([root], recursive=True, reader=reader) as watch:
        if reader is portable.read_events:
            assert await watch.changed() == {str(root)}, "the reader learns of the change of state"
            assert watch.watching == "poll"
            assert str(root / "sub" / "link") in (watch.problem or "")
        else:
            (root / "late").symlink_to(outside)
            await hinted(watch, root / "late")
            (outside / "a").write_text("x")
            (root / "sub" / "link" / "b").write_text("x")
            assert await hinted(watch, root / "sub" / "c", (root / "sub" / "c").touch) == {str(root / "sub" / "c")}
            assert watch.watching == "events"
    async with DirectoryWatch([root], reader=reader) as flat:
        assert flat.watching == "events", "without recursion no link is followed"


async def test_a_link_to_nothing_or_to_a_file_is_no_obstacle(tmp_path: Path, reader: EventReader) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "to_file").symlink_to("file")
    (tmp_path / "to_nothing").symlink_to("nowhere")
    async with DirectoryWatch([tmp_path], recursive=True, reader=reader) as watch:
        (tmp_path / "a").write_text("x")
        await hinted(watch, tmp_path / "a")
        assert watch.problem is None


async def test_without_events_it_polls_with_one_warning_and_recovers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, reader: EventReader
) -> None:
    monkeypatch.setattr(watching, "_RETRY", 0.05)
    with no_more_files():
        watch = DirectoryWatch([tmp_path], reader=reader)
        await watch.__aenter__()
        assert watch.watching == "poll"
        assert str(tmp_path) in (watch.problem or "")
        assert await watch.changed() == {str(tmp_path)}
        await asyncio.to_thread(watch._thread.stop.wait, 0.3)  # some more tries
    try:
        assert await asyncio.wait_for(watch.changed(), 20) == {str(tmp_path)}
        assert (watch.watching, watch.problem) == ("events", None)
        (tmp_path / "a").write_text("x")
        await hinted(watch, tmp_path / "a")
    finally:
        await watch.__aexit__()
    assert len([one for one in caplog.records if one.name == watching.__name__]) == 1


async def test_a_reader_that_is_cancelled_loses_nothing_and_leaving_ends_the_thread(
    tmp_path: Path, reader: EventReader
) -> None:
    async with DirectoryWatch([tmp_path], reader=reader) as watch:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(watch.changed(), 0.05)
        (tmp_path / "a").write_text("x")
        seen: set[str] = set()
        async for paths in watch:
            seen |= paths
            if str(tmp_path / "a") in seen:
                break
        thread = watch._thread
    assert not thread.is_alive()


async def test_a_reader_that_pauses_finds_all_that_happened(tmp_path: Path, reader: EventReader) -> None:
    async with DirectoryWatch([tmp_path], reader=reader) as watch:
        for number in range(2000):
            (tmp_path / str(number)).write_text("x")
        await hinted(watch, tmp_path / "last", lambda: (tmp_path / "last").write_text("x"))


async def test_directories_that_move_keep_their_watches_true(tmp_path: Path, reader: EventReader) -> None:
    """Renamed, moved out, moved in: what changes below is hinted at where it is now, and nowhere else."""
    root, outside = tmp_path / "inbox", tmp_path / "outside"
    for directory in (root / "a" / "deep", root / "b" / "deep", outside / "c" / "deep"):
        directory.mkdir(parents=True)
    async with DirectoryWatch([root], recursive=True, reader=reader) as watch:
        (root / "a").rename(root / "renamed")
        (root / "b").rename(outside / "b")
        (outside / "c").rename(root / "c")
        await hinted(watch, root / "c")
        await hinted(watch, root / "last", (root / "last").touch)
        for place in (root / "renamed" / "deep", outside / "b" / "deep", root / "c" / "deep"):
            (place / "x").write_text("x")
        seen = await hinted(watch, root / "c" / "deep" / "x")
        assert str(root / "renamed" / "deep" / "x") in seen
        assert not [path for path in seen if f"{root}/a/" in path or f"{root}/b/" in path or str(outside) in path]


async def test_two_directories_that_swap_names(tmp_path: Path) -> None:
    """All before the first event is read, so that each path is another directory's by then."""
    for name in ("a", "b"):
        (tmp_path / name / "deep").mkdir(parents=True)
    async with DirectoryWatch([tmp_path], recursive=True) as watch:
        for _ in range(3):
            (tmp_path / "a").rename(tmp_path / "c")
            (tmp_path / "b").rename(tmp_path / "a")
            (tmp_path / "c").rename(tmp_path / "b")
        await hinted(watch, tmp_path / "last", (tmp_path / "last").touch)
        for name in ("a", "b"):
            await hinted(watch, tmp_path / name / "deep" / f"in{name}", (tmp_path / name / "deep" / f"in{name}").touch)


async def test_a_tree_that_grows_quickly_is_watched_to_its_depth(tmp_path: Path, reader: EventReader) -> None:
    async with DirectoryWatch([tmp_path], recursive=True, reader=reader) as watch:
        deepest = tmp_path.joinpath(*"abcdefghij")
        for number in range(20):
            (tmp_path / str(number)).joinpath(*"abcdefghij").mkdir(parents=True)
        deepest.mkdir(parents=True)
        await hinted(watch, deepest / "file", lambda: (deepest / "file").write_text("x"))


async def test_events_that_were_lost_are_hints_of_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel's queue is filled while nobody reads it, and a directory comes of which no event tells."""
    held, go_on = threading.Event(), threading.Event()
    read = inotify.WatchedTree.read

    def slowly(self: inotify.WatchedTree, patience: float) -> set[str]:
        held.set()
        go_on.wait(20)
        return read(self, patience)

    monkeypatch.setattr(inotify.WatchedTree, "read", slowly)
    async with DirectoryWatch([tmp_path], recursive=True) as watch:
        await asyncio.to_thread(held.wait, 20)
        with (tmp_path / "a").open("wb", buffering=0) as a, (tmp_path / "b").open("wb", buffering=0) as b:
            for _ in range(QUEUE // 2 + 10):
                a.write(b"x")
                b.write(b"x")
        (tmp_path / "untold").mkdir()
        go_on.set()
        await hinted(watch, tmp_path)
        await hinted(watch, tmp_path / "untold" / "file", (tmp_path / "untold" / "file").touch)


async def test_a_directory_that_cannot_be_read_hides_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real where modes bind us; as root by a directory that goes while the tree is walked."""
    for name in ("closed", "open"):
        (tmp_path / name / "deep").mkdir(parents=True)
    (tmp_path / "closed").chmod(0)
    scandir = os.scandir

    def refusing(path: str) -> object:
        if path.endswith("/closed"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    async with DirectoryWatch([tmp_path], recursive=True) as watch:
        await hinted(watch, tmp_path / "open" / "deep" / "a", (tmp_path / "open" / "deep" / "a").touch)
        assert watch.watching == "events"
    (tmp_path / "closed").chmod(0o700)


LIMITED = """
    import asyncio, errno, logging, sys
    from pathlib import Path
    from mirrord.sources.watch import DirectoryWatch, inotify

    def limited(instances, watches):
        try:
            Path("/proc/sys/user/max_inotify_instances").write_text(instances)
            Path("/proc/sys/user/max_inotify_watches").write_text(watches)
        except OSError:  # no user namespace of our own: the kernel's refusal by hand
            inotify.WatchedTree._add = refuse(errno.ENOSPC)
            if instances == "0":
                inotify.WatchedTree.__enter__ = refuse(errno.EMFILE)

    def refuse(code):
        def call(*_):
            raise OSError(code, "refused")
        return call

    async def main():
        logging.basicConfig(format="%(message)s")
        limited(*sys.argv[2:])
        async with DirectoryWatch([sys.argv[1]], recursive=True) as watch:
            await watch.changed()
            print(watch.watching, watch.problem)

    asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("limits", "remedy"),
    [(("10", "3"), "fs.inotify.max_user_watches"), (("0", "10"), "fs.inotify.max_user_instances")],
)
def test_the_kernels_limits_lead_to_polling_with_a_remedy_and_one_warning(
    tmp_path: Path, limits: tuple[str, str], remedy: str
) -> None:
    """In a user namespace with limits of its own, where there may be one."""
    for number in range(5):
        (tmp_path / str(number)).mkdir()
    alone = ["unshare", "--user", "--map-root-user"]
    prefix = alone if shutil.which("unshare") and subprocess.run([*alone, "true"], check=False).returncode == 0 else []
    command = [*prefix, sys.executable, "-c", dedent(LIMITED), str(tmp_path), *limits]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.startswith("poll no events for"), done.stderr
    assert remedy in done.stdout
    assert len(done.stderr.splitlines()) == 1, "one warning"


async def test_trees_are_read_by_inotify_and_single_directories_by_watchfiles(tmp_path: Path) -> None:
    assert DirectoryWatch([tmp_path], recursive=True)._thread.reader is inotify.read_events
    assert DirectoryWatch([tmp_path])._thread.reader is portable.read_events


# ── many trees, one inotify instance ──────────────────────────────────────────────────────────────
def instances() -> int:
    """How many inotify instances this process has open."""
    found = 0
    for name in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # closed since the listing, as that of the listing is
            found += os.readlink(f"/proc/self/fd/{name}") == "anon_inode:inotify"
    return found


async def test_all_trees_share_one_instance(tmp_path: Path) -> None:
    before = instances()
    roots = [tmp_path / str(number) for number in range(100)]
    async with AsyncExitStack() as life:
        watches = []
        for root in roots:
            (root / "sub").mkdir(parents=True)
            watches.append(await life.enter_async_context(DirectoryWatch([root], recursive=True)))
        assert instances() == before + 1
        for root in roots:
            (root / "sub" / "a").write_text("x")
        for root, watch in zip(roots, watches, strict=True):
            seen = await hinted(watch, root / "sub" / "a")
            assert all(path.startswith(f"{root}/") for path in seen)
    assert instances() == before


async def test_a_directory_of_two_trees_is_hinted_at_in_both_and_later_in_the_remaining_one(tmp_path: Path) -> None:
    inner, link = tmp_path / "inner", tmp_path.with_name(f"{tmp_path.name}-link")
    (inner / "deep").mkdir(parents=True)
    link.symlink_to(inner)
    async with DirectoryWatch([tmp_path], recursive=True) as whole, DirectoryWatch([link], recursive=True) as part:
        async with DirectoryWatch([inner], recursive=True) as brief:
            (inner / "deep" / "a").write_text("x")
            await hinted(whole, inner / "deep" / "a")
            await hinted(part, link / "deep" / "a")
            await hinted(brief, inner / "deep" / "a")
        (inner / "deep" / "b").write_text("x")
        await hinted(whole, inner / "deep" / "b")
        await hinted(part, link / "deep" / "b")
        (inner / "deep").rename(inner / "moved")
        await hinted(whole, inner / "moved")
        await hinted(part, link / "moved")
        (inner / "moved" / "c").write_text("x")
        await hinted(whole, inner / "moved" / "c")
        await hinted(part, link / "moved" / "c")
    link.unlink()


async def test_a_removed_root_ends_no_other_watch(tmp_path: Path) -> None:
    """Only who has it as a root begins anew; the tree around it sees a directory go."""
    inner = tmp_path / "inner"
    inner.mkdir()
    async with DirectoryWatch([tmp_path], recursive=True) as whole, DirectoryWatch([inner], recursive=True) as part:
        shutil.rmtree(inner)
        await hinted(part, inner)
        seen = await hinted(whole, tmp_path / "last", (tmp_path / "last").touch)
        assert str(tmp_path) not in seen, "it lost nothing"
        inner.mkdir()
        await hinted(part, inner / "a", (inner / "a").touch)
        await hinted(whole, inner / "a", (inner / "a").touch)
