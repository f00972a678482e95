"""Hints that something changed below some directories, from the kernel's events.

Owns one thread for each `DirectoryWatch`, and the bounded set of changed paths between the thread and its user. Events
get lost (FIELD_NOTES 14): a user must also scan on a timer, and takes a hint only as a reason to scan now. No error of
the directories is raised: where events are not available, `watching` is "poll", and `problem` gives the reason. Trees
are read by `inotify` where the system has it, everything else by `portable` (watchfiles).

A root that is missing, removed, or replaced by another directory is found again within a second. The root itself is
then reported as changed; so it is when events were lost, or when more paths changed than are kept.
"""

import asyncio
import errno
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from logging import getLogger
from stat import S_ISDIR
from typing import Self

from mirrord.aio import finish
from mirrord.sources.watch import portable
from mirrord.sources.watch.reader import EventReader

if sys.platform == "linux":
    from mirrord.sources.watch import inotify as of_trees
else:
    of_trees = portable

_log = getLogger(__name__)

KEPT_PATHS = 10_000
"""If more paths change between two reads, their roots are reported instead."""

_ROOTS_EVERY = 1.0  # seconds between two checks of the roots themselves
_LEAVE = 2.0  # most seconds to wait for the thread's end; it notices a stop within 0.1 s
_RETRY = 60.0  # seconds until events are tried again after an error
_PAUSE_OF_DURATION = 4.0  # the pause before the watches are set again, as a multiple of the time that setting them took


class DirectoryWatch:
    """`async with DirectoryWatch(["/srv/inbox"], recursive=True) as hints: async for paths in hints: …`

    Created in a running event loop. Entering returns when the events flow (or are not available), so a first scan
    after it misses nothing. A root is a directory; to watch a file, watch its directory (the swap of a ConfigMap's
    `..data` is visible only there). Paths start with the root as it was given; they were changed, created or removed.
    """

    def __init__(
        self, roots: Iterable[str | os.PathLike[str]], *, recursive: bool = False, reader: EventReader | None = None
    ) -> None:
        """`reader` reads the events; by default the best one of the system."""
        self._roots = tuple(dict.fromkeys(os.fspath(root) for root in roots))
        self._problem: str | None = None
        self._changed: set[str] = set()
        self._news = asyncio.Event()
        self._watching = asyncio.Event()  # set once the watches are set, or are not available
        used = reader or (of_trees.read_events if recursive else portable.read_events)
        report = partial(_on_loop, asyncio.get_running_loop(), self._take)
        self._thread = _EventThread(self._roots, used, report, recursive=recursive)

    @property
    def watching(self) -> str:
        """`events`, or `poll` while events are not available."""
        return "poll" if self._problem else "events"

    @property
    def problem(self) -> str | None:
        """Why events are not available; None if they are. When it changes, every root is reported as changed."""
        return self._problem

    async def __aenter__(self) -> Self:
        self._thread.start()
        try:
            await self._watching.wait()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Wait for the thread's end. If a file system hangs, the thread ends later, with its call."""
        self._thread.stop.set()
        await finish(asyncio.to_thread(self._thread.join, _LEAVE))

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> frozenset[str]:
        return await self.changed()

    async def changed(self) -> frozenset[str]:
        """Wait for the next paths that may have changed, at least one. A cancellation loses none."""
        await self._news.wait()
        self._news.clear()
        changed, self._changed = self._changed, set()
        return frozenset(changed)

    def _take(self, paths: Iterable[str], problem: str | None) -> None:
        self._watching.set()
        if problem and not self._problem:
            _log.warning("watching without events: %s", problem)
        if problem != self._problem:
            self._problem, paths = problem, (*paths, *self._roots)
        self._changed.update(paths)
        if len(self._changed) > KEPT_PATHS:
            self._changed = set(self._roots)
        if self._changed:
            self._news.set()


ReportChanges = Callable[[Iterable[str], str | None], None]
"""Called in the thread with changed paths, and why events are not available, or None."""


def _on_loop(loop: asyncio.AbstractEventLoop, take: ReportChanges, paths: Iterable[str], problem: str | None) -> None:
    with suppress(RuntimeError):  # the loop is closed: the watch has no user any more
        loop.call_soon_threadsafe(take, paths, problem)


class _EventThread(threading.Thread):
    """Reads the events of the roots, and starts again when the roots change, until `stop` is set."""

    def __init__(self, roots: tuple[str, ...], reader: EventReader, report: ReportChanges, *, recursive: bool) -> None:
        super().__init__(name="watch", daemon=True)
        self.stop = threading.Event()
        self.reader = reader
        self._roots = roots
        self._recursive = recursive
        self._report = report
        self._watching_since = 0.0  # monotonic

    def run(self) -> None:
        missed: tuple[str, ...] = ()  # the first scan follows the first watches; all later ones had a gap before them
        while not self.stop.is_set():
            began = self._watching_since = time.monotonic()
            if problem := self._followed(missed):
                self._report((), problem)
                self.stop.wait(_RETRY)
            self.stop.wait(_PAUSE_OF_DURATION * (self._watching_since - began))
            missed = self._roots

    def _followed(self, missed: tuple[str, ...]) -> str | None:
        """Report events until the roots change. Returns None, or why events are not available."""
        roots = {root: _identity(root) for root in self._roots}
        present = [root for root, found in roots.items() if found]
        if unread := next((root for root in present if not os.access(root, os.R_OK | os.X_OK)), None):
            return f"no events for {unread}: it cannot be read"
        try:
            for changed in self._events(present, missed):
                if changed:
                    self._report(changed, None)
                if roots != {root: _identity(root) for root in self._roots}:
                    break
        except FileNotFoundError:
            self.stop.wait(_ROOTS_EVERY)  # a root was removed after the check
        except OSError as error:
            return f"no events for {', '.join(present)}: {error}{_remedy(error)}"
        return None

    def _events(self, present: Sequence[str], missed: tuple[str, ...]) -> Iterator[set[str]]:
        """Every batch of changes, and an empty one at least each second. Ends when stopped, or to be started again."""
        on_watching, should_stop = partial(self._watch_is_set, missed), self.stop.is_set
        if present:
            yield from self.reader(
                present, recursive=self._recursive, on_watching=on_watching, should_stop=should_stop, every=_ROOTS_EVERY
            )
            return
        on_watching()
        while not self.stop.wait(_ROOTS_EVERY):
            yield set()

    def _watch_is_set(self, missed: tuple[str, ...]) -> None:
        self._watching_since = time.monotonic()
        self._report(missed, None)


def _remedy(error: OSError) -> str:
    match error.errno:
        case errno.ENOSPC:
            return "; raise fs.inotify.max_user_watches, or poll"
        case errno.EMFILE:
            return "; raise fs.inotify.max_user_instances or the limit of open files, or poll"
    return "; poll, if that stays so"


def _identity(root: str) -> tuple[int, int] | None:
    """Device and inode of a root; None if it is missing."""
    try:
        found = os.stat(root)
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if S_ISDIR(found.st_mode) else None
