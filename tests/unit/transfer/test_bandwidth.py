"""The token bucket of all reads: the curve over a change of windows, reloads, fair shares, and nothing where unlimited.

The clock is set by hand, so no result depends on the speed of the machine.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from mirrord.model import UNLIMITED, BandwidthLimits, RateWindow
from mirrord.testing import ManualClock
from mirrord.transfer.bandwidth import Bandwidth
from mirrord.units import KiB, MiB

EVENING = datetime(2026, 3, 1, 17, 59, 30, tzinfo=UTC).timestamp()
WINDOWS = BandwidthLimits((RateWindow(8 * 60, 18 * 60, MiB),), default=4 * MiB)


class Origin:
    """A stream without end that gives at most `piece` bytes a read, and counts them."""

    def __init__(self, clock: ManualClock, piece: int = 1 << 30, after: float = 0.0) -> None:
        self.served = 0
        self._clock, self._piece, self._after = clock, piece, after

    async def readinto(self, view: memoryview) -> int:
        if self._after:
            await self._clock.sleep(self._after)
        count = min(len(view), self._piece)
        self.served += count
        return count


class Scene:
    def __init__(self, limits: BandwidthLimits, now: float = EVENING) -> None:
        self.clock = ManualClock(now)
        self.bandwidth = Bandwidth(limits, now=self.clock.now, monotonic=self.clock.monotonic, sleep=self.clock.sleep)
        self.readers: list[asyncio.Task[None]] = []

    def read(self, origin: Origin, size: int = 8 * MiB) -> Origin:
        """A reader that reads for ever, into a buffer of `size`."""
        self.readers.append(asyncio.create_task(self._reads(origin, memoryview(bytearray(size)))))
        return origin

    async def _reads(self, origin: Origin, view: memoryview) -> None:
        while True:
            await self.bandwidth.read(origin, view)

    async def served(self, seconds: float, *origins: Origin) -> int:
        """Bytes that these served within this time from now."""
        before = sum(one.served for one in origins)
        await self.clock.advance(seconds)
        return sum(one.served for one in origins) - before

    async def end(self) -> None:
        for one in self.readers:
            one.cancel()
        await asyncio.gather(*self.readers, return_exceptions=True)


@pytest.mark.parametrize("rate", [KiB, 20 * KiB, MiB, 200 * MiB])
@pytest.mark.parametrize("readers", [1, 7])
async def test_the_rate_is_kept_within_five_percent_over_ten_seconds(rate: int, readers: int) -> None:
    scene = Scene(BandwidthLimits(default=rate))
    origins = [scene.read(Origin(scene.clock)) for _ in range(readers)]
    assert await scene.served(10, *origins) == pytest.approx(10 * rate, rel=0.05)
    assert await scene.served(10, *origins) == pytest.approx(10 * rate, rel=0.05)
    await scene.end()


async def test_the_curve_at_the_origin_follows_the_windows() -> None:
    scene = Scene(WINDOWS)  # 30 s before the end of a window
    origins = [scene.read(Origin(scene.clock)) for _ in range(3)]
    assert await scene.served(10, *origins) == pytest.approx(10 * MiB, rel=0.05)
    assert await scene.served(19, *origins) == pytest.approx(19 * MiB, rel=0.05)
    await scene.clock.advance(2)  # 18:00
    assert await scene.served(10, *origins) == pytest.approx(40 * MiB, rel=0.05)
    await scene.end()


async def test_other_limits_apply_to_a_read_that_waits() -> None:
    scene = Scene(BandwidthLimits(default=1))
    origin = scene.read(Origin(scene.clock))
    assert await scene.served(10, origin) <= 11
    scene.bandwidth.use(BandwidthLimits(default=MiB))
    await scene.clock.advance(1)
    assert await scene.served(10, origin) == pytest.approx(10 * MiB, rel=0.05)
    scene.bandwidth.use(BandwidthLimits(default=KiB))
    await scene.clock.advance(1)
    assert await scene.served(10, origin) == pytest.approx(10 * KiB, rel=0.05)
    await scene.end()


async def test_no_limits_any_more_end_the_wait() -> None:
    scene = Scene(BandwidthLimits(default=1))
    paid = asyncio.create_task(scene.bandwidth.pay(MiB))
    await scene.clock.advance(5)
    assert not paid.done()
    scene.bandwidth.use(UNLIMITED)
    await scene.clock.advance(1)
    assert paid.done()


async def test_streams_get_equal_shares_whatever_they_ask_for() -> None:
    scene = Scene(BandwidthLimits(default=MiB))
    large = [scene.read(Origin(scene.clock), 64 * MiB) for _ in range(4)]
    small = scene.read(Origin(scene.clock), 64 * KiB)
    await scene.clock.advance(20)
    shares = [one.served for one in (*large, small)]
    assert max(shares) - min(shares) <= 64 * KiB
    await scene.end()


async def test_a_slow_source_takes_nothing_from_the_others() -> None:
    scene = Scene(BandwidthLimits(default=MiB))
    scene.read(Origin(scene.clock, piece=10, after=5.0))
    quick = scene.read(Origin(scene.clock))
    assert await scene.served(10, quick) == pytest.approx(10 * MiB, rel=0.05)
    await scene.end()


async def test_unused_time_is_not_caught_up() -> None:
    scene = Scene(BandwidthLimits(default=MiB))
    await scene.clock.advance(3600)
    origin = scene.read(Origin(scene.clock))
    assert await scene.served(10, origin) == pytest.approx(10 * MiB, rel=0.05)
    await scene.end()


async def test_bytes_that_arrived_are_paid_and_a_cancelled_wait_blocks_nobody() -> None:
    scene = Scene(BandwidthLimits(default=KiB))
    first = asyncio.create_task(scene.bandwidth.pay(100 * KiB))
    second = asyncio.create_task(scene.bandwidth.pay(2 * KiB))
    await scene.clock.advance(1)
    first.cancel()
    await scene.clock.advance(2)
    assert second.done()
    assert first.cancelled()


def refused() -> float:
    raise AssertionError("the clock was read")


@pytest.mark.parametrize("limits", [UNLIMITED, BandwidthLimits((RateWindow(0, 60, None),))])
async def test_without_a_limit_no_clock_is_read_and_no_read_is_cut(limits: BandwidthLimits) -> None:
    scene = Scene(UNLIMITED)
    monotonic: Callable[[], float] = scene.clock.monotonic
    bandwidth = Bandwidth(limits, now=refused, monotonic=monotonic)
    assert await bandwidth.read(Origin(scene.clock), memoryview(bytearray(5 * MiB))) == 5 * MiB
    await bandwidth.pay(MiB)
    assert bandwidth.rate is None
