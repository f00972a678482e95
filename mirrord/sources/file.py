"""One local file as a Source: identity by stat(2), reads straight into the caller's buffer.

Owns the proof that the bytes are of one state of the file: the identity is checked when it is opened, again after the
last byte, and on the path. Refuses whatever is not a regular file, the last symbolic link of a path, and a path that
leaves its root by `..` or any link; where links are followed, the identity is that of what they lead to. Looking and
opening are a few system calls, made on the event loop: a thread for each costs more than they do.
"""

import asyncio
import errno
import os
import stat
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from types import TracebackType
from typing import Self

from mirrord.aio import finish
from mirrord.errors import SourceChanged, SourceDenied, SourceMissing, SourceRefused, SourceUnavailable
from mirrord.model import File, FileIdentity, Observed, Revision, file_address, fingerprint
from mirrord.ports import ByteStream, Source
from mirrord.settings import OwnPaths
from mirrord.units import KiB, MiB

READ_INLINE = 256 * KiB
"""Up to here what is in the page cache is read on the event loop: it takes less than the way to a thread and back."""
READ_MOST = 4 * MiB
"""One read's limit, so that progress shows and a cancellation waits for milliseconds."""

_CACHED_ONLY: int = getattr(os, "RWF_NOWAIT", 0)  # Linux
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_KINDS = {
    stat.S_IFLNK: "a symbolic link, which is not followed: name the file itself",
    stat.S_IFDIR: "a directory: list it under `folders`",
    stat.S_IFIFO: "a FIFO, not a regular file",
    stat.S_IFSOCK: "a socket, not a regular file",
    stat.S_IFCHR: "a device, not a regular file",
    stat.S_IFBLK: "a device, not a regular file",
}


def file_source(file: File, own: OwnPaths | None = None) -> "FileSource":
    """The source of a file. What is in `own` is refused; what a folder found is none of it."""
    return FileSource(file.path, file.root, follow=file.follow, own=own if file.root is None else None)


class FileSource(Source):
    """The file at `path` (absolute). With `root`, a folder's path: no link below it is followed on the way.

    With `follow` links are followed, the last one too.
    """

    def __init__(
        self, path: str, root: str | None = None, *, follow: bool = False, own: OwnPaths | None = None
    ) -> None:
        self._path = path
        self._root = root
        self._follow = follow
        self._own = own
        self._stat = os.stat if follow else os.lstat
        self._file: int | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    async def probe(self, known: Revision | None = None) -> Observed | None:
        """See `ports.Source`. One stat; whether it may be read shows at opening. A file without blocks, as all of
        procfs and sysfs are, and empty and sparse ones, is opened to see if its size is true."""
        with translated(self._path):
            found = self._stat(self._path)
        _regular(found, self._path)
        if self._own is not None and self._own.contain(self._path):
            raise SourceRefused(f"{self._path}: it belongs to mirrord's own state, which is never uploaded")
        revision = Revision(
            address=fingerprint(file_address(self._path)), length=found.st_size, file=FileIdentity.of(found)
        )
        same = known is not None and (known.address, known.file) == (revision.address, revision.file)
        if found.st_blocks == 0 and not same:
            await finish(asyncio.to_thread(self._require_true_size))
        return None if same else Observed(revision=revision, ranges=True)

    @asynccontextmanager
    async def open(self, observed: Observed, start: int = 0, end: int | None = None) -> AsyncIterator[ByteStream]:
        """See `ports.Source`. All streams of one source read one open file, closed with the source."""
        if self._file is None:
            with translated(self._path):
                self._file = self._opened()
        found = os.fstat(self._file)
        _regular(found, self._path)
        self._same(found, observed)
        yield FileStream(self._file, self._path, start, found.st_size if end is None else end)

    def _require_true_size(self) -> None:
        with translated(self._path):
            file = self._opened()
        try:
            _true_size(file, self._path)
        finally:
            os.close(file)

    def _opened(self) -> int:
        steps = _below(self._root, self._path) if self._root else ()
        if self._follow:
            return os.open(self._path, _FLAGS & ~os.O_NOFOLLOW)
        return _open_beneath(self._root, steps) if self._root else os.open(self._path, _FLAGS)

    def let_go(self) -> None:
        """Nothing is kept open for later."""

    async def confirm(self, observed: Observed) -> None:
        """See `ports.Source`: the file that was read, and the file now at the path, are the one observed."""
        if self._file is not None:  # asked first: over NFS an open file's attributes are fresher than a path's
            self._same(os.fstat(self._file), observed)
        try:
            found = self._stat(self._path)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise SourceChanged(f"{self._path}: it is gone") from error
        self._same(found, observed)

    def _same(self, found: os.stat_result, observed: Observed) -> None:
        if FileIdentity.of(found) != observed.revision.file:
            raise SourceChanged(f"{self._path}: it changed since it was looked at")


class FileStream:
    """Bytes [start, end) of an open file."""

    def __init__(self, file: int, path: str, start: int, end: int) -> None:
        self._file = file
        self._path = path
        self._at = start
        self._end = end

    async def readinto(self, view: memoryview) -> int:
        """See `ports.ByteStream`. Raises SourceChanged if the file became shorter, SourceUnavailable if it fails.

        A cancellation waits for the read under way: a thread must not write into a buffer that was given back.
        """
        want = min(len(view), self._end - self._at, READ_MOST)
        if want <= 0:
            return 0
        with translated(self._path):
            count = _cached(self._file, view[:want], self._at) if want <= READ_INLINE else None
            if count is None:
                count = await finish(asyncio.to_thread(os.preadv, self._file, [view[:want]], self._at))
        if count == 0:
            raise SourceChanged(f"{self._path}: it was cut to {self._at} bytes while it was read")
        self._at += count
        return count


def _cached(file: int, view: memoryview, at: int) -> int | None:
    """Read what is in the page cache; None if that is nothing or is not known."""
    try:
        return os.preadv(file, [view], at, _CACHED_ONLY) if _CACHED_ONLY else None
    except OSError:
        return None


def _true_size(file: int, path: str) -> None:
    """Raises SourceRefused for a file whose bytes do not end where its size says, as those of procfs and sysfs."""
    size = os.fstat(file).st_size
    try:
        last, more = os.pread(file, 1, size - 1) if size else b"-", os.pread(file, 1, size)
        is_true = bool(last) and not more
    except OSError:  # one that would wait for bytes, or that has no such place
        is_true = False
    if not is_true and os.fstat(file).st_size == size:
        raise SourceRefused(f"{path}: its size is not true, as of files of procfs and sysfs: copy it to a regular file")


def _regular(found: os.stat_result, path: str) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise SourceRefused(f"{path}: it is {_KINDS.get(stat.S_IFMT(found.st_mode), 'not a regular file')}")


def _below(root: str, path: str) -> Sequence[str]:
    """The names on the way from `root` to `path`. Raises SourceRefused if it is no way down."""
    below = path.removeprefix(root.rstrip("/") + "/")
    steps = below.split("/")
    if below == path or not {"", ".", ".."}.isdisjoint(steps):
        raise SourceRefused(f"{path}: it is not inside {root}")
    return steps


def _open_beneath(root: str, steps: Sequence[str]) -> int:
    """Open segment by segment from `root`, so that a directory swapped for a link leads nowhere."""
    *directories, name = steps
    place = os.open(root, _DIRECTORY)
    try:
        for directory in directories:
            outer, place = place, os.open(directory, _DIRECTORY | os.O_NOFOLLOW, dir_fd=place)
            os.close(outer)
        return os.open(name, _FLAGS, dir_fd=place)
    finally:
        os.close(place)


@contextmanager
def translated(path: str) -> Iterator[None]:
    """What the file system raises, in the words of `errors`."""
    try:
        yield
    except FileNotFoundError as error:
        raise SourceMissing(f"{path}: no such file") from error
    except PermissionError as error:
        raise SourceDenied(f"{path}: permission denied") from error
    except ValueError as error:  # a NUL in the path
        raise SourceRefused(f"{path!r}: no file can have this name") from error
    except OSError as error:
        raise _unreadable(error, path) from error


def _unreadable(error: OSError, path: str) -> SourceMissing | SourceRefused | SourceUnavailable:
    match error.errno:
        case errno.ELOOP:
            return SourceRefused(f"{path}: it is {_KINDS[stat.S_IFLNK]}")
        case errno.ENOTDIR:
            return SourceMissing(f"{path}: a part of its path is not a directory, or a symbolic link in a folder")
        case errno.ENXIO:
            return SourceRefused(f"{path}: it is {_KINDS[stat.S_IFSOCK]}")
        case errno.ENAMETOOLONG:
            return SourceRefused(f"{path}: the name is too long")
    return SourceUnavailable(f"{path}: {error.strerror or error}")
