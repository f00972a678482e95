"""Which items are checked when, in one process: `ports.Queue` over a heap and one timer.

Owns the order of time, the limit on concurrent checks, and that two checks of one item never overlap. Leaves to
`scheduling.scheduler` what a check is and when the next one is due. Lives on one event loop and in memory only: after
a restart, the journal's `next_check` is what is known.

Each waiting item costs one entry in a heap and one in a dict. A replaced ticket stays in the heap until it comes up or
the heap is swept, so every step stays O(log n).
"""

import asyncio
import math
from heapq import heapify, heappop, heappush
from logging import getLogger

from mirrord.aio import drain
from mirrord.ports import Clock, Work

_log = getLogger(__name__)

AFTER_FAULT = 60.0
"""Seconds until an item is checked again whose work raised an exception: a bug must not lose the item."""
_SWEEP_FROM = 64


class LocalQueue:
    """`ports.Queue` in one process, by one clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tickets: dict[str, float] = {}  # item id -> due, by the monotonic clock
        self._heap: list[tuple[float, str]] = []  # of items that are not being checked; valid if equal to the ticket
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._cancelled: set[asyncio.Task[None]] = set()  # by `cancel`: these checks are not repeated
        self._work: Work | None = None
        self._concurrency = 0
        self._timer: asyncio.Task[None] | None = None
        self._timed = math.inf
        self._poked = False
        self._stopping = asyncio.Event()

    # ── tickets ──────────────────────────────────────────────────────────────────────────────────
    async def enqueue(self, item_id: str, delay: float = 0.0) -> None:
        """See ports.Queue."""
        due = self._clock.monotonic() + delay
        if due >= self._tickets.get(item_id, math.inf):
            return
        self._tickets[item_id] = due
        if item_id not in self._tasks:
            self._push(due, item_id)
            self._poke()

    async def cancel(self, item_id: str) -> None:
        """See ports.Queue."""
        self._tickets.pop(item_id, None)
        if task := self._tasks.get(item_id):
            self._cancelled.add(task)
            task.cancel()

    async def due(self) -> int:
        """See ports.Queue."""
        now = self._clock.monotonic()
        again = sum(self._tickets.get(item_id, math.inf) <= now for item_id in self._tasks)
        return sum(map(now.__ge__, self._tickets.values())) - again

    # ── work ─────────────────────────────────────────────────────────────────────────────────────
    async def run(self, work: Work, concurrency: int) -> None:
        """See ports.Queue."""
        if self._work is not None:
            raise RuntimeError("this queue runs already")
        if self._stopping.is_set():
            return
        self._work, self._concurrency = work, concurrency
        self._start_due()
        try:
            await self._stopping.wait()
        finally:
            self._work = None
            self._set_timer(math.inf)
            await drain(self._tasks.values())

    async def stop(self, grace: float) -> None:
        """See ports.Queue."""
        self._work = None  # nothing starts from here on
        patience = asyncio.ensure_future(self._clock.sleep(grace))
        try:
            while self._tasks and not patience.done():
                await asyncio.wait([patience, *self._tasks.values()], return_when=asyncio.FIRST_COMPLETED)
        finally:
            await drain([patience, *self._tasks.values()])
            self._stopping.set()

    def _poke(self) -> None:
        """Start what is due in the next turn of the loop: many tickets enqueued together cost one pass."""
        if self._work is not None and not self._poked:
            self._poked = True
            asyncio.get_running_loop().call_soon(self._start_due)

    def _start_due(self) -> None:
        self._poked = False
        now = self._clock.monotonic()
        while self._work is not None and len(self._tasks) < self._concurrency and self._next_due() <= now:
            _, item_id = heappop(self._heap)
            del self._tickets[item_id]
            self._start(self._work, item_id)
        free = self._work is not None and len(self._tasks) < self._concurrency
        self._set_timer(self._next_due() if free else math.inf)

    def _start(self, work: Work, item_id: str) -> None:
        task = asyncio.create_task(work(item_id))
        self._tasks[item_id] = task
        task.add_done_callback(lambda task: self._ended(item_id, task))

    def _ended(self, item_id: str, task: asyncio.Task[None]) -> None:
        del self._tasks[item_id]
        if task.cancelled():
            if task not in self._cancelled:  # the queue was stopped, or the work cancelled itself by mistake
                self._tickets[item_id] = min(self._clock.monotonic(), self._tickets.get(item_id, math.inf))
        elif error := task.exception():
            _log.error("the look at an item raised", exc_info=error, extra={"item": item_id})
            self._tickets.setdefault(item_id, self._clock.monotonic() + AFTER_FAULT)
        self._cancelled.discard(task)
        if item_id in self._tickets:
            self._push(self._tickets[item_id], item_id)
        self._poke()

    # ── time ─────────────────────────────────────────────────────────────────────────────────────
    def _push(self, due: float, item_id: str) -> None:
        heappush(self._heap, (due, item_id))
        if len(self._heap) > _SWEEP_FROM + 2 * len(self._tickets):
            self._heap = [entry for entry in set(self._heap) if self._is_valid(entry)]
            heapify(self._heap)

    def _is_valid(self, entry: tuple[float, str]) -> bool:
        due, item_id = entry
        return self._tickets.get(item_id) == due and item_id not in self._tasks

    def _next_due(self) -> float:
        while self._heap and not self._is_valid(self._heap[0]):
            heappop(self._heap)
        return self._heap[0][0] if self._heap else math.inf

    def _set_timer(self, due: float) -> None:
        if due == self._timed:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timed = due
        wait = due - self._clock.monotonic()
        self._timer = None if due == math.inf else asyncio.create_task(self._ring(wait))

    async def _ring(self, wait: float) -> None:
        await self._clock.sleep(wait)
        self._timed = math.inf
        self._timer = None
        self._start_due()
