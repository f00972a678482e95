"""Answers that take long, for callers that ask again and again: those of pages with a million items.

Owns how long an answer is reused, so that a page that is open costs at most a fifth of the journal's time.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

from mirrord.ports import Clock

SLOW = 0.2
"""Seconds above which an answer is reused."""
FRESH_FOR, LONGEST_FRESH = 5.0, 30.0
"""It is reused for this many times its duration, at most for so many seconds."""
_MOST = 20

T = TypeVar("T")


class SlowAnswers(Generic[T]):
    """The last slow answers, by what was asked."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: dict[Hashable, tuple[float, T]] = {}  # until when (monotonic), the oldest first
        self._asking: WeakValueDictionary[Hashable, asyncio.Lock] = WeakValueDictionary()

    async def get(self, asked: Hashable, ask: Callable[[], Awaitable[T]]) -> T:
        """The answer to `asked`: a kept one, or that of `ask`. The same is asked once at a time."""
        lock = self._asking.setdefault(asked, asyncio.Lock())
        async with lock:
            began = self._clock.monotonic()
            self._kept = {key: kept for key, kept in self._kept.items() if kept[0] > began}
            if asked in self._kept:
                return self._kept[asked][1]
            answer = await ask()
            ended = self._clock.monotonic()
            if ended - began > SLOW:
                self._kept[asked] = ended + min(LONGEST_FRESH, FRESH_FOR * (ended - began)), answer
                self._kept = dict(list(self._kept.items())[-_MOST:])
            return answer
