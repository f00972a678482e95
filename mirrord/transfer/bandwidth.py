"""The limit on the bytes that are read each second: one token bucket for all reads of a process.

Owns who reads next, and how much: reads take turns, a small grant each, so that all streams get equal shares. A grant
is taken before the read, so the time that a read waits here is never time in which its source seems slow. The rate is
looked up again each second, also while reads wait: a new window, or other limits after a reload, apply to what runs.
Where nothing is limited, a read passes through. `planning.timing.bandwidth` has the arithmetic.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

from mirrord.model import UNLIMITED, BandwidthLimits
from mirrord.planning.timing.bandwidth import BURST, TokenBucket, rate_at, refilled, share_of, spent, wait_for
from mirrord.ports import ByteStream

LOOK_AGAIN = 1.0
"""Seconds until the rate is looked up again."""


class Bandwidth:
    """`count = await bandwidth.read(stream, view)` in place of `stream.readinto(view)`. Belongs to one event loop.

    `now`: seconds since the epoch; `monotonic` and `sleep` as those of `ports.Clock`.
    """

    def __init__(
        self,
        limits: BandwidthLimits = UNLIMITED,
        *,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._limits = limits
        self._never = limits.never
        self._now = now
        self._monotonic = monotonic
        self._sleep = sleep
        self._bucket = TokenBucket(0.0, monotonic())
        self._turn = asyncio.Lock()
        self._known: int | None = None
        self._look_at = 0.0

    def use(self, limits: BandwidthLimits) -> None:
        """Use these limits from now on, also for reads that wait."""
        self._limits, self._never, self._look_at = limits, limits.never, 0.0

    @property
    def rate(self) -> int | None:
        """Bytes a second that are allowed now; None: unlimited."""
        if self._never:
            return None
        now = self._monotonic()
        if now >= self._look_at or now < self._look_at - LOOK_AGAIN:
            self._known, self._look_at = rate_at(self._limits, self._now()), now + LOOK_AGAIN
        return self._known

    async def read(self, stream: ByteStream, view: memoryview) -> int:
        """As `stream.readinto(view)`, of as many bytes as are allowed now."""
        if self._never or not len(view):
            return await stream.readinto(view)
        granted = await self._grant(len(view))
        count = await stream.readinto(view[:granted])
        self._bucket = spent(self._bucket, count - granted)
        return count

    async def pay(self, size: int) -> None:
        """Wait until `size` bytes may be read, or may have been."""
        while size > 0 and not self._never:
            size -= await self._grant(size)

    async def _grant(self, most: int) -> int:
        """Wait until it is the caller's turn; the bytes that it may read, at least one and at most `most`."""
        async with self._turn:  # first come, first served
            while (rate := self.rate) is not None:
                share = min(most, share_of(rate))
                self._bucket = refilled(self._bucket, self._monotonic(), rate, max(BURST * rate, share))
                wait = wait_for(self._bucket, share, rate)
                if not wait:
                    self._bucket = spent(self._bucket, share)
                    return share
                await self._sleep(min(wait, LOOK_AGAIN))
        return most


NO_LIMIT = Bandwidth()
"""For reads of programs without settings."""
