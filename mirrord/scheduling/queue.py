"""When each item is checked, in one process: `ports.Queue` with one heap and one timer.

Owns the order of time, the turns of lanes, the limit on concurrent checks, and that two checks of one item never
overlap. Leaves to `scheduling.scheduler` what a check does, when the next one is due, and its lane. Lives on one event
loop and in memory only: after a restart, only the journal's `next_check` is known.
"""

import asyncio
import math
from collections import OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from logging import getLogger

from mirrord.aio import drain
from mirrord.ports import CheckItem, Clock

_log = getLogger(__name__)

AFTER_FAULT = 60.0
"""Seconds until the next check of an item whose work raised an exception: a fault must not lose the item."""
_SWEEP_FROM = 64
_FIRST = "\0first"
"""The lane of checks that a user asked for."""


_Entry = tuple[float, str, str]  # when it is due, item, lane


class Tickets:
    """Items that wait, each with the time when it is due, by the monotonic clock, and its lane.

    An item costs one entry in a heap and one in a dict. A replaced ticket stays in the heap until it is the first one,
    or until the heap is swept, so each step is O(log n). What is due moves from the heap to its lane.
    """

    def __init__(self) -> None:
        self._due: dict[str, float] = {}
        self._heap: list[_Entry] = []  # an entry is valid if its time is that of the item's ticket
        self._lanes: OrderedDict[str, deque[_Entry]] = OrderedDict()  # of due tickets; the first has the next turn

    def add(self, item_id: str, due: float, lane: str = "") -> bool:
        """Whether this ticket is earlier than the item's ticket, which it then replaces."""
        if due >= self._due.get(item_id, math.inf):
            return False
        self._due[item_id] = due
        heappush(self._heap, (due, item_id, lane))
        if len(self._heap) > _SWEEP_FROM + 2 * len(self._due):
            self._heap = [entry for entry in set(self._heap) if self._is_valid(entry)]
            heapify(self._heap)
        return True

    def discard(self, item_id: str) -> None:
        self._due.pop(item_id, None)

    def pop(self, now: float) -> str | None:
        """Take a ticket that is due by `now`: of the lane whose turn it is, the earliest one. None: there is none."""
        while self._heap and self._heap[0][0] <= now:
            entry = heappop(self._heap)
            self._lanes.setdefault(entry[2], deque()).append(entry)
        first = _FIRST if _FIRST in self._lanes else None
        while self._lanes:
            lane = first or next(iter(self._lanes))
            entry = self._lanes[lane].popleft()
            if self._lanes[lane]:
                self._lanes.move_to_end(lane)
            else:
                del self._lanes[lane]
                first = None
            if self._is_valid(entry):
                del self._due[entry[1]]
                return entry[1]
        return None

    def next_due(self) -> float:
        """When the first ticket is due; infinite if there is none."""
        if self._lanes:
            return -math.inf
        while self._heap and not self._is_valid(self._heap[0]):
            heappop(self._heap)
        return self._heap[0][0] if self._heap else math.inf

    def overdue(self, now: float) -> int:
        """How many tickets are due."""
        return sum(map(now.__ge__, self._due.values()))

    def _is_valid(self, entry: _Entry) -> bool:
        due, item_id, _ = entry
        return self._due.get(item_id) == due


@dataclass(slots=True)
class RunningCheck:
    """The check of one item, until it ends."""

    task: asyncio.Task[None]
    lane: str
    again: float = math.inf
    """When the next check of the item is due; infinite: no ticket was added."""
    cancelled: bool = False
    """By `LocalQueue.cancel`: it is not repeated."""


class LocalQueue:
    """`ports.Queue` in one process, by one clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tickets = Tickets()  # of items that are not being checked
        self._running: dict[str, RunningCheck] = {}
        self._work: CheckItem | None = None
        self._concurrency = 0
        self._apart = 0
        self._timer: asyncio.Task[None] | None = None
        self._timer_due = math.inf
        self._start_planned = False
        self._stopping = asyncio.Event()

    # ── tickets ──────────────────────────────────────────────────────────────────────────────────
    async def enqueue(self, item_id: str, delay: float = 0.0, lane: str = "") -> None:
        """See ports.Queue."""
        due, lane = self._clock.monotonic() + delay, _FIRST if delay < 0 else lane
        if running := self._running.get(item_id):
            running.again, running.lane = min(running.again, due), lane
        elif self._tickets.add(item_id, due, lane):
            self._plan_start()

    async def cancel(self, item_id: str) -> None:
        """See ports.Queue."""
        self._tickets.discard(item_id)
        if running := self._running.get(item_id):
            running.again, running.cancelled = math.inf, True
            running.task.cancel()

    async def due(self) -> int:
        """See ports.Queue."""
        return self._tickets.overdue(self._clock.monotonic())

    # ── checks ───────────────────────────────────────────────────────────────────────────────────
    @contextmanager
    def apart(self) -> Iterator[None]:
        """See ports.Queue. At the end of it more than `concurrency` checks may run for a while."""
        self._apart += 1
        self._plan_start()
        try:
            yield
        finally:
            self._apart -= 1

    @property
    def waiting_apart(self) -> int:
        """How many checks are `apart` now."""
        return self._apart

    async def run(self, work: CheckItem, concurrency: int) -> None:
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
            await drain(self._tasks())

    async def stop(self, grace: float) -> None:
        """See ports.Queue."""
        self._work = None  # no check starts after this line
        patience = asyncio.ensure_future(self._clock.sleep(grace))
        try:
            while self._running and not patience.done():
                await asyncio.wait([patience, *self._tasks()], return_when=asyncio.FIRST_COMPLETED)
        finally:
            await drain([patience, *self._tasks()])
            self._stopping.set()

    def _tasks(self) -> list[asyncio.Task[None]]:
        return [running.task for running in self._running.values()]

    def _plan_start(self) -> None:
        """Start what is due in the loop's next iteration: many tickets that are added together cost one such call."""
        if self._work is not None and not self._start_planned:
            self._start_planned = True
            asyncio.get_running_loop().call_soon(self._start_due)

    def _start_due(self) -> None:
        self._start_planned = False
        now = self._clock.monotonic()
        while self._work is not None and self._is_free() and (item_id := self._tickets.pop(now)) is not None:
            self._start(self._work, item_id)
        free = self._work is not None and self._is_free()
        self._set_timer(self._tickets.next_due() if free else math.inf)

    def _is_free(self) -> bool:
        return len(self._running) - self._apart < self._concurrency

    def _start(self, work: CheckItem, item_id: str) -> None:
        task = asyncio.create_task(work(item_id))
        self._running[item_id] = RunningCheck(task, "")
        task.add_done_callback(lambda _: self._ended(item_id))

    def _ended(self, item_id: str) -> None:
        running = self._running.pop(item_id)
        if running.task.cancelled():
            if not running.cancelled:  # the queue was stopped, or the work cancelled itself by mistake
                running.again = min(self._clock.monotonic(), running.again)
        elif error := running.task.exception():
            _log.error("the check of an item raised", exc_info=error, extra={"item": item_id})
            if running.again == math.inf:
                running.again = self._clock.monotonic() + AFTER_FAULT
        if running.again < math.inf:
            self._tickets.add(item_id, running.again, running.lane)
        self._plan_start()

    # ── time ─────────────────────────────────────────────────────────────────────────────────────
    def _set_timer(self, due: float) -> None:
        if due == self._timer_due:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_due = due
        wait = due - self._clock.monotonic()
        self._timer = None if due == math.inf else asyncio.create_task(self._wake(wait))

    async def _wake(self, wait: float) -> None:
        await self._clock.sleep(wait)
        self._timer_due = math.inf
        self._timer = None
        self._start_due()
