"""The real command with a store or host in an outage: which requests it makes, and how it ends.

The pauses of the command are a tenth of the real ones. The tests of `planning.timing` verify their lengths.
"""

import json
import socket
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.support.daemon import DEBUG
from tests.support.origin import Asked, Behaviour, Origin, Reply, answers
from tests.support.proxy import Seen, StoreProxy
from tests.support.syncing import events, manifest, sync

ITEMS = 60
SPEED = 10.0


def entries(origin: Origin, bucket: str, count: int = ITEMS) -> str:
    found = [{"url": origin.publish(f"/{n}", b"x"), "to": f"s3://{bucket}/{n}"} for n in range(count)]
    return f"daemon: {{transfers: 4}}\nmirrors: {json.dumps(found)}\n"


def closed_port() -> int:
    """A port without a listener."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def away(refusals: int, **headers: str) -> Behaviour:
    """503 for this number of requests, over all paths; then normal answers."""
    left = [refusals]

    def behave(reply: Reply, asked: Asked) -> None:
        if left[0]:
            left[0] -= 1
            reply.empty(503, **headers)

    return behave


async def test_a_store_outage_costs_few_calls_and_no_item(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, origin: Origin
) -> None:
    refusals = [6]

    async def refuse(seen: Seen, request: web.BaseRequest) -> web.StreamResponse | None:
        if not refusals[0]:
            return None
        refusals[0] -= 1
        return web.Response(status=503)

    store_proxy.before = refuse  # type: ignore[assignment]
    done = await sync(tmp_path, manifest(tmp_path, store_proxy.server, entries(origin, bucket)), speed=SPEED)
    assert done.code == 0, done.output
    assert s3_client.list_objects_v2(Bucket=bucket)["KeyCount"] == ITEMS
    assert store_proxy.counts == {"ListObjectsV2": 1, "HeadObject": ITEMS + 5, "PutObject": ITEMS}
    assert sum(one.status == 503 for one in store_proxy.calls) == 6
    assert not events(done, "transfer.failed"), "no transfer was started"
    assert len(events(done, "transfer.completed")) == ITEMS
    assert done.err.count("does not answer, its items are held back") <= 1


async def test_retry_after_blocks_every_item_of_the_host(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, origin: Origin
) -> None:
    file = manifest(tmp_path, store_proxy.server, entries(origin, bucket))
    busy = away(1, Retry_After="1")
    for n in range(ITEMS):
        origin.behave(f"/{n}", busy)
    done = await sync(tmp_path, file, speed=SPEED)
    assert done.code == 0, done.output
    assert s3_client.list_objects_v2(Bucket=bucket)["KeyCount"] == ITEMS
    assert len(origin.log) == ITEMS + 1
    assert len(events(done, "item.retrying")) == 1


def mixed(origin: Origin, bucket: str, bad: int, good: int) -> tuple[str, list[str]]:
    """Entries on one host, of which the first always get 500; and the keys of the others."""
    text = entries(origin, bucket, bad + good)
    for n in range(bad):
        origin.behave(f"/{n}", answers(500))
    return text, [str(n) for n in range(bad, bad + good)]


def keys_of(s3_client: Any, bucket: str) -> list[str]:
    return [one["Key"] for one in s3_client.list_objects_v2(Bucket=bucket).get("Contents", [])]


async def test_urls_that_answer_500_do_not_block_others_of_their_host(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, origin: Origin
) -> None:
    text, good = mixed(origin, bucket, bad=20, good=5)
    done = await sync(tmp_path, manifest(tmp_path, store_proxy.server, text), *DEBUG, seconds=120, speed=SPEED)
    assert done.code == 1, done.output
    assert keys_of(s3_client, bucket) == good
    asked = Counter(one.path for one in origin.log)
    assert all(1 <= asked[f"/{n}"] <= 6 for n in range(20)), "once, and five more times at most"
    assert done.out.count("SourceUnavailable") >= 20
    assert len(events(done, "transfer.started")) == len(events(done, "transfer.completed")) == 5
    assert not events(done, "transfer.failed"), "none of them was started"
    assert {line["reason"] for line in events(done, "item.retrying")} == {"SourceUnavailable"}
    assert "does not answer" not in done.err, "it did answer"


async def test_503_for_all_urls_of_a_host_uses_up_no_attempts(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, origin: Origin
) -> None:
    file = manifest(tmp_path, store_proxy.server, entries(origin, bucket))
    busy = away(40)
    for n in range(ITEMS):
        origin.behave(f"/{n}", busy)
    done = await sync(tmp_path, file, seconds=120, speed=SPEED)
    assert done.code == 0, done.output
    assert len(keys_of(s3_client, bucket)) == ITEMS
    assert len(origin.log) == ITEMS + 40


@pytest.mark.parametrize("operation", ["HeadObject", "PutObject"])
async def test_keys_that_get_503_do_not_block_others_of_their_store(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, origin: Origin, operation: str
) -> None:
    bad = {str(n) for n in range(20)}

    async def refuse(seen: Seen, request: web.BaseRequest) -> web.StreamResponse | None:
        if seen.operation == "ListObjectsV2" and operation == "HeadObject":
            return web.Response(status=403)  # a listing would spare the HEADs of new objects
        busy = seen.operation == operation and request.path.rpartition("/")[2] in bad
        return web.Response(status=503) if busy else None

    store_proxy.before = refuse  # type: ignore[assignment]
    file = manifest(tmp_path, store_proxy.server, entries(origin, bucket, 25))
    done = await sync(tmp_path, file, *DEBUG, seconds=180, speed=SPEED)
    assert done.code == 1, done.output
    assert keys_of(s3_client, bucket) == ["20", "21", "22", "23", "24"]
    assert len(events(done, "transfer.started")) == len(
        events(done, "transfer.completed") + events(done, "transfer.failed")
    )


async def test_a_host_without_answers_is_given_up_soon(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, origin: Origin
) -> None:
    text = entries(origin, bucket, 50).replace(origin.url(""), f"http://127.0.0.1:{closed_port()}")
    done = await sync(tmp_path, manifest(tmp_path, store_proxy.server, text), seconds=120, speed=SPEED)
    assert done.code == 1, done.output
    assert done.err.count("does not answer, its items are held back") == 1
    assert len(events(done, "item.retrying")) <= 4 + 6 + 6


async def test_a_store_that_refuses_writes_for_a_while_uses_up_no_attempts(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, origin: Origin
) -> None:
    refusals = [60]

    async def refuse(seen: Seen, request: web.BaseRequest) -> web.StreamResponse | None:
        if seen.operation != "PutObject" or not refusals[0]:
            return None
        refusals[0] -= 1
        return web.Response(status=503)

    store_proxy.before = refuse  # type: ignore[assignment]
    done = await sync(
        tmp_path, manifest(tmp_path, store_proxy.server, entries(origin, bucket)), seconds=120, speed=SPEED
    )
    assert done.code == 0, done.output
    assert len(keys_of(s3_client, bucket)) == ITEMS
    failed = events(done, "transfer.failed")
    assert failed
    assert max(line["attempt"] for line in failed) <= 2, "an outage costs at most one attempt"
