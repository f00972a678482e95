"""The rate at a time of day, also over midnight and when clocks change, and the token bucket."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from mirrord.model import UNLIMITED, BandwidthLimits, RateWindow
from mirrord.planning.timing.bandwidth import TokenBucket, rate_at, refilled, share_of, spent, wait_for
from mirrord.units import KiB, MiB

DAY = RateWindow(8 * 60, 18 * 60, 20)
NIGHT = RateWindow(22 * 60, 6 * 60, 5)
LIMITS = BandwidthLimits((DAY, NIGHT), default=None)
IN_BERLIN = BandwidthLimits((RateWindow(2 * 60, 3 * 60, 7),), default=1, timezone="Europe/Berlin")


def at(text: str, zone: str = "UTC") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


@pytest.mark.parametrize(
    ("limits", "moment", "rate"),
    [
        (UNLIMITED, at("2026-03-01T12:00"), None),
        (BandwidthLimits(default=9), at("2026-03-01T12:00"), 9),
        (LIMITS, at("2026-03-01T07:59:59"), None),
        (LIMITS, at("2026-03-01T08:00"), 20),
        (LIMITS, at("2026-03-01T17:59:59"), 20),
        (LIMITS, at("2026-03-01T18:00"), None),
        (LIMITS, at("2026-03-01T22:00"), 5),
        (LIMITS, at("2026-03-01T00:00"), 5),
        (LIMITS, at("2026-03-01T05:59:59"), 5),
        (LIMITS, at("2026-03-01T06:00"), None),
        (BandwidthLimits((RateWindow(18 * 60, 0, 3),), 1), at("2026-03-01T23:59"), 3),
        (BandwidthLimits((RateWindow(18 * 60, 0, 3),), 1), at("2026-03-01T00:00"), 1),
        (BandwidthLimits((RateWindow(0, 0, 3),), 1), at("2026-03-01T12:00"), 3),
        (IN_BERLIN, at("2026-07-01T00:30"), 7),  # 02:30 there
        (IN_BERLIN, at("2026-07-01T02:30"), 1),
        (IN_BERLIN, at("2026-03-29T01:00"), 1),  # 03:00 there: the hour of the window does not occur
        (IN_BERLIN, at("2026-03-29T00:59"), 1),
        (IN_BERLIN, at("2026-10-25T00:30"), 7),  # 02:30 in summer time
        (IN_BERLIN, at("2026-10-25T01:30"), 7),  # 02:30 again
        (IN_BERLIN, at("2026-10-25T02:00"), 1),
    ],
)
def test_the_rate_of_a_time(limits: BandwidthLimits, moment: float, rate: int | None) -> None:
    assert rate_at(limits, moment) == rate, datetime.fromtimestamp(moment, UTC)


@pytest.mark.parametrize(
    ("limits", "never"),
    [
        (UNLIMITED, True),
        (BandwidthLimits((RateWindow(0, 60, None),)), True),
        (BandwidthLimits((RateWindow(0, 60, 1),)), False),
        (BandwidthLimits(default=1), False),
    ],
)
def test_limits_that_never_limit_anything(limits: BandwidthLimits, never: bool) -> None:
    assert limits.never is never


def test_windows_that_share_a_minute() -> None:
    assert not DAY.minutes() & NIGHT.minutes()
    assert RateWindow(23 * 60, 60, 1).minutes() == frozenset((*range(23 * 60, 24 * 60), *range(60)))
    assert len(RateWindow(0, 0, 1).minutes()) == 24 * 60


@pytest.mark.parametrize(
    ("rate", "share"), [(1, 1), (KiB, 128), (64 * KiB, 4 * KiB), (MiB, 32 * KiB), (1024 * MiB, 32 * MiB)]
)
def test_a_grant_is_small_at_every_rate(rate: int, share: int) -> None:
    assert share_of(rate) == share


def test_the_bucket_refills_up_to_its_size_and_gives_back() -> None:
    bucket = refilled(TokenBucket(0.0, 10.0), 10.5, rate=100, most=30)
    assert bucket == TokenBucket(30.0, 10.5)
    assert wait_for(bucket, 30, 100) == 0.0
    assert wait_for(spent(bucket, 30), 20, 100) == pytest.approx(0.2)
    assert spent(bucket, -5).level == 35.0
    assert refilled(bucket, 9.0, rate=100, most=30) == TokenBucket(30.0, 9.0)  # no time has passed
