"""Renames that never replace a file, and copies to another file system where a rename is not possible.

Owns renameat2(2) with RENAME_NOREPLACE, with link and unlink where a file system does not support it, and the copy
across file systems, which is on disk and compared before it gets its name. Paths are relative to open directories.
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
_CHUNK = MiB
_UNSUPPORTED = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}  # NFS has no RENAME_NOREPLACE, but links
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)

Stop = Callable[[], bool]
"""Whether a long copy should stop."""


class CopyStopped(OSError):
    """A copy was stopped because mirrord ends."""


def rename(old: str, new: str, old_directory: int, new_directory: int) -> None:
    """Give `old` the name `new`, replacing nothing. Raises FileExistsError, and OSError (EXDEV across file systems)."""
    sys.audit("os.rename", old, new, old_directory, new_directory)
    if _renameat2 is not None:
        if _renameat2(old_directory, os.fsencode(old), new_directory, os.fsencode(new), _NOREPLACE) == 0:
            return
        if (code := ctypes.get_errno()) not in _UNSUPPORTED:
            raise OSError(code, os.strerror(code), new)
    os.link(old, new, src_dir_fd=old_directory, dst_dir_fd=new_directory, follow_symlinks=False)
    os.unlink(old, dir_fd=old_directory)


def renamed(old: str, name: str, old_directory: int, new_directory: int) -> str:
    """Give `old` that name, or with a number where it is taken. Returns the new name."""
    file = os.stat(old, dir_fd=old_directory, follow_symlinks=False)
    for new in numbered_names(name):
        try:
            rename(old, new, old_directory, new_directory)
        except FileExistsError:
            if not os.path.samestat(os.stat(new, dir_fd=new_directory, follow_symlinks=False), file):
                continue
            os.unlink(old, dir_fd=old_directory)  # linked already, before a kill
        return new
    raise AssertionError("numbers have no end")


def copied(file: int, name: str, temporary: str, directory: int, stop: Stop) -> str:
    """Copy an open file into the directory `directory`, as `name` or with a number. Returns its name there.

    The copy is on disk and compared. An equal file of that name counts as the copy: it was made before a kill. Raises
    OSError, and CopyStopped if `stop()` is true; then at most `temporary` is left, which the next try overwrites.
    """
    if _is_copy(file, name, directory, stop):
        return name
    flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    written = os.open(temporary, flags, 0o600, dir_fd=directory)
    try:
        try:
            _fill(written, file, stop)
            if not _same_bytes(file, written, stop):
                raise OSError(errno.EIO, "the copy differs from the file", name)
        finally:
            os.close(written)
        there = renamed(temporary, name, directory, directory)
        os.fsync(directory)
        return there
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=directory)
        raise


def _fill(written: int, file: int, stop: Stop) -> None:
    found, offset = os.fstat(file), 0
    while chunk := os.pread(file, _CHUNK, offset):
        if stop():
            raise CopyStopped(errno.EINTR, "mirrord ends")
        view = memoryview(chunk)
        while view:
            view = view[os.write(written, view) :]
        offset += len(chunk)
    with suppress(PermissionError):
        os.fchown(written, found.st_uid, found.st_gid)
    os.fchmod(written, found.st_mode & 0o777)
    os.utime(written, ns=(found.st_atime_ns, found.st_mtime_ns))
    os.fsync(written)


def _is_copy(file: int, name: str, directory: int, stop: Stop) -> bool:
    try:
        other = os.open(name, _READ | os.O_NONBLOCK, dir_fd=directory)
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
        chunk = os.pread(one, _CHUNK, offset)
        if chunk != os.pread(other, _CHUNK, offset):
            return False
        if not chunk:
            return True
        if stop():
            raise CopyStopped(errno.EINTR, "mirrord ends")
        offset += len(chunk)
