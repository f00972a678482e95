"""A circuit breaker for what many items depend on: a store, a host of sources. Pure: time and chance come in.

Closed, it notes the different items in a row that failed. Once there are `SUSPECTS` of them without a good answer
between, there are two cases (M. Nygard, "Release It!", 2nd ed., 5.2):

- *open*: none of them got any answer. No item is let through until a pause is over; then one probe at a time, whose
  failure opens it for longer.
- *slowed*: there were answers, and all said 5xx or 429. Items that never failed go first, one at a time; those that
  failed wait for a pause, as if it were open.

One good answer closes it in both cases. One item alone never opens it: that item has a back-off of its own. A server
that says when to come back (Retry-After) is asked nothing until then, whatever else it answers meanwhile.
"""

from dataclasses import dataclass, replace
from math import inf

from mirrord.planning.timing.backoff import Backoff, pause

RULE = Backoff(base=1.0, cap=25.0, jitter=0.5)
"""Jitter in the upper half only: a pause of nothing would be no pause."""
SUSPECTS = 5
"""Different items that failed, and no good answer between them, that open a breaker or slow it down."""
PROBE_TIMEOUT = 30.0
"""Seconds after which another item may try although the one before has not come back: its source may be slow."""
SPACING = 0.2
"""Slowed: seconds from a failure until the next item that never failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """One state of one breaker. Times are monotonic seconds; items by id."""

    suspects: frozenset[str] = frozenset()
    """Items that failed since the last good answer, at most `SUSPECTS`."""
    silent: frozenset[str] = frozenset()
    """Those of them that got no answer, since the last answer of any kind."""
    opened: int = 0
    """Failed probes in a row, with the failure that opened it; 0 is closed."""
    failures: int = 0
    """Answers in a row that were not good, from those that were let through."""
    until: float = 0.0
    """Before this no item is let through; slowed: no item that failed."""
    asked: bool = False
    """The pause is what the server asked for: it holds for all."""
    fresh_from: float = 0.0
    """Slowed: before this no item that never failed is let through."""
    turn: float = 0.0
    """Slowed: until then each moment has been promised to an item that never failed."""
    probe: str | None = None
    """The one item that tries, while it is not closed."""
    probing: float = 0.0
    """Until then no other one may."""


def is_open(breaker: Breaker) -> bool:
    """Whether nothing answers."""
    return bool(breaker.opened) and len(breaker.silent) >= SUSPECTS


def in_retry_after(breaker: Breaker, now: float) -> bool:
    """Whether the server asked to be left alone now."""
    return breaker.asked and now < breaker.until


def waits(breaker: Breaker, now: float, *, fresh: bool = False) -> float:
    """Seconds until it makes sense to ask again; 0: now. `fresh`: the item never failed."""
    if not breaker.opened:
        return 0.0
    if not fresh or is_open(breaker) or in_retry_after(breaker, now):
        return max(breaker.until - now, breaker.turn - now, RULE.base if _is_probed(breaker, now) else 0.0, 0.0)
    return max(breaker.fresh_from - now, SPACING if _is_probed(breaker, now) else 0.0, 0.0)


def _is_probed(breaker: Breaker, now: float) -> bool:
    return breaker.probe is not None and now < breaker.probing


def reserved(breaker: Breaker, now: float, wait: float) -> tuple[Breaker, float | None]:
    """A moment of its own for an item that never failed and has to wait, as seconds from now. None: all moments of
    the next `RULE.cap` seconds are taken."""
    at = max(breaker.turn, now + wait)
    if at - now > RULE.cap:
        return breaker, None
    return replace(breaker, turn=at + SPACING), at - now


def admitted(breaker: Breaker, item_id: str, until: float = inf) -> Breaker:
    """`item_id`, for which `waits` said 0, is let through; until then no other one is, if it does not come back."""
    return replace(breaker, probe=item_id, probing=until) if breaker.opened else breaker


def returned(breaker: Breaker, item_id: str) -> Breaker:
    """`item_id` came back, whatever it learned: another one may probe."""
    return replace(breaker, probe=None) if breaker.probe == item_id else breaker


def reached(breaker: Breaker) -> Breaker:
    """Somebody got a good answer that says little of the next one: to a HEAD before a write."""
    return replace(breaker, silent=frozenset())


def answered(breaker: Breaker, now: float) -> Breaker:
    """Somebody got a good answer. It does not cut short a pause that was asked for."""
    return breaker if in_retry_after(breaker, now) else Breaker()


def failed(
    breaker: Breaker,
    item_id: str,
    now: float,
    chance: float,
    retry_after: float | None = None,
    *,
    answer: bool = False,
    fresh: bool = False,
) -> Breaker:
    """`item_id` got no answer; or, with `answer`, 5xx or 429, which may say to come back in `retry_after` seconds.

    `chance` is within [0, 1); `fresh`: the item never failed before.
    """
    after = _noted(breaker, item_id, answer=answer or bool(retry_after))
    is_probe = breaker.probe == item_id
    if retry_after:
        until = now + min(retry_after, RULE.longest_retry_after)
        opened = breaker.opened + (is_probe or not breaker.opened)
        return replace(after, opened=opened, until=max(breaker.until, until), asked=True)
    if not breaker.opened:
        full = len(after.suspects) >= SUSPECTS
        return replace(after, opened=1, until=now + pause(RULE, 1, chance)) if full else after
    if not is_probe:  # those let through before it opened are late news
        return after
    after = replace(after, asked=False, fresh_from=now + SPACING)
    if fresh and not is_open(after):
        return after
    opened = breaker.opened + 1
    return replace(after, opened=opened, until=now + pause(RULE, opened, chance))


def _noted(breaker: Breaker, item_id: str, *, answer: bool) -> Breaker:
    """The breaker, knowing of a failure of `item_id`."""
    counts = not breaker.opened or breaker.probe == item_id
    return replace(
        returned(breaker, item_id),
        suspects=_with(breaker.suspects, item_id),
        silent=frozenset() if answer else _with(breaker.silent, item_id),
        failures=breaker.failures + counts,
    )


def _with(items: frozenset[str], item_id: str) -> frozenset[str]:
    return items if len(items) >= SUSPECTS else items | {item_id}
