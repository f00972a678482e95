"""procrastinate, pgqueuer and our own claims by `FOR UPDATE SKIP LOCKED` on a real PostgreSQL, for docs/queue.md.

Each run has a new database and workers in processes of their own. CPU of a client is that of its process while it
works; CPU of the server is that of all processes of PostgreSQL, with its background work. Figures are medians of
alternating rounds, except those that take long, which are one run each: see `ONCE`.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from mirrord.s3.embedded.weed import killed_with_parent
from tests.bench.postgres import cpu, postgres
from tests.bench.tools import REPOSITORY, peer_programs
from tests.support.measuring import machine, quantile, usage
from tests.support.postgres import PostgresServer

NAME = "queues"
QUEUES = ("own", "procrastinate", "pgqueuer")
ITEMS = 200
"""Small items in one ticket."""
TABLES = {"own": "ticket", "procrastinate": "procrastinate_jobs", "pgqueuer": "pgqueuer"}
WORKS = (("own", 1), ("own", 10), ("procrastinate", 1), ("pgqueuer", 1), ("pgqueuer", 10))
"""Candidates and tickets a claim: procrastinate fetches one at a time."""
PATIENCE = 3600.0
"""Seconds for one answer of a process: it may have 100,000 tickets to work on."""
Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Bed:
    """`count` numbers are for `scale` 1."""

    server: PostgresServer
    scale: float
    rounds: int

    def count(self, whole: int) -> int:
        return max(20, round(whole * self.scale))


# ── processes of the candidates ───────────────────────────────────────────────────────────────────
@dataclass(slots=True)
class Process:
    process: asyncio.subprocess.Process

    async def line(self) -> Figures:
        assert self.process.stdout
        text = await asyncio.wait_for(self.process.stdout.readline(), PATIENCE)
        if not text:
            raise RuntimeError("a process of the bench ended")
        return dict(json.loads(text))

    def go(self) -> None:
        assert self.process.stdin
        self.process.stdin.write(b"go\n")


@asynccontextmanager
async def started(queue: str, verb: str, **arguments: Any) -> AsyncIterator[Process]:
    """A process that is killed at the end, if it is still there."""
    process = await asyncio.create_subprocess_exec(
        f"{peer_programs()}/python",
        *("-m", "tests.bench.queue_peers", queue, verb, json.dumps(arguments)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=REPOSITORY,
        preexec_fn=killed_with_parent(),
    )
    try:
        yield Process(process)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def result(queue: str, verb: str, **arguments: Any) -> Figures:
    async with started(queue, verb, **arguments) as process:
        return await process.line()


async def ready(process: Process) -> Process:
    assert (await process.line())["event"] == "ready"
    return process


def _name(dsn: str) -> str:
    return dsn.partition("?")[0].rpartition("/")[2]


def _ask(bed: Bed, dsn: str, query: str) -> list[tuple[Any, ...]]:
    return bed.server.sql(query, _name(dsn))


async def filled(bed: Bed, queue: str, count: int = 0, *, notify: bool = True) -> str:
    """The URI of a new database with this many tickets."""
    dsn = bed.server.database()
    await result(queue, "install", dsn=dsn, notify=notify)
    if count:
        await result(queue, "enqueue", dsn=dsn, count=count, items=ITEMS, batch=500)
    return dsn


# ── scenarios ─────────────────────────────────────────────────────────────────────────────────────
async def enqueue(bed: Bed, queue: str) -> Figures:
    count, dsn = bed.count(5_000), await filled(bed, queue)
    before = cpu(bed.server)
    cost = await result(queue, "enqueue", dsn=dsn, count=count, items=ITEMS, batch=500)
    return {
        "tickets_s": count / cost["seconds"],
        "client_us": cost["cpu_s"] / count * 1e6,
        "server_us": (cpu(bed.server) - before) / count * 1e6,
    }


async def worked(bed: Bed, queue: str, dsn: str, workers: int, batch: int) -> tuple[list[Figures], float]:
    """What the workers say once the queue is empty, and the CPU of the server."""
    how = {"batch": batch, "drain": True}
    async with AsyncExitStack() as life:
        starts = [started(queue, "work", dsn=dsn, how=how) for _ in range(workers)]
        processes = [await ready(await life.enter_async_context(each)) for each in starts]
        before = cpu(bed.server)
        for each in processes:
            each.go()
        said = [await each.line() for each in processes]
        return said, cpu(bed.server) - before


async def work(bed: Bed, queue: str, batch: int, workers: int) -> Figures:
    """Until the queue is empty. A worker that is slower with few tickets has fewer of them."""
    count = bed.count(500 if (queue, batch) == ("pgqueuer", 1) else 2_000)
    said, server = await worked(bed, queue, await filled(bed, queue, count), workers, batch)
    assert sum(one["jobs"] for one in said) == count, "a ticket was lost, or worked on twice"
    took = max(one["ended"] for one in said) - min(one["began"] for one in said)
    client_us, server_us = sum(one["cpu_s"] for one in said) / count * 1e6, server / count * 1e6
    item_us = (client_us + server_us) / ITEMS
    return {"jobs_s": count / took, "client_us": client_us, "server_us": server_us, "item_us": item_us}


async def fetch(bed: Bed, queue: str) -> Figures:
    """Claims of one ticket while 1,000, 10,000 and 100,000 are queued, each after a vacuum."""
    dsn, there, figures = await filled(bed, queue), 0, {}
    for queued in (1_000, 10_000, 100_000):
        wanted = bed.count(queued)
        await result(queue, "enqueue", dsn=dsn, count=wanted - there, items=1, batch=1_000)
        _ask(bed, dsn, "VACUUM ANALYZE")
        calls = min(500, wanted // 2)
        before = cpu(bed.server)
        took = await result(queue, "fetch", dsn=dsn, calls=calls)
        server_us = (cpu(bed.server) - before) / calls * 1e6
        figures |= {f"{queued}_ms": took["median_ms"], f"{queued}_server_us": server_us}
        there = wanted - calls
    return figures


async def idle(bed: Bed, queue: str, listen: bool) -> Figures:
    """30 s of one worker without work; with LISTEN at its default intervals, else a claim a second."""
    dsn = await filled(bed, queue, notify=listen)
    how = {"listen": listen, "poll": 0 if listen else 1}
    seconds = 30 * min(1, bed.scale * 5)
    async with started(queue, "work", dsn=dsn, how=how) as process:
        (await ready(process)).go()
        await asyncio.sleep(2)  # the start is not measured
        numbers = lambda: (_commits(bed, dsn), usage(process.process.pid).cpu, cpu(bed.server))  # noqa: E731
        before = numbers()
        await asyncio.sleep(seconds)
        queries, client, server = (after - one for one, after in zip(before, numbers(), strict=True))
    percent = 100 / seconds
    return {"queries_s": queries / seconds, "client_percent": client * percent, "server_percent": server * percent}


def _commits(bed: Bed, dsn: str) -> int:
    """Transactions of the workers so far: each statement of them is one."""
    name = _name(dsn)
    return int(bed.server.sql(f"SELECT xact_commit FROM pg_stat_database WHERE datname = '{name}'")[0][0])


async def latency(bed: Bed, queue: str, listen: bool) -> Figures:
    """From the call that adds a ticket until an idle worker begins it; without LISTEN a claim a second."""
    dsn, count = await filled(bed, queue, notify=listen), max(5, bed.count(40))
    how = {"listen": listen, "poll": 0 if listen else 1}
    async with started(queue, "work", dsn=dsn, how=how, stamped=True) as worker:
        (await ready(worker)).go()
        await asyncio.sleep(1)  # the worker has looked once and waits
        async with started(queue, "add", dsn=dsn, tickets=["x"] * count, pause=0.37) as adding:
            took = [-(await adding.line())["at"] + (await worker.line())["at"] for _ in range(count)]
    return {"p50_ms": median(took) * 1e3, "p90_ms": quantile(took, 0.9) * 1e3, "longest_ms": max(took) * 1e3}


async def take_over(bed: Bed, queue: str) -> Figures:
    """A worker is killed, another one paused; a third takes their tickets. Then the paused one goes on and finishes."""
    dsn, one = await filled(bed, queue), {"concurrency": 2}
    with TemporaryDirectory() as gates:
        gate = lambda name: str(Path(gates) / name)  # noqa: E731
        async with (
            started(queue, "work", dsn=dsn, how=one, gate=gate("killed")) as killed,
            started(queue, "work", dsn=dsn, how=one, gate=gate("paused")) as paused,
            started(queue, "work", dsn=dsn, how={}, gate=gate("third")) as third,
        ):
            for name, process in (("of-killed", killed), ("of-paused", paused)):
                (await ready(process)).go()
                await result(queue, "add", dsn=dsn, tickets=[name])
                assert (await process.line())["ticket"] == name
                process.process.send_signal(SIGSTOP)  # the next ticket is for the next worker
            killed.process.send_signal(SIGKILL)
            at = asyncio.get_running_loop().time()
            (await ready(third)).go()
            taken = [await third.line() for _ in range(2)]
            Path(gate("paused")).touch()  # noqa: ASYNC240
            paused.process.send_signal(SIGCONT)
            while (await paused.line()).get("event") != "ended":
                pass
            late = await _refused(bed, queue, dsn)
    seconds = {line["ticket"].replace("-", "_") + "_s": line["at"] - at for line in taken}
    return {**seconds, "late_finish": "refused" if late else "accepted"}


async def _refused(bed: Bed, queue: str, dsn: str) -> bool:
    """Whether both tickets, on which the third worker still works, are there 3 s after the paused worker's end."""
    for _ in range(30):
        if _ask(bed, dsn, f"SELECT count(*) FROM {TABLES[queue]}")[0][0] != 2:
            return False
        await asyncio.sleep(0.1)
    return True


async def leftovers(bed: Bed, queue: str) -> Figures:
    """What 100,000 finished tickets leave behind: two workers, small tickets."""
    count, dsn = bed.count(100_000), await filled(bed, queue)
    await result(queue, "enqueue", dsn=dsn, count=count, items=1, batch=1_000)
    said, server = await worked(bed, queue, dsn, 2, 1 if queue == "procrastinate" else 10)
    assert sum(one["jobs"] for one in said) == count
    await asyncio.sleep(2)  # the statistics of ended connections
    totals = (
        "SELECT sum(n_live_tup), sum(n_dead_tup), sum(autovacuum_count), sum(pg_total_relation_size(relid)) "
        "FROM pg_stat_user_tables"
    )
    rows, dead, vacuums, size = map(int, _ask(bed, dsn, totals)[0])
    took = max(one["ended"] for one in said) - min(one["began"] for one in said)
    cpu = (sum(one["cpu_s"] for one in said) + server) / count * 1e6
    return {
        "tickets": count,
        "rows": rows,
        "dead": dead,
        "vacuums": vacuums,
        "mib": size / 2**20,
        "seconds": took,
        "cpu_us": cpu,
    }


# ── all of them ───────────────────────────────────────────────────────────────────────────────────
Run = Callable[[Bed], Coroutine[Any, Any, Figures]]
SCENARIOS: dict[str, dict[str, Run]] = {
    "enqueue": {queue: lambda bed, queue=queue: enqueue(bed, queue) for queue in QUEUES},
    **{
        f"work-{n}": {f"{q}, {b} a claim": lambda bed, q=q, b=b, n=n: work(bed, q, b, n) for q, b in WORKS}
        for n in (1, 2)
    },
    "fetch": {queue: lambda bed, queue=queue: fetch(bed, queue) for queue in QUEUES},
    "idle-listen": {queue: lambda bed, queue=queue: idle(bed, queue, True) for queue in QUEUES},
    "idle-poll": {queue: lambda bed, queue=queue: idle(bed, queue, False) for queue in QUEUES},
    "latency-listen": {queue: lambda bed, queue=queue: latency(bed, queue, True) for queue in QUEUES},
    "latency-poll": {queue: lambda bed, queue=queue: latency(bed, queue, False) for queue in QUEUES},
    "take-over": {queue: lambda bed, queue=queue: take_over(bed, queue) for queue in QUEUES},
    "leftovers": {queue: lambda bed, queue=queue: leftovers(bed, queue) for queue in QUEUES},
}
ONCE = ("idle-listen", "idle-poll", "latency-listen", "latency-poll", "take-over", "leftovers")


async def alternated(bed: Bed, runs: dict[str, Run], rounds: int) -> dict[str, Figures]:
    """Medians of the rounds, whose order is reversed every second time."""
    all_runs: dict[str, list[Figures]] = {name: [] for name in runs}
    for turn in range(rounds):
        for name in list(runs)[:: -1 if turn % 2 else 1]:
            all_runs[name].append(await runs[name](bed))
            print(f"  {turn + 1}/{rounds} {name}: {json.dumps(all_runs[name][-1])}", flush=True)
    return {name: {key: _middle([one[key] for one in each]) for key in each[0]} for name, each in all_runs.items()}


def _middle(values: Sequence[Any]) -> Any:
    return round(median(values), 3) if isinstance(values[0], int | float) else ", ".join(sorted(set(values)))


async def _measured(names: Sequence[str], rounds: int, scale: float) -> Figures:
    found: Figures = {"name": NAME, "rounds": rounds, "scale": scale, "scenarios": {}}
    with postgres() as server:
        bed = Bed(server, scale, rounds)
        found["server"] = server.sql("SHOW server_version")[0][0]
        found["versions"] = (await result("own", "install", dsn=server.database()))["versions"]
        for name in names:
            load = machine()["load"][0]
            print(f"{NAME}-{name}", flush=True)
            figures = await alternated(bed, SCENARIOS[name], 1 if name in ONCE else rounds)
            found["scenarios"][name] = {"load": load, "queues": figures}
    return found


def full_names() -> list[str]:
    return [f"{NAME}-{one}" for one in SCENARIOS]


def chosen(names: Sequence[str]) -> list[str]:
    """The scenarios whose full name (`queues-work-1`) contains one of `names`; all without names."""
    return [one for one in SCENARIOS if not names or any(part in f"{NAME}-{one}" for part in names)]


def measured(names: Sequence[str], rounds: int, scale: float) -> Figures:
    """The result. RuntimeError: the peers' environment is missing (`make bench` makes it), or a process failed."""
    return asyncio.run(_measured(chosen(names), rounds, scale))
