"""A fake of Clock: the test sets the time. No task waits in real time; sleeping tasks wake in order of time."""

import asyncio
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count

_MAX_ITERATIONS = 100_000
_UVLOOP_ITERATIONS = 200
"""uvloop does not show which callbacks are ready: after this many iterations of the loop, none is assumed to be."""


class ManualClock:
    """`ports.Clock`. The time changes only in `advance`: `await clock.advance(60)` is one minute.

    `now` is the start in seconds since the epoch; `monotonic` starts at 0. It does not wait for threads and sockets.
    """

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self._start = now
        self._elapsed = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = count()

    def now(self) -> float:
        return self._start + self._elapsed

    def monotonic(self) -> float:
        return self._elapsed

    def set_ahead(self, seconds: float) -> None:
        """Set the wall clock ahead; negative: back. The monotonic time does not change."""
        self._start += seconds

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        wake = asyncio.get_running_loop().create_future()
        heappush(self._sleepers, (self._elapsed + seconds, next(self._order), wake))
        await wake

    @property
    def sleeping(self) -> int:
        """The number of sleeping tasks."""
        return sum(not wake.done() for _, _, wake in self._sleepers)

    async def run_ready(self) -> None:
        """Run all tasks until each waits for the time, a thread or a socket."""
        ready = getattr(asyncio.get_running_loop(), "_ready", None)
        for iteration in range(_MAX_ITERATIONS):
            await asyncio.sleep(0)
            if iteration >= _UVLOOP_ITERATIONS if ready is None else not ready:
                return
        raise AssertionError("a task never waits for the time")

    async def advance(self, seconds: float) -> None:
        """Advance the time. Each sleeping task wakes at its own time, and may sleep again within the same call."""
        end = self._elapsed + seconds
        await self.run_ready()
        while self._sleepers and self._sleepers[0][0] <= end:
            at, _, wake = heappop(self._sleepers)
            if wake.done():
                continue
            self._elapsed = max(self._elapsed, at)
            wake.set_result(None)
            await self.run_ready()
        self._elapsed = end
        await self.run_ready()


class AutoAdvancingClock(ManualClock):
    """A clock whose `sleep` returns at once and advances the time. For code that sleeps while no other task runs.

    `slept` has the seconds of each sleep; `meanwhile` is called during each.
    """

    def __init__(self, now: float = 1_700_000_000.0, meanwhile: Callable[[], object] | None = None) -> None:
        super().__init__(now)
        self.meanwhile = meanwhile
        self.slept: list[float] = []

    def move(self, seconds: float) -> None:
        """Advance the time at once, without running other tasks."""
        self._elapsed += seconds

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.move(max(seconds, 0.0))
        if self.meanwhile is not None:
            self.meanwhile()
        await asyncio.sleep(0)
