"""Renames that never replace, and copies where a rename cannot go: the file system's part of moving a file away.

Owns renameat2(2) with RENAME_NOREPLACE, by link and unlink where a file system has no such thing, and a copy across
file systems that is on disk and compared before it gets its name. All paths are relative to open directories.
"""

import ctypes
import errno
import os
import sys
from collections.abc import Callable
from contextlib import suppress

from mirrord.planning.decisions.file_removal import numbered_names
from mirrord.units import MiB

_NOREPLACE = 1
_PIECE = MiB
_NOT_HAD = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}  # NFS has no RENAME_NOREPLACE, but links
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)

Stop = Callable[[], bool]
"""Whether what takes long is to be given up."""


class Stopped(OSError):
    """A copy was given up, for mirrord ends."""


def rename(old: str, new: str, old_place: int, new_place: int) -> None:
    """Give `old` the name `new`, replacing nothing. Raises FileExistsError, and OSError (EXDEV across file systems)."""
    sys.audit("os.rename", old, new, old_place, new_place)
    if _renameat2 is not None:
        if _renameat2(old_place, os.fsencode(old), new_place, os.fsencode(new), _NOREPLACE) == 0:
            return
        if (code := ctypes.get_errno()) not in _NOT_HAD:
            raise OSError(code, os.strerror(code), new)
    os.link(old, new, src_dir_fd=old_place, dst_dir_fd=new_place, follow_symlinks=False)
    os.unlink(old, dir_fd=old_place)


def renamed(old: str, name: str, old_place: int, new_place: int) -> str:
    """Give `old` that name, or with a number where it is taken: the name it has now."""
    file = os.stat(old, dir_fd=old_place, follow_symlinks=False)
    for new in numbered_names(name):
        try:
            rename(old, new, old_place, new_place)
        except FileExistsError:
            if not os.path.samestat(os.stat(new, dir_fd=new_place, follow_symlinks=False), file):
                continue
            os.unlink(old, dir_fd=old_place)  # linked already, by one who was killed before the unlink
        return new
    raise AssertionError("numbers have no end")


def copied(file: int, name: str, temporary: str, place: int, stop: Stop) -> str:
    """Copy an open file into `place`, on disk and compared, as `name` or with a number: the name that it has there.

    What stands there under the name and is the same already counts: it was copied by one who was killed then. Raises
    OSError, Stopped if `stop` says so; then nothing is left but maybe `temporary`, which the next try writes over.
    """
    if _is_copy(file, name, place, stop):
        return name
    flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    written = os.open(temporary, flags, 0o600, dir_fd=place)
    try:
        try:
            _fill(written, file, stop)
            if not _same_bytes(file, written, stop):
                raise OSError(errno.EIO, "the copy differs from the file", name)
        finally:
            os.close(written)
        there = renamed(temporary, name, place, place)
        os.fsync(place)
        return there
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=place)
        raise


def _fill(written: int, file: int, stop: Stop) -> None:
    found, offset = os.fstat(file), 0
    while piece := os.pread(file, _PIECE, offset):
        if stop():
            raise Stopped(errno.EINTR, "mirrord ends")
        view = memoryview(piece)
        while view:
            view = view[os.write(written, view) :]
        offset += len(piece)
    with suppress(PermissionError):
        os.fchown(written, found.st_uid, found.st_gid)
    os.fchmod(written, found.st_mode & 0o777)
    os.utime(written, ns=(found.st_atime_ns, found.st_mtime_ns))
    os.fsync(written)


def _is_copy(file: int, name: str, place: int, stop: Stop) -> bool:
    try:
        other = os.open(name, _READ | os.O_NONBLOCK, dir_fd=place)
    except OSError:
        return False
    try:
        now, then = os.fstat(other), os.fstat(file)
        return (now.st_size, now.st_mtime_ns) == (then.st_size, then.st_mtime_ns) and _same_bytes(file, other, stop)
    finally:
        os.close(other)


def _same_bytes(one: int, other: int, stop: Stop) -> bool:
    offset = 0
    while True:
        piece = os.pread(one, _PIECE, offset)
        if piece != os.pread(other, _PIECE, offset):
            return False
        if not piece:
            return True
        if stop():
            raise Stopped(errno.EINTR, "mirrord ends")
        offset += len(piece)
