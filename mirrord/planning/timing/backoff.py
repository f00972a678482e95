"""How long to wait before the next try: full jitter under a doubling bound, never less than `Retry-After`.

Owns the arithmetic only: chance comes in as a number, and the caller sleeps (`transfer.retry` is the loop). Full jitter
(a uniform draw from nothing to the bound) spreads a crowd of failed calls best: M. Brooker, "Exponential Backoff And
Jitter", AWS Architecture Blog, 2015. `Retry-After` comes in as seconds (`headers.retry_after`).
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """One rule for waiting. Seconds; `tries` counts the first one."""

    base: float = 0.5
    cap: float = 30.0
    tries: int = 5
    longest_retry_after: float = 3600.0
    """Seconds. If a server asks for more, this much is waited: a wrong clock must not stop an item for a year."""
    jitter: float = 1.0
    """The share of the bound that is drawn at random, from 0 to 1. At 0.5 each pause is at least half of the bound."""


def pause(rule: Backoff, failures: int, chance: float, retry_after: float | None = None) -> float:
    """Seconds to wait after `failures` (from 1) failed tries; `chance` is uniform in [0, 1).

    With `retry_after` the jitter comes on top of it, so that those told the same second do not return in it together.
    """
    bound = min(rule.cap, rule.base * 2.0 ** min(failures - 1, 60))
    asked = min(max(0.0, retry_after or 0.0), rule.longest_retry_after)
    return asked + bound * (1 - rule.jitter + rule.jitter * chance)


def exhausted(rule: Backoff, failures: int) -> bool:
    """Whether `failures` failed tries are all that the rule allows."""
    return failures >= rule.tries
