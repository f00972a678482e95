"""The time of the next check of an item: `every` on a grid with jitter, `cron` in a time zone, `never`, and after
failures.

Owns the arithmetic only. Parameters are times in seconds since the epoch (UTC), and chance in [0, 1). Refuses cron
lines and time zones that do not exist, with ValueError. `scheduling.scheduler` waits and starts the checks.

A *tick* is the nominal time of a check. The ticks of `every` are on a grid with the item's own phase, so that the
duration of checks does not shift the schedule. Jitter moves a check around its tick, never the grid. A check that is
longer than its period skips the ticks that it missed. Cron has no jitter: 03:00 means 03:00.

In the local time of its zone a cron line with fixed hours behaves as in Debian's cron(8): in the gap of a spring night
it runs once, in the first minute after the gap; in the repeated hour of an autumn night once, in the first of the two.
A line with `*` in its minutes or hours follows real time through both. Without a time zone, cron means UTC. A new item
with cron waits for its first tick. A tick that was missed because mirrord did not run is due at once, and so is one
that the clock skipped. If the clock is set back by up to three hours, no tick occurs twice.
"""

import math
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from mirrord.frozen import frozen
from mirrord.model import Item, Outcome, RecordedSchedule, S3Object, Schedule, SourceOptions, State
from mirrord.planning.decisions.decide import options_digest

JITTER = 0.05
"""The largest distance of a check from its tick, as a part of `every`."""
LONGEST_JITTER = 300.0
SPREAD_PER_ITEM = 0.001
"""Seconds between the first checks of items that start together: one item at once, 1,000 items within a second."""
LONGEST_SPREAD = 1.0
CRON_EARLY = 1.0
"""Seconds. A check that begins so shortly before a cron tick serves this tick: clocks differ by milliseconds."""
LARGEST_CLOCK_STEP = 3 * 3600.0
"""Seconds. A clock that is set back by more was wrong before, as in Debian's cron(8). By less, no tick occurs twice."""
AFTER_LAST_RETRY = 3600.0
"""Seconds until the next check of an item without further retries and without a schedule."""

_UNFINISHED = (State.PENDING, State.TRANSFERRING, State.RETRYING)
_NICKNAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}


@frozen
class Wait:
    """An item waits for `tick` and is checked at `due`. They differ by jitter, or by a retry before the tick."""

    tick: float
    due: float


# ── the first check ───────────────────────────────────────────────────────────────────────────────
def first_wait(
    item: Item | SourceOptions, record: RecordedSchedule | None, now: float, chance: float, crowd: int = 1
) -> Wait | None:
    """The wait for the first check of a new item. `crowd`: the number of items that are new together, including it.

    An item that was in sync when mirrord last ran waits for its recorded next check. Any other item is checked now;
    many items are spread over a short time. With `cron` only a missed or interrupted check is due now. None: the item
    has `every: never` and is in sync.
    """
    soon = now + first_delay(item.options.schedule, chance, crowd)
    tick = _first_tick(item, record, now)
    return None if tick is None else Wait(max(tick, soon), max(tick, soon))


def _first_tick(item: Item | SourceOptions, record: RecordedSchedule | None, now: float) -> float | None:
    schedule = item.options.schedule
    if schedule.cron is not None:
        known = record is not None and record.removed is None
        if record and known and (record.state in _UNFINISHED or (record.next_check or now) < now):
            return now
        return cron_after(schedule.cron, schedule.timezone, now)
    if record is None or not is_current(item, record):
        return now
    if schedule.every is None:
        return None
    return now if record.next_check is None else min(record.next_check, now + schedule.every)


def first_delay(schedule: Schedule, chance: float, crowd: int) -> float:
    """Seconds until the check of one of `crowd` items that are due together; at most one second."""
    return chance * min(LONGEST_SPREAD, SPREAD_PER_ITEM * (crowd - 1), schedule.every or LONGEST_SPREAD)


def is_current(item: Item | SourceOptions, record: RecordedSchedule) -> bool:
    """Whether the item is recorded as in sync with this definition: with its source and with its object options."""
    return (
        record.state is State.SYNCED
        and record.removed is None
        and record.address is not None
        and item.source_at(record.address) is not None
        and _is_listed_so(item, record)
        and record.options_digest == options_digest(item.options.object)
        and not item.options.suspend
    )


def _is_listed_so(item: Item | SourceOptions, record: RecordedSchedule) -> bool:
    """Whether the listing that found the source, if one did, shows the recorded revision."""
    listed = item.origin.listed if isinstance(item.origin, S3Object) else None
    return listed is None or listed.shows(record.length, record.etag)


# ── the next check ────────────────────────────────────────────────────────────────────────────────
def next_wait(
    schedule: Schedule, outcome: Outcome, tick: float, began: float, now: float, chance: float
) -> Wait | None:
    """The wait after a check that `began` then, ended `now` with `outcome`, while the item waited for `tick`.

    A check before its tick (a trigger, or a retry) does not change the tick. None: no check before the manifest
    changes.
    """
    if outcome.state is State.SUSPENDED:
        return None
    if outcome.state is State.RETRYING and outcome.retry_in is not None:
        return Wait(tick, now + outcome.retry_in)
    following = next_tick(schedule, tick, began, now)
    if following is not None:
        return Wait(following, max(now, following + _offset(schedule, chance)))
    return Wait(tick, now + AFTER_LAST_RETRY) if outcome.state is State.RETRYING else None


def next_tick(schedule: Schedule, tick: float, began: float, now: float) -> float | None:
    """The next tick after a check that `began` then and ended `now` while the item waited for `tick`; None: never."""
    if schedule.cron is not None:
        served = began >= tick - CRON_EARLY
        return cron_after(schedule.cron, schedule.timezone, max(now, tick) if served else now)
    if schedule.every is None:
        return None
    if tick > now + schedule.every:  # the clock was set back: the old grid is far away
        return now + schedule.every
    if began < tick - 2 * jitter(schedule.every) and now <= tick:
        return tick
    return tick + schedule.every * max(1, math.ceil((now - tick) / schedule.every))


def tick_after_jump(schedule: Schedule, tick: float, now: float, jump: float) -> float:
    """The next cron tick instead of `tick`, after the wall clock, `now`, was set forward by `jump` seconds (back: below
    0).

    A tick that the clock skipped is due now, once.
    """
    if schedule.cron is None or jump >= -LARGEST_CLOCK_STEP:
        return tick
    return min(tick, cron_after(schedule.cron, schedule.timezone, now))


def jitter(every: float) -> float:
    """The largest distance in seconds of a check from its tick, for an interval of `every` seconds."""
    return min(JITTER * every, LONGEST_JITTER)


def _offset(schedule: Schedule, chance: float) -> float:
    if schedule.cron is not None or schedule.every is None:
        return 0.0
    return jitter(schedule.every) * (2.0 * chance - 1.0)


# ── cron ──────────────────────────────────────────────────────────────────────────────────────────
@lru_cache(maxsize=64)  # at a start the items of a list ask for the same moment
def cron_after(line: str, timezone: str | None, after: float) -> float:
    """The first time of a cron line after `after`, a whole second. ValueError, with the reason, for an
    invalid line, a line that is never due, or an unknown time zone."""
    start = datetime.fromtimestamp(after, _zone(timezone))
    try:
        for moment in CronSim(_NICKNAMES.get(line.lower(), line), start):
            if moment.timestamp() > after:  # in the second of two equal hours, the ticks of the first are past
                return moment.timestamp()
    except CronSimError as error:
        raise ValueError(f'{line!r} is not a cron line ({error}); write five fields, like "0 3 * * *"') from None
    raise ValueError(f"the cron line {line!r} names no day of the next 50 years")


def _zone(name: str | None) -> tzinfo:
    if name is None:
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown, a path, a directory of the database
        raise ValueError(f"{name!r} is not a time zone; write it like Europe/Berlin or UTC") from None
