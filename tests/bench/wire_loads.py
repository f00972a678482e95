"""The loads of `wire_candidates`: `python -m tests.bench.wire_loads CLIENT LOAD ENDPOINT COUNT` prints JSON.

A process of its own for each load, so that CPU and memory are those of one client.
"""

import asyncio
import json
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import uvloop

from tests.bench.wire_clients import CLIENTS, KIB, MIB, PART, Client

SMALL, IN_FLIGHT = 4 * KIB, 16
DEADLINE, AFTER_CANCEL = 0.5, 2.0
"""Seconds until a put is cancelled, and until the process ends."""


async def small(client: Client, count: int) -> None:
    """`count` objects of SMALL bytes, IN_FLIGHT at a time."""
    body, numbers = memoryview(bytes(SMALL)), iter(range(count))

    async def worker() -> None:
        for number in numbers:
            await client.put(f"k{number}", body)

    async with asyncio.TaskGroup() as group:
        for _ in range(IN_FLIGHT):
            group.create_task(worker())


async def large(client: Client, mib: int) -> None:
    """One object of this size from memory: reading a file would cost every client the same."""
    part = memoryview(bytearray(PART))
    if mib:
        await client.large("large", (part for _ in range(mib * MIB // PART)))


async def hang(client: Client, _count: int, size: int = MIB) -> dict[str, Any]:
    """A put that is never answered, cancelled after DEADLINE seconds."""
    began = time.monotonic()
    with suppress(TimeoutError):
        async with asyncio.timeout(DEADLINE):
            await client.put("hang", memoryview(bytes(size)))
    took = time.monotonic() - began
    await asyncio.sleep(AFTER_CANCEL)  # the server sees now whether the connection was closed
    return {"returned_s": round(took, 2)}


async def stall(client: Client, _count: int) -> dict[str, Any]:
    """The same for a body of which the server reads nothing."""
    return await hang(client, _count, 32 * MIB)


async def early(client: Client, _count: int) -> dict[str, Any]:
    """A put of 32 MiB that is refused after its head: does the client report the answer?"""
    try:
        await client.put("early", memoryview(bytes(32 * MIB)))
    except Exception as error:  # noqa: BLE001 - every client has its own errors; their texts are the result
        return {"error": f"{type(error).__name__}: {error}"[:300]}
    return {"error": "none"}


LOADS: dict[str, Callable[[Client, int], Any]] = {
    "small": small,
    "large": large,
    "hang": hang,
    "stall": stall,
    "early": early,
}


async def main(name: str, load: str, endpoint: str, count: int) -> None:
    async with CLIENTS[name](endpoint) as client:
        result = await LOADS[load](client, count)
    print(json.dumps(result or {}), flush=True)


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:4], int(sys.argv[4])))
