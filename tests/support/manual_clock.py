"""A clock that a test turns by hand: nothing waits, everything happens in the order of its time."""

import asyncio
from heapq import heappop, heappush
from itertools import count

_MOST_TURNS = 100_000


class ManualClock:
    """ports.Clock. `await clock.advance(60)` lives through the next minute."""

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
        """Somebody sets the wall clock; below 0: back. The monotonic clock knows nothing of it."""
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
        """Let every task run as far as it gets without time. Threads and sockets are not waited for."""
        ready = asyncio.get_running_loop()._ready  # type: ignore[attr-defined]
        for _ in range(_MOST_TURNS):
            await asyncio.sleep(0)
            if not ready:
                return
        raise AssertionError("some task spins without letting time pass")

    async def advance(self, seconds: float) -> None:
        """Let time pass; each sleeper wakes at its own moment, and what it starts may sleep within the same span."""
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

    def set_back(self, seconds: float) -> None:
        """The wall clock is corrected; durations are not."""
        self._start -= seconds
