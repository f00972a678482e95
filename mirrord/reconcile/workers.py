"""A bounded number of workers on a stream of items, each item to its end, transient failures retried.

Owns concurrency and the waiting between tries for programs that end (`sync`, `copy`). Streams: never more items in
memory than workers.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from mirrord.model import Item, Outcome
from mirrord.ports import Clock
from mirrord.reconcile.departures import Looks

T = TypeVar("T")


async def settle(reconciler: Looks, item: Item, clock: Clock) -> Outcome:
    """Look at `item` until nothing more is to be tried: the last outcome."""
    failures = 0
    while True:
        outcome = await reconciler.reconcile(item, failures)
        if outcome.retry_in is None:
            return outcome
        failures += outcome.tried
        await clock.sleep(outcome.retry_in)


async def work_through(items: AsyncIterator[T], handle: Callable[[T], Awaitable[None]], workers: int) -> None:
    """Call `handle` for every item, `workers` at a time. The first error ends all and is raised as itself."""
    turn = asyncio.Lock()  # an async generator serves one caller at a time

    async def work() -> None:
        while True:
            async with turn:
                item = await anext(items, None)
            if item is None:
                return
            await handle(item)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(work())
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
