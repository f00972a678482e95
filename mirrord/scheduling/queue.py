"""Which items are looked at when, in one process: `ports.Queue` over a heap and one timer.

Owns the order of time, the bound on what runs at once, and that one item never overlaps itself. Knows nothing of what
a look is, nor when the next one shall be: `scheduling.scheduler` does. Lives on one event loop and in memory only;
the journal's `next_check` is what a restart knows.

Each waiting item costs one entry in a heap and one in a dict; a wish that was replaced stays in the heap until it
comes up or the heap is swept, which keeps every step O(log n).
"""

import asyncio
import math
from collections.abc import Collection
from heapq import heapify, heappop, heappush
from logging import getLogger

from mirrord.aio import drain
from mirrord.ports import Clock, Work

_log = getLogger(__name__)

AFTER_FAULT = 60.0
"""Seconds until an item is looked at again whose work raised: a fault of ours must not lose the item."""
_SWEEP_FROM = 64


class LocalQueue:
    """ports.Queue in one process, by one clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._wishes: dict[str, float] = {}  # item id -> due, by the monotonic clock
        self._heap: list[tuple[float, str]] = []  # of items that do not run; true where the wish is the same
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._unwanted: set[asyncio.Task[None]] = set()  # cancelled by `cancel`: no second look
        self._work: Work | None = None
        self._concurrency = 0
        self._timer: asyncio.Task[None] | None = None
        self._timed = math.inf
        self._poked = False
        self._stopping = asyncio.Event()

    # ── what it holds ────────────────────────────────────────────────────────────────────────────
    def __len__(self) -> int:
        """Items that wait, due or not; not those that run."""
        return len(self._wishes) - sum(item_id in self._wishes for item_id in self._tasks)

    @property
    def running(self) -> Collection[str]:
        """The items that are looked at now."""
        return self._tasks.keys()

    @property
    def due(self) -> int:
        """How many wait although their time has come: what a larger bound would start at once."""
        now = self._clock.monotonic()
        again = sum(self._wishes.get(item_id, math.inf) <= now for item_id in self._tasks)
        return sum(map(now.__ge__, self._wishes.values())) - again

    # ── wishes ───────────────────────────────────────────────────────────────────────────────────
    async def enqueue(self, item_id: str, delay: float = 0.0) -> None:
        """See ports.Queue."""
        due = self._clock.monotonic() + delay
        if due >= self._wishes.get(item_id, math.inf):
            return
        self._wishes[item_id] = due
        if item_id not in self._tasks:
            self._push(due, item_id)
            self._poke()

    async def cancel(self, item_id: str) -> None:
        """See ports.Queue."""
        self._wishes.pop(item_id, None)
        if task := self._tasks.get(item_id):
            self._unwanted.add(task)
            await drain([task])

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
        """Start what is due in the next turn of the loop: a batch of wishes is looked through once."""
        if self._work is not None and not self._poked:
            self._poked = True
            asyncio.get_running_loop().call_soon(self._start_due)

    def _start_due(self) -> None:
        self._poked = False
        now = self._clock.monotonic()
        while self._work is not None and len(self._tasks) < self._concurrency and self._next_due() <= now:
            _, item_id = heappop(self._heap)
            del self._wishes[item_id]
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
            if task not in self._unwanted:  # we were stopped, or it was cut short by a mistake
                self._wishes[item_id] = min(self._clock.monotonic(), self._wishes.get(item_id, math.inf))
        elif error := task.exception():
            _log.error("the look at an item raised", exc_info=error, extra={"item": item_id})
            self._wishes.setdefault(item_id, self._clock.monotonic() + AFTER_FAULT)
        self._unwanted.discard(task)
        if item_id in self._wishes:
            self._push(self._wishes[item_id], item_id)
        self._poke()

    # ── time ─────────────────────────────────────────────────────────────────────────────────────
    def _push(self, due: float, item_id: str) -> None:
        heappush(self._heap, (due, item_id))
        if len(self._heap) > _SWEEP_FROM + 2 * len(self._wishes):
            self._heap = [entry for entry in set(self._heap) if self._true(entry)]
            heapify(self._heap)

    def _true(self, entry: tuple[float, str]) -> bool:
        due, item_id = entry
        return self._wishes.get(item_id) == due and item_id not in self._tasks

    def _next_due(self) -> float:
        while self._heap and not self._true(self._heap[0]):
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
