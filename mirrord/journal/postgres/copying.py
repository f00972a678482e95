"""The journal in PostgreSQL as one end of a copy: see `sql.copying`."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Mapping, Sequence
from typing import Any, Self, TypeVar

from psycopg import AsyncConnection

from mirrord.aio import finish
from mirrord.errors import JournalError, JournalLocked, JournalTooNew
from mirrord.journal.postgres import derived
from mirrord.journal.postgres.address import ServerAddress
from mirrord.journal.postgres.connection import DEADLINE, NamedRow, connect
from mirrord.journal.postgres.failures import translated
from mirrord.journal.postgres.lease import Lease
from mirrord.journal.postgres.schema import migrations, version_of
from mirrord.journal.sql.copying import BATCH, NUMBERED, TABLES
from mirrord.journal.sql.database import SqlRow

_KINDS = {"text": str, "bytea": str, "int4": int, "int8": int, "float8": float}
_COLUMNS = b"""
SELECT attname, typname FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid
WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""
_WORKERS = b"SELECT host, pid FROM lease WHERE name <> 'state' AND until > clock_timestamp() LIMIT 1"

T = TypeVar("T")


class PostgresCopy:
    """See `CopyEnd`. There is one transaction, which ends with `async with`: without `commit` nothing is left of it.
    The lease must be held. Until the end, another process can take it only by ending the transaction."""

    def __init__(self, address: ServerAddress, lease: Lease) -> None:
        self.shown = address.shown
        self._address = address
        self._lease = lease
        self._opened: AsyncConnection[NamedRow] | None = None
        self._types: dict[str, Mapping[str, str]] = {}

    async def __aenter__(self) -> Self:
        try:
            self._opened = await self._step(connect(self._address))
            await self._execute("BEGIN")
            await self._execute("SET LOCAL idle_in_transaction_session_timeout = 0")  # the other end may be slow
            await self._execute("SELECT write_as(%s, %s)", self._lease.owner, self._lease.epoch)
            await self._check_schema()
            await self._check_workers()
        except BaseException:
            await finish(self._close())
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await finish(self._close())

    async def columns(self, table: str) -> Mapping[str, type]:
        return {name: _KINDS[kind] for name, kind in (await self._types_of(table)).items()}

    async def rows(self, table: str, columns: Sequence[str]) -> AsyncGenerator[Sequence[SqlRow]]:
        async with self._connection.cursor("copied", binary=True) as cursor:
            query = f"SELECT {', '.join(columns)} FROM {table} ORDER BY {TABLES[table]}"
            await self._step(cursor.execute(query.encode()))
            while rows := await self._step(cursor.fetchmany(BATCH)):
                yield rows

    async def last_number(self, table: str) -> int:
        column = NUMBERED[table]
        row = await self._row(
            f"SELECT greatest(pg_sequence_last_value(pg_get_serial_sequence('{table}', '{column}')::regclass),"
            f" max({column}), 0) FROM {table}"
        )
        return int(row[0])

    async def check_held(self) -> None:
        """A take-over ends the transaction."""
        await self._execute("SELECT 1")

    async def is_empty(self, table: str) -> bool:
        return bool((await self._row(f"SELECT NOT EXISTS (SELECT 1 FROM {table})"))[0])

    async def clear(self, table: str) -> None:
        await self._execute(f"DELETE FROM {table}")

    async def add(self, table: str, columns: Mapping[str, type], rows: Sequence[SqlRow]) -> None:
        names = [*columns, *(derived.DERIVED if table == "items" else ())]
        if table == "items":
            rows = [(*row, *derived.of_copied(dict(zip(columns, row, strict=True)))) for row in rows]
        types = await self._types_of(table)
        await self._step(self._add(table, {name: types[name] for name in names}, rows))

    async def number_after(self, table: str, last: int) -> None:
        if last:
            await self._execute(f"SELECT setval(pg_get_serial_sequence('{table}', '{NUMBERED[table]}'), {last})")

    async def commit(self) -> None:
        await self._execute("COMMIT")
        self._lease.written = time.time()

    async def _check_schema(self) -> None:
        """A newer one may have tables that this mirrord would not copy."""
        if await self._step(version_of(self._connection)) > migrations()[-1].version:
            raise JournalTooNew(f"the journal {self.shown} has the schema of a newer mirrord; copy it with that one")

    async def _check_workers(self) -> None:
        """They write beside the process that has the state."""
        found = await self._step(self._fetch(_WORKERS, ()))
        if found:
            raise JournalLocked(
                f"a worker (pid {found[0]['pid']} on {found[0]['host']}) uses the state {self.shown}; stop it"
            )

    async def _add(self, table: str, types: Mapping[str, str], rows: Sequence[SqlRow]) -> None:
        binary = [kind == "bytea" for kind in types.values()]
        query = f"COPY {table} ({', '.join(types)}) FROM STDIN (FORMAT binary)"
        async with self._connection.cursor().copy(query.encode()) as copy:
            copy.set_types(list(types.values()))
            for row in rows:
                await copy.write_row([_bytes(one) if free else one for one, free in zip(row, binary, strict=True)])

    async def _types_of(self, table: str) -> Mapping[str, str]:
        if table not in self._types:
            found = await self._step(self._fetch(_COLUMNS, (table,)))
            self._types[table] = {row["attname"]: row["typname"] for row in found}
        return self._types[table]

    async def _row(self, query: str) -> Any:
        return (await self._step(self._fetch(query.encode(), ())))[0]

    async def _fetch(self, query: bytes, values: Sequence[Any]) -> Sequence[Any]:
        return await (await self._connection.execute(query, values)).fetchall()

    async def _execute(self, text: str, *values: Any) -> None:
        await self._step(self._connection.execute(text.encode(), values))

    async def _step(self, step: Awaitable[T]) -> T:
        with translated(self.shown):
            async with asyncio.timeout(DEADLINE):
                return await step

    @property
    def _connection(self) -> AsyncConnection[NamedRow]:
        if self._opened is None:
            raise JournalError(f"the journal {self.shown} is not open")
        return self._opened

    async def _close(self) -> None:
        if self._opened is not None:
            await self._opened.close()


def _bytes(value: Any) -> Any:
    return value.encode("utf-8", "surrogatepass") if type(value) is str else value
