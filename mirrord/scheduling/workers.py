"""A bounded number of workers for a stream of items: each item is reconciled to its end, with retries.

Owns concurrency and the pauses between attempts for programs that end (`sync`, `copy`). Streams: in memory are only the
items that are worked on and those that wait for their next attempt. Deletions wait for all other items.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Protocol, TypeVar

from mirrord.aio import drain
from mirrord.frozen import frozen
from mirrord.model import Item, Outcome
from mirrord.ports import Clock

T = TypeVar("T")

MOST_WAITING = 2_000
"""Items that wait for their next attempt before no further ones are begun."""


class Sleeps(Protocol):
    """The part of a clock that is needed between two attempts."""

    async def sleep(self, seconds: float) -> None: ...


class Reconciles(Protocol):
    """One check of an item: the reconciler, or an object that wraps it. Raises JournalError only."""

    async def reconcile(self, item: Item, failures: int = 0) -> Outcome: ...


async def reconcile_with_retries(
    reconciler: Reconciles, item: Item, clock: Sleeps, before: Outcome | None = None
) -> Outcome:
    """Check `item` until no further attempt is due. Returns the last outcome. `before`: that of a first attempt, which
    was made already."""
    failures, outcome = 0, before or await reconciler.reconcile(item)
    while outcome.retry_in is not None:
        failures = outcome.failures_after(failures)
        await clock.sleep(outcome.retry_in)
        outcome = await reconciler.reconcile(item, failures)
    return outcome


class Slots:
    """`count` steps run at a time. A step that only waits frees its slot for another one meanwhile."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._free = asyncio.Semaphore(count)
        self._sleeping: dict[str, asyncio.Task[None]] = {}

    async def take(self) -> None:
        """Wait for a slot and take it."""
        await self._free.acquire()

    def free_slot(self) -> None:
        """Free the slot that was taken."""
        self._free.release()

    async def wait_until_free(self) -> None:
        """Wait until a slot is free, and take none."""
        async with self._free:
            pass

    @asynccontextmanager
    async def left(self) -> AsyncIterator[None]:
        """Without the slot that was taken; take one again at the end."""
        self.free_slot()
        try:
            yield
        finally:
            await self.take()

    async def pause(self, item_id: str, sleep: Awaitable[None]) -> None:
        """Without a slot, until `sleep` ends or `wake` is called for the item."""
        async with self.left():
            sleeping = asyncio.ensure_future(sleep)
            self._sleeping[item_id] = sleeping
            try:
                await asyncio.wait([sleeping])
            finally:
                self._sleeping.pop(item_id, None)
                await drain([sleeping])

    def wake(self, item_ids: Collection[str]) -> None:
        """End the pauses of these items."""
        for item_id in item_ids:
            if item_id in self._sleeping:
                self._sleeping[item_id].cancel()


@frozen
class Pauses(Sleeps):
    """The pauses of one item, without its slot."""

    slots: Slots
    item_id: str
    clock: Clock

    async def sleep(self, seconds: float) -> None:
        await self.slots.pause(self.item_id, self.clock.sleep(seconds))


class LastOf:
    """Some steps wait for all others: deletions for copies, whose bytes may come from the object to be deleted."""

    def __init__(self, waiting: Callable[[], AbstractAsyncContextManager[None]] = nullcontext) -> None:
        self._waiting = waiting
        self._running = 0
        self._ended = asyncio.Event()
        self._ended.set()

    @asynccontextmanager
    async def one_step(self, *, last: bool) -> AsyncIterator[None]:
        """One step. A `last` one begins at a moment when none of the others runs."""
        if last:
            while self._running:
                async with self._waiting():
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


async def work_through(items: AsyncIterator[T], handle: Callable[[T], Awaitable[None]], workers: int | Slots) -> None:
    """Call `handle` for every item, `workers` at a time. The first error ends all calls and is raised as itself.

    An item is read once a slot is free, and while a call waits without its slot, the next item takes the slot.
    """
    slots = workers if isinstance(workers, Slots) else Slots(workers)
    begun = asyncio.Semaphore(slots.count + MOST_WAITING)

    async def step(item: T) -> None:
        await handle(item)

    def ended(_: asyncio.Task[None]) -> None:
        slots.free_slot()
        begun.release()

    async def begin_all(group: asyncio.TaskGroup) -> None:
        await slots.wait_until_free()
        async for item in items:
            await begun.acquire()
            await slots.take()
            # A callback, because a task that is cancelled before its first step runs no `finally`.
            group.create_task(step(item)).add_done_callback(ended)
            await slots.wait_until_free()

    try:
        async with asyncio.TaskGroup() as group:
            await begin_all(group)
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
