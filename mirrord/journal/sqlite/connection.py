"""Opens the journal's file, to write or only to read. Blocking; runs on the journal's own thread.

Owns file modes, pragmas and the schema check. WAL with synchronous=NORMAL: a commit is in the kernel when it returns,
so kill -9 never loses one; a power cut may lose the last commits, never the file. WAL needs a local disk.

A reader writes nothing. Beside a running writer, or after a crash, there is a `-wal` file, and SQLite reads it, too.
Without a `-wal` file a plain reader would create one, so the file is opened as immutable and its `FileStat` is compared
after each read: if it changed, the rows do not count. A missing journal or an older schema is read from a temporary
copy.
"""

import os
import sqlite3
from contextlib import suppress
from pathlib import Path

from mirrord.errors import JournalError
from mirrord.journal.private import private_directory, private_file
from mirrord.journal.sql.rows import decode
from mirrord.journal.sqlite.schema import check, migrate, migrations
from mirrord.model import mentions

WAL_KEPT = 1024 * 1024
"""Largest size of the -wal file in bytes after a checkpoint. Without a limit it keeps its largest size."""
SHORT_OF_SPACE = 16 * 1024 * 1024
"""Free bytes of the disk below which the -wal file is kept small. By default it grows to 4 MB before a checkpoint."""
_WAL_WHEN_SHORT = 256 * 1024
_BUSY_TIMEOUT = 5.0  # seconds to wait for another process's checkpoint or recovery
_TEMPORARY = ""  # SQLite's name for a private file that is deleted when it is closed

FileStat = tuple[int, int, bool]
"""Modification time (ns), size, and whether a -wal file exists: it changes when a writer opens, writes or closes."""


def open_to_write(path: Path) -> sqlite3.Connection:
    """Open the file with the newest schema, or create it. Raises JournalError and its children, and sqlite3.Error."""
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


def open_to_read(path: Path) -> tuple[sqlite3.Connection, FileStat | None]:
    """Open the file as it is. Also returns its FileStat if the file must not change while it is read."""
    if not path.exists():
        return _migrated(_connect(_TEMPORARY), path), None
    stat = file_stat(path)
    immutable = not stat[2]
    connection = _connect(f"{path.absolute().as_uri()}?mode=ro{'&immutable=1' if immutable else ''}")
    try:
        newest = migrations()[-1].version
        if check(connection, path, newest) == newest:
            return connection, stat if immutable else None
        copy = _connect(_TEMPORARY)
        connection.backup(copy)
    except BaseException:
        connection.close()
        raise
    connection.close()
    return _migrated(copy, path), None


def file_stat(path: Path) -> FileStat:
    status = path.stat()
    return status.st_mtime_ns, status.st_size, os.path.exists(f"{path}-wal")


def identity(path: Path) -> tuple[int, int] | None:
    """Device and inode of the file at the path; None if there is no file."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def keep_wal_small(connection: sqlite3.Connection, path: Path) -> None:
    """If the disk is short of space, empty a -wal file that has grown."""
    with suppress(OSError):
        if os.stat(f"{path}-wal").st_size > _WAL_WHEN_SHORT:
            disk = os.statvfs(path)
            if disk.f_bavail * disk.f_frsize < SHORT_OF_SPACE:
                empty_wal(connection)


def empty_wal(connection: sqlite3.Connection) -> None:
    """Write the -wal file into the database and truncate it, as far as readers and the disk allow without waiting."""
    with suppress(sqlite3.Error):
        connection.execute("PRAGMA busy_timeout = 0")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    connection.execute(f"PRAGMA busy_timeout = {round(_BUSY_TIMEOUT * 1000)}")


def last_written(path: Path) -> float | None:
    """Seconds since the epoch of the last write to the file or its -wal file; None if there is no file."""
    times = []
    for file in (path, Path(f"{path}-wal")):
        with suppress(FileNotFoundError):
            times.append(file.stat().st_mtime)
    return max(times, default=None)


def _connect(uri: str) -> sqlite3.Connection:
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=_BUSY_TIMEOUT)
    connection.row_factory = sqlite3.Row
    connection.text_factory = decode
    connection.create_function("mentions", -1, _mentions, deterministic=True)
    return connection


def _mentions(*texts: bytes) -> bool:
    """For SQL, whose LIKE ignores the case of ASCII only and stops at a NUL."""
    return mentions(*map(decode, texts))


def _migrated(connection: sqlite3.Connection, path: Path) -> sqlite3.Connection:
    migrate(connection, path, migrations())
    return connection
