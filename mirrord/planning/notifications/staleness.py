"""After which time out of sync an item is stale (`stale_after`). Pure."""

from functools import lru_cache

from mirrord.model import Item, Options, Schedule
from mirrord.planning.timing.schedule import cron_after

LEAST = 3600.0
"""Seconds. No default is below it."""
_PERIODS = 3
_TICKS, _SPAN = 1_000, 8 * 86400.0
"""The ticks of a cron line that are examined: at least so many, over at least a week, within these limits:"""
_MOST_TICKS, _LONGEST_SPAN = 3_000, 400 * 86400.0
_START = 1_767_225_600.0  # 2026-01-01, so that the result does not depend on when it is asked for


def stale_after(item: Item) -> float | None:
    """Seconds out of sync after which the item is stale; None: never."""
    options: Options = item.options
    if options.suspend or options.stale_after is None:
        return None
    if options.stale_after:
        return options.stale_after
    return None if item.folder_file is not None else default_limit(options.schedule)


def can_get_stale(options: Options) -> bool:
    """Whether items of an entry with these options are expected to be in sync again and again: not one that is
    suspended, checked only on demand, or declared `stale_after: never`."""
    if options.suspend or options.stale_after is None:
        return False
    return bool(options.stale_after) or options.schedule.every is not None or options.schedule.cron is not None


def default_limit(schedule: Schedule) -> float | None:
    """Three times `every`, or three times the longest gap of `cron`; at least an hour. None for `never`."""
    if schedule.cron is not None:
        return max(LEAST, _PERIODS * longest_gap(schedule.cron, schedule.timezone))
    return None if schedule.every is None else max(LEAST, _PERIODS * schedule.every)


@lru_cache(maxsize=1_000)
def longest_gap(line: str, timezone: str | None) -> float:
    """The longest time in seconds between two ticks of a cron line."""
    gap, count, at = 0.0, 0, cron_after(line, timezone, _START)
    begin = at
    while (count < _TICKS or at - begin < _SPAN) and count < _MOST_TICKS and (not count or at - begin < _LONGEST_SPAN):
        following = cron_after(line, timezone, at)
        gap, count, at = max(gap, following - at), count + 1, following
    return gap
