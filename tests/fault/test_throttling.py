"""The real command at a host, and at a store, that refuse calls above a number at once (503 SlowDown, 429).

All items end synced, and few calls are refused: with 16 transfers at once, nearly each call would be, four times.
"""

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from mirrord.units import MiB
from tests.support.origin import Asked, Generated, Origin, Reply
from tests.support.proxy import Seen, StoreProxy
from tests.support.syncing import events, manifest, sync

ITEMS, TRANSFERS, MOST = 80, 16, 4
SPEED = 10.0
TAKES = 0.03
"""Seconds of one call."""
FEW = 40
"""Refusals: 12, 4 and 1 of the first burst and its retries, then about one in a second of the command's clock."""
SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"


@dataclass
class Crowd:
    """Counts the calls of a server that takes `MOST` at once."""

    taken: int = 0
    refusals: int = 0
    highest: int = 0
    """How many were taken at once."""

    def refuses(self, running: int) -> bool:
        if running >= MOST:
            self.refusals += 1
            return True
        self.highest = max(self.highest, running + 1)
        self.taken += 1
        return False


def entries(origin: Origin, bucket: str, body: bytes | Generated = b"x", count: int = ITEMS) -> str:
    found = [{"url": origin.publish(f"/{n}", body), "to": f"s3://{bucket}/{n}"} for n in range(count)]
    return f"daemon: {{transfers: {TRANSFERS}, per_host: {{connections: 16}}}}\nmirrors: {json.dumps(found)}\n"


def limit_requests(origin: Origin, status: int, **headers: str) -> Crowd:
    """Limit the requests of the origin, each of which takes some time."""
    crowd = Crowd()

    def behave(reply: Reply, asked: Asked) -> None:
        if crowd.refuses(sum(one.status == 200 and not one.over.is_set() for one in origin.log)):
            reply.empty(status, **headers)
        else:
            reply.drip = TAKES

    for n in range(ITEMS):
        origin.behave(f"/{n}", behave)
    return crowd


def limit_calls(proxy: StoreProxy, **headers: str) -> Crowd:
    """Limit the calls of the store, each of which takes some time."""
    crowd, running = Crowd(), set[int]()

    async def before(seen: Seen, request: web.BaseRequest) -> web.StreamResponse | None:
        running.intersection_update({id(one) for one in proxy.calls if not one.over})
        if crowd.refuses(len(running)):
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return web.Response(status=503, body=SLOW_DOWN, content_type="application/xml", headers=named)
        running.add(id(seen))
        await asyncio.sleep(TAKES)
        return None

    proxy.before = before  # type: ignore[assignment]
    return crowd


def keys_of(s3_client: Any, bucket: str) -> int:
    found: int = s3_client.list_objects_v2(Bucket=bucket)["KeyCount"]
    return found


@pytest.mark.parametrize("status", [503, 429])
async def test_a_host_gets_as_many_requests_at_once_as_it_takes(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, origin: Origin, status: int
) -> None:
    file = manifest(tmp_path, store_proxy.server, entries(origin, bucket))
    crowd = limit_requests(origin, status)
    done = await sync(tmp_path, file, speed=SPEED)
    assert done.code == 0, done.output
    assert keys_of(s3_client, bucket) == ITEMS
    assert crowd.taken == ITEMS
    assert crowd.highest == MOST
    assert crowd.refusals <= FEW
    assert "refuses calls while others run: it gets at most" in done.err
    assert "is tried one at a time" not in done.err


@pytest.mark.parametrize("headers", [{}, {"Retry_After": "1"}])
async def test_a_store_gets_as_many_calls_at_once_as_it_takes(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, origin: Origin, headers: dict[str, str]
) -> None:
    file = manifest(tmp_path, store_proxy.server, entries(origin, bucket))
    crowd = limit_calls(store_proxy, **headers)
    done = await sync(tmp_path, file, speed=SPEED)
    assert done.code == 0, done.output
    assert keys_of(s3_client, bucket) == ITEMS
    assert crowd.highest == MOST
    assert crowd.refusals <= FEW
    assert max(line["attempt"] for line in events(done, "transfer.completed")) <= 2, "a refusal counts as no attempt"
    assert "store 'default' refuses calls while others run: it gets at most" in done.err


async def test_the_parts_of_large_objects_keep_to_it_too(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, origin: Origin
) -> None:
    text = entries(origin, bucket, Generated(40 * MiB, seed=1), count=3)
    text += "defaults: {upload: {part_size: 5MiB, multipart_threshold: 5MiB, concurrency: 4}}\n"
    crowd = limit_calls(store_proxy)
    done = await sync(tmp_path, manifest(tmp_path, store_proxy.server, text), speed=SPEED)
    assert done.code == 0, done.output
    assert keys_of(s3_client, bucket) == 3
    assert store_proxy.counts["UploadPart"] <= 3 * 8 + crowd.refusals, "no part that arrived is sent again"
    assert not events(done, "transfer.failed")
    assert crowd.highest == MOST
    assert crowd.refusals <= FEW
