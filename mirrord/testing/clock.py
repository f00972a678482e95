"""A fake of Clock: a test moves the time. No task waits in real time; sleepers wake in the order of their times."""

import asyncio
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count

_MOST_TURNS = 100_000
_ENOUGH_TURNS = 200
"""Turns of a loop that does not show what is ready (uvloop), after which nothing is taken to be ready any more."""


class ManualClock:
    """`ports.Clock`. Time stands still except in `await clock.advance(60)`, during which a minute passes.

    `now` is the start in seconds since the epoch; `monotonic` starts at 0. Threads and sockets are not waited for.
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
        """Set the wall clock ahead; below 0: back. The monotonic time stays."""
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
        """How many tasks wait for time to pass."""
        return sum(not wake.done() for _, _, wake in self._sleepers)

    async def settle(self) -> None:
        """Let every task run until it waits for time, a thread or a socket."""
        ready = getattr(asyncio.get_running_loop(), "_ready", None)
        for turn in range(_MOST_TURNS):
            await asyncio.sleep(0)
            if turn >= _ENOUGH_TURNS if ready is None else not ready:
                return
        raise AssertionError("a task runs without end and does not let time pass")

    async def advance(self, seconds: float) -> None:
        """Let time pass. Each sleeper wakes at its own time; what it starts may sleep within the same span."""
        end = self._elapsed + seconds
        await self.settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            at, _, wake = heappop(self._sleepers)
            if wake.done():
                continue
            self._elapsed = max(self._elapsed, at)
            wake.set_result(None)
            await self.settle()
        self._elapsed = end
        await self.settle()


class AutoAdvancingClock(ManualClock):
    """A clock whose sleepers wake at once: each sleep moves the time. For code that sleeps while nothing else runs.

    `slept` has the seconds of each sleep; `meanwhile` is called during each.
    """

    def __init__(self, now: float = 1_700_000_000.0, meanwhile: Callable[[], object] | None = None) -> None:
        super().__init__(now)
        self.meanwhile = meanwhile
        self.slept: list[float] = []

    def move(self, seconds: float) -> None:
        """Let time pass, at once."""
        self._elapsed += seconds

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.move(max(seconds, 0.0))
        if self.meanwhile is not None:
            self.meanwhile()
        await asyncio.sleep(0)
