"""A store outage while the daemon works: nothing is lost, few requests are sent, and all items are synced afterwards.

3 seconds of outage here, 20 with MIRRORD_SOAK=1 (`make soak`): calls are cut or answered 503, in turn. Files are
dropped and URLs change before, while and after.
"""

import asyncio
import hashlib
import itertools
import json
import random
import time
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import web

from mirrord.daemon.daemon import CHECKS
from mirrord.units import MiB
from tests.support.daemon import Daemon, running, store_section
from tests.support.measuring import SOAK, report
from tests.support.origin import Origin
from tests.support.proxy import Seen, StoreProxy

OUTAGE = 20.0 if SOAK else 3.0
URLS, LARGE = 120, 2
AT_ONCE = 8
"""`transfers`: those running at the start of the outage fail once; then few calls probe the store."""
QUIET_AFTER = 10.0
"""Seconds in which the running transfers verify their writes and give up. Only the long run takes longer."""
BACK_WITHIN = 90.0
"""Bound in seconds from the end of the outage until all items are Synced: pauses grow with it, by full jitter."""


class Outage:
    """Refuses all calls between `begin` and `end`. `refused` has their times in seconds since `begin`."""

    def __init__(self) -> None:
        self.since: float | None = None
        self.refused: list[float] = []
        self._calls = itertools.count()

    def begin(self) -> None:
        self.since = time.monotonic()

    def end(self) -> None:
        self.since = None

    async def __call__(self, seen: Seen, request: web.Request) -> web.StreamResponse | None:
        if self.since is None:
            return None
        self.refused.append(time.monotonic() - self.since)
        if next(self._calls) % 2 and request.transport is not None:
            request.transport.abort()
            raise ConnectionResetError
        return web.Response(status=503)


class Sources:
    """URLs and files that are created and changed, with random contents, and the objects expected at the end."""

    def __init__(self, origin: Origin, inbox: Path) -> None:
        self._origin, self._inbox = origin, inbox
        self.expected: dict[str, bytes] = {}

    def publish(self, name: str, size: int = 100) -> None:
        self.expected[f"urls/{name}"] = body = random.randbytes(size)
        self._origin.publish(f"/{name}", body)

    def drop(self, name: str, size: int = 1000) -> None:
        self.expected[f"inbox/{name}"] = body = random.randbytes(size)
        (self._inbox / name).write_bytes(body)

    async def change(self, step: str, seconds: float) -> None:
        """Create ten files and change ten URLs a second."""
        for number in range(round(10 * seconds)):
            self.drop(f"{step}-{number}")
            self.publish(str(random.randrange(URLS)))
            await asyncio.sleep(0.1)


def manifest(proxy: StoreProxy, bucket: str, origin: Origin, inbox: Path) -> str:
    names = [*map(str, range(URLS)), *(f"large-{number}" for number in range(LARGE))]
    mirrors = {origin.url(f"/{name}"): f"s3://{bucket}/urls/{name}" for name in names}
    folder = {"path": str(inbox), "to": f"s3://{bucket}/inbox/", "settle": "200ms"}
    return (
        f"{store_section(proxy.server)}daemon: {{transfers: {AT_ONCE}}}\ndefaults: {{every: 1s}}\n"
        f"mirrors: {json.dumps(mirrors)}\nfolders: {json.dumps([folder])}\n"
    )


async def store_is_down(daemon: Daemon) -> bool:
    return bool((await daemon.api("status"))["stores"] == {"default": False})


async def all_synced(daemon: Daemon, sources: Sources, client: Any, bucket: str) -> bool:
    """Whether every item is Synced and every object equals its source."""
    states = await daemon.states()
    if set(states) != set(sources.expected) or set(states.values()) != {"Synced"}:
        return False
    return await asyncio.to_thread(equal, sources, client, bucket)


def equal(sources: Sources, client: Any, bucket: str) -> bool:
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    if {one["Key"] for page in pages for one in page.get("Contents", [])} != set(sources.expected):
        return False
    for key, body in sources.expected.items():
        stored = client.get_object(Bucket=bucket, Key=key)["Body"].read()
        if hashlib.sha256(stored).digest() != hashlib.sha256(body).digest():
            return False
    return True


async def test_an_outage_under_load_loses_nothing_and_sends_few_requests(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, origin: Origin
) -> None:
    inbox, outage = tmp_path / "inbox", Outage()
    inbox.mkdir()
    sources = Sources(origin, inbox)
    for name in range(URLS):
        sources.publish(str(name))
    for number in range(LARGE):
        sources.publish(f"large-{number}", 20 * MiB)
    store_proxy.before = outage
    (tmp_path / "mirrord.yaml").write_text(manifest(store_proxy, bucket, origin, inbox))
    async with running(tmp_path, str(tmp_path / "mirrord.yaml")) as daemon:
        await sources.change("before", 1)
        await daemon.wait_for(lambda: store_proxy.counts["PutObject"] >= URLS // 2, 60, "work under way")
        for number in range(LARGE):
            sources.publish(f"large-{number}", 20 * MiB)
        uploads = store_proxy.counts["CreateMultipartUpload"]
        await daemon.wait_for(
            lambda: store_proxy.counts["CreateMultipartUpload"] > uploads, 60, "a large one in progress"
        )
        outage.begin()
        await sources.change("while", OUTAGE)
        await daemon.wait_for(partial(store_is_down, daemon), 60, "the status reports the outage")
        totals = (await daemon.api("status"))["totals"]
        ready, _ = await daemon.ask("/readyz")
        refused = list(outage.refused)
        outage.end()
        ended = time.monotonic()
        await sources.change("after", 1)
        await daemon.wait_for(lambda: all_synced(daemon, sources, s3_client, bucket), BACK_WITHIN, "all is well")
        took = time.monotonic() - ended
        assert await daemon.stop() == 0
    late = sum(at > QUIET_AFTER for at in refused)
    numbers = {
        "outage_s": OUTAGE,
        "items": len(sources.expected),
        "refused": len(refused),
        f"refused_after_{QUIET_AFTER:g}s": late,
        "well_after_s": round(took, 1),
        "states_in_the_outage": totals,
    }
    report("store-outage", numbers)
    assert ready == 200, "the daemon itself is alive"
    assert "Blocked" not in totals, "no item may be Blocked"
    assert len(refused) <= 10 * (AT_ONCE + CHECKS) + 5 * OUTAGE, "a few calls for each running transfer, no loop"
    assert late <= 20 + 5 * max(0, OUTAGE - QUIET_AFTER), "later only one probe at a time"
    uploads_left = s3_client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
    assert uploads_left == []
