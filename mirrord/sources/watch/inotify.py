"""The kernel's own events of whole trees, by inotify(7): Linux only. Blocking; lives on the thread of one `Watch`.

Owns one inotify instance and which directory each of its watches stands for. Asked directly because watchfiles cannot
do what a large folder needs: it holds the interpreter while it walks a tree (0.4 s for 200,000 files, in which nothing
else of the process runs), follows links, wakes up at every step, and passes over the kernel's word that events were
lost. Here a walk reads directories only, lets others run between any two names, and follows no link below a root. The
bindings on PyPI would save the four calls below, and leave the walk and its races to us.

A directory that comes is watched with all below it before it is hinted at, so that who then looks below it misses
nothing. A directory that is moved is let go of with all below it, since its watches would tell of it by its old path.
Where events were lost, or a root went, or something was unmounted, `follow` ends, and is begun anew by its caller.
"""

import ctypes
import errno
import os
import select
import struct
import time
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Self

from mirrord.sources.watch.reader import Standing, Stopped

_MODIFY, _ATTRIB, _CLOSE_WRITE, _MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x2, 0x4, 0x8, 0x40, 0x80, 0x100, 0x200
_DELETE_SELF, _MOVE_SELF, _UNMOUNT, _OVERFLOW, _IGNORED = 0x400, 0x800, 0x2000, 0x4000, 0x8000
_ONLY_DIRECTORY, _NOT_THROUGH_LINKS, _NOT_OF_UNLINKED, _IS_DIRECTORY = 0x1000000, 0x2000000, 0x4000000, 0x40000000

_CHANGES = _MODIFY | _ATTRIB | _CLOSE_WRITE | _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE
_BELOW = _CHANGES | _ONLY_DIRECTORY | _NOT_OF_UNLINKED | _NOT_THROUGH_LINKS
_OF_ROOT = _CHANGES | _ONLY_DIRECTORY | _NOT_OF_UNLINKED | _DELETE_SELF | _MOVE_SELF  # a root may be a link
_BEGIN_ANEW = _OVERFLOW | _UNMOUNT | _DELETE_SELF | _MOVE_SELF

_EVENT = struct.Struct("iIII")  # watch, mask, cookie, length of the name
_READ = 256 * 1024
_GATHER = 0.005  # seconds between two reads, at least: a storm makes batches, an event alone is handed on at once
_TURN = 0.1  # seconds until a stop is noticed
_EXHAUSTED = {errno.ENOSPC, errno.EMFILE, errno.ENFILE, errno.ENOMEM}


def follow(
    roots: Sequence[str], *, recursive: bool, standing: Standing, stopped: Stopped, every: float
) -> Iterator[set[str]]:
    """See `reader.Follow`. Raises ENOSPC for too many directories, EMFILE for too many instances or files."""
    with Instance(recursive, stopped) as kernel:
        for root in roots:
            kernel.watch_root(root)
        standing()
        told = time.monotonic()
        while not stopped() and not kernel.spent:
            changed = kernel.read(_TURN)
            if changed or time.monotonic() - told >= every:
                yield changed
                told = time.monotonic()
            if changed:
                time.sleep(_GATHER)


class Instance:
    """One inotify instance; `spent` once its watches are no longer all that should stand."""

    def __init__(self, recursive: bool, stopped: Stopped) -> None:
        self.spent = False
        self._recursive = recursive
        self._stopped = stopped
        self._paths: dict[int, str] = {}  # watch -> its directory, beginning with a root
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._file = -1

    def __enter__(self) -> Self:
        self._file = self._libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        if self._file < 0:
            raise _error("inotify")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)

    def watch_root(self, root: str) -> None:
        """Watch this directory, and all below it if so asked. Raises OSError."""
        self._add(root, _OF_ROOT)
        if self._recursive:
            self._watch_below(root)

    def read(self, patience: float) -> set[str]:
        """The paths that changed, as soon as there are any; none after that many seconds."""
        poll = select.poll()
        poll.register(self._file, select.POLLIN)
        if not poll.poll(patience * 1000):
            return set()
        changed: set[str] = set()
        for watch, mask, name in _events(os.read(self._file, _READ)):
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
            self._libc.inotify_rm_watch(self._file, watch)

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
        watch = self._libc.inotify_add_watch(self._file, os.fsencode(path), mask)
        if watch < 0:
            raise _error(path)
        is_new = self._paths.get(watch) != path
        self._paths[watch] = path
        return is_new


def _events(buffer: bytes) -> Iterator[tuple[int, int, str]]:
    """Watch, mask and name of each event; the name is empty for one about the watched directory itself."""
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
