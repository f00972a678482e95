"""The schema of the journal in PostgreSQL: its version, and whether this mirrord works with it.

Two neighbouring versions run side by side while replicas are upgraded: so each migration only adds (tables, indexes,
columns that are NULL or have a default), and a mirrord works with its own schema and the next one.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

from mirrord.errors import JournalError, JournalTooNew
from mirrord.journal.sql.scripts import Migration, migrations_of

LEAST_SERVER = 130_000
"""PostgreSQL 13, in the form of `server_version_num`."""
VERSION_TABLE = "mirrord_schema"


@cache
def migrations() -> Sequence[Migration]:
    """Every migration in order."""
    return migrations_of(__package__)


async def version_of(connection: Any) -> int:
    """The version of the schema; 0 without one."""
    found = await (await connection.execute(f"SELECT to_regclass('{VERSION_TABLE}') IS NOT NULL")).fetchone()
    if not found[0]:
        return 0
    row = await (await connection.execute(f"SELECT max(version) FROM {VERSION_TABLE}")).fetchone()
    return int(row[0] or 0)


async def check(connection: Any, shown: str) -> None:
    """Raise JournalError if the schema is missing or older than this mirrord, JournalTooNew if it is newer by more than
    one version."""
    version, newest = await version_of(connection), migrations()[-1].version
    if version == 0:
        raise JournalError(f"the journal {shown} has no tables of mirrord yet; run `mirrord migrate`")
    if version < newest:
        raise JournalError(
            f"the journal {shown} has schema {version} and this mirrord needs {newest}; run `mirrord migrate`"
        )
    if version > newest + 1:
        raise JournalTooNew(
            f"the journal {shown} has schema {version} and this mirrord works with {newest} and {newest + 1}; "
            "run the newer mirrord that wrote it, or name another state with --state"
        )
