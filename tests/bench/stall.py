"""The longest time for which the event loop of `mirrord run` is blocked, while a folder of new files is uploaded.

A client asks `/livez` all the time: the loop answers it, so its longest answer is an upper bound of the longest stall
(on a busy machine it also has the client's wait for a core). The store is the bench's sink.
"""

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.bench.scenarios import StoreKind
from tests.bench.servers import Store, store
from tests.bench.tools import MEMORY_LIMIT
from tests.support.daemon import Daemon, running
from tests.support.inbox import manifest
from tests.support.measuring import mib, quantile, usage
from tests.support.weed import Server

NAME = "stall-4KiB-20_000x-sink"
FILES = 20_000
MOST_STALL = 100
"""Milliseconds, on a quiet machine."""
_AFTER = 5.0
"""Seconds of asking after the last upload."""


@asynccontextmanager
async def asked(daemon: Daemon, took: list[float]) -> AsyncIterator[None]:
    """Measure answers of /livez all the time. The client's garbage collector is off: its pauses would count too."""

    async def ask() -> None:
        while True:
            began = time.monotonic()
            status, _ = await daemon.ask("/livez")
            took.append(time.monotonic() - began)
            assert status == 200
            await asyncio.sleep(0.01)

    gc.collect()
    gc.disable()
    asking = asyncio.create_task(ask())
    try:
        yield
    finally:
        gc.enable()
        asking.cancel()
        await asyncio.wait([asking])


def measured(home: Path, files: Path, count: int) -> dict[str, Any]:
    """`files`: a directory of `count` files."""
    home.mkdir(parents=True, exist_ok=True)
    with store(StoreKind.ECHO) as sink:
        text = manifest(Server(sink.endpoint), files, "bucket", settle="10ms", rescan="60s")
        (home / "m.yaml").write_text(text)
        return asyncio.run(_measured(home, sink, count))


def _wait_until_uploaded(sink: Store, count: int) -> None:
    while (sink.counts() or {})["calls"].get("PutObject", 0) < count:
        time.sleep(0.5)  # the sink is another process, and has no event to wait for


async def _measured(home: Path, sink: Store, count: int) -> dict[str, Any]:
    took: list[float] = []
    arguments = ("--memory-limit", MEMORY_LIMIT, str(home / "m.yaml"))
    async with running(home, *arguments, fresh=True) as daemon:
        began = time.monotonic()
        async with asked(daemon, took):
            await asyncio.to_thread(_wait_until_uploaded, sink, count)
            seconds = time.monotonic() - began
            await asyncio.sleep(_AFTER)
        used = usage(daemon.process.pid)
    milliseconds = {"longest_ms": max(took) * 1000, "p99_ms": quantile(took, 0.99) * 1000}
    shown = {name: round(value, 1) for name, value in milliseconds.items()}
    return {"name": NAME, "files": count, "seconds": round(seconds, 1), "peak_mib": mib(used.peak), **shown}
