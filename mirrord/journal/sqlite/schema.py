"""The journal's schema: the version of a file, the migrations to the newest version, and the statements by name.

Owns `PRAGMA user_version`. Each migration is one transaction, so a crash between two leaves a complete schema. Refuses
a newer journal and the database of another program.
"""

import re
import sqlite3
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from mirrord.errors import JournalError, JournalTooNew

_APPLICATION_ID = 0x6D697264  # 'mird', set by the first migration
_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


class Migration(NamedTuple):
    version: int
    script: str


@cache
def queries() -> Mapping[str, str]:
    """The statements of `queries.sql` by name."""
    names_and_texts = _NAME.split((files(__package__) / "queries.sql").read_text("utf-8"))
    return dict(zip(names_and_texts[1::2], names_and_texts[2::2], strict=True))


@cache
def migrations() -> Sequence[Migration]:
    """Every migration in order. Its version is the number at the start of its file's name."""
    found = [file for file in (files(__package__) / "migrations").iterdir() if file.name.endswith(".sql")]
    return sorted(Migration(int(file.name.partition("_")[0]), file.read_text("utf-8")) for file in found)


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
