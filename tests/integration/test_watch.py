"""Watching real directories: what changes is hinted at quickly, and nothing that befalls a root ends the watch."""

import asyncio
import os
import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mirrord.sources import watch as watching
from mirrord.sources.watch import Watch


async def hinted(watch: Watch, wanted: Path, meanwhile: Callable[[], object] = lambda: None) -> set[str]:
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
async def test_whatever_its_name_a_file_is_hinted_at(tmp_path: Path, name: str) -> None:
    async with Watch([tmp_path]) as watch:
        (tmp_path / name).write_text("x")
        await hinted(watch, tmp_path / name)
        assert watch.watching == "events"


async def test_a_file_saved_by_rename_is_hinted_at(tmp_path: Path) -> None:
    manifest = tmp_path / "a.yaml"
    manifest.write_text("old")
    async with Watch([tmp_path]) as watch:
        (tmp_path / "4913").write_text("new")
        (tmp_path / "4913").rename(manifest)
        await hinted(watch, manifest)


async def test_every_swap_of_a_config_map_is_hinted_at(tmp_path: Path) -> None:
    def swap(number: int) -> None:
        (tmp_path / f"..{number}").mkdir()
        (tmp_path / f"..{number}" / "a.yaml").write_text(str(number))
        (tmp_path / "..tmp").symlink_to(f"..{number}")
        (tmp_path / "..tmp").rename(tmp_path / "..data")
        if number:
            shutil.rmtree(tmp_path / f"..{number - 1}")

    swap(0)
    (tmp_path / "a.yaml").symlink_to("..data/a.yaml")
    async with Watch([tmp_path]) as watch:
        for number in (1, 2, 3):
            swap(number)
            await hinted(watch, tmp_path / "..data")
            assert (tmp_path / "a.yaml").read_text() == str(number)


async def test_recursion_is_asked_for(tmp_path: Path) -> None:
    deep = tmp_path / "deep"
    deep.mkdir()
    async with Watch([tmp_path]) as flat, Watch([tmp_path], recursive=True) as whole:
        (deep / "a").write_text("x")
        await hinted(whole, deep / "a")
        (tmp_path / "b").write_text("x")
        assert str(deep / "a") not in await hinted(flat, tmp_path / "b")


async def test_a_new_directory_is_watched_too(tmp_path: Path) -> None:
    async with Watch([tmp_path], recursive=True) as watch:
        (tmp_path / "new").mkdir()
        await hinted(watch, tmp_path / "new" / "a", lambda: (tmp_path / "new" / "a").write_text("x"))


async def test_one_watch_has_many_roots(tmp_path: Path) -> None:
    roots = [tmp_path / name for name in "abc"]
    for root in roots:
        root.mkdir()
    async with Watch(roots) as watch:
        for root in roots:
            (root / "x").write_text("x")
        await hinted(watch, roots[0] / "x")


@pytest.mark.parametrize("gone", ["removed", "moved away"])
async def test_a_root_that_is_made_again_is_watched_again(tmp_path: Path, gone: str) -> None:
    root = tmp_path / "inbox"
    root.mkdir()
    async with Watch([root], recursive=True) as watch:
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


async def test_a_root_that_is_swapped_for_another_between_two_looks_is_watched(tmp_path: Path) -> None:
    root, other = tmp_path / "inbox", tmp_path / "other"
    root.mkdir()
    other.mkdir()
    async with Watch([root]) as watch:
        root.rename(tmp_path / "old")
        other.rename(root)
        await hinted(watch, root)
        await hinted(watch, root / "a", lambda: (root / "a").write_text("x"))


async def test_a_root_may_come_late_beside_one_that_stands(tmp_path: Path) -> None:
    stands, late = tmp_path / "stands", tmp_path / "late"
    stands.mkdir()
    async with Watch([stands, late]) as watch:
        (stands / "a").write_text("x")
        await hinted(watch, stands / "a")
        late.mkdir()
        await hinted(watch, late)
        await hinted(watch, late / "a", lambda: (late / "a").write_text("x"))


async def test_more_paths_than_are_kept_become_their_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "KEPT_PATHS", 10)
    async with Watch([tmp_path]) as watch:
        for number in range(50):
            (tmp_path / str(number)).write_text("x")
        assert len(await hinted(watch, tmp_path)) <= 11


async def test_a_link_to_a_directory_is_not_followed_but_polled(tmp_path: Path) -> None:
    root, outside = tmp_path / "inbox", tmp_path / "outside"
    (root / "sub").mkdir(parents=True)
    outside.mkdir()
    (root / "sub" / "link").symlink_to(outside)
    async with Watch([root], recursive=True) as watch:
        assert await watch.changed() == {str(root)}, "the reader learns of the change of state"
        assert watch.watching == "poll"
        assert str(root / "sub" / "link") in watch.problem
    async with Watch([root]) as flat:
        assert flat.watching == "events", "without recursion no link is followed"


async def test_a_link_to_nothing_or_to_a_file_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "to_file").symlink_to("file")
    (tmp_path / "to_nothing").symlink_to("nowhere")
    async with Watch([tmp_path], recursive=True) as watch:
        (tmp_path / "a").write_text("x")
        await hinted(watch, tmp_path / "a")
        assert watch.problem == ""


async def test_without_events_it_polls_says_so_once_and_recovers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(watching, "_AGAIN", 0.05)
    with no_more_files():
        watch = Watch([tmp_path])
        await watch.__aenter__()
        assert watch.watching == "poll"
        assert str(tmp_path) in watch.problem
        assert await watch.changed() == {str(tmp_path)}
        await asyncio.to_thread(watch._stop.wait, 0.3)  # some more tries
    try:
        assert await asyncio.wait_for(watch.changed(), 20) == {str(tmp_path)}
        assert (watch.watching, watch.problem) == ("events", "")
        (tmp_path / "a").write_text("x")
        await hinted(watch, tmp_path / "a")
    finally:
        await watch.__aexit__()
    assert len([one for one in caplog.records if one.name == watching.__name__]) == 1


async def test_a_reader_that_is_cancelled_loses_nothing_and_leaving_ends_the_thread(tmp_path: Path) -> None:
    async with Watch([tmp_path]) as watch:
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


async def test_a_reader_that_pauses_finds_all_that_happened(tmp_path: Path) -> None:
    async with Watch([tmp_path]) as watch:
        for number in range(2000):
            (tmp_path / str(number)).write_text("x")
        await hinted(watch, tmp_path / "last", lambda: (tmp_path / "last").write_text("x"))
