"""mirrord run while PostgreSQL is away: it pauses, loses nothing, and writes nothing to the store twice."""

import asyncio
import os
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from mirrord.journal.postgres import migrate
from mirrord.model import Secret
from mirrord.units import MiB
from tests.support.daemon import DEBUG, PATIENCE, Daemon, one_end_for_each_start, running, started, store_section
from tests.support.killing import open_uploads
from tests.support.origin import Generated, Origin
from tests.support.postgres import PostgresServer
from tests.support.postgres_proxy import PostgresProxy
from tests.support.proxy import Seen, StoreProxy
from tests.support.saving import mirrors
from tests.support.stored import stored
from tests.support.syncing import digest_of

SEED = int(os.environ.get("MIRRORD_SEED", "0")) or random.randrange(2**32)
WHOLE = Generated(20 * MiB, seed=11)
PARTS = 4


class HeldPart:
    """Holds one UploadPart before the store gets it, until `release`; then it goes on."""

    def __init__(self, nth: int) -> None:
        self._left = nth
        self.reached = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._gate: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None

    async def __call__(self, seen: Seen, request: web.Request) -> web.StreamResponse | None:
        if seen.operation == "UploadPart":
            self._left -= 1
            if not self._left:
                gate = asyncio.Event()
                self._gate = asyncio.get_running_loop(), gate
                self._loop.call_soon_threadsafe(self.reached.set)
                await gate.wait()
        return None

    def release(self) -> None:
        if self._gate is not None:
            loop, gate = self._gate
            loop.call_soon_threadsafe(gate.set)


def manifest(home: Path, proxy: StoreProxy, state: str, body: str) -> str:
    home.mkdir(exist_ok=True)
    file = home / "m.yaml"
    file.write_text(
        f"daemon: {{shutdown_grace: 3s, state: '{state}'}}\n{store_section(proxy.server)}"
        "defaults: {every: 1s, upload: {part_size: 5MiB, multipart_threshold: 5MiB, concurrency: 1}}\n" + body
    )
    return str(file)


@pytest.fixture
async def uri(postgres: PostgresServer) -> str:
    uri = postgres.database()
    await migrate(Secret(uri))
    return uri


async def is_ready(daemon: Daemon, status: int) -> str:
    async def answer() -> str:
        found, text = await daemon.ask("/readyz")
        return text if found == status else ""

    return str(await daemon.wait_for(answer, PATIENCE / 2, f"/readyz {status}"))


def written(proxy: StoreProxy) -> Counter[str]:
    """Puts by key that the store got, and parts."""
    puts = (call.key for call in proxy.calls if call.operation == "PutObject" and call.forwarded)
    parts = ("part" for call in proxy.calls if call.operation == "UploadPart" and call.forwarded)
    return Counter([*puts, *parts])


@pytest.mark.parametrize("how", ["cut", "hold", "restart"])
async def test_work_pauses_while_postgresql_is_away_and_goes_on_by_itself(
    tmp_path: Path,
    store_proxy: StoreProxy,
    bucket: str,
    s3_client: Any,
    origin: Origin,
    postgres: PostgresServer,
    uri: str,
    how: str,
) -> None:
    for key in "ab":
        origin.publish(f"/{key}", b"first")
    origin.publish("/large", WHOLE)
    held = HeldPart(2)
    store_proxy.before = held
    async with PostgresProxy(postgres) as proxy:
        file = manifest(tmp_path, store_proxy, proxy.uri(uri), mirrors(origin, bucket, "a", "b", "large"))
        async with running(tmp_path, file, *DEBUG) as daemon:
            for key in "ab":
                await daemon.log("transfer.completed", key=key)
            await held.reached.wait()
            if how == "restart":
                postgres.stop()
            elif how == "cut":
                proxy.refuses = True
                proxy.cut()
            else:
                proxy.hold()
            try:
                why = await is_ready(daemon, 503)
                assert "the journal cannot be written: the journal postgresql://127.0.0.1" in why
                assert (await daemon.ask("/livez"))[0] == 200
                for key in "ab":
                    origin.publish(f"/{key}", b"second")
                held.release()
                await daemon.wait_for(lambda: written(store_proxy)["part"] >= 2)
                await asyncio.sleep(2)  # two more schedules, in which nothing may be written
                assert written(store_proxy) == {"a": 1, "b": 1, "part": 2}
            finally:
                if how == "restart":
                    postgres.start()
                proxy.refuses = False
                proxy.pass_on()
            await is_ready(daemon, 200)
            await daemon.log("transfer.completed", key="large", seconds=120)
            for key in "ab":
                await daemon.log("transfer.completed", key=key, bytes=len(b"second"))
            assert await daemon.stop() == 0
            assert one_end_for_each_start(daemon)
    assert [stored(s3_client, bucket, key) for key in "ab"] == [b"second"] * 2
    assert digest_of(s3_client, bucket, "large") == WHOLE.sha256()
    assert open_uploads(s3_client, bucket) == []
    assert written(store_proxy) == {"a": 2, "b": 2, "part": PARTS}
    assert store_proxy.counts["CreateMultipartUpload"] == 1


async def test_commits_whose_answers_are_lost_lose_and_repeat_nothing(
    tmp_path: Path,
    store_proxy: StoreProxy,
    bucket: str,
    s3_client: Any,
    origin: Origin,
    postgres: PostgresServer,
    uri: str,
) -> None:
    print(f"MIRRORD_SEED={SEED}")
    chance = random.Random(SEED)
    keys = [f"k{number}" for number in range(12)]
    async with PostgresProxy(postgres) as proxy:
        file = manifest(tmp_path, store_proxy, proxy.uri(uri), mirrors(origin, bucket, "large", *keys))
        async with running(tmp_path, file, *DEBUG) as daemon:
            proxy.loses = lambda: proxy.lost < 12 and chance.random() < 0.3
            origin.publish("/large", WHOLE)
            for key in keys:
                origin.publish(f"/{key}", key.encode())
            await daemon.synced("large", *keys, seconds=120)
            assert await daemon.stop() == 0
            assert one_end_for_each_start(daemon)
        assert proxy.lost > 0
    assert [stored(s3_client, bucket, key) for key in keys] == [key.encode() for key in keys]
    assert digest_of(s3_client, bucket, "large") == WHOLE.sha256()
    assert open_uploads(s3_client, bucket) == []
    assert written(store_proxy) == {**dict.fromkeys(keys, 1), "part": PARTS}


async def test_the_process_that_is_cut_off_for_longer_than_its_lease_ends_and_the_standby_goes_on(
    tmp_path: Path,
    store_proxy: StoreProxy,
    bucket: str,
    s3_client: Any,
    origin: Origin,
    postgres: PostgresServer,
    uri: str,
) -> None:
    origin.publish("/a", b"first")
    body = mirrors(origin, bucket, "a")
    async with PostgresProxy(postgres) as proxy, PostgresProxy(postgres) as other:
        files = [
            manifest(tmp_path / name, store_proxy, one.uri(uri), body) for name, one in (("x", proxy), ("y", other))
        ]
        async with (
            running(tmp_path / "x", files[0]) as first,
            started(tmp_path / "y", files[1], listen="127.0.0.1:0") as second,
        ):
            await first.synced("a")
            await second.log("daemon.standby")
            proxy.hold()
            second.url = (await second.log("daemon.ready"))["url"]
            await is_ready(first, 503)
            origin.publish("/a", b"second")
            await second.log("transfer.completed", key="a")
            mark = first.mark
            proxy.pass_on()
            assert await first.ended() == 1
            assert "another mirrord took over the state" in first.noise[-1]
            assert [line for line in first.lines[mark:] if line["event"].startswith("transfer.")] == []
            assert await second.stop() == 0
    assert stored(s3_client, bucket, "a") == b"second"
    assert written(store_proxy) == {"a": 2}
