"""The journal's database: writes in groups on one connection, reads on another.

Owns transactions. The writes that wait are one transaction, sent as one pipeline; its first statement checks that this
process still holds the lease, so a process that lost it changes nothing. Reads do not wait for writes; a read that
begins after a write returned sees it, because it is another statement of a committed state.
"""

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import Any, Self, cast

from psycopg import AsyncConnection
from psycopg.pq import TransactionStatus

from mirrord.aio import finish
from mirrord.errors import JournalError, JournalTakenOver, JournalUnavailable
from mirrord.journal.postgres import derived
from mirrord.journal.postgres.address import ServerAddress
from mirrord.journal.postgres.connection import NamedRow, Session
from mirrord.journal.postgres.lease import Lease
from mirrord.journal.postgres.schema import check
from mirrord.journal.postgres.statements import statements
from mirrord.journal.sql.database import Row, Rows, SqlValues, Statement
from mirrord.journal.sql.groups import Groups, Read, Write

_Connection = AsyncConnection[NamedRow]

_ANSWERS_WITHIN = 8.0
"""Seconds. Another process may then have the state, so this one is not ready."""
_AGAIN = 1.0
_REPEATABLE = {"opened", "part_done", "completing", "complete_refused"}
"""Steps of a transfer that may be written again after a commit whose outcome is unknown."""
_FORGET = "forget_transfers"
_TOGETHER = {"record": "recorded", "unfinished_of": "all_unfinished_of"}
"""Queries of one item, and those of many."""


class PostgresDatabase:
    """See `sql.database.Database`. `lease`: of a process that writes; it must be held. Entering raises JournalError if
    the schema is missing, or not one that this mirrord works with."""

    def __init__(self, address: ServerAddress, lease: Lease | None) -> None:
        self._address = address
        self._lease = lease
        self._writer, self._reader = Session(address), Session(address)
        self._writes = Groups(lambda writes, _: self._commit(writes))
        self._reads = Groups(lambda _, reads: self._read(reads))
        self._is_open = False

    @property
    def worker(self) -> str:
        return self._lease.owner if self._lease is not None else ""

    async def __aenter__(self) -> Self:
        try:
            await self._reader.run(lambda connection: check(connection, self._address.shown))
        except BaseException:
            await finish(self._reader.close())
            raise
        self._is_open = True
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._is_open = False
        await finish(self._shut_down())

    async def read(self, name: str, values: SqlValues) -> Rows:
        if not self._is_open:
            raise JournalError(f"the journal {self._address.shown} is not open")
        return await self._reads.read(Statement(*derived.statement(name, values)))

    async def write(self, *given: Statement) -> None:
        if not self._is_open or self._lease is None:
            raise JournalError(f"the journal {self._address.shown} is not open for writing")
        if given:
            statements = tuple(Statement(*derived.statement(*one)) for one in given)
            waits = all(one.name in _REPEATABLE for one in given)
            await (self._write_when_back(statements) if waits else self._writes.write(statements))

    async def _write_when_back(self, statements: tuple[Statement, ...]) -> None:
        """A transfer that runs waits for PostgreSQL: if it failed, a part that is at the store would be sent again."""
        while True:
            try:
                await self._writes.write(statements)
            except JournalUnavailable:
                await asyncio.sleep(_AGAIN)
            else:
                return

    async def last_written(self) -> float | None:
        """As of the last renewal of the lease, if another process writes. Always asks PostgreSQL: callers learn here
        whether it answers."""
        try:
            async with asyncio.timeout(_ANSWERS_WITHIN):
                rows = await self.read("last_written", {})
        except TimeoutError as error:
            raise JournalUnavailable(
                f"the journal {self._address.shown} has not answered for {_ANSWERS_WITHIN:g} s; check PostgreSQL and "
                "the network"
            ) from error
        mine = self._lease.written if self._lease is not None else None
        written: float | None = rows[0]["written"] if mine is None and rows else mine
        return written

    def many(self, texts: Collection[str]) -> list[str]:
        return list(texts)

    async def _read(self, reads: Sequence[Read]) -> Sequence[Rows | Exception]:
        """What is asked of one item each is read together: alone each would take 0.3 ms."""
        results: dict[int, Rows | Exception] = {}
        for name, of_all in _TOGETHER.items():
            places = [place for place, (query, _) in enumerate(reads) if query.name == name]
            if len(places) > 1:
                results |= zip(
                    places, await self._results_of([reads[place].query for place in places], of_all), strict=True
                )
        return [
            results[place] if place in results else await self._result_of(query)
            for place, (query, _) in enumerate(reads)
        ]

    async def _results_of(self, queries: Sequence[Statement], of_all: str) -> Sequence[Rows | Exception]:
        """Results of queries that differ in the item only, by a statement for all these items."""
        ids = [cast(Mapping[str, Any], one.values)["item_id"] for one in queries]
        together = await self._result_of(Statement(of_all, {**cast(Any, queries[0].values), "item_ids": ids}))
        if isinstance(together, Exception):
            return [together] * len(queries)
        found: dict[str, list[Row]] = {}
        for row in together:
            found.setdefault(row["item_id"], []).append(row)
        return [found.get(item_id, []) for item_id in ids]

    async def _result_of(self, query: Statement) -> Rows | Exception:
        """The rows of the query, or its error. It is repeated once on another connection, because one that was idle may
        have been closed meanwhile."""
        for last in (False, True):
            try:
                return derived.rows(query.name, await self._reader.run(partial(_fetch, query)))
            except JournalUnavailable as error:
                if last or self._reader.is_open:
                    return error
            except Exception as error:  # noqa: BLE001 - raised again in the caller
                return error
        raise AssertionError

    async def _commit(self, writes: Sequence[Write]) -> Sequence[Rows | Exception]:
        lease = self._lease
        assert lease is not None
        try:
            await self._writer.run(partial(_transact, lease, _in_order(writes)))
        except JournalTakenOver:
            lease.lose()
            raise
        lease.written = time.time()
        return [[]] * len(writes)

    async def _shut_down(self) -> None:
        await self._writes.end()
        await self._reads.end()
        await self._writer.close()
        await self._reader.close()


def _values_of(statement: Statement, name: str, parameter: str) -> list[Any]:
    """The value of this parameter, if the statement has this name."""
    return [cast(Mapping[str, Any], statement.values)[parameter]] if statement.name == name else []


def _in_order(writes: Sequence[Write]) -> list[Statement]:
    """The statements of one transaction. Transfers are forgotten at its end, all at once, so that equal statements are
    side by side and go to the server together. Nothing else depends on it: no transfer's id is ever used again."""
    every = [one for write in writes for one in write.statements]
    ended = [transfer_id for one in every for ids in _values_of(one, _FORGET, "ids") for transfer_id in ids]
    others = [one for one in every if one.name != _FORGET]
    return [*others, Statement(_FORGET, {"ids": ended})] if ended else others


async def _fetch(query: Statement, connection: _Connection) -> Rows:
    prepared = statements()[query.name]
    cursor = await connection.cursor(binary=True).execute(prepared.text, prepared.bound(query.values))
    return await cursor.fetchall()


async def _transact(lease: Lease, together: Sequence[Statement], connection: _Connection) -> None:
    """One transaction. If it fails, nothing of it is left."""
    try:
        async with connection.pipeline():
            await connection.execute(b"BEGIN")
            await connection.execute(b"SELECT write_as(%s, %s)", (lease.owner, lease.epoch))
            for name, same in groupby(together, itemgetter(0)):
                prepared = statements()[name]
                await connection.cursor().executemany(prepared.text, [prepared.bound(values) for _, values in same])
            committed = await connection.execute(b"COMMIT")
        if committed.statusmessage != "COMMIT":
            raise JournalUnavailable(f"PostgreSQL answered {committed.statusmessage} to COMMIT")
    finally:
        if connection.info.transaction_status in (TransactionStatus.INERROR, TransactionStatus.INTRANS):
            await connection.rollback()
