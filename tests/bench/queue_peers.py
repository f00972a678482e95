"""The candidates of `tests.bench.queues`; a program of the peers' environment, which has their packages.

    .venv-bench/bin/python -m tests.bench.queue_peers CANDIDATE VERB '{"dsn": "postgresql://…", …}'

Prints lines of JSON. It imports nothing of mirrord, whose packages that environment does not have.
"""

import asyncio
import base64
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

from psycopg import AsyncConnection

from tests.bench.queue_own import Own
from tests.bench.queue_work import DEAD_AFTER, SWEEP_EVERY, Brief, Held, How, Job, Queue, Stamped, say


class Procrastinate:
    """As its documentation says: `delete_jobs=always`, and a sweep of our own for stalled jobs."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._task = app.task(self._run, name="ticket", queue="tickets")
        self._worker = 0
        self._job: Job = Brief()

    async def _run(self, items: str) -> None:
        await self._job(base64.b64decode(items))

    async def install(self, *, notify: bool) -> None:
        await self._app.schema_manager.apply_schema_async()

    async def enqueue(self, payloads: Sequence[bytes]) -> None:
        await self._task.batch_defer_async(*({"items": base64.b64encode(one).decode()} for one in payloads))

    async def fetch(self) -> bool:
        manager = self._app.job_manager
        self._worker = self._worker or await manager.register_worker()
        return bool(await manager.fetch_job(queues=["tickets"], worker_id=self._worker))

    async def work(self, job: Job, how: How) -> None:
        self._job = job
        polls = {"fetch_job_polling_interval": how.poll} if how.poll else {}
        sweep = asyncio.create_task(self._sweeping())
        await self._app.run_worker_async(
            queues=["tickets"],
            concurrency=how.concurrency,
            wait=not how.drain,
            listen_notify=how.listen,
            delete_jobs="always",
            install_signal_handlers=False,
            **polls,
        )
        sweep.cancel()

    async def _sweeping(self) -> None:
        manager = self._app.job_manager
        while True:
            await asyncio.sleep(SWEEP_EVERY)
            for stalled in await manager.get_stalled_jobs(seconds_since_heartbeat=DEAD_AFTER):
                await manager.retry_job(stalled)


class Pgqueuer:
    """With the autovacuum settings that it recommends."""

    def __init__(self, queries: Any, manager: Any) -> None:
        self._queries = queries
        self._manager = manager

    async def install(self, *, notify: bool) -> None:
        await self._queries.install()
        await self._queries.optimize_autovacuum()
        if not notify:
            await self._queries.driver.execute("ALTER TABLE pgqueuer DISABLE TRIGGER USER")

    async def enqueue(self, payloads: Sequence[bytes]) -> None:
        await self._queries.enqueue(["ticket"] * len(payloads), list(payloads), [0] * len(payloads))

    async def fetch(self) -> bool:
        from pgqueuer.ports.repository import EntrypointExecutionParameter

        limits = {"ticket": EntrypointExecutionParameter(concurrency_limit=0)}
        stale = timedelta(seconds=DEAD_AFTER)
        return bool(await self._queries.dequeue(1, limits, self._manager.queue_manager_id, None, stale))

    async def work(self, job: Job, how: How) -> None:
        from pgqueuer.domain.types import QueueExecutionMode

        async def run(ticket: Any) -> None:
            await job(ticket.payload)

        self._manager.entrypoint("ticket")(run)
        polls = {"dequeue_timeout": timedelta(seconds=how.poll)} if how.poll else {}
        await self._manager.run(
            batch_size=how.batch,
            mode=QueueExecutionMode.drain if how.drain else QueueExecutionMode.continuous,
            max_concurrent_tasks=how.concurrency,
            heartbeat_timeout=timedelta(seconds=DEAD_AFTER),
            **polls,
        )


# ── opening ───────────────────────────────────────────────────────────────────────────────────────
@asynccontextmanager
async def own(dsn: str) -> AsyncIterator[Queue]:
    async with await AsyncConnection.connect(dsn, autocommit=True) as connection:
        yield Own(dsn, connection)


@asynccontextmanager
async def procrastinate(dsn: str) -> AsyncIterator[Queue]:
    from procrastinate import App, PsycopgConnector

    app = App(connector=PsycopgConnector(conninfo=dsn))
    async with app.open_async():
        yield Procrastinate(app)


@asynccontextmanager
async def pgqueuer(dsn: str) -> AsyncIterator[Queue]:
    import asyncpg
    from pgqueuer import AsyncpgDriver

    connection = await asyncpg.connect(dsn)
    try:
        yield _pgqueuer(AsyncpgDriver(connection))
    finally:
        await connection.close()


@asynccontextmanager
async def pgqueuer_psycopg(dsn: str) -> AsyncIterator[Queue]:
    """Its other driver: statements wait until the listener releases the only connection, for up to a second."""
    from pgqueuer import PsycopgDriver

    async with await AsyncConnection.connect(dsn, autocommit=True) as connection:
        yield _pgqueuer(PsycopgDriver(connection))


def _pgqueuer(driver: Any) -> Queue:
    from pgqueuer import Queries, QueueManager

    queries = Queries(driver)
    return Pgqueuer(queries, QueueManager(queries))


CANDIDATES: Mapping[str, Callable[[str], AbstractAsyncContextManager[Queue]]] = {
    "own": own,
    "procrastinate": procrastinate,
    "pgqueuer": pgqueuer,
    "pgqueuer-psycopg": pgqueuer_psycopg,
}


# ── verbs ─────────────────────────────────────────────────────────────────────────────────────────
async def install(queue: Queue, notify: bool = True) -> None:
    await queue.install(notify=notify)
    names = ("psycopg", "asyncpg", "procrastinate", "pgqueuer")
    say(versions={name: version(name) for name in names if find_spec(name)})


async def enqueue(queue: Queue, count: int, items: int, batch: int) -> None:
    """Tickets of `items` random ids of 8 bytes."""
    payloads = [os.urandom(8 * items) for _ in range(count)]
    began, used = time.monotonic(), time.process_time()
    for start in range(0, count, batch):
        await queue.enqueue(payloads[start : start + batch])
    say(seconds=time.monotonic() - began, cpu_s=time.process_time() - used)


async def fetch(queue: Queue, calls: int) -> None:
    took = []
    for _ in range(calls):
        began = time.monotonic()
        assert await queue.fetch(), "the queue is empty"
        took.append(time.monotonic() - began)
    say(median_ms=median(took) * 1e3, longest_ms=max(took) * 1e3)


async def add(queue: Queue, tickets: Sequence[str], pause: float = 0.0) -> None:
    """Add tickets one by one, and say when."""
    for ticket in tickets:
        began = time.monotonic()
        await queue.enqueue([ticket.encode()])
        say(added=ticket, at=began)
        await asyncio.sleep(pause)


async def work(queue: Queue, how: Mapping[str, Any], stamped: bool = False, gate: str = "") -> None:
    """Say that the worker is ready, wait for a line, work."""
    job = Held(gate=Path(gate)) if gate else Stamped() if stamped else Brief()
    say(event="ready")
    await asyncio.to_thread(sys.stdin.readline)
    began, used = time.monotonic(), time.process_time()
    await queue.work(job, How(**how))
    say(jobs=job.jobs, began=began, ended=job.ended, cpu_s=time.process_time() - used)


VERBS: Mapping[str, Callable[..., Awaitable[None]]] = {
    "install": install,
    "enqueue": enqueue,
    "fetch": fetch,
    "add": add,
    "work": work,
}


async def main() -> None:
    candidate, verb, arguments = sys.argv[1:]
    given = json.loads(arguments)
    async with CANDIDATES[candidate](given.pop("dsn")) as queue:
        await VERBS[verb](queue, **given)


if __name__ == "__main__":
    asyncio.run(main())
