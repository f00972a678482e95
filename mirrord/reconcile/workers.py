"""A bounded number of workers on a stream of items, each item to its end, transient failures retried.

Owns concurrency and the waiting between tries for programs that end (`sync`, `copy`). Streams: never more items in
memory than workers. What is to come last waits for the rest.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
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


class LastOf:
    """Some steps wait for all others: deletions for copies, which may be made of the object that goes."""

    def __init__(self) -> None:
        self._running = 0
        self._ended = asyncio.Event()
        self._ended.set()

    @asynccontextmanager
    async def turn(self, *, last: bool) -> AsyncIterator[None]:
        """One step. A `last` one begins at a moment when none of the others runs."""
        if last:
            await self._ended.wait()
            yield
            return
        self._running += 1
        self._ended.clear()
        try:
            yield
        finally:
            self._running -= 1
            if not self._running:
                self._ended.set()


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
