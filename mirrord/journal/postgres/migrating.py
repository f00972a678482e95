"""`mirrord migrate`: brings the schema of a journal in PostgreSQL to the newest version."""

from typing import Any, NamedTuple

from mirrord.errors import JournalError
from mirrord.journal.postgres.address import address_of
from mirrord.journal.postgres.connection import Session
from mirrord.journal.postgres.schema import LEAST_SERVER, VERSION_TABLE, check, migrations, version_of
from mirrord.model import Secret

_LOCK = 0x6D697264
"""'mird': of the advisory lock that two migrations at once wait for. It ends with the transaction."""


class Migrated(NamedTuple):
    """Versions of the schema; 0: there was none."""

    before: int
    after: int


async def migrate(uri: Secret) -> Migrated:
    """Apply the missing migrations in one transaction. Raises JournalError and its children."""
    address = address_of(uri)
    session = Session(address)
    try:
        return await session.run(lambda connection: _migrate(connection, address.shown))
    finally:
        await session.close()


async def _migrate(connection: Any, shown: str) -> Migrated:
    await _check_server(connection, shown)
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        before, newest = await version_of(connection), migrations()[-1].version
        if before > newest:
            await check(connection, shown)
            return Migrated(before, before)
        if not before:
            await _check_empty(connection, shown)
            await connection.execute(
                f"CREATE TABLE {VERSION_TABLE} (version integer PRIMARY KEY, at timestamptz NOT NULL DEFAULT now())"
            )
        for step in migrations():
            if step.version > before:
                await connection.execute(step.script.encode())
                await connection.execute(f"INSERT INTO {VERSION_TABLE} (version) VALUES (%s)", (step.version,))
    return Migrated(before, newest)


async def _check_server(connection: Any, shown: str) -> None:
    if connection.info.server_version < LEAST_SERVER:
        raise JournalError(
            f"the journal {shown} is PostgreSQL {connection.info.server_version // 10_000}; use 13 or newer"
        )
    encoding = (await (await connection.execute("SHOW server_encoding")).fetchone())[0]
    if encoding != "UTF8":
        raise JournalError(
            f"the database of {shown} has the encoding {encoding}; make another one: CREATE DATABASE … ENCODING 'UTF8'"
        )


async def _check_empty(connection: Any, shown: str) -> None:
    found = await (
        await connection.execute("SELECT to_regclass('items') IS NOT NULL OR to_regclass('transfers') IS NOT NULL")
    ).fetchone()
    if found[0]:
        raise JournalError(
            f"{shown} has tables of another program; use another database, or a schema of your own: "
            "?options=-csearch_path%3Dmirrord"
        )
