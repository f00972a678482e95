"""The journal in a SQLite file as one end of a copy: see `sql.copying`."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from mirrord.journal.sql.copying import BATCH, NUMBERED, TABLES
from mirrord.journal.sql.database import SqlRow, SqlValue
from mirrord.journal.sql.rows import encode
from mirrord.journal.sqlite.database import SqliteDatabase

CACHE = 64 * 1024
"""KiB of pages in memory while rows are added: indexes by hashes change pages everywhere."""
_KINDS = {"TEXT": str, "INTEGER": int, "REAL": float}
_NUMBERS = "(SELECT seq FROM sqlite_sequence WHERE name = :table)"


class SqliteCopy:
    """See `CopyEnd`. The caller holds the state lock. With `to_write` there is a transaction, which ends with `async
    with`: without `commit` nothing is left of it."""

    def __init__(self, path: Path, *, to_write: bool) -> None:
        self.shown = str(path)
        self._to_write = to_write
        self._database = SqliteDatabase(path, read_only=not to_write)

    async def __aenter__(self) -> Self:
        await self._database.__aenter__()
        try:
            if self._to_write:
                await self._execute(f"PRAGMA cache_size = -{CACHE}")
                await self._execute("BEGIN IMMEDIATE")
        except BaseException:
            await self._database.__aexit__()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._database.__aexit__(*exc)

    async def columns(self, table: str) -> Mapping[str, type]:
        return {row["name"]: _KINDS[row["type"]] for row in await self._execute(f"PRAGMA table_info({table})")}

    async def rows(self, table: str, columns: Sequence[str]) -> AsyncGenerator[Sequence[SqlRow]]:
        query = f"SELECT {', '.join(columns)} FROM {table} ORDER BY {TABLES[table]}"
        cursor = await self._database.with_connection(lambda connection: connection.execute(query))
        while rows := await self._database.with_connection(lambda _: cursor.fetchmany(BATCH)):
            yield [tuple(row) for row in rows]

    async def last_number(self, table: str) -> int:
        query = f"SELECT max(coalesce({_NUMBERS}, 0), coalesce((SELECT max({NUMBERED[table]}) FROM {table}), 0))"
        return int((await self._execute(query, {"table": table}))[0][0])

    async def check_held(self) -> None:
        """The kernel takes the lock from no process that lives."""

    async def is_empty(self, table: str) -> bool:
        return not await self._execute(f"SELECT 1 FROM {table} LIMIT 1")

    async def clear(self, table: str) -> None:
        await self._execute(f"DELETE FROM {table}")

    async def add(self, table: str, columns: Mapping[str, type], rows: Sequence[SqlRow]) -> None:
        values = ", ".join("CAST(? AS TEXT)" if kind is str else "?" for kind in columns.values())
        statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({values})"
        await self._database.with_connection(lambda connection: connection.executemany(statement, map(_bound, rows)))

    async def number_after(self, table: str, last: int) -> None:
        if table == "holders":  # without AUTOINCREMENT: SQLite numbers above its own rows
            return
        await self._execute("DELETE FROM sqlite_sequence WHERE name = :table", {"table": table})
        await self._execute("INSERT INTO sqlite_sequence VALUES (:table, :last)", {"table": table, "last": last})

    async def commit(self) -> None:
        await self._execute("COMMIT")

    async def _execute(self, text: str, values: Mapping[str, Any] | tuple[()] = ()) -> list[Any]:
        return await self._database.with_connection(lambda connection: connection.execute(text, values).fetchall())


def _bound(row: SqlRow) -> list[SqlValue]:
    return [encode(one) if type(one) is str else one for one in row]
