"""Removes an uploaded file from its folder: sets it aside, checks it again, then deletes or moves it; or puts it back.

Owns these steps on the file system. Each step leaves the file or its proven copy where the next start finds it, and
replaces nothing. A file is set aside by a rename within its directory, to a name that scans leave out
(`planning.decisions.file_removal.quarantine_name`). From then on no process can open it by its path, so the last check
is final. That check: it is the proven file, it was not written to since, and no process has it open for writing. The
last is known by a read lease (fcntl(2), F_SETLEASE). Where leases are not available (files of other users without
CAP_LEASE, some network file systems), only earlier writes are seen. Directories are opened one by one without following
links, so that nothing outside the folder is changed.
"""

import asyncio
import errno
import fcntl as calls
import os
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from fcntl import F_RDLCK, F_UNLCK, fcntl
from functools import partial
from hashlib import sha256
from signal import SIGURG

from mirrord.aio import finish
from mirrord.errors import SourceTimedOut
from mirrord.frozen import frozen
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
        """`own`: mirrord's state directory; no file is moved there. `pools`: the threads that read the folders."""
        self._own = own
        self._pools = pools or FilePools()
        self._moves = FilePools(patient=True)

    async def exists(self, root: str, name: str) -> bool:
        """See `folders.after_upload.Quarantine`."""
        return await self._pools.of_root(root).run(partial(os.path.lexists, f"{root}/{name}"))

    async def remove(self, root: str, name: str, proven: FileIdentity, move: str | None) -> RemovalResult:
        """See `folders.after_upload.Quarantine`."""

        def step(stop: Stop) -> RemovalResult:
            if self._is_own(move):
                return RemovalResult(why=f"{move} is mirrord's own state directory: name another")
            return _removed(root, name, proven, move, stop)

        return await self._in_thread(root, step)

    async def resume(self, root: str, name: str, proven: FileIdentity | None, move: str | None) -> RemovalResult:
        """See `folders.after_upload.Quarantine`."""

        def step(stop: Stop) -> RemovalResult:
            return _resumed(root, name, None if self._is_own(move) else proven, move, stop)  # else it is put back

        return await self._in_thread(root, step)

    def _is_own(self, move: str | None) -> bool:
        return move is not None and self._own is not None and self._own.contain(move)

    async def _in_thread(self, root: str, step: Callable[[Stop], RemovalResult]) -> RemovalResult:
        """When cancelled, waits until the thread has stopped: a file is never left half moved."""
        pool, stop = self._moves.of_root(root), threading.Event()

        def stopped() -> bool:
            pool.alive()
            return stop.is_set()

        work = asyncio.ensure_future(pool.run(partial(step, stopped)))
        try:
            return await asyncio.shield(work)
        except SourceTimedOut as error:  # the step did not begin
            return RemovalResult(why=str(error))
        except asyncio.CancelledError:
            stop.set()
            await finish(asyncio.wait([work]))
            raise


@frozen
class _Removal:
    """The removal of one file."""

    directory: int  # of the file, open
    name: str  # in that directory
    below: str  # the directory, relative to the folder
    move: str | None
    stop: Stop

    @property
    def aside(self) -> str:
        return quarantine_name(self.name)

    @property
    def temporary(self) -> str:
        """The name of a copy until it is complete."""
        return f".mirrord-copy-{sha256(f'{self.below}/{self.name}'.encode()).hexdigest()[:16]}"


def _removed(root: str, name: str, proven: FileIdentity, move: str | None, stop: Stop) -> RemovalResult:
    try:
        with _opened_removal(root, name, move, stop) as removal:
            with _opened(removal.name, removal.directory) as file:
                if FileIdentity.of(os.fstat(file)) != proven:
                    return _ANOTHER
                if why := _refusal(file, move):
                    return RemovalResult(why=why)
            _set_aside(removal.name, removal.directory)
            return _finished(removal, proven)
    except FileNotFoundError:
        return _ANOTHER
    except OSError as error:
        return RemovalResult(why=_words(error))


def _resumed(root: str, name: str, proven: FileIdentity | None, move: str | None, stop: Stop) -> RemovalResult:
    try:
        with _opened_removal(root, name, move, stop) as removal:
            return _finished(removal, proven)
    except FileNotFoundError:
        return _ANOTHER
    except OSError as error:
        return RemovalResult(why=_words(error))


def _refusal(file: int, move: str | None) -> str | None:
    """Why the file is not even set aside; None if nothing prevents it."""
    if not _at_rest(file):
        return "somebody has it open for writing"
    if move is not None:
        with _destination(move, "") as directory:
            found, room = os.fstat(file), os.fstatvfs(directory)
            if not os.access(move, os.W_OK | os.X_OK, effective_ids=True):
                return f"{move} cannot be written to"
            if found.st_dev != os.fstat(directory).st_dev and room.f_bavail * room.f_frsize < found.st_size:
                return f"{move} has no room for it"
    return None


def _set_aside(name: str, directory: int) -> None:
    """Raises FileExistsError if another file of that name is set aside: that one must be finished first."""
    aside = quarantine_name(name)
    while True:
        try:
            if "/" in aside:
                with suppress(FileExistsError):
                    os.mkdir(QUARANTINE, 0o700, dir_fd=directory)
                if not stat.S_ISDIR(os.stat(QUARANTINE, dir_fd=directory, follow_symlinks=False).st_mode):
                    raise OSError(errno.ENOTDIR, f"{QUARANTINE} is no directory")
            return rename(name, aside, directory, directory)
        except FileNotFoundError:
            if "/" not in aside or not _exists(name, directory):
                raise  # else the end of another removal deleted the directory


def _finished(removal: _Removal, proven: FileIdentity | None) -> RemovalResult:
    """The last check of a file that is set aside, and its removal."""
    with _opened(removal.aside, removal.directory) as file:
        # In this order: a process that wrote and closed it changed the mtime, and a new process cannot open it.
        at_rest = _at_rest(file)
        if proven is None or not at_rest or not same_file(FileIdentity.of(os.fstat(file)), proven):
            _put_back(removal)
            return _ANOTHER
        try:
            at = _taken_away(removal, file)
        except OSError as error:
            there = _put_back(removal)
            return RemovalResult(
                why=_words(error), file=FileIdentity.of(os.fstat(file)) if there == removal.name else None
            )
    _tidy(removal)
    return RemovalResult(gone=True, at=at)


def _taken_away(removal: _Removal, file: int) -> str | None:
    """Delete the file, or move it and return where it is now. Raises OSError if it still is set aside."""
    if removal.move is None:
        os.unlink(removal.aside, dir_fd=removal.directory)
        return None
    with _destination(removal.move, removal.below) as destination:
        try:
            there = renamed(removal.aside, removal.name, removal.directory, destination)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            there = _copied_away(removal, file, destination)
    return "/".join(part for part in (removal.move.rstrip("/"), removal.below, there) if part)


def _copied_away(removal: _Removal, file: int, destination: int) -> str:
    before = FileIdentity.of(os.fstat(file))
    there = copied(file, removal.name, removal.temporary, destination, removal.stop)
    if not _at_rest(file) or FileIdentity.of(os.fstat(file)) != before:
        os.unlink(there, dir_fd=destination)
        raise OSError(errno.EBUSY, "it was written to while it was copied")
    os.unlink(removal.aside, dir_fd=removal.directory)
    return there


def _put_back(removal: _Removal) -> str:
    """Back to its own name, or with a number if there is a new file. Returns the name."""
    there = renamed(removal.aside, removal.name, removal.directory, removal.directory)
    _tidy(removal)
    return there


def _tidy(removal: _Removal) -> None:
    if "/" in removal.aside:
        with suppress(OSError):  # other files are in it
            os.rmdir(QUARANTINE, dir_fd=removal.directory)


def _at_rest(file: int) -> bool:
    """Whether no process has the file open for writing, as far as this can be known."""
    try:
        fcntl(file, _SETSIG, SIGURG)  # if a process opens it at this moment: SIGIO would end mirrord
        fcntl(file, _SETLEASE, F_RDLCK)
    except OSError as error:
        return error.errno != errno.EAGAIN
    with suppress(OSError):
        fcntl(file, _SETLEASE, F_UNLCK)
    return True


# ── directories ───────────────────────────────────────────────────────────────────────────────────
class _NoDestination(OSError):
    """The directory that files are moved to is not available."""


@contextmanager
def _opened_removal(root: str, name: str, move: str | None, stop: Stop) -> Iterator[_Removal]:
    below, _, base = name.rpartition("/")
    directory = os.open(root, _DIRECTORY)
    try:
        for step in filter(None, below.split("/")):
            outer, directory = directory, os.open(step, _DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)
            os.close(outer)
        yield _Removal(directory, base, below, move, stop)
    finally:
        os.close(directory)


@contextmanager
def _destination(root: str, below: str) -> Iterator[int]:
    """The directory that files are moved to, created if it is missing. Its parent is not created: it may be a disk that
    is not mounted."""
    directory = -1
    try:
        directory = _made(root)
        for step in filter(None, below.split("/")):
            outer, directory = directory, _made(step, directory)
            os.close(outer)
    except OSError as error:
        if directory >= 0:
            os.close(directory)
        raise _NoDestination(error.errno, f"{root}: {error.strerror}") from error
    try:
        yield directory
    finally:
        os.close(directory)


def _made(path: str, directory: int | None = None) -> int:
    with suppress(FileExistsError):
        os.mkdir(path, dir_fd=directory)
    return os.open(path, _DIRECTORY if directory is None else _DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)


@contextmanager
def _opened(name: str, directory: int) -> Iterator[int]:
    """A regular file. Raises OSError (ELOOP for a link)."""
    file = os.open(name, _FILE, dir_fd=directory)
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise OSError(errno.EINVAL, "it is no file any more")
        yield file
    finally:
        os.close(file)


def _exists(name: str, directory: int) -> bool:
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _words(error: OSError) -> str:
    if error.errno in (errno.ELOOP, errno.ENOTDIR) and not isinstance(error, _NoDestination):
        return "it is reached through a symbolic link"
    return error.strerror or str(error)
