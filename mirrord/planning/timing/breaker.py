"""A circuit breaker for a store, or a host of sources, that many items use. Pure: time and chance are parameters.

While closed, it collects the different items in a row that failed. When there are `SUSPECTS` of them without a good
answer in between, there are two cases (M. Nygard, "Release It!", 2nd ed., 5.2):

- *open*: none of them got an answer. No item passes until a pause ends; then one trial at a time. If a trial fails,
  the next pause is longer.
- *slowed*: there were answers, all of them 5xx or 429. Items that never failed pass first, one at a time; items that
  failed wait for a pause, as if it were open.

One good answer closes it in both cases. One item alone never opens it: the item has its own back-off. No request is
sent before the end of a Retry-After, whatever other responses arrive meanwhile.
"""

from dataclasses import replace
from math import inf

from mirrord.frozen import frozen
from mirrord.planning.timing.backoff import Backoff, pause

RULE = Backoff(base=1.0, cap=25.0, jitter=0.5)
"""Jitter only in the upper half, so that no pause is zero."""
SUSPECTS = 5
"""Number of different failed items, without a good answer in between, that opens or slows a breaker."""
PROBE_TIMEOUT = 30.0
"""Seconds after which another item may try although the last one has not returned: its source may be slow."""
SPACING = 0.2
"""Slowed: seconds from a failure until the next item that never failed may pass."""


@frozen(kw_only=True)
class Breaker:
    """The state of one breaker. Times are monotonic seconds; items are ids."""

    suspects: frozenset[str] = frozenset()
    """Items that failed since the last good answer, at most `SUSPECTS`."""
    silent: frozenset[str] = frozenset()
    """Those of them that got no answer since the last answer of any kind."""
    opened: int = 0
    """Failed trials in a row, including the failure that opened it; 0: closed."""
    failures: int = 0
    """Results in a row that were not good, of items that passed."""
    until: float = 0.0
    """Before this time no item passes; slowed: no item that failed."""
    pause_requested: bool = False
    """The pause is a Retry-After of the server: it holds for all items."""
    fresh_from: float = 0.0
    """Slowed: before this time no item that never failed passes."""
    reserved_until: float = 0.0
    """Slowed: until this time all moments are reserved for items that never failed."""
    trial: str | None = None
    """The one item that may try while the breaker is not closed."""
    trial_until: float = 0.0
    """Until this time no other item may try."""


def is_open(breaker: Breaker) -> bool:
    """Whether it is open: there are no answers."""
    return bool(breaker.opened) and len(breaker.silent) >= SUSPECTS


def phase(breaker: Breaker, now: float) -> str:
    """For people: `closed`; `open` until the pause ends; `half-open` when one trial at a time may pass; `slowed`."""
    if not breaker.opened:
        return "closed"
    if not is_open(breaker):
        return "slowed"
    return "open" if now < breaker.until and not _trial_runs(breaker, now) else "half-open"


def in_retry_after(breaker: Breaker, now: float) -> bool:
    """Whether a Retry-After of the server holds now."""
    return breaker.pause_requested and now < breaker.until


def waits(breaker: Breaker, now: float, *, fresh: bool = False) -> float:
    """Seconds until the next request makes sense; 0: now. `fresh`: the item never failed."""
    if not breaker.opened:
        return 0.0
    if not fresh or is_open(breaker) or in_retry_after(breaker, now):
        return max(
            breaker.until - now, breaker.reserved_until - now, RULE.base if _trial_runs(breaker, now) else 0.0, 0.0
        )
    return max(breaker.fresh_from - now, SPACING if _trial_runs(breaker, now) else 0.0, 0.0)


def _trial_runs(breaker: Breaker, now: float) -> bool:
    return breaker.trial is not None and now < breaker.trial_until


def reserved(breaker: Breaker, now: float, wait: float) -> tuple[Breaker, float | None]:
    """Reserves a moment for an item that never failed and must wait; in seconds from now. None: all moments of the next
    `RULE.cap` seconds are reserved."""
    at = max(breaker.reserved_until, now + wait)
    if at - now > RULE.cap:
        return breaker, None
    return replace(breaker, reserved_until=at + SPACING), at - now


def admitted(breaker: Breaker, item_id: str, until: float = inf) -> Breaker:
    """`item_id`, for which `waits` returned 0, passes. If it does not return, no other item passes before `until`."""
    return replace(breaker, trial=item_id, trial_until=until) if breaker.opened else breaker


def returned(breaker: Breaker, item_id: str) -> Breaker:
    """`item_id` returned, with any result: the trial of another item may begin."""
    return replace(breaker, trial=None) if breaker.trial == item_id else breaker


def reached(breaker: Breaker) -> Breaker:
    """An item got a good answer that does not predict the next one: to a HEAD before a write."""
    return replace(breaker, silent=frozenset())


def answered(breaker: Breaker, now: float) -> Breaker:
    """An item got a good answer. It does not shorten a Retry-After."""
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
    """`item_id` got no answer; or, with `answer`, 5xx or 429, perhaps with `retry_after` in seconds.

    `chance` is within [0, 1); `fresh`: the item never failed before.
    """
    after = _noted(breaker, item_id, answer=answer or bool(retry_after))
    is_trial = breaker.trial == item_id
    if retry_after:
        until = now + min(retry_after, RULE.longest_retry_after)
        opened = breaker.opened + (is_trial or not breaker.opened)
        return replace(after, opened=opened, until=max(breaker.until, until), pause_requested=True)
    if not breaker.opened:
        full = len(after.suspects) >= SUSPECTS
        return replace(after, opened=1, until=now + pause(RULE, 1, chance)) if full else after
    if not is_trial:  # items that passed before it opened report late
        return after
    after = replace(after, pause_requested=False, fresh_from=now + SPACING)
    if fresh and not is_open(after):
        return after
    opened = breaker.opened + 1
    return replace(after, opened=opened, until=now + pause(RULE, opened, chance))


def _noted(breaker: Breaker, item_id: str, *, answer: bool) -> Breaker:
    """The breaker with a failure of `item_id` recorded."""
    counts = not breaker.opened or breaker.trial == item_id
    return replace(
        returned(breaker, item_id),
        suspects=_with(breaker.suspects, item_id),
        silent=frozenset() if answer else _with(breaker.silent, item_id),
        failures=breaker.failures + counts,
    )


def _with(items: frozenset[str], item_id: str) -> frozenset[str]:
    return items if len(items) >= SUSPECTS else items | {item_id}
