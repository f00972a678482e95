"""When an item is looked at next: `every` on a grid with jitter, `cron` in a time zone, `never`, and after failures.

Owns the arithmetic only: times come in as seconds since the epoch (UTC), chance as a number in [0, 1). Refuses cron
lines and time zones that do not exist, with ValueError. `scheduling.scheduler` waits and looks.

A *tick* is the nominal time of a look. Ticks of `every` lie on a grid whose phase is the item's own, so that the
schedule never drifts by the time that looks take; jitter moves a look around its tick, never the grid. A look that
overruns its period skips the ticks that it missed. Cron has no jitter: who writes 03:00 means it.

In the local time of its zone a cron line with fixed hours behaves as Debian's cron(8): in the gap of a spring night
it runs once, at the first minute after the gap; in the fold of an autumn night once, in the first of the two hours.
A line with `*` in its minutes or hours follows real time through both. Without a time zone, cron means UTC. A new
item under cron waits for its first tick; a tick that was missed because mirrord was not running is made up for, and one
that the clock jumped over comes at once. A clock that is set back by up to three hours brings no tick twice.
"""

import math
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from mirrord.model import Item, Outcome, Record, Schedule, State, fingerprint
from mirrord.planning.decisions.decide import options_digest

JITTER = 0.05
"""A look comes at most this part of `every` before or after its tick."""
LONGEST_JITTER = 300.0
SPREAD_PER_ITEM = 0.001
"""Seconds between the first looks of a crowd: one item at once, 1,000 over a second."""
LONGEST_SPREAD = 1.0
CRON_EARLY = 1.0
"""A look this little ahead of a cron tick was meant for it: two clocks never agree to the millisecond."""
LARGEST_CLOCK_STEP = 3 * 3600.0
"""Seconds: a clock that is set back by more was wrong before, as in Debian's cron(8). By less, no tick comes twice."""
AFTER_LAST_RETRY = 3600.0
"""Seconds until the next look at an item whose tries are spent and that no schedule brings back."""

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


@dataclass(frozen=True, slots=True)
class Wait:
    """An item waits for `tick` and is looked at when `due`: beside its tick by jitter, ahead of it by a retry."""

    tick: float
    due: float


# ── the first look ────────────────────────────────────────────────────────────────────────────────
def first_wait(item: Item, record: Record | None, now: float, chance: float, crowd: int = 1) -> Wait | None:
    """The first look at an item that came to the desired ones with `crowd` others (itself included).

    An item that was in sync when mirrord last ran waits for its recorded next check; any other is looked at now, a
    crowd spread a little. Under `cron` only a look that was missed or cut short comes now. None: `every: never`, and
    it is done.
    """
    soon = now + first_delay(item.options.schedule, chance, crowd)
    tick = _first_tick(item, record, now)
    return None if tick is None else Wait(max(tick, soon), max(tick, soon))


def _first_tick(item: Item, record: Record | None, now: float) -> float | None:
    schedule = item.options.schedule
    if schedule.cron is not None:
        known = record is not None and record.removed is None
        if record and known and (record.condition.state in _UNFINISHED or (record.condition.next_check or now) < now):
            return now
        return cron_after(schedule.cron, schedule.timezone, now)
    if record is None or not is_current(item, record):
        return now
    if schedule.every is None:
        return None
    return now if record.condition.next_check is None else min(record.condition.next_check, now + schedule.every)


def first_delay(schedule: Schedule, chance: float, crowd: int) -> float:
    """Seconds until the look at one of `crowd` items that are due at once, never more than a second."""
    return chance * min(LONGEST_SPREAD, SPREAD_PER_ITEM * (crowd - 1), schedule.every or LONGEST_SPREAD)


def is_current(item: Item, record: Record) -> bool:
    """Whether the record says that this very definition was carried out: its source, and what is stored beside it."""
    return (
        record.condition.state is State.SYNCED
        and record.removed is None
        and record.revision is not None
        and record.revision.address == fingerprint(item.origin.address)
        and record.object.options_digest == options_digest(item.options.object)
        and not item.options.suspend
    )


# ── the next one ──────────────────────────────────────────────────────────────────────────────────
def next_wait(
    schedule: Schedule, outcome: Outcome, tick: float, began: float, now: float, chance: float
) -> Wait | None:
    """The look that follows one which `began` then, ended `now` and came to `outcome`, while `tick` was awaited.

    A look ahead of its tick (asked for by a person, or a retry) leaves the tick standing. None: not before the
    manifest changes.
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
    """The tick to await after a look that `began` then and ended `now` while `tick` was awaited; None for never."""
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
    """The cron tick to await instead of `tick`, when the wall clock, `now`, was set ahead by `jump` (back: below 0).

    A tick that was jumped over is due now, and comes once.
    """
    if schedule.cron is None or jump >= -LARGEST_CLOCK_STEP:
        return tick
    return min(tick, cron_after(schedule.cron, schedule.timezone, now))


def jitter(every: float) -> float:
    """The most seconds that a look of `every` lies off its tick."""
    return min(JITTER * every, LONGEST_JITTER)


def _offset(schedule: Schedule, chance: float) -> float:
    if schedule.cron is not None or schedule.every is None:
        return 0.0
    return jitter(schedule.every) * (2.0 * chance - 1.0)


# ── cron ──────────────────────────────────────────────────────────────────────────────────────────
def cron_after(line: str, timezone: str | None, after: float) -> float:
    """The first time of a cron line strictly after `after`, a whole second. Raises ValueError as `validate_cron`."""
    start = datetime.fromtimestamp(after, _zone(timezone))
    try:
        for moment in CronSim(_NICKNAMES.get(line.lower(), line), start):
            if moment.timestamp() > after:  # the second hour of a fold has the first one's ticks behind it
                return moment.timestamp()
    except CronSimError as error:
        raise ValueError(f'{line!r} is not a cron line ({error}); write five fields, like "0 3 * * *"') from None
    raise ValueError(f"the cron line {line!r} names no day of the next 50 years")


def validate_cron(line: str, timezone: str | None = None) -> None:
    """Raise ValueError, saying what is wrong, for a line that is no cron line or never due, and an unknown zone."""
    cron_after(line, timezone, 0.0)


def _zone(name: str | None) -> tzinfo:
    if name is None:
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown, a path, a directory of the database
        raise ValueError(f"{name!r} is not a time zone; write it like Europe/Berlin or UTC") from None
