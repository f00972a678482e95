"""The journal's schema: the version of a file, the migrations to the newest version, and the statements by name.

Owns `PRAGMA user_version`. Each migration is one transaction, so a crash between two leaves a complete schema. Refuses
a newer journal and the database of another program.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from mirrord.errors import JournalError, JournalTooNew
from mirrord.journal.sql.scripts import Migration, migrations_of, statements_of

_APPLICATION_ID = 0x6D697264  # 'mird', set by the first migration


@cache
def queries() -> Mapping[str, str]:
    """The statements of `queries.sql` by name."""
    return statements_of(__package__)


@cache
def migrations() -> Sequence[Migration]:
    """Every migration in order."""
    return migrations_of(__package__)


def check(connection: sqlite3.Connection, path: Path, newest: int) -> int:
    """The file's schema version, 0 for an empty file.

    Raises JournalTooNew for a version above `newest`, and JournalError for the database of another program.
    """
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    owner = connection.execute("PRAGMA application_id").fetchone()[0]
    if owner != _APPLICATION_ID and connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
        raise JournalError(f"{path} is another program's database; name another file with --state")
    if version > newest:
        raise JournalTooNew(
            f"the journal {path} has schema {version} and this mirrord supports up to {newest}; "
            "run the newer mirrord that wrote it, or name another state with --state"
        )
    return version


def migrate(connection: sqlite3.Connection, path: Path, steps: Sequence[Migration]) -> None:
    """Migrate the schema to the newest of `steps`. Raises the errors of `check`, and sqlite3.Error."""
    version = check(connection, path, steps[-1].version)
    for step in steps:
        if step.version > version:
            _apply(connection, step)


def _apply(connection: sqlite3.Connection, step: Migration) -> None:
    try:
        connection.executescript(f"BEGIN IMMEDIATE; {step.script}; PRAGMA user_version = {step.version}; COMMIT")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
