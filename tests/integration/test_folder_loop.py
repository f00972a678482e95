"""A folder loop on a real directory with real events: it submits each version of a settled file exactly once."""

import asyncio
import errno
import os
import shutil
import tarfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mirrord.declared import FolderSpec, FolderTarget
from mirrord.engine.clock import SystemClock
from mirrord.errors import Reason
from mirrord.events import Event, FolderRescanned
from mirrord.folders.loop import FolderLoop
from mirrord.folders.ports import FolderPorts
from mirrord.model import File, FileIdentity, Item, Outcome, Revision, State, fingerprint
from mirrord.planning.decisions.decide import options_digest
from mirrord.reconcile.records import with_outcome
from mirrord.sources.folder.scan import LocalFolder
from mirrord.sources.watch import DirectoryWatch, inotify
from mirrord.testing import MemoryJournal
from tests.support.records import with_fields

SETTLE = 0.15


class Inbox:
    """A real folder, its loop, and a scheduler that records each submitted file as mirrored if it still exists."""

    def __init__(self, root: Path, **spec: Any) -> None:
        self.root = root
        self.journal = MemoryJournal()
        self.events: list[Event] = []
        self.submitted: list[tuple[str, FileIdentity]] = []
        self.moments: list[float] = []
        self._news = asyncio.Event()
        spec = {"settle": SETTLE, "rescan": 30.0, "poll_interval": 0.3} | spec
        target = FolderTarget(store="default", endpoint="http://store", bucket="bucket")
        self.spec = with_fields(FolderSpec(entry="inbox", path=str(root), target=target), **spec)
        ports = FolderPorts(
            listing=LocalFolder(
                self.spec.path, self.spec.selection.include, self.spec.selection.exclude, self.spec.selection.ready
            ),
            watch=partial(DirectoryWatch, [self.spec.path], recursive=True),
            journal=self.journal,
            submit=self.submit,
            observer=self.take,
            clock=SystemClock(),
        )
        self.loop = FolderLoop(self.spec, ports)

    def take(self, event: Event) -> None:
        self.events.append(event)
        self._news.set()

    async def submit(self, item: Item) -> None:
        assert isinstance(item.origin, File)
        path = item.origin.path
        try:
            file = FileIdentity.of(os.stat(path))
        except FileNotFoundError:
            return
        self.submitted.append((path.removeprefix(f"{self.root}/"), file))
        self.moments.append(time.monotonic())
        revision = Revision(address=fingerprint(item.origin.address), length=file.size, file=file)
        record = with_outcome(item, None, Outcome(state=State.SYNCED), 0.0)
        digest = options_digest(item.options.object)
        await self.journal.save(with_fields(record, revision=revision, options_digest=digest))
        self._news.set()

    @asynccontextmanager
    async def followed(self) -> AsyncIterator["Inbox"]:
        running = asyncio.create_task(self.loop.run())
        try:
            await self.until(lambda: bool(self.scans))
            yield self
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def until(self, done: Callable[[], bool], within: float = 60.0) -> None:
        async with asyncio.timeout(within):
            while not done():
                self._news.clear()
                await self._news.wait()

    async def until_here(self) -> None:
        """Wait until all present files are submitted, then a little longer, to detect superfluous submissions."""
        await self.until(lambda: not self.missing())
        await asyncio.sleep(3 * SETTLE)
        self.check()

    def standing(self) -> dict[str, FileIdentity]:
        paths = [path for path in self.root.rglob("*") if path.is_file()]
        return {str(path.relative_to(self.root)): FileIdentity.of(path.stat()) for path in paths}

    def missing(self) -> set[str]:
        done = set(self.submitted)
        return {name for name, file in self.standing().items() if (name, file) not in done}

    def check(self) -> None:
        assert not self.missing()
        again = [one for one, times in Counter(self.submitted).items() if times > 1]
        assert not again, "each version of a file exactly once"

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.submitted]

    @property
    def scans(self) -> list[FolderRescanned]:
        return [event for event in self.events if isinstance(event, FolderRescanned)]

    @property
    def causes(self) -> list[str]:
        return [event.cause for event in self.scans]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "inbox"
    root.mkdir()
    return root


async def test_what_is_there_at_the_start_and_what_is_dropped_later(root: Path) -> None:
    (root / "before").write_text("x")
    async with Inbox(root).followed() as inbox:
        await inbox.until_here()
        dropped = time.monotonic()
        (root / "dropped").write_text("x")
        await inbox.until_here()
        assert inbox.names == ["before", "dropped"]
        assert SETTLE <= inbox.moments[-1] - dropped < SETTLE + 2
        assert inbox.loop.status().watching == "events"
        assert inbox.causes == ["start"], "by a check of the file, not by a scan"


async def test_markers_of_files_and_of_directories(root: Path) -> None:
    (root / "batch").mkdir()
    (root / "batch" / "1").write_text("x")
    (root / "a.csv").write_text("x")
    async with Inbox(root, ready="*.done").followed() as inbox:
        async with asyncio.timeout(20):
            while [one.status().reason for one in inbox.loop.waiting()] != [Reason.NO_MARKER] * 2:  # noqa: ASYNC110 - there is no event for it
                await asyncio.sleep(0.01)
        (root / "a.csv.done").touch()
        await inbox.until(lambda: inbox.names == ["a.csv"])
        (root / "batch.done").touch()
        await inbox.until(lambda: inbox.names == ["a.csv", "batch/1"])
        assert inbox.causes == ["start"]
        staged = root.parent / "staged"
        staged.mkdir()
        for number in range(3):
            (staged / str(number)).write_text("x")
            (staged / f"{number}.done").touch()
        staged.rename(root / "moved")
        await inbox.until(lambda: set(inbox.names[2:]) == {"moved/0", "moved/1", "moved/2"})
        await asyncio.sleep(3 * SETTLE)
        assert len(inbox.names) == 5
        assert list(inbox.loop.waiting()) == []


async def test_without_a_settle_a_drop_is_a_matter_of_milliseconds(root: Path) -> None:
    for number in range(2000):
        (root / f"old{number}").touch()
    took = []
    async with Inbox(root, settle=0.0).followed() as inbox:
        await inbox.until_here()
        for number in range(10):
            (root.parent / "new").write_text("x")
            dropped = time.monotonic()
            (root.parent / "new").rename(root / f"new{number}")
            await inbox.until(lambda name=f"new{number}": inbox.names[-1] == name)  # type: ignore[misc]
            took.append(inbox.moments[-1] - dropped)
        inbox.check()
    assert sorted(took)[5] < 0.5


async def test_write_then_rename(root: Path) -> None:
    async with Inbox(root).followed() as inbox:
        for name in (".a.XYZ", "b.part", "c~", "d.tmp"):
            (root / name).write_text("x" * 1000)
        await asyncio.sleep(3 * SETTLE)
        assert inbox.submitted == []
        (root / ".a.XYZ").rename(root / "a")
        (root / "b.part").rename(root / "b")
        await inbox.until(lambda: set(inbox.names) == {"a", "b"})
        await asyncio.sleep(3 * SETTLE)
        assert sorted(inbox.names) == ["a", "b"]


async def test_a_slow_writer_is_waited_for(root: Path) -> None:
    async with Inbox(root, settle=0.4).followed() as inbox:
        with (root / "slow").open("w") as file:
            for _ in range(15):
                file.write("x" * 100_000)
                file.flush()
                await asyncio.sleep(0.1)
                assert inbox.submitted == []
        (waiting,) = inbox.loop.waiting()
        assert waiting.status().message.startswith("still growing, ")
        await inbox.until_here()
        assert [(name, file.size) for name, file in inbox.submitted] == [("slow", 1_500_000)]


async def test_an_append_after_the_settle_is_another_state(root: Path) -> None:
    async with Inbox(root).followed() as inbox:
        for length in range(1, 4):
            with (root / "log").open("a") as file:
                file.write("x")
            await inbox.until_here()
            assert [file.size for _, file in inbox.submitted] == list(range(1, length + 1))


async def test_a_directory_moved_in_and_renamed(root: Path, tmp_path: Path) -> None:
    big = tmp_path / "big"
    for number in range(200):
        (big / f"d{number % 10}").mkdir(parents=True, exist_ok=True)
        (big / f"d{number % 10}" / str(number)).write_text("x")
    async with Inbox(root).followed() as inbox:
        big.rename(root / "in")
        await inbox.until_here()
        assert len(inbox.submitted) == 200
        (root / "in").rename(root / "renamed")
        await inbox.until_here()
        assert len(inbox.submitted) == 400
        assert inbox.causes == ["start"]


async def test_hundreds_of_files_untarred(root: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        (tmp_path / "one").write_text("x")
        for number in range(600):
            tar.add(tmp_path / "one", f"d{number % 20}/e{number % 100}/f{number}")
    async with Inbox(root, rescan=3.0).followed() as inbox:
        extractor = await asyncio.create_subprocess_exec("tar", "-xf", str(tmp_path / "a.tar"), "-C", str(root))
        assert await extractor.wait() == 0
        await inbox.until_here()
        assert len(set(inbox.names)) == 600


async def test_a_root_that_is_removed_and_made_again(root: Path) -> None:
    async with Inbox(root).followed() as inbox:
        for lap in range(3):
            (root / f"file{lap}").write_text("x")
            await inbox.until_here()
            shutil.rmtree(root)
            await inbox.until(lambda: not inbox.scans[-1].complete)
            status = inbox.loop.status()
            assert not status.complete
            assert str(root) in status.problem
            os.mkdir(root)
            (root / f"early{lap}").write_text("x")
            await inbox.until_here()
            assert inbox.loop.status().complete
            assert inbox.loop.status().problem == ""
        assert sorted(inbox.names) == ["early0", "early1", "early2", "file0", "file1", "file2"]


async def test_a_root_that_is_created_later(tmp_path: Path) -> None:
    async with Inbox(tmp_path / "late").followed() as inbox:
        assert not inbox.loop.status().complete
        (tmp_path / "late").mkdir()
        (tmp_path / "late" / "a").write_text("x")
        await inbox.until_here()
        assert inbox.names == ["a"]


async def test_changes_without_events_are_found_by_the_timer(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel has no free watch: simulated here, real in `tests/contract/test_watch.py`."""

    def full(*_: object) -> bool:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(inotify.WatchedTree, "_add", full)
    async with Inbox(root).followed() as inbox:
        assert inbox.loop.status().watching == "poll"
        assert "max_user_watches" in inbox.loop.status().problem
        (root / "a").write_text("x")
        await inbox.until_here()
        assert inbox.names == ["a"]


async def test_removed_files_are_forgotten_and_their_names_used_again(root: Path) -> None:
    async with Inbox(root).followed() as inbox:
        for _ in range(3):
            (root / "a").write_text("x")
            await inbox.until_here()
            (root / "a").unlink()
            (root / "gone").write_text("x")
            (root / "gone").unlink()
            await asyncio.sleep(2 * SETTLE)
        assert inbox.names == ["a"] * 3
        assert list(inbox.loop.waiting()) == []


async def test_names_that_are_no_text_and_other_kinds_stop_nothing(root: Path) -> None:
    os.close(os.open(os.fsencode(root) + b"/bad-\xff", os.O_CREAT))
    async with Inbox(root).followed() as inbox:
        assert "not UTF-8" in inbox.loop.status().problem
        assert inbox.loop.status().complete
        os.close(os.open(os.fsencode(root) + b"/worse-\xfe", os.O_CREAT))
        os.mkfifo(root / "fifo")
        (root / "good").write_text("x")
        await inbox.until(lambda: inbox.names == ["good"])
