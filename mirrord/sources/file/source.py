"""One local file as a Source: its identity is from stat(2); reads go directly into the caller's buffer.

Owns the proof that the bytes are of one state of the file: the identity is checked when the file is opened, again after
the last byte, and at the path. Refuses everything but regular files, a path whose last part is a symbolic link, and a
path that leaves its root by `..` or any link. Where links are followed, the identity is that of the target.

Every system call runs in the threads of the root's `FilePool`, so that a file system that hangs blocks nothing else.
What belongs together is one call there. With `read_ahead`, the probe of a small file that changed is the only call: it
also opens, checks and reads the file, checks file and path again, and keeps the bytes for the copy that follows. Three
calls would cost 60 us more, which is half of what a file of 4 KiB costs otherwise.
"""

import asyncio
import errno
import os
import stat
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from functools import partial
from types import TracebackType
from typing import NamedTuple, Self

from mirrord.aio import finish
from mirrord.errors import (
    SourceChanged,
    SourceDenied,
    SourceError,
    SourceMissing,
    SourceRefused,
    SourceTimedOut,
    SourceUnavailable,
)
from mirrord.model import File, FileIdentity, Observed, Revision, file_address, fingerprint
from mirrord.ports import ByteStream, Source
from mirrord.settings import OwnPaths
from mirrord.sources.file.streams import READ_MOST, BytesStream, FileStream
from mirrord.sources.file_roots import require_allowed, require_path_allowed
from mirrord.sources.pool import FilePool, FilePools
from mirrord.units import KiB

READ_AHEAD = 64 * KiB
"""Largest file that a probe reads. Each check that runs holds one such file at most, outside of the buffer pool."""
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


def file_source(
    file: File, own: OwnPaths | None = None, pools: FilePools | None = None, *, read_ahead: int = 0
) -> "FileSource":
    """The source of a file; see `FileSource`."""
    path, pool = file.path, None
    if pools is not None:
        pool = pools.of_file(path) if file.root is None else pools.of_root(file.root)
    return FileSource(path, file.root, follow=file.follow, own=own, pool=pool, read_ahead=read_ahead)


class FileSource(Source):
    """The file at `path` (absolute). With `root`, a folder's path, no link below the root is followed.

    A path in `own` is refused, except for files that a folder found, because its scan leaves them out; what is outside
    of the roots of `own` is refused always. With `follow`, links are followed, also the last one. Without
    `pool` the source creates its own pool. `read_ahead`: the size in bytes up to which a probe also reads the file.
    """

    def __init__(
        self,
        path: str,
        root: str | None = None,
        *,
        follow: bool = False,
        own: OwnPaths | None = None,
        pool: FilePool | None = None,
        read_ahead: int = 0,
    ) -> None:
        self._path = path
        self._root = root
        self._follow = follow
        self._own = own
        self._pool = pool or FilePool(root or path)
        self._is_own_pool = pool is None
        self._stat = os.stat if follow else os.lstat
        self._file: int | None = None
        self._opening = asyncio.Lock()
        self._read_ahead = read_ahead
        self._ahead: _WholeFile | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        file, self._file = self._file, None
        if file is not None:
            with suppress(SourceTimedOut):  # it is closed when the file system answers
                await finish(self._pool.run(partial(os.close, file), surely=True))
        if self._is_own_pool:
            self._pool.rest()

    async def probe(self, known: Revision | None = None) -> Observed | None:
        """See `ports.Source`. One stat; permission to read is checked at opening. A file without blocks (all files of
        procfs and sysfs, empty and sparse files) is opened to check whether its size is true."""
        self._ahead = None
        observed, content = await self._pool.run(partial(self._probed, known))
        if observed is not None and content is not None:
            self._ahead = _WholeFile(observed, content)
        return observed

    def _probed(self, known: Revision | None) -> tuple[Observed | None, bytes | None]:
        with translated(self._path):
            require_path_allowed(self._path, self._own)  # nothing is opened for a file that has not changed
            found = self._stat(self._path)
        _regular(found, self._path)
        if self._root is None and self._own is not None and self._own.contain(self._path):
            raise SourceRefused(f"{self._path}: it belongs to mirrord's own state, which is never uploaded")
        revision = Revision(
            address=fingerprint(file_address(self._path)), length=found.st_size, file=FileIdentity.of(found)
        )
        same = known is not None and (known.address, known.file) == (revision.address, revision.file)
        if found.st_blocks == 0 and not same:
            self._require_true_size()
        if same:
            return None, None
        observed = Observed(revision=revision, ranges=True)
        return observed, self._whole(observed) if 0 < found.st_size <= self._read_ahead else None

    def _whole(self, observed: Observed) -> bytes | None:
        """The bytes of this revision; None: it changed meanwhile or cannot be read, which `open` will report."""
        try:
            file = self._opened_as(observed)
            try:
                content = os.read(file, self._read_ahead + 1)
                self._same(os.fstat(file), observed)
            finally:
                os.close(file)
            self._confirm(observed)
        except (SourceError, OSError):
            return None
        return content if len(content) == observed.revision.length else None

    def open(
        self, observed: Observed, start: int = 0, end: int | None = None
    ) -> AbstractAsyncContextManager[ByteStream]:
        """See `ports.Source`. A large file is opened once for all streams of the source, and closed with the source. A
        small file is opened for each read; a read fails if the file has another revision. The bytes of a file that was
        read ahead are of exactly the revision that `probe` returned."""
        if self._ahead is not None and self._ahead.observed is observed and start == 0 and end is None:
            return BytesStream(memoryview(self._ahead.content))
        return self._stream(observed, start, end)

    @asynccontextmanager
    async def _stream(self, observed: Observed, start: int, end: int | None) -> AsyncIterator[ByteStream]:
        length = observed.revision.length or 0
        async with self._opening:  # several streams may begin at once
            if self._file is None and length > READ_MOST:
                self._file = await self._pool.run(partial(self._opened_as, observed), os.close)
        yield FileStream(partial(self._read, observed), self._pool, start, length if end is None else end)

    def _read(self, observed: Observed, view: memoryview, at: int) -> int:
        """Read from the open file, or open it for this read only."""
        if self._file is not None:
            return self._read_from(self._file, view, at)
        file = self._opened_as(observed)
        try:
            count = self._read_from(file, view, at)
            self._same(os.fstat(file), observed)
        finally:
            os.close(file)
        return count

    def _read_from(self, file: int, view: memoryview, at: int) -> int:
        with translated(self._path):
            count = os.preadv(file, [view], at) if view else 0
        if count == 0 and view:
            raise SourceChanged(f"{self._path}: it was cut to {at} bytes while it was read")
        return count

    def _require_true_size(self) -> None:
        file = self._opened()
        try:
            _true_size(file, self._path)
        finally:
            os.close(file)

    def _opened_as(self, observed: Observed) -> int:
        """Open the file. Raises SourceChanged if it is not the observed one."""
        file = self._opened()
        try:
            found = os.fstat(file)
            _regular(found, self._path)
            self._same(found, observed)
        except BaseException:
            os.close(file)
            raise
        return file

    def _opened(self) -> int:
        steps = _below(self._root, self._path) if self._root else ()
        with translated(self._path):
            if self._follow:
                file = os.open(self._path, _FLAGS & ~os.O_NOFOLLOW)
            else:
                file = _open_beneath(self._root, steps) if self._root else os.open(self._path, _FLAGS)
        try:
            require_allowed(file, self._path, self._own)
        except BaseException:
            os.close(file)
            raise
        return file

    def release(self) -> None:
        """Nothing is kept open between probe and open."""

    async def confirm(self, observed: Observed) -> None:
        """See `ports.Source`: the file that was read, and the file now at the path, are the one observed. Of a file
        that was read ahead both were checked after its last byte."""
        if self._ahead is None or self._ahead.observed is not observed:
            await self._pool.run(partial(self._confirm, observed))

    def _confirm(self, observed: Observed) -> None:
        if self._file is not None:  # first: over NFS an open file's attributes are fresher than a path's
            self._same(os.fstat(self._file), observed)
        try:
            found = self._stat(self._path)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise SourceChanged(f"{self._path}: it is gone") from error
        self._same(found, observed)

    def _same(self, found: os.stat_result, observed: Observed) -> None:
        if FileIdentity.of(found) != observed.revision.file:
            raise SourceChanged(f"{self._path}: it changed since it was looked at")


class _WholeFile(NamedTuple):
    """The bytes of a small file, read by the probe that returned `observed`."""

    observed: Observed
    content: bytes


def _true_size(file: int, path: str) -> None:
    """Raises SourceRefused for a file whose bytes do not end at its size, like those of procfs and sysfs."""
    size = os.fstat(file).st_size
    try:
        last, more = os.pread(file, 1, size - 1) if size else b"-", os.pread(file, 1, size)
        is_true = bool(last) and not more
    except OSError:  # a file that would wait for bytes, or has no such position
        is_true = False
    if not is_true and os.fstat(file).st_size == size:
        raise SourceRefused(f"{path}: its size is not true, as of files of procfs and sysfs: copy it to a regular file")


def _regular(found: os.stat_result, path: str) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise SourceRefused(f"{path}: it is {_KINDS.get(stat.S_IFMT(found.st_mode), 'not a regular file')}")


def _below(root: str, path: str) -> Sequence[str]:
    """The path segments from `root` to `path`. Raises SourceRefused if `path` is not below `root`."""
    below = path.removeprefix(root.rstrip("/") + "/")
    steps = below.split("/")
    if below == path or not {"", ".", ".."}.isdisjoint(steps):
        raise SourceRefused(f"{path}: it is not inside {root}")
    return steps


def _open_beneath(root: str, steps: Sequence[str]) -> int:
    """Open segment by segment from `root`, so that a directory that was replaced by a link is not followed."""
    *directories, name = steps
    opened = open_directory(root, directories)
    try:
        return os.open(name, _FLAGS, dir_fd=opened)
    finally:
        os.close(opened)


def open_directory(root: str, steps: Sequence[str]) -> int:
    """Open the directory at `steps` below `root`. A link below the root is not followed: that raises OSError."""
    opened = os.open(root, _DIRECTORY)
    for step in steps:
        outer = opened
        try:
            opened = os.open(step, _DIRECTORY | os.O_NOFOLLOW, dir_fd=outer)
        finally:
            os.close(outer)
    return opened


@contextmanager
def translated(path: str) -> Iterator[None]:
    """Translate errors of the file system to those of `errors`."""
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
