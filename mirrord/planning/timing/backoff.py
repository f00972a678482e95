"""The pause before the next try: full jitter under a doubling bound, never less than `Retry-After`. Pure.

Owns the arithmetic only: chance is a parameter, and the caller sleeps (`transfer.retry` is the loop). Full jitter (a
uniform draw from 0 to the bound) spreads many failed calls best: M. Brooker, "Exponential Backoff And Jitter", AWS
Architecture Blog, 2015. `Retry-After` is a parameter in seconds (`headers.retry_after`).
"""

from mirrord.frozen import frozen


@frozen(kw_only=True)
class Backoff:
    """One rule for pauses, in seconds. `tries` includes the first try."""

    base: float = 0.5
    cap: float = 30.0
    tries: int = 5
    longest_retry_after: float = 3600.0
    """Seconds. The longest pause that a server can request: a wrong clock must not stop an item for a year."""
    jitter: float = 1.0
    """The random share of the bound, from 0 to 1. With 0.5 each pause is at least half of the bound."""


def pause(rule: Backoff, failures: int, chance: float, retry_after: float | None = None) -> float:
    """Seconds to wait after `failures` (from 1) failed tries; `chance` is uniform in [0, 1).

    The jitter is added to `retry_after`, so that clients with the same Retry-After do not return at the same time.
    """
    bound = min(rule.cap, rule.base * 2.0 ** min(failures - 1, 60))
    asked = min(max(0.0, retry_after or 0.0), rule.longest_retry_after)
    return asked + bound * (1 - rule.jitter + rule.jitter * chance)


def exhausted(rule: Backoff, failures: int) -> bool:
    """Whether `failures` failed tries are as many as the rule allows."""
    return failures >= rule.tries
