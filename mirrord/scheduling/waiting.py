"""The checks that are planned: soon ones are in the queue, the others in `Later`, from which they move to the queue.

Owns how much the queue holds, so that a million items need little memory, also where all are due at once; and that
every lane has its share of the queue, so that an entry with a million due items does not keep others out of it.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf

from mirrord.aio import drain
from mirrord.ports import Clock, Queue
from mirrord.scheduling.later import SPAN, Later

MOST_QUEUED = 10_000
"""Items that were moved to the queue, or put into it because they are due soon, and not begun: all lanes together."""
LEAST_SHARE = 50
"""Such items that each lane may have, however many lanes there are."""
_STEP = 500  # items after which the loop can run other tasks


@dataclass(slots=True)
class Waiting:
    """Tickets as those of `ports.Queue`, by the same clock. What is not due soon is moved by `run`."""

    queue: Queue
    clock: Clock
    lane_of: Callable[[str], str]
    """The lane of an item."""
    _later: dict[str, Later] = field(default_factory=dict, init=False)  # by lane
    _queued: dict[str, str] = field(default_factory=dict, init=False)  # the lane of each
    _counts: Counter[str] = field(default_factory=Counter, init=False)  # of them, by lane
    _news: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    async def enqueue(self, item_id: str, delay: float = 0.0) -> None:
        """See `ports.Queue`."""
        lane = self._queued.get(item_id)
        if lane is not None or (delay <= SPAN and self._room(self.lane_of(item_id)) > 0):
            await self._queue(item_id, delay, lane or self.lane_of(item_id))
            return
        lane = self.lane_of(item_id)
        if lane not in self._later:
            self._later[lane] = Later()
        self._later[lane].put(item_id, self.clock.monotonic() + delay)
        self._news.set()

    async def cancel(self, item_id: str) -> None:
        """See `ports.Queue`. A reload may have changed the lane of the item."""
        for later in self._later.values():
            later.discard(item_id)
        self._left(item_id)
        await self.queue.cancel(item_id)

    def begun(self, item_id: str) -> None:
        """The check of the item begins: its ticket is used."""
        lane = self._left(item_id) or self.lane_of(item_id)
        if (later := self._later.get(lane)) is not None:
            later.discard(item_id)
            if self._room(lane) * 2 > self._share:
                self._news.set()

    def overdue(self) -> int:
        """How many items are due that are not in the queue."""
        now = self.clock.monotonic()
        return sum(later.overdue(now) for later in self._later.values())

    async def run(self) -> None:
        """Move what is due soon to the queue, until cancelled."""
        while True:
            self._news.clear()
            for lane in list(self._later):
                await self._move(lane)
            waiting = (later.next_due() for lane, later in self._later.items() if self._room(lane) * 2 > self._share)
            due = min(waiting, default=None)
            await self._wait(None if due is None else due - SPAN - self.clock.monotonic())

    @property
    def _share(self) -> int:
        return max(LEAST_SHARE, MOST_QUEUED // max(1, len(self._later)))

    def _room(self, lane: str) -> int:
        return self._share - self._counts[lane]

    async def _move(self, lane: str) -> None:
        later, moved = self._later[lane], 0
        while self._room(lane) > 0:
            now = self.clock.monotonic()
            found = later.take(now + SPAN)
            if found is None:
                if not len(later):
                    self._later.pop(lane, None)
                return
            await self._queue(found[0], found[1] - now, lane)
            moved += 1
            if moved % _STEP == 0:
                await asyncio.sleep(0)

    async def _queue(self, item_id: str, delay: float, lane: str) -> None:
        if (later := self._later.get(lane)) is not None:
            later.discard(item_id)
        if item_id not in self._queued:
            self._queued[item_id] = lane
            self._counts[lane] += 1
        await self.queue.enqueue(item_id, delay, lane)

    def _left(self, item_id: str) -> str | None:
        lane = self._queued.pop(item_id, None)
        if lane is not None:
            self._counts[lane] -= 1
            if not self._counts[lane]:
                del self._counts[lane]
        return lane

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
