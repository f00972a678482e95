"""The rate that is allowed at a time, and the token bucket that keeps to it. Pure: times and rates are parameters.

Owns the arithmetic of limits by rate: of bytes (`transfer.bandwidth`) and of requests (`request_rate`).
A window is in the local time of its zone: in the gap of a spring night its part in the gap does not occur, and in an
autumn night the repeated hour counts both times, because limits follow the clock on the wall.
"""

from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from mirrord.frozen import frozen
from mirrord.model import BandwidthLimits

BURST = 0.2
"""Seconds of the rate that may be caught up after a pause, so that a late timer loses nothing: 2 % over 10 s."""
_SHARES = 32
"""Grants of a second at high rates; at low ones a grant is `_LEAST_SHARE`, or what an eighth of a second allows."""
_LEAST_SHARE = 4096
_ROUNDING = 1e-6
"""Tokens: sums of floats differ by less."""


def rate_at(limits: BandwidthLimits, now: float) -> int | None:
    """Bytes a second at `now` (seconds since the epoch); None: unlimited."""
    if limits.windows:
        local = datetime.fromtimestamp(now, _zone(limits.timezone))
        minute = local.hour * 60 + local.minute
        for one in limits.windows:
            inside = one.start <= minute < one.end if one.start < one.end else minute >= one.start or minute < one.end
            if inside:
                return one.rate
    return limits.default


@lru_cache(maxsize=16)
def _zone(name: str | None) -> tzinfo:
    return ZoneInfo(name) if name else UTC


def share_of(rate: float) -> int:
    """Bytes of one grant: small, so that many streams take turns and none of them is silent for long."""
    return max(1, int(max(rate / _SHARES, min(rate / 8, _LEAST_SHARE))))


@frozen
class TokenBucket:
    """`level` tokens at the time `at` (monotonic seconds)."""

    level: float = 0.0
    at: float = 0.0


def refilled(bucket: TokenBucket, now: float, rate: float, most: float) -> TokenBucket:
    """The bucket at `now`, after refilling with `rate` tokens a second up to `most`."""
    return TokenBucket(min(most, bucket.level + max(0.0, now - bucket.at) * rate), now)


def wait_for(bucket: TokenBucket, tokens: float, rate: float) -> float:
    """Seconds until the bucket has `tokens`; 0: now."""
    missing = tokens - bucket.level
    return missing / rate if missing > _ROUNDING else 0.0


def spent(bucket: TokenBucket, tokens: float) -> TokenBucket:
    """The bucket without `tokens`; negative: tokens that were not used come back."""
    return TokenBucket(bucket.level - tokens, bucket.at)
