"""The time from a rename into a watched folder until the object is readable, and the cost of an idle daemon.

Three kinds of blocks in turn, all to one SeaweedFS: plain puts over one warm connection, files for `mirrord run`, and
files for `ferry watch` (ferry-ingest, a Rust binary). One daemon runs at a time, with its defaults and `settle: 0s`.
A client polls the store until the file is there with its bytes.
"""

import asyncio
import http.client
import json
import os
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

from mirrord.s3.embedded.weed import killed_with_parent
from tests.bench.servers import seaweed
from tests.bench.tools import peer
from tests.support.daemon import running
from tests.support.inbox import manifest
from tests.support.measuring import mib, quantile, usage
from tests.support.weed import Server, fresh_bucket

NAME = "drop-10KB-1x-weed"
IN_A_BLOCK, UNCOUNTED = 10, 2
BETWEEN = 0.25
"""Pause in seconds after each measurement: longer than the 0.1 s for which ferry-ingest collects events."""
IDLE = 20.0
SIZE = 10_000
UNIT = "run"
"""The directory in each folder for all files: ferry-ingest ignores files directly in its root."""
PATIENCE = 30.0


class Reader:
    """An open connection to the store with presigned URLs: the minimum work of a client."""

    def __init__(self, client: Any, server: Server, bucket: str) -> None:
        self._client = client
        self._bucket = bucket
        at = urlsplit(server.endpoint_url)
        self._connection = http.client.HTTPConnection(at.hostname or "", at.port)

    def url(self, call: str, key: str) -> str:
        at = urlsplit(self._client.generate_presigned_url(call, Params={"Bucket": self._bucket, "Key": key}))
        return f"{at.path}?{at.query}"

    def ask(self, method: str, url: str, body: bytes = b"") -> tuple[int, bytes]:
        self._connection.request(method, url, body=body or None)
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def close(self) -> None:
        self._connection.close()


@dataclass(frozen=True)
class Folders:
    """Folders below `home`, one for each tool; the tool's name is the prefix of its objects."""

    home: Path
    server: Server
    bucket: str
    reader: Reader
    content: bytes

    def root(self, tool: str) -> Path:
        return self.home / f"inbox-{tool}"

    def bare_put(self, name: str) -> float:
        url = self.reader.url("put_object", f"bare/{name}")
        began = time.monotonic()
        status, _ = self.reader.ask("PUT", url, self.content)
        took = time.monotonic() - began
        assert status == 200
        return took

    def drop(self, tool: str, name: str) -> float:
        """Seconds from the rename into the folder until the object can be read."""
        url, outside = self.reader.url("get_object", f"{tool}/{UNIT}/{name}"), self.home / "outside"
        outside.write_bytes(self.content)
        began = time.monotonic()
        outside.rename(self.root(tool) / UNIT / name)
        while self.reader.ask("GET", url) != (200, self.content):
            assert time.monotonic() - began < PATIENCE, f"{tool} did not upload {name}"
        return time.monotonic() - began


def one_block(measure: Callable[[str], float], block: int) -> list[float]:
    took = []
    for number in range(UNCOUNTED + IN_A_BLOCK):
        took.append(measure(f"{block}-{number}.bin"))
        time.sleep(BETWEEN)  # a part of the measurement, see BETWEEN
    return took[UNCOUNTED:]


# ── the tools: each yields the process id of a daemon for its folder ──────────────────────────────
@asynccontextmanager
async def mirroring(folders: Folders) -> AsyncIterator[int]:
    file, root = folders.home / "m.yaml", folders.root("mirrord")
    to = f"s3://{folders.bucket}/mirrord/"
    file.write_text(manifest(folders.server, root, folders.bucket, to=to, settle="0s", rescan="60s"))
    async with running(folders.home, str(file), fresh=True) as daemon:
        yield daemon.process.pid


@asynccontextmanager
async def ferrying(folders: Folders) -> AsyncIterator[int]:
    keys = {
        "aws_access_key_id": folders.server.access_key_id,
        "aws_secret_access_key": folders.server.secret_access_key,
    }
    store = {
        "url": f"s3://{folders.bucket}/",
        "endpoint": folders.server.endpoint_url,
        "region": "us-east-1",
        "options": {**keys, "allow_http": "true"},
    }
    pipeline = {
        "name": "inbox",
        "root": str(folders.root("ferry")),
        "prefix": "ferry",
        "destinations": ["store"],
        "mode": "stream",
        "upload": "file",
        "settle": "0s",
    }
    file, state = folders.home / "ferry.yaml", str(folders.home / "ferry-state")
    file.write_text(json.dumps({"state_dir": state, "stores": {"store": store}, "pipelines": [pipeline]}))
    with (folders.home / "ferry.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            peer("ferry"),
            "watch",
            "--config",
            str(file),
            stdout=log,
            stderr=subprocess.STDOUT,
            preexec_fn=killed_with_parent(),
        )
        try:
            yield process.pid
        finally:
            process.terminate()
            await process.wait()


Follow = Callable[[Folders], AbstractAsyncContextManager[int]]
TOOLS: dict[str, Follow] = {"mirrord": mirroring, "ferry": ferrying}


# ── the measurement ───────────────────────────────────────────────────────────────────────────────
def figures(took: Sequence[float]) -> dict[str, float]:
    return {"p50_ms": _ms(median(took)), "p90_ms": _ms(quantile(took, 0.9)), "max_ms": _ms(max(took))}


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)


async def idle(pid: int) -> dict[str, float]:
    """Cost of an idle daemon: CPU in percent of a core, and resident MiB."""
    before = usage(pid).cpu
    await asyncio.sleep(IDLE)
    after = usage(pid)
    return {"idle_cpu_percent": round((after.cpu - before) / IDLE * 100, 2), "resident_mib": mib(after.resident)}


async def blocks(folders: Folders, tools: Sequence[str], count: int) -> dict[str, dict[str, float]]:
    """The figures of plain puts and of each tool, over `count` blocks of each; the order alternates."""
    took: dict[str, list[float]] = {one: [] for one in ("bare put", *tools)}
    idle_costs: dict[str, dict[str, float]] = {}
    for block in range(count):
        took["bare put"] += await asyncio.to_thread(one_block, folders.bare_put, block)
        for tool in tools[:: -1 if block % 2 else 1]:
            async with TOOLS[tool](folders) as pid:
                drop = partial(folders.drop, tool)
                took[tool] += await asyncio.to_thread(one_block, drop, block)
                if block == count - 1:
                    idle_costs[tool] = await idle(pid)
    return {one: figures(each) | idle_costs.get(one, {}) for one, each in took.items()}


def measured(home: Path, count: int) -> dict[str, Any]:
    """The result of `count` blocks. `missing` names a tool that is not installed."""
    tools = [name for name in TOOLS if name == "mirrord" or peer(name)]
    with seaweed() as server:
        client = server.client()
        bucket = fresh_bucket(client)
        reader = Reader(client, server, bucket)
        folders = Folders(home, server, bucket, reader, os.urandom(SIZE))
        for tool in tools:  # makes `home` too
            (folders.root(tool) / UNIT).mkdir(parents=True)
        try:
            tools_figures = asyncio.run(blocks(folders, tools, count))
        finally:
            reader.close()
            client.close()
    missing = [name for name in TOOLS if name not in tools]
    return {"name": NAME, "drops": count * IN_A_BLOCK, "tools": tools_figures, "missing": missing}
