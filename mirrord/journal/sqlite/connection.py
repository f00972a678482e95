"""Opening the journal's file, to write or only to read. Blocking; runs on the journal's own thread.

Owns modes, pragmas and the schema check. WAL with synchronous=NORMAL: a commit is in the kernel when it returns, so
that kill -9 at any moment loses none; a power cut may lose the last ones, never the file. WAL needs a local disk.

A reader writes nothing. Beside a live writer, or after a crash, a `-wal` file stands and SQLite reads through it.
Without one a plain reader would make it, so the file is opened as immutable and watched by its `stamp`: once that
moves, what was read does not count. A journal that is missing or of an older schema is read from a temporary copy.
"""

import os
import sqlite3
from contextlib import suppress
from pathlib import Path

from mirrord.errors import JournalError
from mirrord.journal.private import private_directory, private_file
from mirrord.journal.sqlite.rows import decode
from mirrord.journal.sqlite.schema import check, migrate, migrations
from mirrord.model import mentions

WAL_KEPT = 1024 * 1024
"""Bytes of the -wal that a checkpoint leaves: else it keeps for good what it once grew to."""
SHORT_OF_SPACE = 16 * 1024 * 1024
"""Bytes free on the disk, below which the -wal is kept small: by itself it grows to 4 MB before a checkpoint."""
_WAL_WHEN_SHORT = 256 * 1024
_BUSY = 5.0  # seconds to wait for another process's checkpoint or recovery
_TEMPORARY = ""  # SQLite's name for a private file that is gone when it is closed

Stamp = tuple[int, int, bool]


def open_to_write(path: Path) -> sqlite3.Connection:
    """The file at `path`, made where it is missing, at our schema. Raises JournalError and sqlite3.Error."""
    private_directory(path.parent)
    private_file(path)
    connection = _connect(path.absolute().as_uri())
    try:
        check(connection, path, migrations()[-1].version)
        if connection.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
            raise JournalError(f"{path} is on a file system without shared memory; put the state on a local disk")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA journal_size_limit = {WAL_KEPT}")
        connection.execute("PRAGMA foreign_keys = ON")
        migrate(connection, path, migrations())
    except BaseException:
        connection.close()
        raise
    return connection


def open_to_read(path: Path) -> tuple[sqlite3.Connection, Stamp | None]:
    """The file as it is, and its stamp if it must not move while it is read."""
    if not path.exists():
        return _migrated(_connect(_TEMPORARY), path), None
    stamp = stamp_of(path)
    at_rest = not stamp[2]
    connection = _connect(f"{path.absolute().as_uri()}?mode=ro{'&immutable=1' if at_rest else ''}")
    try:
        newest = migrations()[-1].version
        if check(connection, path, newest) == newest:
            return connection, stamp if at_rest else None
        copy = _connect(_TEMPORARY)
        connection.backup(copy)
    except BaseException:
        connection.close()
        raise
    connection.close()
    return _migrated(copy, path), None


def stamp_of(path: Path) -> Stamp:
    """What moves when a writer opens the file, writes to it or closes it."""
    status = path.stat()
    return status.st_mtime_ns, status.st_size, os.path.exists(f"{path}-wal")


def identity(path: Path) -> tuple[int, int] | None:
    """Which file stands at the path; None: none does."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def keep_wal_small(connection: sqlite3.Connection, path: Path) -> None:
    """Where the disk is short of space, empty a -wal that has grown."""
    with suppress(OSError):
        if os.stat(f"{path}-wal").st_size > _WAL_WHEN_SHORT:
            disk = os.statvfs(path)
            if disk.f_bavail * disk.f_frsize < SHORT_OF_SPACE:
                empty_wal(connection)


def empty_wal(connection: sqlite3.Connection) -> None:
    """Write the -wal into the file and truncate it, as far as readers and the disk allow it at once."""
    with suppress(sqlite3.Error):
        connection.execute("PRAGMA busy_timeout = 0")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    connection.execute(f"PRAGMA busy_timeout = {round(_BUSY * 1000)}")


def written(path: Path) -> float | None:
    """Seconds since the epoch of the last write to the file or its -wal; None where there is no file."""
    times = []
    for place in (path, Path(f"{path}-wal")):
        with suppress(FileNotFoundError):
            times.append(place.stat().st_mtime)
    return max(times, default=None)


def _connect(uri: str) -> sqlite3.Connection:
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=_BUSY)
    connection.row_factory = sqlite3.Row
    connection.text_factory = decode
    connection.create_function("mentions", -1, _mentions, deterministic=True)
    return connection


def _mentions(*texts: bytes) -> bool:
    """SQL's own LIKE knows upper and lower case of ASCII only, and ends at a NUL."""
    return mentions(*map(decode, texts))


def _migrated(connection: sqlite3.Connection, path: Path) -> sqlite3.Connection:
    migrate(connection, path, migrations())
    return connection
