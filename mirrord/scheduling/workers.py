"""A bounded number of workers on a stream of items, each item to its end, transient failures retried.

Owns concurrency and the waiting between tries for programs that end (`sync`, `copy`). Streams: never more items in
memory than workers, and than wait for their next try. What is to come last waits for the rest.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import Protocol, TypeVar

from mirrord.aio import drain
from mirrord.model import Item, Outcome
from mirrord.ports import Clock

T = TypeVar("T")

MOST_WAITING = 2_000
"""Items that wait for their next try before no further ones are begun."""


class Sleeps(Protocol):
    """What of a clock is needed between two tries."""

    async def sleep(self, seconds: float) -> None: ...


class Reconciles(Protocol):
    """One look at an item: the reconciler, or what wraps it. Raises JournalError only."""

    async def reconcile(self, item: Item, failures: int = 0) -> Outcome: ...


async def settle(reconciler: Reconciles, item: Item, clock: Sleeps) -> Outcome:
    """Look at `item` until nothing more is to be tried: the last outcome."""
    failures = 0
    while True:
        outcome = await reconciler.reconcile(item, failures)
        if outcome.retry_in is None:
            return outcome
        failures = outcome.failures_after(failures)
        await clock.sleep(outcome.retry_in)


class Slots:
    """`count` steps run at a time. A step that only waits leaves its slot to another one meanwhile."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.waiting = 0
        self.on_wait: Callable[[], None] = lambda: None
        self._free = asyncio.Semaphore(count)
        self._asleep: dict[str, asyncio.Task[None]] = {}

    async def __aenter__(self) -> None:
        await self._free.acquire()

    async def __aexit__(self, *_: object) -> None:
        self._free.release()

    @asynccontextmanager
    async def left(self) -> AsyncIterator[None]:
        """Without the slot that was taken."""
        self.waiting += 1
        self._free.release()
        self.on_wait()
        try:
            yield
        finally:
            self.waiting -= 1
            await self._free.acquire()

    async def pause(self, item_id: str, sleep: Awaitable[None]) -> None:
        """Without a slot, until `sleep` ends or `wake` names the item."""
        async with self.left():
            sleeping = asyncio.ensure_future(sleep)
            self._asleep[item_id] = sleeping
            try:
                await asyncio.wait([sleeping])
            finally:
                self._asleep.pop(item_id, None)
                await drain([sleeping])

    def wake(self, item_ids: Collection[str]) -> None:
        """These need not wait any longer."""
        for item_id in item_ids:
            if item_id in self._asleep:
                self._asleep[item_id].cancel()


@dataclass(frozen=True, slots=True)
class Pauses(Sleeps):
    """The pauses of one item, outside its slot."""

    slots: Slots
    item_id: str
    clock: Clock

    async def sleep(self, seconds: float) -> None:
        await self.slots.pause(self.item_id, self.clock.sleep(seconds))


class LastOf:
    """Some steps wait for all others: deletions for copies, which may be made of the object that goes."""

    def __init__(self, waiting: Callable[[], AbstractAsyncContextManager[None]] = nullcontext) -> None:
        self._waiting = waiting
        self._running = 0
        self._ended = asyncio.Event()
        self._ended.set()

    @asynccontextmanager
    async def turn(self, *, last: bool) -> AsyncIterator[None]:
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
    """Call `handle` for every item, `workers` at a time. The first error ends all and is raised as itself.

    While a step waits outside its slot, another worker takes its place.
    """
    turn = asyncio.Lock()  # an async generator serves one caller at a time
    slots = workers if isinstance(workers, Slots) else Slots(workers)
    alive = 0

    async def work() -> None:
        nonlocal alive
        try:
            while alive <= slots.count + slots.waiting:
                async with turn:
                    item = await anext(items, None)
                if item is None:
                    return
                async with slots:
                    await handle(item)
        finally:
            alive -= 1

    def begin() -> None:
        nonlocal alive
        if alive < slots.count + min(slots.waiting, MOST_WAITING):
            alive += 1
            group.create_task(work())

    slots.on_wait = begin
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(slots.count):
                begin()
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
