"""A circuit breaker for whatever many items depend on: a store, a host of sources. Pure: time and chance come in.

Closed, it counts the items in a row that got no answer. Open, nobody is let through until a pause is over; then one
probe at a time, whose answer closes it and whose failure opens it for longer (M. Nygard, "Release It!", 2nd ed., 5.2).
One item alone never opens it: that item has a back-off of its own. A server that says when to come back (Retry-After)
opens it at once, until then, whatever else it answers meanwhile.
"""

from dataclasses import dataclass, replace

from mirrord.planning.backoff import Backoff

RULE = Backoff(base=1.0, cap=25.0)
SUSPECTS = 5
"""Different items without an answer, and none with one between them, that open a breaker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """One state of one breaker. Times are monotonic seconds; items by id."""

    suspects: frozenset[str] = frozenset()
    opened: int = 0
    """Times in a row: 0 is closed."""
    until: float = 0.0
    """While open: before this nobody is let through."""
    asked: bool = False
    """The pause is what the server asked for."""
    probe: str | None = None
    """Half open: the item that tries."""


def waits(breaker: Breaker, now: float) -> float:
    """Seconds until it makes sense to ask again; 0: now."""
    if not breaker.opened:
        return 0.0
    return max(breaker.until - now, RULE.base if breaker.probe is not None else 0.0, 0.0)


def entered(breaker: Breaker, item_id: str) -> Breaker:
    """`item_id`, for which `waits` said 0, is let through."""
    return replace(breaker, probe=item_id) if breaker.opened else breaker


def left(breaker: Breaker, item_id: str) -> Breaker:
    """`item_id` came back, whatever it learned: another one may probe."""
    return replace(breaker, probe=None) if breaker.probe == item_id else breaker


def answered(breaker: Breaker, now: float) -> Breaker:
    """Somebody got an answer. It does not cut short a pause that was asked for."""
    return breaker if breaker.asked and now < breaker.until else Breaker()


def failed(breaker: Breaker, item_id: str, now: float, chance: float, retry_after: float | None = None) -> Breaker:
    """`item_id` got no answer, or one that says to come back in `retry_after` seconds. `chance` is within [0, 1)."""
    counts = not breaker.opened or breaker.probe == item_id  # those let through before it opened are late news
    opened = breaker.opened + counts
    if retry_after:
        until = now + min(retry_after, RULE.longest_retry_after)
        return Breaker(opened=opened, until=max(breaker.until, until), asked=True, probe=left(breaker, item_id).probe)
    if breaker.opened:
        longer = replace(left(breaker, item_id), opened=opened, until=now + _pause(opened, chance), asked=False)
        return longer if counts else breaker
    suspects = breaker.suspects | {item_id}
    if len(suspects) < SUSPECTS:
        return replace(breaker, suspects=suspects)
    return Breaker(opened=1, until=now + _pause(1, chance))


def _pause(opened: int, chance: float) -> float:
    """Doubling, with jitter in its upper half only: a pause of nothing would be no pause."""
    return min(RULE.cap, RULE.base * 2.0 ** min(opened - 1, 60)) * (0.5 + chance / 2)
