"""The kernel's own events of whole trees, by inotify(7): Linux only. Blocking; lives on the threads of `Watch`es.

Owns one inotify instance for all trees of the process (a user has 128 by default, for all programs together), and
which directory each of its watches stands for. Asked directly because watchfiles cannot do what a large folder needs:
it holds the interpreter while it walks a tree (0.4 s for 200,000 files, in which nothing else of the process runs),
follows links, wakes up at every step, and passes over the kernel's word that events were lost. Here a walk reads
directories only, lets others run between any two names, and follows no link below a root. The bindings on PyPI would
save the four calls below, and leave the walk and its races to us.

A directory that comes is watched with all below it before it is hinted at, so that who then looks below it misses
nothing. A directory that is moved is let go of with all below it, since its watches would tell of it by its old path.
Where events were lost, or a root went, or something was unmounted, `follow` ends, and is begun anew by its caller.
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

from mirrord.sources.watch.reader import Standing, Stopped

_MODIFY, _ATTRIB, _CLOSE_WRITE, _MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x2, 0x4, 0x8, 0x40, 0x80, 0x100, 0x200
_DELETE_SELF, _MOVE_SELF, _UNMOUNT, _OVERFLOW, _IGNORED = 0x400, 0x800, 0x2000, 0x4000, 0x8000
_ONLY_DIRECTORY, _NOT_THROUGH_LINKS, _NOT_OF_UNLINKED, _IS_DIRECTORY = 0x1000000, 0x2000000, 0x4000000, 0x40000000
_ADD_TO_MASK = 0x20000000  # a directory of two trees has one watch

_CHANGES = _MODIFY | _ATTRIB | _CLOSE_WRITE | _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE
_BELOW = _CHANGES | _ONLY_DIRECTORY | _NOT_OF_UNLINKED | _NOT_THROUGH_LINKS
_OF_ROOT = _CHANGES | _ONLY_DIRECTORY | _NOT_OF_UNLINKED | _DELETE_SELF | _MOVE_SELF  # a root may be a link
_BEGIN_ANEW = _OVERFLOW | _UNMOUNT | _DELETE_SELF | _MOVE_SELF

_EVENT = struct.Struct("iIII")  # watch, mask, cookie, length of the name
_READ = 256 * 1024
_MOST_QUEUED = 8_192
"""Events that wait for one tree; more are lost for it, as they would be in the kernel's queue."""
_GATHER = 0.005  # seconds between two reads, at least: a storm makes batches, an event alone is handed on at once
_TURN = 0.1  # seconds until a stop is noticed
_EXHAUSTED = {errno.ENOSPC, errno.EMFILE, errno.ENFILE, errno.ENOMEM}


def follow(
    roots: Sequence[str], *, recursive: bool, standing: Standing, stopped: Stopped, every: float
) -> Iterator[set[str]]:
    """See `reader.Follow`. Raises ENOSPC for too many directories, EMFILE for too many instances or files."""
    with Instance(recursive, stopped) as tree:
        for root in roots:
            tree.watch_root(root)
        standing()
        told = time.monotonic()
        while not stopped() and not tree.spent:
            changed = tree.read(_TURN)
            if changed or time.monotonic() - told >= every:
                yield changed
                told = time.monotonic()
            if changed:
                time.sleep(_GATHER)


Event = tuple[int, int, str]
"""Watch, mask and name; the name is empty for an event about the watched directory itself."""


class Kernel:
    """The process's inotify instance: open while any tree is watched. A thread reads it and hands each tree its events.

    A directory that is in two trees has one watch, whose mask is what both ask for.
    """

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._lock = threading.Lock()  # so that no event is handed on between a watch and its entry here
        self._trees: set[Instance] = set()
        self._masks: dict[int, dict[Instance, int]] = {}  # by watch
        self._file = -1
        self._thread: threading.Thread | None = None

    def enter(self, tree: "Instance") -> None:
        """A tree is to be watched. Raises OSError."""
        with self._lock:
            if self._file < 0:
                self._file = self._libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
                if self._file < 0:
                    raise _error("inotify")
                self._thread = threading.Thread(target=self._read, args=(self._file,), name="inotify", daemon=True)
                self._thread.start()
            self._trees.add(tree)

    def leave(self, tree: "Instance", watches: Iterable[int]) -> None:
        """It is watched no more; these are its watches."""
        with self._lock:
            self._trees.discard(tree)
            thread = None if self._trees else self._thread
            if thread is not None:
                self._masks.clear()
                self._thread, self._file = None, -1
        if thread is not None:
            thread.join()  # it closes the file, and with it every watch
            return
        for watch in watches:
            self.remove(tree, watch)

    def add(self, tree: "Instance", path: str, mask: int) -> int:
        """Watch this directory for the tree: the watch. Raises OSError.

        The path is looked up before the lock is taken: where a file system hangs, the other trees go on.
        """
        links = os.O_NOFOLLOW if mask & _NOT_THROUGH_LINKS else 0
        place = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC | links)
        try:
            with self._lock:
                return self._watch(tree, place, path, mask)
        finally:
            os.close(place)

    def _watch(self, tree: "Instance", place: int, path: str, mask: int) -> int:
        found = b"/proc/self/fd/%d" % place
        watch: int = self._libc.inotify_add_watch(self._file, found, mask & ~_NOT_THROUGH_LINKS | _ADD_TO_MASK)
        if watch < 0:
            raise _error(path)
        masks = self._masks.setdefault(watch, {})
        masks[tree] = masks.get(tree, 0) | mask
        return watch

    def remove(self, tree: "Instance", watch: int) -> None:
        """Watch it no more for the tree."""
        with self._lock:
            masks = self._masks.get(watch, {})
            if masks.pop(tree, None) is not None and not masks:
                del self._masks[watch]
                self._libc.inotify_rm_watch(self._file, watch)

    def _read(self, file: int) -> None:
        """On the thread, until the last tree left."""
        poll = select.poll()
        poll.register(file, select.POLLIN)
        try:
            while self._file == file:
                if poll.poll(_TURN * 1000):
                    with self._lock:
                        if self._file == file:  # else the last tree left meanwhile
                            self._hand_on(os.read(file, _READ))
        finally:
            os.close(file)

    def _hand_on(self, buffer: bytes) -> None:
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


_KERNEL = Kernel()


class Instance:
    """One watched tree; `spent` once its watches are no longer all that should stand."""

    def __init__(self, recursive: bool, stopped: Stopped) -> None:
        self.spent = False
        self._recursive = recursive
        self._stopped = stopped
        self._paths: dict[int, str] = {}  # watch -> its directory, beginning with a root
        self._queued: deque[Event] = deque()  # one thread appends, another takes
        self._lost = False
        self._news = threading.Event()

    def __enter__(self) -> Self:
        _KERNEL.enter(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _KERNEL.leave(self, tuple(self._paths))

    def take(self, event: Event) -> None:
        """One more event, from the kernel's thread."""
        if len(self._queued) < _MOST_QUEUED:
            self._queued.append(event)
        else:
            self._lost = True
        self._news.set()

    def watch_root(self, root: str) -> None:
        """Watch this directory, and all below it if so asked. Raises OSError."""
        self._add(root, _OF_ROOT)
        if self._recursive:
            self._watch_below(root)

    def read(self, patience: float) -> set[str]:
        """The paths that changed, as soon as there are any; none after that many seconds."""
        if not self._news.wait(patience):
            return set()
        self._news.clear()
        self.spent = self.spent or self._lost
        changed: set[str] = set()
        for _ in range(len(self._queued)):
            watch, mask, name = self._queued.popleft()
            if path := self._understood(watch, mask, name):
                changed.add(path)
        return changed

    def _understood(self, watch: int, mask: int, name: str) -> str:
        """The path that an event is about; empty if it is about none that is watched."""
        if mask & _BEGIN_ANEW:
            self.spent = True
        if mask & _IGNORED:
            self._paths.pop(watch, None)
            return ""
        place = self._paths.get(watch)
        if place is None or not name:
            return place or ""
        path = _joined(place, name)
        if self._recursive and mask & _IS_DIRECTORY:
            self._directory_changed(path, mask)
        return path

    def _directory_changed(self, path: str, mask: int) -> None:
        if mask & _MOVED_FROM:
            self._let_go(path)
        elif not mask & _DELETE and self._added(path):  # it came, or can be read since its mode changed
            self._watch_below(path)

    def _let_go(self, path: str) -> None:
        below = f"{path}/"
        for watch in [watch for watch, one in self._paths.items() if one == path or one.startswith(below)]:
            del self._paths[watch]
            _KERNEL.remove(self, watch)

    def _watch_below(self, root: str) -> None:
        ahead = [root]
        while ahead and not self._stopped():
            ahead.extend(path for path in _directories_in(ahead.pop()) if self._added(path))

    def _added(self, path: str) -> bool:
        """Watch a directory below a root; False if it was watched already, or cannot be: the scan tells of that."""
        try:
            return self._add(path, _BELOW)
        except OSError as error:
            if error.errno in _EXHAUSTED:
                raise
            return False

    def _add(self, path: str, mask: int) -> bool:
        watch = _KERNEL.add(self, path, mask)
        is_new = self._paths.get(watch) != path
        self._paths[watch] = path
        return is_new


def _events(buffer: bytes) -> Iterator[Event]:
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


def _joined(place: str, name: str) -> str:
    return f"{place}{name}" if place.endswith("/") else f"{place}/{name}"


def _error(path: str) -> OSError:
    code = ctypes.get_errno()
    return OSError(code, os.strerror(code), path)
