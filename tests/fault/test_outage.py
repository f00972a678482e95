"""A store and a host that are away for a while, before the real command: what they are asked, and how it ends."""

import json
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.integration.test_sync import events, manifest, sync
from tests.support.origin import Asked, Behaviour, Origin, Reply
from tests.support.proxy import Seen, StoreProxy

ITEMS = 60


def entries(origin: Origin, bucket: str, count: int = ITEMS) -> str:
    found = [{"url": origin.publish(f"/{n}", b"x"), "to": f"s3://{bucket}/{n}"} for n in range(count)]
    return f"daemon: {{transfers: 4}}\nmirrors: {json.dumps(found)}\n"


def away(refusals: int, **headers: str) -> Behaviour:
    """503 so many times, over all paths; good manners then."""
    left = [refusals]

    def behave(reply: Reply, asked: Asked) -> None:
        if left[0]:
            left[0] -= 1
            reply.empty(503, **headers)

    return behave


async def test_a_store_that_comes_back_costs_few_calls_and_no_item(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, origin: Origin
) -> None:
    refusals = [6]

    async def refuse(seen: Seen, request: web.BaseRequest) -> web.StreamResponse | None:
        if not refusals[0]:
            return None
        refusals[0] -= 1
        return web.Response(status=503)

    store_proxy.before = refuse  # type: ignore[assignment]
    done = await sync(tmp_path, manifest(tmp_path, store_proxy.server, entries(origin, bucket)))
    assert done.code == 0, done.said
    assert s3_client.list_objects_v2(Bucket=bucket)["KeyCount"] == ITEMS
    assert store_proxy.counts == {"HeadObject": ITEMS + 6, "PutObject": ITEMS}
    assert len(events(done, "transfer.failed")) == 6
    assert len(events(done, "transfer.completed")) == ITEMS
    assert done.err.count("does not answer, its items are held back") <= 1


async def test_retry_after_holds_back_every_item_of_the_host(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, origin: Origin
) -> None:
    file = manifest(tmp_path, store_proxy.server, entries(origin, bucket))
    busy = away(1, Retry_After="1")
    for n in range(ITEMS):
        origin.behave(f"/{n}", busy)
    done = await sync(tmp_path, file)
    assert done.code == 0, done.said
    assert s3_client.list_objects_v2(Bucket=bucket)["KeyCount"] == ITEMS
    assert len(origin.log) == ITEMS + 1
    assert len(events(done, "transfer.failed")) == 1
