"""Hints that something changed below some directories, from the kernel's events.

Owns one thread a `Watch`, and the bounded set of paths between the thread and its reader. Refuses to be the truth:
events get lost (FIELD_NOTES 14), so a reader looks on a timer too, and takes a hint as a reason to look now. Never
raises because of what happens to the directories: where events cannot be had, `watching` becomes "poll" and `problem`
says why, once. Trees are read by `inotify` where the system has it, all else by `portable` (watchfiles).

A root that is missing, removed, or replaced by another directory is found again within a second; the root itself is
then handed on as a hint, as it is when events were lost, or when more paths changed than are kept.
"""

import asyncio
import errno
import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from logging import getLogger
from stat import S_ISDIR
from typing import Self

from mirrord.aio import finish
from mirrord.sources.watch import portable
from mirrord.sources.watch.reader import Follow

if sys.platform == "linux":
    from mirrord.sources.watch import inotify as of_trees
else:
    of_trees = portable

_log = getLogger(__name__)

KEPT_PATHS = 10_000
"""More changed paths than this between two reads are handed on as their roots."""

_LOOK = 1.0  # seconds between two looks at the roots themselves
_LEAVE = 2.0  # seconds; a thread notices a stop within a tenth of one
_AGAIN = 60.0  # seconds until events are tried again after they failed
_PAUSE_OF_DURATION = 4.0  # so many times as long as the watches took to stand is the pause before they are set anew


class Watch:
    """`async with Watch(["/srv/inbox"], recursive=True) as hints: async for paths in hints: …`

    Entering returns once the events flow (or cannot be had), so that a first look made after it misses nothing. A
    root is a directory; to watch a file, watch its directory (a ConfigMap's `..data` swap shows there only). Paths
    begin with the root as it was given, and name what changed, appeared or went.
    """

    def __init__(
        self, roots: Iterable[str | os.PathLike[str]], *, recursive: bool = False, follow: Follow | None = None
    ) -> None:
        """`follow` reads the events; by default the system's best for what is watched."""
        self._roots = tuple(dict.fromkeys(os.fspath(root) for root in roots))
        self._recursive = recursive
        self._follow: Follow = follow or (of_trees.follow if recursive else portable.follow)
        self._problem: str | None = None
        self._changed: set[str] = set()
        self._news = asyncio.Event()
        self._stop = threading.Event()
        self._standing = asyncio.Event()
        self._stood = 0.0  # when the watches stood (monotonic)
        self._loop: asyncio.AbstractEventLoop
        self._thread = threading.Thread(target=self._live, name="watch", daemon=True)

    @property
    def watching(self) -> str:
        """`events`, or `poll` while the reader's timer is all there is."""
        return "poll" if self._problem else "events"

    @property
    def problem(self) -> str | None:
        """Why events cannot be had; None if they can. A change of it is handed on as a hint of every root."""
        return self._problem

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._thread.start()
        try:
            await self._standing.wait()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Wait for the thread's end, unless a file system that hangs keeps it: then it ends with its call."""
        self._stop.set()
        await finish(asyncio.to_thread(self._thread.join, _LEAVE))

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> frozenset[str]:
        return await self.changed()

    async def changed(self) -> frozenset[str]:
        """Wait for the next paths that may have changed, at least one. Being cancelled loses none."""
        await self._news.wait()
        self._news.clear()
        changed, self._changed = self._changed, set()
        return frozenset(changed)

    # ── on the loop ──────────────────────────────────────────────────────────────────────────────
    def _take(self, paths: Iterable[str], problem: str | None) -> None:
        self._standing.set()
        if problem and not self._problem:
            _log.warning("watching without events: %s", problem)
        if problem != self._problem:
            self._problem, paths = problem, (*paths, *self._roots)
        self._changed.update(paths)
        if len(self._changed) > KEPT_PATHS:
            self._changed = set(self._roots)
        if self._changed:
            self._news.set()

    # ── on the thread ────────────────────────────────────────────────────────────────────────────
    def _live(self) -> None:
        missed: tuple[str, ...] = ()  # the first look comes after the first watch stands; each new one had a gap
        while not self._stop.is_set():
            began = self._stood = time.monotonic()
            if problem := self._followed(missed):
                self._hand_on((), problem)
                self._stop.wait(_AGAIN)
            self._stop.wait(_PAUSE_OF_DURATION * (self._stood - began))
            missed = self._roots

    def _followed(self, missed: tuple[str, ...]) -> str | None:
        """Hand on events until the roots are others than when it began: None, or why events cannot be had."""
        roots = {root: _identity(root) for root in self._roots}
        present = [root for root, found in roots.items() if found]
        if unread := next((root for root in present if not os.access(root, os.R_OK | os.X_OK)), None):
            return f"no events for {unread}: it cannot be read"
        try:
            for changed in self._events(present, missed):
                if changed:
                    self._hand_on(changed)
                if roots != {root: _identity(root) for root in self._roots}:
                    break
        except FileNotFoundError:
            self._stop.wait(_LOOK)  # it went between the two looks
        except OSError as error:
            return f"no events for {', '.join(present)}: {error}{_remedy(error)}"
        return None

    def _events(self, present: Sequence[str], missed: tuple[str, ...]) -> Iterator[set[str]]:
        """Every batch of changes, and an empty one each second at least; ends once stopped, or if to be begun anew."""
        standing = partial(self._stand, missed)
        if present:
            stopped = self._stop.is_set
            yield from self._follow(present, recursive=self._recursive, standing=standing, stopped=stopped, every=_LOOK)
            return
        standing()
        while not self._stop.wait(_LOOK):
            yield set()

    def _stand(self, missed: tuple[str, ...]) -> None:
        self._stood = time.monotonic()
        self._hand_on(missed)

    def _hand_on(self, paths: Iterable[str], problem: str | None = None) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody reads any more
            self._loop.call_soon_threadsafe(self._take, paths, problem)


def _remedy(error: OSError) -> str:
    match error.errno:
        case errno.ENOSPC:
            return "; raise fs.inotify.max_user_watches, or poll"
        case errno.EMFILE:
            return "; raise fs.inotify.max_user_instances or the limit of open files, or poll"
    return "; poll, if that stays so"


def _identity(root: str) -> tuple[int, int] | None:
    """Device and inode of a root; None while it is not there."""
    try:
        found = os.stat(root)
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if S_ISDIR(found.st_mode) else None
