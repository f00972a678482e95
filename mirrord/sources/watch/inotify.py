"""The kernel's events of whole trees, by inotify(7). Linux only. All calls block; they run in a watch's thread.

Owns one inotify instance for all trees of the process (the default limit is 128 instances a user, over all programs),
and the directory of each of its watches. It does not use watchfiles, because it is not suitable for a large folder: it
holds the interpreter lock while it walks a tree (0.4 s for 200,000 files, in which nothing else of the process runs),
follows links, wakes up at every step, and ignores the kernel's report that events were lost. Here a walk reads
directories only, releases the interpreter lock between two names, and follows no link below a root. The bindings on
PyPI would replace only the four system calls below; the walk and its race conditions would still be in this module.

A new directory is watched with all below it before a hint of it is passed on, so a scan that follows the hint misses
nothing. A moved directory is unwatched with all below it, because its watches would report its old path. When events
were lost, a root was removed or moved, or a file system was unmounted, `read_events` ends; the caller starts it again.
"""

import ctypes
import errno
import os
import select
import struct
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Self

from mirrord.sources.watch.reader import OnWatching, ShouldStop

_MODIFY, _ATTRIB, _CLOSE_WRITE, _MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x2, 0x4, 0x8, 0x40, 0x80, 0x100, 0x200
_DELETE_SELF, _MOVE_SELF, _UNMOUNT, _OVERFLOW, _IGNORED = 0x400, 0x800, 0x2000, 0x4000, 0x8000
_ONLY_DIRECTORY, _NOT_THROUGH_LINKS, _NOT_OF_UNLINKED, _IS_DIRECTORY = 0x1000000, 0x2000000, 0x4000000, 0x40000000
_ADD_TO_MASK = 0x20000000  # a directory of two trees has one watch

_CHANGES = _MODIFY | _ATTRIB | _CLOSE_WRITE | _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE
_BELOW = _CHANGES | _ONLY_DIRECTORY | _NOT_OF_UNLINKED | _NOT_THROUGH_LINKS
_OF_ROOT = _CHANGES | _ONLY_DIRECTORY | _NOT_OF_UNLINKED | _DELETE_SELF | _MOVE_SELF  # a root may be a link
_RESTART = _OVERFLOW | _UNMOUNT | _DELETE_SELF | _MOVE_SELF

_EVENT = struct.Struct("iIII")  # watch, mask, cookie, length of the name
_READ = 256 * 1024
_MOST_QUEUED = 8_192
"""Most events that wait for one tree. Further events are lost for it, as they are when the kernel's queue is full."""
_GATHER = 0.005  # least seconds between two reads: many events make batches, a single event is passed on at once
_TURN = 0.1  # most seconds until a stop is noticed
_EXHAUSTED = {errno.ENOSPC, errno.EMFILE, errno.ENFILE, errno.ENOMEM}


def read_events(
    roots: Sequence[str], *, recursive: bool, on_watching: OnWatching, should_stop: ShouldStop, every: float
) -> Iterator[set[str]]:
    """See `reader.EventReader`. Raises ENOSPC for too many directories, EMFILE for too many instances or files."""
    with WatchedTree(recursive, should_stop) as tree:
        for root in roots:
            tree.watch_root(root)
        on_watching()
        reported = time.monotonic()
        while not should_stop() and not tree.is_stale:
            changed = tree.read(_TURN)
            if changed or time.monotonic() - reported >= every:
                yield changed
                reported = time.monotonic()
            if changed:
                time.sleep(_GATHER)


KernelEvent = tuple[int, int, str]
"""Watch, mask and name. The name is empty if the event is about the watched directory itself."""


class Inotify:
    """The inotify instance of the process, open while any tree is watched. Its thread gives each tree its events.

    A directory in two trees has one watch, whose mask is the union of both masks.
    """

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._lock = threading.Lock()  # no event is passed on between the creation of a watch and its entry here
        self._trees: set[WatchedTree] = set()
        self._masks: dict[int, dict[WatchedTree, int]] = {}  # by watch
        self._file = -1
        self._thread: threading.Thread | None = None

    def enter(self, tree: "WatchedTree") -> None:
        """Add a tree. Raises OSError."""
        with self._lock:
            if self._file < 0:
                self._file = self._libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
                if self._file < 0:
                    raise _error("inotify")
                self._thread = threading.Thread(target=self._read, args=(self._file,), name="inotify", daemon=True)
                self._thread.start()
            self._trees.add(tree)

    def leave(self, tree: "WatchedTree", watches: Iterable[int]) -> None:
        """Remove a tree, with its watches."""
        with self._lock:
            self._trees.discard(tree)
            thread = None if self._trees else self._thread
            if thread is not None:
                self._masks.clear()
                self._thread, self._file = None, -1
        if thread is not None:
            thread.join()  # it closes the file, which ends every watch
            return
        for watch in watches:
            self.remove(tree, watch)

    def add(self, tree: "WatchedTree", path: str, mask: int) -> int:
        """Watch this directory for the tree, and return the watch. Raises OSError.

        The path is resolved before the lock is taken: while a file system hangs, the other trees go on.
        """
        links = os.O_NOFOLLOW if mask & _NOT_THROUGH_LINKS else 0
        directory = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC | links)
        try:
            with self._lock:
                return self._watch(tree, directory, path, mask)
        finally:
            os.close(directory)

    def _watch(self, tree: "WatchedTree", directory: int, path: str, mask: int) -> int:
        found = b"/proc/self/fd/%d" % directory
        watch: int = self._libc.inotify_add_watch(self._file, found, mask & ~_NOT_THROUGH_LINKS | _ADD_TO_MASK)
        if watch < 0:
            raise _error(path)
        masks = self._masks.setdefault(watch, {})
        masks[tree] = masks.get(tree, 0) | mask
        return watch

    def remove(self, tree: "WatchedTree", watch: int) -> None:
        """End this watch for the tree."""
        with self._lock:
            masks = self._masks.get(watch, {})
            if masks.pop(tree, None) is not None and not masks:
                del self._masks[watch]
                self._libc.inotify_rm_watch(self._file, watch)

    def _read(self, file: int) -> None:
        """Runs in the thread until the last tree is removed."""
        poll = select.poll()
        poll.register(file, select.POLLIN)
        try:
            while self._file == file:
                if poll.poll(_TURN * 1000):
                    with self._lock:
                        if self._file == file:  # else the last tree was removed meanwhile
                            self._pass_on(os.read(file, _READ))
        finally:
            os.close(file)

    def _pass_on(self, buffer: bytes) -> None:
        for event in _events(buffer):
            watch, mask, _ = event
            masks = self._masks.get(watch, {})
            if mask & _IGNORED:
                self._masks.pop(watch, None)
            if mask & _OVERFLOW:
                masks = dict.fromkeys(self._trees, _OVERFLOW)
            for tree, wanted in masks.items():
                if mask & (wanted | _IGNORED | _UNMOUNT):
                    tree.take(event)


_INOTIFY = Inotify()


class WatchedTree:
    """One watched tree. `is_stale`: its watches are no longer complete, or events were lost."""

    def __init__(self, recursive: bool, should_stop: ShouldStop) -> None:
        self.is_stale = False
        self._recursive = recursive
        self._should_stop = should_stop
        self._paths: dict[int, str] = {}  # watch -> its directory, which starts with a root
        self._queued: deque[KernelEvent] = deque()  # one thread appends, another removes
        self._lost = False
        self._news = threading.Event()

    def __enter__(self) -> Self:
        _INOTIFY.enter(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _INOTIFY.leave(self, tuple(self._paths))

    def take(self, event: KernelEvent) -> None:
        """Add an event. Called in the thread of `Inotify`."""
        if len(self._queued) < _MOST_QUEUED:
            self._queued.append(event)
        else:
            self._lost = True
        self._news.set()

    def watch_root(self, root: str) -> None:
        """Watch this directory, and all below it if the tree is recursive. Raises OSError."""
        self._add(root, _OF_ROOT)
        if self._recursive:
            self._watch_below(root)

    def read(self, patience: float) -> set[str]:
        """Wait for changed paths, at most `patience` seconds. Returns an empty set if there are none."""
        if not self._news.wait(patience):
            return set()
        self._news.clear()
        self.is_stale = self.is_stale or self._lost
        changed: set[str] = set()
        for _ in range(len(self._queued)):
            watch, mask, name = self._queued.popleft()
            if path := self._path_of(watch, mask, name):
                changed.add(path)
        return changed

    def _path_of(self, watch: int, mask: int, name: str) -> str | None:
        """The path that an event is about; None if it is not watched."""
        if mask & _RESTART:
            self.is_stale = True
        if mask & _IGNORED:
            self._paths.pop(watch, None)
            return None
        directory = self._paths.get(watch)
        if directory is None or not name:
            return directory
        path = _joined(directory, name)
        if self._recursive and mask & _IS_DIRECTORY:
            self._directory_changed(path, mask)
        return path

    def _directory_changed(self, path: str, mask: int) -> None:
        if mask & _MOVED_FROM:
            self._unwatch_below(path)
        elif not mask & _DELETE and self._added(path):  # it is new, or its mode changed and it can be read now
            self._watch_below(path)

    def _unwatch_below(self, path: str) -> None:
        below = f"{path}/"
        for watch in [watch for watch, one in self._paths.items() if one == path or one.startswith(below)]:
            del self._paths[watch]
            _INOTIFY.remove(self, watch)

    def _watch_below(self, root: str) -> None:
        ahead = [root]
        while ahead and not self._should_stop():
            ahead.extend(path for path in _directories_in(ahead.pop()) if self._added(path))

    def _added(self, path: str) -> bool:
        """Watch a directory below a root. False if it was watched already, or cannot be, which the scan reports."""
        try:
            return self._add(path, _BELOW)
        except OSError as error:
            if error.errno in _EXHAUSTED:
                raise
            return False

    def _add(self, path: str, mask: int) -> bool:
        watch = _INOTIFY.add(self, path, mask)
        is_new = self._paths.get(watch) != path
        self._paths[watch] = path
        return is_new


def _events(buffer: bytes) -> Iterator[KernelEvent]:
    at = 0
    while at < len(buffer):
        watch, mask, _, length = _EVENT.unpack_from(buffer, at)
        at += _EVENT.size + length
        yield watch, mask, os.fsdecode(buffer[at - length : at].rstrip(b"\0"))


def _directories_in(path: str) -> Iterable[str]:
    try:
        with os.scandir(path) as entries:
            return [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError as error:
        if error.errno in _EXHAUSTED:
            raise
        return ()


def _joined(directory: str, name: str) -> str:
    return f"{directory}{name}" if directory.endswith("/") else f"{directory}/{name}"


def _error(path: str) -> OSError:
    code = ctypes.get_errno()
    return OSError(code, os.strerror(code), path)
