"""Hints that something changed below some directories, from the kernel's events: the only importer of watchfiles.

Owns one thread and one inotify instance a `Watch`, and the bounded set of paths between the thread and its reader.
Refuses to be the truth: events get lost in silence (FIELD_NOTES 14), so a reader looks on a timer too, and takes a
hint as a reason to look now. Never raises because of what happens to the directories: where events cannot be had,
`watching` becomes "poll" and `problem` says why, once.

A root that is missing, removed, or replaced by another directory is found again within a second; the root itself is
then handed on as a hint, as it is when more paths changed than are kept. watchfiles follows symbolic links to
directories, through which one link to `/` would eat every watch of the machine: a tree that has one is polled.
"""

import asyncio
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from logging import getLogger
from stat import S_ISDIR
from typing import Self

from watchfiles import Change, watch
from watchfiles.main import FileChange

from mirrord.aio import finish

_log = getLogger(__name__)

KEPT_PATHS = 10_000
"""More changed paths than this between two reads are handed on as their roots."""

STEP = 0.05
"""Seconds that an event takes to be handed on, one and a half times that on average."""

_DEBOUNCE_MS = 100  # the latency of the first event in a stream that does not pause
_LOOK_MS = 1000  # how often the roots themselves are looked at
_AGAIN = 60.0  # seconds until events are tried again after they failed


class Watch:
    """`async with Watch(["/srv/inbox"], recursive=True) as hints: async for paths in hints: …`

    Entering returns once the events flow (or cannot be had), so that a first look made after it misses nothing. A
    root is a directory; to watch a file, watch its directory (a ConfigMap's `..data` swap shows there only). Paths
    begin with the root as it was given, and name what changed, appeared or went.
    """

    def __init__(self, roots: Iterable[str | os.PathLike[str]], *, recursive: bool = False, step: float = STEP) -> None:
        """`step` in seconds, at least 0.001: its thread wakes that often, which at 0.005 costs 0.4 % of a core."""
        self._roots = tuple(dict.fromkeys(os.fspath(root) for root in roots))
        self._recursive = recursive
        self._step_ms = max(1, round(step * 1000))
        self._problem = ""
        self._changed: set[str] = set()
        self._news = asyncio.Event()
        self._stop = threading.Event()
        self._standing = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop
        self._thread = threading.Thread(target=self._live, name="watch", daemon=True)

    @property
    def watching(self) -> str:
        """`events`, or `poll` while the reader's timer is all there is."""
        return "poll" if self._problem else "events"

    @property
    def problem(self) -> str:
        """Why events cannot be had; empty if they can. A change of it is handed on as a hint of every root."""
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
        self._stop.set()
        await finish(asyncio.to_thread(self._thread.join))

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
    def _take(self, paths: Iterable[str], problem: str) -> None:
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
            if problem := self._followed(missed):
                self._hand_on((), problem)
                self._stop.wait(_AGAIN)
            missed = self._roots

    def _followed(self, missed: tuple[str, ...]) -> str:
        """Hand on events until the roots are others than when it began: empty, or why events cannot be had."""
        roots = {root: _identity(root) for root in self._roots}
        present = [root for root, found in roots.items() if found]
        if problem := self._unfit(present):
            return problem
        try:
            for changes in self._events(present, missed):
                self._hand_on([path for _, path in changes])
                gone = any(change is Change.deleted and path in roots for change, path in changes)
                if gone or roots != {root: _identity(root) for root in self._roots}:
                    break
        except FileNotFoundError:
            self._stop.wait(_LOOK_MS / 1000)  # it went between the two looks
        except (OSError, RuntimeError) as error:  # RuntimeError: watchfiles, for what befalls a watch that stands
            return f"no events for {', '.join(present)}: {error}; raise fs.inotify.max_user_watches, or poll"
        return ""

    def _events(self, present: list[str], missed: tuple[str, ...]) -> Iterator[set[FileChange]]:
        """Every batch of changes, and an empty one each second at least; ends once stopped."""
        if not present:
            self._hand_on(missed)
            yield from iter(lambda: set() if not self._stop.wait(_LOOK_MS / 1000) else None, None)
            return
        yield from watch(
            *present,
            watch_filter=None,
            step=self._step_ms,
            debounce=max(_DEBOUNCE_MS, self._step_ms),
            rust_timeout=_LOOK_MS,
            yield_on_timeout=True,
            stop_event=_Standing(self._stop, partial(self._hand_on, missed)),
            raise_interrupt=False,
            recursive=self._recursive,
            ignore_permission_denied=True,
        )

    def _unfit(self, present: list[str]) -> str:
        """Why events of these roots would be missing or too many; empty if neither."""
        for root in present:
            if not os.access(root, os.R_OK | os.X_OK):
                return f"no events for {root}: it cannot be read"
            if self._recursive and (link := self._link_below(root)):
                return f"no events for {root}: {link} is a link to a directory, which events would follow"
        return ""

    def _link_below(self, root: str) -> str:
        for directory, names, _ in os.walk(root):
            if self._stop.is_set():
                break
            for name in names:
                path = os.path.join(directory, name)
                if os.path.islink(path):
                    return path
        return ""

    def _hand_on(self, paths: Iterable[str], problem: str = "") -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody reads any more
            self._loop.call_soon_threadsafe(self._take, paths, problem)


class _Standing:
    """The event that watchfiles asks at every step, and first once its watches stand, which it says in no other way."""

    def __init__(self, stop: threading.Event, standing: Callable[[], None]) -> None:
        self._stop = stop
        self._standing: Callable[[], None] | None = standing

    def is_set(self) -> bool:
        if self._standing is not None:
            self._standing()
            self._standing = None
        return self._stop.is_set()


def _identity(root: str) -> tuple[int, int] | None:
    """Device and inode of a root; None while it is not there."""
    try:
        found = os.stat(root)
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if S_ISDIR(found.st_mode) else None
