"""A store that is away while the daemon works: nothing is lost, nobody hammers at the door, and all is well afterwards.

6 seconds of outage here, 20 with MIRRORD_SOAK=1 (`make soak`): calls are cut or answered 503, in turn. Files are
dropped and URLs change before, while and after.
"""

import asyncio
import hashlib
import itertools
import json
import random
import time
from pathlib import Path
from typing import Any

from aiohttp import web

from mirrord.daemon.daemon import CHECKS
from mirrord.units import MiB
from tests.support.daemon import Daemon, running, store_section
from tests.support.measuring import SOAK, report
from tests.support.origin import Origin
from tests.support.proxy import Seen, StoreProxy

OUTAGE = 20.0 if SOAK else 6.0
URLS, LARGE = 120, 2
AT_ONCE = 8
"""`transfers`: what runs when the store goes away fails once, then few calls ask whether it is back."""
QUIET_AFTER = 10.0
"""Seconds in which whoever was under way asks what became of its write, and gives up. The long run gets beyond."""
BACK_WITHIN = 90.0
"""Seconds from the end of the outage until all is well: the pauses grow with the outage, by full jitter."""


class Outage:
    """The store's door: shut between `begin` and `end`. `refused` counts who came meanwhile, by the second."""

    def __init__(self) -> None:
        self.since: float | None = None
        self.refused: list[float] = []
        self._turns = itertools.count()

    def begin(self) -> None:
        self.since = time.monotonic()

    def end(self) -> None:
        self.since = None

    async def __call__(self, seen: Seen, request: web.Request) -> web.StreamResponse | None:
        if self.since is None:
            return None
        self.refused.append(time.monotonic() - self.since)
        if next(self._turns) % 2 and request.transport is not None:
            request.transport.abort()
            raise ConnectionResetError
        return web.Response(status=503)


class Sources:
    """What the store must hold in the end: URLs and files that come and change. Bytes differ from step to step."""

    def __init__(self, origin: Origin, inbox: Path) -> None:
        self._origin, self._inbox = origin, inbox
        self.expected: dict[str, bytes] = {}

    def publish(self, name: str, size: int = 100) -> None:
        self.expected[f"urls/{name}"] = body = random.randbytes(size)
        self._origin.publish(f"/{name}", body)

    def drop(self, name: str, size: int = 1000) -> None:
        self.expected[f"inbox/{name}"] = body = random.randbytes(size)
        (self._inbox / name).write_bytes(body)

    async def go_on(self, step: str, seconds: float) -> None:
        """Ten files and changes a second."""
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


async def all_well(daemon: Daemon, sources: Sources, client: Any, bucket: str) -> bool:
    """Every item Synced, every object what its source is now."""
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


async def test_an_outage_under_load_loses_nothing_and_hammers_at_nobody(
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
        await sources.go_on("before", 1)
        await daemon.wait_for(lambda: store_proxy.counts["PutObject"] >= URLS // 2, 60, "work under way")
        for number in range(LARGE):
            sources.publish(f"large-{number}", 20 * MiB)
        uploads = store_proxy.counts["CreateMultipartUpload"]
        await daemon.wait_for(
            lambda: store_proxy.counts["CreateMultipartUpload"] > uploads, 60, "a large one under way"
        )
        outage.begin()
        await sources.go_on("while", OUTAGE)
        totals = (await daemon.api("status"))["totals"]
        stores = (await daemon.api("status"))["stores"]
        ready, _ = await daemon.ask("/readyz")
        refused = list(outage.refused)
        outage.end()
        ended = time.monotonic()
        await sources.go_on("after", 1)
        await daemon.wait_for(lambda: all_well(daemon, sources, s3_client, bucket), BACK_WITHIN, "all is well")
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
    assert stores == {"default": False}, "it was said"
    assert ready == 200, "the daemon itself is well"
    assert "Blocked" not in totals, "nobody has to do anything about it"
    assert len(refused) <= 10 * (AT_ONCE + CHECKS) + 5 * OUTAGE, "a few calls for each that was under way, no loop"
    assert late <= 20 + 5 * max(0, OUTAGE - QUIET_AFTER), "then only one at a time asks whether the store is back"
    uploads_left = s3_client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
    assert uploads_left == []
