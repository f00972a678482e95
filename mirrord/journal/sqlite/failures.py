"""Translates SQLite's errors: JournalUnavailable may end without help, JournalError needs the operator."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mirrord.errors import JournalError, JournalUnavailable

_PRIMARY = 0xFF  # the low byte of an extended result code is the primary one (sqlite.org/rescode.html)
_UNAVAILABLE = {
    sqlite3.SQLITE_FULL: "free some space on its disk",
    sqlite3.SQLITE_IOERR: "check its disk, its quota and the limits of the process",
    sqlite3.SQLITE_CANTOPEN: "check that its directory exists and is writable",
    sqlite3.SQLITE_READONLY: "make the file and its directory writable",
    sqlite3.SQLITE_PERM: "make the file and its directory writable",
    sqlite3.SQLITE_BUSY: "another program holds it",
    sqlite3.SQLITE_LOCKED: "another program holds it",
    sqlite3.SQLITE_NOMEM: "the process has no memory left",
}
_LEAST_FREE = 64 * 1024
"""Free bytes that SQLite needs for its -shm file; with fewer it reports an I/O error."""
_ANEW = (
    "move it away with its -wal and -shm files and start again: every source is checked again, and nothing is deleted"
)
_BROKEN = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Raise errors of SQLite and of the file system as JournalUnavailable or JournalError, with a remedy."""
    try:
        yield
    except sqlite3.Error as error:
        raise _translate(path, error) from error
    except (UnicodeDecodeError, UnicodeEncodeError) as error:  # also of an id that was read, and selects the next page
        raise JournalError(f"the journal {path} is damaged: {error.reason}; {_ANEW}") from error
    except OSError as error:
        raise JournalUnavailable(f"the journal {path} cannot be read: {error.strerror}") from error


def _translate(path: Path, error: sqlite3.Error) -> JournalError:
    code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY
    if code in _UNAVAILABLE:
        remedy = sqlite3.SQLITE_FULL if code == sqlite3.SQLITE_IOERR and _is_full(path) else code
        return JournalUnavailable(f"the journal {path} cannot be used: {error}; {_UNAVAILABLE[remedy]}")
    if code in _BROKEN:
        return JournalError(f"the journal {path} is damaged: {error}; {_ANEW}")
    return JournalError(f"the journal {path} failed: {error}")


def _is_full(path: Path) -> bool:
    try:
        disk = os.statvfs(path.parent)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < _LEAST_FREE
