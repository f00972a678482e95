"""Several `mirrord run` with one state in a real PostgreSQL: they share the checks; each may be killed or paused.

What every replica sends to the store goes through a proxy, which counts the writes of each object.
"""

import asyncio
import json
import os
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from mirrord.journal.postgres import PostgresJournal, address_of, migrate
from mirrord.model import Secret, State
from tests.support.command import mirrord
from tests.support.daemon import DEBUG, Daemon, started, store_section
from tests.support.light_origin import light_origin
from tests.support.postgres import PostgresServer
from tests.support.proxy import StoreProxy
from tests.support.stored import keys_in
from tests.support.webhook_receiver import WebhookReceiver

SOAK = "MIRRORD_SOAK" in os.environ
SEEDS = [int(os.environ["MIRRORD_SEED"])] if "MIRRORD_SEED" in os.environ else [1, 2, 3, 4, 5] if SOAK else [3]
REPLICAS, ITEMS, SECONDS = (4, 20_000, 120.0) if SOAK else (3, 1_200, 14.0)
PAUSED = 9.0
"""Seconds, longer than a lease."""
SLOW = "?after=0.3"


@pytest.fixture
async def uri(postgres: PostgresServer) -> str:
    uri = postgres.database()
    await migrate(Secret(uri))
    return uri


class Fleet:
    """Replicas by name, each with its own home, with one manifest of a list of `items` rows."""

    def __init__(self, home: Path, proxy: StoreProxy, bucket: str, origin: str, uri: str, items: int) -> None:
        self.home, self.proxy, self.bucket, self.origin, self.uri, self.items = home, proxy, bucket, origin, uri, items
        self.daemons: dict[str, Daemon] = {}
        self.notify: list[dict[str, Any]] = []
        self._life = AsyncExitStack()

    def keys(self) -> set[str]:
        return {f"d{number % 7}/n{number}" for number in range(self.items)}

    def manifest(self, name: str, more: str) -> Path:
        home = self.home / name
        home.mkdir(exist_ok=True)
        (home / "rows.txt").write_text("".join(f"{self.origin}/{key}{more}\n" for key in sorted(self.keys())))
        (home / "m.yaml").write_text(
            f"daemon: {{state: {json.dumps(self.uri)}, shutdown_grace: 5s, notify: {json.dumps(self.notify)}}}\n"
            f"{store_section(self.proxy.server)}"
            f"mirrors: [{{list: {home}/rows.txt, to: 's3://{self.bucket}{{path}}', name: rows, every: 1h}}]\n"
        )
        return home

    async def start(self, name: str, more: str = "", command: str = "run") -> Daemon:
        home = self.manifest(name, more)
        daemon = await self._life.enter_async_context(started(home, *DEBUG, str(home / "m.yaml"), command=command))
        self.daemons[name] = daemon
        return daemon

    async def leads(self, daemon: Daemon) -> None:
        daemon.url = (await daemon.log("daemon.ready"))["url"]

    def writes(self) -> Counter[str]:
        """How often each object was written: a refused conditional write (412) is none."""
        return Counter(one.key for one in self.proxy.calls if one.operation == "PutObject" and one.status == 200)

    async def close(self) -> None:
        await self._life.aclose()


@asynccontextmanager
async def fleet_of(*arguments: Any) -> AsyncIterator[Fleet]:
    made = Fleet(*arguments)
    try:
        yield made
    finally:
        await made.close()


async def test_replicas_share_the_checks_and_each_object_is_written_once(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, uri: str
) -> None:
    receiver = WebhookReceiver()
    async with (
        light_origin(tmp_path) as origin,
        receiver.here(),
        fleet_of(tmp_path, store_proxy, bucket, origin.url, uri, 600) as fleet,
    ):
        fleet.notify = [{"url": receiver.url("/"), "events": ["item.synced"]}]
        leader = await fleet.start("leader", "?after=0.2")
        await fleet.leads(leader)
        workers = [await fleet.start(f"w{number}", "?after=0.2") for number in (1, 2)]
        for one in workers:
            await one.log("daemon.standby")

        async def known() -> bool:
            pids = {worker["pid"] for worker in (await leader.api("status"))["workers"]}
            return pids == {one.process.pid for one in workers}

        await leader.wait_for(known, what="the workers in the status")
        await leader.synced(*fleet.keys())
        assert fleet.writes() == dict.fromkeys(fleet.keys(), 1)
        shares = [len(one.logged("transfer.completed")) for one in (leader, *workers)]
        assert sum(shares) == 600
        assert all(shares), shares
        await leader.wait_for(lambda: len(receiver.received) >= 600, what="a notification of each item")
        subjects = [one.event["subject"] for one in receiver.received]
        assert sorted(subjects) == sorted(f"s3://{bucket}/{key}" for key in iter(fleet.keys()))


async def test_the_next_leader_leaves_running_checks_to_their_workers(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, uri: str
) -> None:
    """Also a worker that is told of another manifest only later checks nothing by the former one."""
    async with (
        light_origin(tmp_path) as origin,
        fleet_of(tmp_path, store_proxy, bucket, origin.url, uri, 200) as fleet,
    ):
        first = await fleet.start("a", "?after=3")
        await fleet.leads(first)
        second, third = [await fleet.start(name, "?after=3") for name in "bc"]
        for one in (second, third):
            await one.log("transfer.started")
        await first.kill()
        started_before = {line["item"] for one in (second, third) for line in one.logged("transfer.started")}
        leader, _ = await leader_and_other(second, third)
        await fleet.leads(leader)
        await leader.synced(*fleet.keys())
        assert fleet.writes() == dict.fromkeys(fleet.keys(), 1)
        begun = Counter(line["item"] for one in (second, third) for line in one.logged("transfer.started"))
        ended = Counter(line["item"] for one in (second, third) for line in one.logged("transfer.completed"))
        assert started_before
        assert set(ended.values()) == {1}
        assert begun.keys() >= ended.keys()


async def leader_and_other(*daemons: Daemon) -> tuple[Daemon, Daemon]:
    """The one that leads now, and another one."""
    ready = {asyncio.create_task(one.log("daemon.ready")): one for one in daemons}
    done, waiting = await asyncio.wait(ready, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    leader = ready[done.pop()]
    return leader, next(one for one in daemons if one is not leader)


async def all_synced(uri: str) -> bool:
    async with PostgresJournal(address_of(Secret(uri))) as journal:
        return dict(await journal.totals()) == {State.SYNCED: ITEMS}


async def restarted(fleet: Fleet, name: str) -> None:
    daemon = fleet.daemons[name]
    await daemon.kill()
    await fleet.start(name, SLOW)


async def disturbed(fleet: Fleet, chance: random.Random, postgres: PostgresServer, seconds: float) -> None:
    """Kill or pause a random replica every few seconds; restart PostgreSQL in the middle. Replicas that ended are
    started again."""
    loop = asyncio.get_running_loop()
    middle, end = loop.time() + seconds / 2, loop.time() + seconds
    while loop.time() < end:
        if loop.time() > middle:
            middle = end
            postgres.stop()  # not in a thread: the server ends with the thread that started it
            postgres.start()
        await asyncio.sleep(chance.uniform(0.5, 2.0))  # what is tested happens at a random moment
        name = chance.choice(sorted(fleet.daemons))
        daemon = fleet.daemons[name]
        if chance.random() < 0.5:
            print("kill", name)
            await restarted(fleet, name)
        else:
            print("pause", name)
            daemon.signal(signal.SIGSTOP)
            await asyncio.sleep(PAUSED)
            daemon.signal(signal.SIGCONT)
        for other, one in list(fleet.daemons.items()):
            if one.process.returncode is not None:
                print("ended", other, one.noise[-1:])
                await restarted(fleet, other)


@pytest.mark.parametrize("seed", SEEDS)
async def test_kills_and_pauses_of_replicas_lose_nothing(
    tmp_path: Path,
    store_proxy: StoreProxy,
    bucket: str,
    s3_client: Any,
    postgres: PostgresServer,
    uri: str,
    seed: int,
) -> None:
    print(f"MIRRORD_SEED={seed}")
    async with (
        light_origin(tmp_path) as origin,
        fleet_of(tmp_path, store_proxy, bucket, origin.url, uri, ITEMS) as fleet,
    ):
        for number in range(REPLICAS):
            await fleet.start(f"r{number}", SLOW)
        await disturbed(fleet, random.Random(seed), postgres, SECONDS)

        async def done() -> bool:
            return keys_in(s3_client, bucket) == fleet.keys() and await all_synced(uri)

        any_of = next(iter(fleet.daemons.values()))
        await any_of.wait_for(done, 600 if SOAK else 120, "all objects and all records")
        assert not list(s3_client.list_multipart_uploads(Bucket=bucket).get("Uploads", []))
        writes = fleet.writes()
        repeated = {key: count for key, count in writes.items() if count > 1}
        print(f"{len(writes)} objects, written again: {repeated}")
        assert not repeated


async def test_mirrord_worker_works_and_never_leads(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, uri: str
) -> None:
    async with (
        light_origin(tmp_path) as origin,
        fleet_of(tmp_path, store_proxy, bucket, origin.url, uri, 200) as fleet,
    ):
        worker = await fleet.start("w", "?after=0.2", command="worker")
        await fleet.leads(worker)  # it says that it is ready

        async def ready() -> bool:
            return (await worker.ask("/readyz"))[0] == 200

        await worker.wait_for(ready, what="the worker is ready")
        assert (await worker.ask("/api/v1/status"))[0] == 503
        leader = await fleet.start("l", "?after=0.2")
        await fleet.leads(leader)
        await leader.synced(*fleet.keys())
        assert worker.logged("transfer.completed")
        assert await leader.stop() == 0
        assert not worker.logged("daemon.standby")
        assert await worker.stop() == 0
        other = await mirrord("worker", "--state", str(tmp_path / "s"), str(tmp_path / "w" / "m.yaml"), home=tmp_path)
        assert (other.code, "they share one in PostgreSQL" in other.err) == (1, True), other.output
