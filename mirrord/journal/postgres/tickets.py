"""`ports.tickets` in PostgreSQL: rows that workers claim by FOR UPDATE SKIP LOCKED (docs/queue.md).

Each call is one transaction, whose first statement checks the lease of the caller.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import astuple
from typing import Any, Self, TypeVar

from pydantic import TypeAdapter, ValidationError

from mirrord.aio import finish
from mirrord.errors import JournalTakenOver
from mirrord.journal.postgres.address import ServerAddress
from mirrord.journal.postgres.connection import Session
from mirrord.journal.postgres.lease import Lease
from mirrord.model import Outcome
from mirrord.ports.tickets import Ticket, TicketReport, Work
from mirrord.status import WorkerStatus

_MOST_REPORTS = 300
_DEADLINE = 15.0

_OFFER = b"INSERT INTO tickets (number, works) VALUES (%s, %s) ON CONFLICT (number) DO NOTHING"
_READ = b"SELECT number, ticket, outcomes, last FROM reports ORDER BY number LIMIT %s"
_FORGET = b"DELETE FROM reports WHERE number = ANY(%s)"
_STOP = b"UPDATE tickets SET stop = %s WHERE number = %s AND worker IS NOT NULL"
_WITHDRAW = b"DELETE FROM tickets WHERE number = ANY(%s) AND worker IS NULL"
_UNFINISHED = b"SELECT number FROM tickets WHERE worker IS DISTINCT FROM ''"
_TAKEN = b"SELECT number, works FROM tickets WHERE worker IS NOT NULL AND worker <> '' ORDER BY number"
# A transaction of the worker holds its lease FOR KEY SHARE. If it was paused in one, the next sweep ends its lease.
_END_DEAD = b"""
DELETE FROM lease WHERE name IN (
    SELECT name FROM lease WHERE name <> 'state' AND until < clock_timestamp() FOR UPDATE SKIP LOCKED
)
"""
_FREE_DEAD = b"""
DELETE FROM tickets WHERE (worker IS NULL AND number < %s)
    OR (worker IS NOT NULL AND worker NOT IN (SELECT owner FROM lease))
"""
_WORKERS = b"SELECT owner, host, pid, slots FROM lease WHERE name <> 'state' ORDER BY name"
_TAKE = b"""
UPDATE tickets SET worker = %s WHERE number IN (
    SELECT number FROM tickets WHERE worker IS NULL ORDER BY number LIMIT %s FOR UPDATE SKIP LOCKED
)
"""
_MINE = b"SELECT number, works FROM tickets WHERE worker = %s AND number <> ALL(%s) ORDER BY number"
_STOPPED = b"SELECT number, stop FROM tickets WHERE worker = %s AND stop IS NOT NULL"
_REPORT = b"""
INSERT INTO reports (ticket, outcomes, last)
SELECT number, %s, %s FROM tickets WHERE number = %s AND worker = %s
"""
_REST = b"""
UPDATE tickets SET works = (
    SELECT coalesce(json_agg(work), '[]')::text FROM json_array_elements(works::json) AS work
    WHERE work->>0 <> ALL(%s)
) WHERE number = %s AND worker = %s
"""
# The sweep deletes it: until then it cannot be offered again, by a repeat whose first answer was lost.
_END = b"UPDATE tickets SET worker = '' WHERE number = %s AND worker = %s"

T = TypeVar("T")
_Step = Callable[[Any], Awaitable[T]]

_outcomes: TypeAdapter[dict[str, Outcome | None]] = TypeAdapter(dict[str, Outcome | None])


class PostgresTickets:
    """`SharedTickets` of the process with the state's lease, and `WorkerTickets` of one with a `WorkerLease`."""

    def __init__(self, address: ServerAddress, lease: Lease) -> None:
        self._session = Session(address, _DEADLINE)
        self._lease = lease
        self._calling = asyncio.Lock()
        self._read: list[int] = []  # numbers of reports that were returned, and are to be deleted

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await finish(self._session.close())

    # ── of the process that has the state ────────────────────────────────────────────────────────
    @property
    def first(self) -> int:
        return self._lease.epoch << 32

    async def offer(self, tickets: Sequence[Ticket]) -> None:
        rows = [(one.number, json.dumps([astuple(work) for work in one.works])) for one in tickets]
        await self._transact(lambda connection: connection.cursor().executemany(_OFFER, rows))

    async def reports(self) -> Sequence[TicketReport]:
        async def read(connection: Any) -> Sequence[Any]:
            if self._read:
                await connection.execute(_FORGET, (self._read,))
            found: Sequence[Any] = await _rows(connection, _READ, (_MOST_REPORTS,))
            return found

        rows = await self._transact(read)
        self._read = [row["number"] for row in rows]
        return [TicketReport(row["ticket"], _outcomes_in(row["outcomes"]), row["last"]) for row in rows]

    async def stop(self, tickets: Mapping[int, Collection[str]]) -> None:
        async def stop(connection: Any) -> None:
            await connection.execute(_WITHDRAW, (list(tickets),))
            rows = [(json.dumps(sorted(ids)), number) for number, ids in tickets.items()]
            await connection.cursor().executemany(_STOP, rows)

        await self._transact(stop)

    async def unfinished(self) -> Collection[int]:
        return {row["number"] for row in await self._transact(lambda connection: _rows(connection, _UNFINISHED, ()))}

    async def taken(self) -> Sequence[Ticket]:
        return _tickets(await self._transact(lambda connection: _rows(connection, _TAKEN, ())))

    async def sweep(self) -> Sequence[WorkerStatus]:
        async def sweep(connection: Any) -> Sequence[Any]:
            await connection.execute(_END_DEAD)
            await connection.execute(_FREE_DEAD, (self.first,))
            found: Sequence[Any] = await _rows(connection, _WORKERS, ())
            return found

        rows = await self._transact(sweep)
        return [WorkerStatus(**{name: row[name] for name in ("owner", "host", "pid", "slots")}) for row in rows]

    # ── of a worker ──────────────────────────────────────────────────────────────────────────────
    async def take(self, most: int, running: Collection[int]) -> Sequence[Ticket]:
        async def take(connection: Any) -> Sequence[Any]:
            if most > 0:
                await connection.execute(_TAKE, (self._lease.owner, most))
            found: Sequence[Any] = await _rows(connection, _MINE, (self._lease.owner, list(running)))
            return found

        return _tickets(await self._transact(take))

    async def stopped(self) -> Mapping[int, Collection[str]]:
        rows = await self._transact(lambda connection: _rows(connection, _STOPPED, (self._lease.owner,)))
        return {row["number"]: json.loads(row["stop"]) for row in rows}

    async def report(self, reports: Sequence[TicketReport]) -> None:
        rows = [(_json(one.outcomes), one.last, one.ticket, self._lease.owner) for one in reports]
        left = [(list(one.outcomes), one.ticket, self._lease.owner) for one in reports if not one.last]
        ended = [(one.ticket, self._lease.owner) for one in reports if one.last]

        async def report(connection: Any) -> None:
            await connection.cursor().executemany(_REPORT, rows)
            if left:
                await connection.cursor().executemany(_REST, left)
            if ended:
                await connection.cursor().executemany(_END, ended)

        await self._transact(report)

    async def _transact(self, work: _Step[T]) -> T:
        async def transact(connection: Any) -> T:
            async with connection.transaction():
                await connection.execute(b"SELECT write_as(%s, %s)", (self._lease.owner, self._lease.epoch))
                return await work(connection)

        try:
            async with self._calling:
                return await self._session.run(transact)
        except JournalTakenOver:
            self._lease.lose()
            raise


async def _rows(connection: Any, query: bytes, values: tuple[Any, ...]) -> Sequence[Any]:
    found: Sequence[Any] = await (await connection.cursor(binary=True).execute(query, values)).fetchall()
    return found


def _tickets(rows: Sequence[Any]) -> Sequence[Ticket]:
    return [Ticket(row["number"], tuple(Work(*one) for one in json.loads(row["works"]))) for row in rows]


def _outcomes_in(text: str) -> Mapping[str, Outcome | None]:
    """None for the items of a report with a value that this version does not know: they are checked again."""
    found = json.loads(text)
    try:
        return _outcomes.validate_python(found)
    except ValidationError:
        return dict.fromkeys(found)


def _json(outcomes: Mapping[str, Outcome | None]) -> str:
    """ASCII: a message may have lone surrogates, from the name of a file."""
    return json.dumps(_outcomes.dump_python(dict(outcomes)))
