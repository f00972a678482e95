"""The rates at which bytes may be read, by time of day."""

from mirrord.frozen import frozen

MINUTES_OF_A_DAY = 24 * 60


@frozen
class RateWindow:
    """The rate from the minute `start` of each day until `end`; a window whose `end` is not later goes over midnight.

    `rate` in bytes a second; None: unlimited."""

    start: int
    end: int
    rate: int | None

    def minutes(self) -> frozenset[int]:
        """The minutes of the day within it."""
        length = (self.end - self.start) % MINUTES_OF_A_DAY or MINUTES_OF_A_DAY
        return frozenset((self.start + minute) % MINUTES_OF_A_DAY for minute in range(length))


@frozen
class BandwidthLimits:
    """Windows that do not overlap, and the rate of all other times, in bytes a second; None: unlimited.

    `timezone`: an IANA name; None: UTC, as for cron."""

    windows: tuple[RateWindow, ...] = ()
    default: int | None = None
    timezone: str | None = None

    @property
    def never(self) -> bool:
        """Whether no time has a limit."""
        return self.default is None and all(one.rate is None for one in self.windows)


UNLIMITED = BandwidthLimits()
