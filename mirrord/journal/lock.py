"""One mirrord for each state: an advisory lock on a file in the state directory.

Owns who may write the state. The kernel releases the lock when its process ends, also after kill -9, so no stale lock
remains. Does not wait: a second process gets an error with the pid of the first. The file stays; only its lock counts.
"""

import fcntl
import os
from pathlib import Path
from typing import Self

from mirrord.errors import JournalLocked, JournalUnavailable
from mirrord.journal.private import private_directory

LOCK_FILE = "lock"


class StateLock:
    """The lock of a state directory. Entering creates the directory (0700) if it is missing.

    Entering raises JournalLocked with the holder's pid if another process, or another StateLock, has the lock, and
    JournalUnavailable if the file cannot be created or locked. Child programs do not inherit the lock.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        private_directory(self._directory)
        descriptor = self._open()
        try:
            self._acquire(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        return self

    def __exit__(self, *exc: object) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)  # releases the lock
            self._descriptor = None

    def _open(self) -> int:
        path = self._directory / LOCK_FILE
        try:
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise JournalUnavailable(f"cannot open the lock file {path}: {error.strerror}") from error

    def _acquire(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip() or "unknown"
            raise JournalLocked(
                f"another mirrord (pid {holder}) holds the state in {self._directory}; "
                "stop it, or name another with --state"
            ) from error
        except OSError as error:
            raise JournalUnavailable(f"cannot lock {self._directory / LOCK_FILE}: {error.strerror}") from error
        self._write_pid(descriptor)

    def _write_pid(self, descriptor: int) -> None:
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:
            raise JournalUnavailable(
                f"cannot write {self._directory / LOCK_FILE}: {error.strerror}; free some space on its disk, or name "
                "another state with --state"
            ) from error
