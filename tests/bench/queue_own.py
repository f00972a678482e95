"""Claims by `FOR UPDATE SKIP LOCKED` alone: the candidate of `tests.bench.queues` that needs no library but psycopg.

A worker's row is its lease: it renews `seen`, and a sweep frees the tickets of workers whose row is too old. A worker
that lost its lease registers again under a new id, so the id in a ticket is the fence: `finish` asks for it.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from psycopg import AsyncConnection

from tests.bench.queue_work import DEAD_AFTER, RENEW_EVERY, SWEEP_EVERY, How, Job

SCHEMA = """
CREATE TABLE worker (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    seen timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE ticket (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    priority smallint NOT NULL DEFAULT 0,
    items bytea NOT NULL,
    worker bigint
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000,
        autovacuum_vacuum_cost_delay = 0);
CREATE INDEX ticket_free ON ticket (priority DESC, id) WHERE worker IS NULL;
CREATE INDEX ticket_held ON ticket (worker) WHERE worker IS NOT NULL;
"""
ENQUEUE = """
WITH added AS (INSERT INTO ticket (items) SELECT unnest(%s::bytea[]) RETURNING id)
SELECT pg_notify('ticket', count(*)::text) FROM added
"""
REGISTER = "INSERT INTO worker DEFAULT VALUES RETURNING id"
RENEW = "UPDATE worker SET seen = now() WHERE id = %s AND seen > now() - %s * interval '1 s' RETURNING id"
CLAIM = """
WITH next AS MATERIALIZED (
    SELECT id FROM ticket WHERE worker IS NULL ORDER BY priority DESC, id LIMIT %(count)s FOR UPDATE SKIP LOCKED
)
UPDATE ticket SET worker = %(me)s FROM next
WHERE ticket.id = next.id
  AND EXISTS (SELECT FROM worker WHERE id = %(me)s AND seen > now() - %(lease)s * interval '1 s')
RETURNING ticket.id, ticket.items
"""
FINISH = "DELETE FROM ticket WHERE id = ANY(%s) AND worker = %s RETURNING id"
SWEEP = """
UPDATE ticket SET worker = NULL
WHERE worker IS NOT NULL AND worker NOT IN (SELECT id FROM worker WHERE seen > now() - %s * interval '1 s')
"""
POLL = 5.0
"""Seconds between two claims of an idle worker that also listens: a lost notification delays a ticket by this."""


@dataclass(frozen=True, slots=True)
class Ticket:
    id: int
    items: bytes


class Own:
    """`claim` and `finish` share one connection; a second one listens."""

    def __init__(self, dsn: str, connection: AsyncConnection) -> None:
        self._dsn = dsn
        self._connection = connection
        self._me = 0
        self._done: list[int] = []
        self._finishing = asyncio.Lock()

    async def install(self, *, notify: bool) -> None:
        await self._connection.execute(SCHEMA)

    async def enqueue(self, payloads: Sequence[bytes]) -> None:
        await self._connection.execute(ENQUEUE, (list(payloads),))

    async def fetch(self) -> bool:
        self._me = self._me or await self._registered()
        return bool(await self._claim(1))

    async def work(self, job: Job, how: How) -> None:
        self._me = await self._registered()
        wake = asyncio.Event()
        side = [self._renewing(), self._sweeping(), *([self._listening(wake)] if how.listen else [])]
        tasks = [asyncio.create_task(each) for each in side]
        try:
            await self._working(job, how, wake)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _working(self, job: Job, how: How, wake: asyncio.Event) -> None:
        running: set[asyncio.Task[None]] = set()
        while True:
            wake.clear()
            has_room = how.concurrency - len(running) >= how.batch
            tickets = await self._claim(how.batch) if has_room else []
            for ticket in tickets:
                running.add(task := asyncio.create_task(self._one(job, ticket, how.batch)))
                task.add_done_callback(running.discard)
            if tickets:
                continue
            if running and (how.drain or not has_room):
                await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            elif how.drain:
                return
            else:
                with suppress(TimeoutError):
                    await asyncio.wait_for(wake.wait(), how.poll or POLL)

    async def _one(self, job: Job, ticket: Ticket, batch: int) -> None:
        await job(ticket.items)
        self._done.append(ticket.id)
        async with self._finishing:  # what ended during the statement before goes in one statement
            group, self._done = self._done[:batch], self._done[batch:]
            if group and (refused := await self.finish(group)):
                job.refused(refused)

    async def finish(self, tickets: Sequence[int]) -> int:
        """Remove tickets whose jobs ended; how many were refused, because another worker has them or had them."""
        cursor = await self._connection.execute(FINISH, (list(tickets), self._me))
        return len(tickets) - cursor.rowcount

    async def sweep(self) -> None:
        """Free the tickets of workers that did not renew their lease."""
        await self._connection.execute(SWEEP, (DEAD_AFTER,))

    async def _registered(self) -> int:
        row = await (await self._connection.execute(REGISTER)).fetchone()
        assert row
        return int(row[0])

    async def _claim(self, count: int) -> list[Ticket]:
        cursor = await self._connection.execute(CLAIM, {"count": count, "me": self._me, "lease": DEAD_AFTER})
        return [Ticket(*row) for row in await cursor.fetchall()]

    async def _renewing(self) -> None:
        while True:
            await asyncio.sleep(RENEW_EVERY)
            cursor = await self._connection.execute(RENEW, (self._me, DEAD_AFTER))
            if not cursor.rowcount:
                self._me = await self._registered()

    async def _sweeping(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_EVERY)
            await self.sweep()

    async def _listening(self, wake: asyncio.Event) -> None:
        async with await AsyncConnection.connect(self._dsn, autocommit=True) as connection:
            await connection.execute("LISTEN ticket")
            async for _ in connection.notifies():
                wake.set()
