"""A Unix socket at a path, for the server: replaces the file that a dead process left, and is removed at its end.

Owns the file. Who may connect is decided by its mode (owner and group) and by its directory.
"""

import errno
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager

MODE = 0o660


@contextmanager
def unix_socket(path: str) -> Iterator[socket.socket]:
    """Bound, not listening: no client can connect before the mode is set. Raises OSError: EADDRINUSE if a process
    listens there, EEXIST if a file there is no socket."""
    _remove_stale(path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as bound:
        bound.setblocking(False)
        bound.bind(path)
        mine = _identity(path)
        try:
            os.chmod(path, MODE)
            yield bound
        finally:
            if mine is not None and _identity(path) == mine:
                os.unlink(path)


def _remove_stale(path: str) -> None:
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise FileExistsError(errno.EEXIST, "a file that is no socket is there")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as visitor:
        visitor.setblocking(False)
        code = visitor.connect_ex(path)
    if code == errno.ECONNREFUSED:  # no process listens: the one that made it has ended
        os.unlink(path)
    elif code != errno.ENOENT:
        raise OSError(errno.EACCES if code == errno.EACCES else errno.EADDRINUSE, os.strerror(code))


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
