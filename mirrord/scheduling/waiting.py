"""The checks that are planned: soon ones are in the queue, the others in `Later`, from which they move to the queue.

Owns how much the queue holds, so that a million items need little memory, also where all are due at once.
"""

import asyncio
from dataclasses import dataclass, field
from math import inf

from mirrord.aio import drain
from mirrord.ports import Clock, Queue
from mirrord.scheduling.later import SPAN, Later

MOST_QUEUED = 10_000
"""Items that were moved to the queue, or put into it because they are due soon, and not begun."""
_ENOUGH = MOST_QUEUED // 2
_STEP = 500  # items after which the loop can run other tasks


@dataclass(slots=True)
class Waiting:
    """Tickets as those of `ports.Queue`, by the same clock. What is not due soon is moved by `run`."""

    queue: Queue
    clock: Clock
    _later: Later = field(default_factory=Later, init=False)
    _queued: set[str] = field(default_factory=set, init=False)
    _news: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    async def enqueue(self, item_id: str, delay: float = 0.0) -> None:
        """See `ports.Queue`."""
        if item_id in self._queued or (delay <= SPAN and len(self._queued) < MOST_QUEUED):
            await self._queue(item_id, delay)
            return
        self._later.put(item_id, self.clock.monotonic() + delay)
        self._news.set()

    async def cancel(self, item_id: str) -> None:
        """See `ports.Queue`."""
        self._later.discard(item_id)
        self.begun(item_id)
        await self.queue.cancel(item_id)

    def begun(self, item_id: str) -> None:
        """The check of the item begins: its ticket is used."""
        self._later.discard(item_id)
        self._queued.discard(item_id)
        if len(self._queued) < _ENOUGH and len(self._later):
            self._news.set()

    def overdue(self) -> int:
        """How many items are due that are not in the queue."""
        return self._later.overdue(self.clock.monotonic())

    async def run(self) -> None:
        """Move what is due soon to the queue, until cancelled."""
        while True:
            self._news.clear()
            await self._move()
            free = len(self._queued) < _ENOUGH
            await self._wait(self._later.next_due() - SPAN - self.clock.monotonic() if free else None)

    async def _move(self) -> None:
        moved = 0
        while len(self._queued) < MOST_QUEUED:
            now = self.clock.monotonic()
            found = self._later.take(now + SPAN)
            if found is None:
                return
            await self._queue(found[0], found[1] - now)
            moved += 1
            if moved % _STEP == 0:
                await asyncio.sleep(0)

    async def _queue(self, item_id: str, delay: float) -> None:
        self._later.discard(item_id)
        self._queued.add(item_id)
        await self.queue.enqueue(item_id, delay)

    async def _wait(self, seconds: float | None) -> None:
        """Until there is news, or for so long."""
        timer = None if seconds is None or seconds == inf else asyncio.create_task(self._wake(max(0.0, seconds)))
        try:
            await self._news.wait()
        finally:
            if timer is not None:
                await drain([timer])

    async def _wake(self, seconds: float) -> None:
        await self.clock.sleep(seconds)
        self._news.set()
