"""The way of an uploaded file out of its folder: set aside, looked at again, then deleted or moved; or put back.

Owns these steps on the file system, each of which leaves the file or its proven copy where the next start finds it, and
replaces nothing. A file is set aside by a rename within its directory, to a name that scans leave out
(`planning.decisions.file_removal.quarantine_name`): from then on nobody comes to it by its path, so that what its last
look sees is final. That look: it is the proven file, nothing was written to it since, and nobody has it open for
writing, which a read lease tells (fcntl(2), F_SETLEASE; where leases are not to be had, for files of other users
without CAP_LEASE and on some network file systems, only what was written so far is seen). Directories are opened one by
one without following links, so that nothing outside of the folder is touched.
"""

import asyncio
import errno
import fcntl as calls
import os
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fcntl import F_RDLCK, F_UNLCK, fcntl
from functools import partial
from hashlib import sha256
from signal import SIGURG

from mirrord.aio import finish
from mirrord.errors import SourceTimedOut
from mirrord.model import FileIdentity
from mirrord.planning.decisions.file_removal import QUARANTINE, RemovalResult, quarantine_name, same_file
from mirrord.settings import OwnPaths
from mirrord.sources.folder.renames import Stop, copied, rename, renamed
from mirrord.sources.pool import FilePools

_SETLEASE, _SETSIG = getattr(calls, "F_SETLEASE", -1), getattr(calls, "F_SETSIG", -1)  # Linux has them

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_ANOTHER = RemovalResult()


class FolderQuarantine:
    """`folders.after_upload.Quarantine` on this machine."""

    def __init__(self, own: OwnPaths | None = None, pools: FilePools | None = None) -> None:
        """`own`: the state's directory, where nothing is moved to. `pools`: the threads that read the folders."""
        self._own = own
        self._pools = pools or FilePools()
        self._moves = FilePools(patient=True)

    async def stands(self, root: str, name: str) -> bool:
        """See `folders.after_upload.Quarantine`."""
        return await self._pools.of_root(root).run(partial(os.path.lexists, f"{root}/{name}"))

    async def depart(self, root: str, name: str, proven: FileIdentity, move: str | None) -> RemovalResult:
        """See `folders.after_upload.Quarantine`."""

        def step(stop: Stop) -> RemovalResult:
            if self._is_own(move):
                return RemovalResult(why=f"{move} is mirrord's own state directory: name another")
            return _departed(root, name, proven, move, stop)

        return await self._in_thread(root, step)

    async def resume(self, root: str, name: str, proven: FileIdentity | None, move: str | None) -> RemovalResult:
        """See `folders.after_upload.Quarantine`."""

        def step(stop: Stop) -> RemovalResult:
            return _resumed(root, name, None if self._is_own(move) else proven, move, stop)  # else it goes back

        return await self._in_thread(root, step)

    def _is_own(self, move: str | None) -> bool:
        return move is not None and self._own is not None and self._own.contain(move)

    async def _in_thread(self, root: str, step: Callable[[Stop], RemovalResult]) -> RemovalResult:
        """Cancelled, it waits until the thread gave up: a file is never left half moved."""
        pool, stop = self._moves.of_root(root), threading.Event()

        def stopped() -> bool:
            pool.alive()
            return stop.is_set()

        work = asyncio.ensure_future(pool.run(partial(step, stopped)))
        try:
            return await asyncio.shield(work)
        except SourceTimedOut as error:  # it was not begun
            return RemovalResult(why=str(error))
        except asyncio.CancelledError:
            stop.set()
            await finish(asyncio.wait([work]))
            raise


@dataclass(frozen=True, slots=True)
class _Way:
    """One file on its way: its directory, open; its name in it; that directory's name in the folder; where to."""

    place: int
    name: str
    below: str
    move: str | None
    stop: Stop

    @property
    def aside(self) -> str:
        return quarantine_name(self.name)

    @property
    def temporary(self) -> str:
        """What a copy of it is called until it is whole."""
        return f".mirrord-copy-{sha256(f'{self.below}/{self.name}'.encode()).hexdigest()[:16]}"


def _departed(root: str, name: str, proven: FileIdentity, move: str | None, stop: Stop) -> RemovalResult:
    try:
        with _opened_way(root, name, move, stop) as way:
            with _opened(way.name, way.place) as file:
                if FileIdentity.of(os.fstat(file)) != proven:
                    return _ANOTHER
                if why := _hindrance(file, move):
                    return RemovalResult(why=why)
            _set_aside(way.name, way.place)
            return _settled(way, proven)
    except FileNotFoundError:
        return _ANOTHER
    except OSError as error:
        return RemovalResult(why=_words(error))


def _resumed(root: str, name: str, proven: FileIdentity | None, move: str | None, stop: Stop) -> RemovalResult:
    try:
        with _opened_way(root, name, move, stop) as way:
            return _settled(way, proven)
    except FileNotFoundError:
        return _ANOTHER
    except OSError as error:
        return RemovalResult(why=_words(error))


def _hindrance(file: int, move: str | None) -> str:
    """Why the file need not even be set aside."""
    if not _at_rest(file):
        return "somebody has it open for writing"
    if move is not None:
        with _destination(move, "") as place:
            found, room = os.fstat(file), os.fstatvfs(place)
            if not os.access(move, os.W_OK | os.X_OK, effective_ids=True):
                return f"{move} cannot be written to"
            if found.st_dev != os.fstat(place).st_dev and room.f_bavail * room.f_frsize < found.st_size:
                return f"{move} has no room for it"
    return ""


def _set_aside(name: str, place: int) -> None:
    """Raises FileExistsError if another file of that name is set aside: it is to be settled first."""
    aside = quarantine_name(name)
    while True:
        try:
            if "/" in aside:
                with suppress(FileExistsError):
                    os.mkdir(QUARANTINE, 0o700, dir_fd=place)
                if not stat.S_ISDIR(os.stat(QUARANTINE, dir_fd=place, follow_symlinks=False).st_mode):
                    raise OSError(errno.ENOTDIR, f"{QUARANTINE} is no directory")
            return rename(name, aside, place, place)
        except FileNotFoundError:
            if "/" not in aside or not _exists(name, place):
                raise  # else another file's end took the directory away


def _settled(way: _Way, proven: FileIdentity | None) -> RemovalResult:
    """The last look at a file that is set aside, and what follows from it."""
    with _opened(way.aside, way.place) as file:
        # In this order: whoever wrote and closed it left another mtime, and whoever comes now finds no path to it.
        at_rest = _at_rest(file)
        if proven is None or not at_rest or not same_file(FileIdentity.of(os.fstat(file)), proven):
            _put_back(way)
            return _ANOTHER
        try:
            at = _taken_away(way, file)
        except OSError as error:
            there = _put_back(way)
            return RemovalResult(why=_words(error), file=FileIdentity.of(os.fstat(file)) if there == way.name else None)
    _tidy(way)
    return RemovalResult(gone=True, at=at)


def _taken_away(way: _Way, file: int) -> str:
    """Delete the file, or move it: where to. Raises OSError if it still is where it was set aside."""
    if way.move is None:
        os.unlink(way.aside, dir_fd=way.place)
        return ""
    with _destination(way.move, way.below) as destination:
        try:
            there = renamed(way.aside, way.name, way.place, destination)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            there = _copied_away(way, file, destination)
    return "/".join(part for part in (way.move.rstrip("/"), way.below, there) if part)


def _copied_away(way: _Way, file: int, destination: int) -> str:
    before = FileIdentity.of(os.fstat(file))
    there = copied(file, way.name, way.temporary, destination, way.stop)
    if not _at_rest(file) or FileIdentity.of(os.fstat(file)) != before:
        os.unlink(there, dir_fd=destination)
        raise OSError(errno.EBUSY, "it was written to while it was copied")
    os.unlink(way.aside, dir_fd=way.place)
    return there


def _put_back(way: _Way) -> str:
    """Under its own name, or with a number if a new file stands there."""
    there = renamed(way.aside, way.name, way.place, way.place)
    _tidy(way)
    return there


def _tidy(way: _Way) -> None:
    if "/" in way.aside:
        with suppress(OSError):  # others are in it
            os.rmdir(QUARANTINE, dir_fd=way.place)


def _at_rest(file: int) -> bool:
    """Whether nobody has the file open for writing, as far as this can be known."""
    try:
        fcntl(file, _SETSIG, SIGURG)  # should somebody open it in this very moment: SIGIO would end the process
        fcntl(file, _SETLEASE, F_RDLCK)
    except OSError as error:
        return error.errno != errno.EAGAIN
    with suppress(OSError):
        fcntl(file, _SETLEASE, F_UNLCK)
    return True


# ── places ────────────────────────────────────────────────────────────────────────────────────────
class _NoPlace(OSError):
    """The directory that files are moved to cannot be had."""


@contextmanager
def _opened_way(root: str, name: str, move: str | None, stop: Stop) -> Iterator[_Way]:
    below, _, base = name.rpartition("/")
    place = os.open(root, _DIRECTORY)
    try:
        for step in filter(None, below.split("/")):
            outer, place = place, os.open(step, _DIRECTORY | os.O_NOFOLLOW, dir_fd=place)
            os.close(outer)
        yield _Way(place, base, below, move, stop)
    finally:
        os.close(place)


@contextmanager
def _destination(root: str, below: str) -> Iterator[int]:
    """The directory that files are moved to, made if it is missing; but not what it stands in, for that may be a disk
    that is not mounted."""
    place = -1
    try:
        place = _made(root)
        for step in filter(None, below.split("/")):
            outer, place = place, _made(step, place)
            os.close(outer)
    except OSError as error:
        if place >= 0:
            os.close(place)
        raise _NoPlace(error.errno, f"{root}: {error.strerror}") from error
    try:
        yield place
    finally:
        os.close(place)


def _made(path: str, place: int | None = None) -> int:
    with suppress(FileExistsError):
        os.mkdir(path, dir_fd=place)
    return os.open(path, _DIRECTORY if place is None else _DIRECTORY | os.O_NOFOLLOW, dir_fd=place)


@contextmanager
def _opened(name: str, place: int) -> Iterator[int]:
    """A regular file. Raises OSError (ELOOP for a link)."""
    file = os.open(name, _FILE, dir_fd=place)
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise OSError(errno.EINVAL, "it is no file any more")
        yield file
    finally:
        os.close(file)


def _exists(name: str, place: int) -> bool:
    try:
        os.stat(name, dir_fd=place, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _words(error: OSError) -> str:
    if error.errno in (errno.ELOOP, errno.ENOTDIR) and not isinstance(error, _NoPlace):
        return "it is reached through a symbolic link"
    return error.strerror or str(error)
