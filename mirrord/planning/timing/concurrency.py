"""How many calls may run at once at a store or host that refuses calls. Pure: times and counts are parameters.

Additive increase, multiplicative decrease (D.-M. Chiu and R. Jain, 1989). There is no limit until a call is refused
(429, 503 SlowDown) while others run. Then half of them may run. All calls that were sent before this decrease are of
one generation: their refusals decrease nothing more, however many there are. While the limit is used in full, and calls
succeed, one more may run each second. The limit ends where it began, or when nothing was refused for a while.
`reconcile.call_limits` has the stores and hosts, and waits.
"""

from dataclasses import replace

from mirrord.frozen import frozen

GROW_EVERY = 1.0
"""Seconds between two increases, so that a store that stays at its limit refuses one call in some seconds."""
FORGOTTEN_AFTER = 600.0
"""Seconds without a refused call after which there is no limit."""


@frozen(kw_only=True)
class ConcurrencyLimit:
    """The limit of one store or host. Times are monotonic seconds."""

    limit: int
    """Calls at once, at least 1."""
    most: int
    """The most calls that ran when one was refused: at so many the limit ends."""
    changed: float
    """When `limit` changed."""
    refused: float
    """When a call was refused last."""
    generation: int = 0
    """How often the limit was decreased. A call has the generation of the moment when it was sent."""
    full: bool = False
    """Whether as many calls ran at once as are allowed, since `changed`."""
    alone: bool = False
    """The last call was refused although no other ran: fewer calls at once do not help."""


def refused(known: ConcurrencyLimit | None, running: int, generation: int, now: float) -> ConcurrencyLimit | None:
    """After a call of this generation was refused; `running`: calls that run, with it. None: there is no limit."""
    if known is None:
        if running < 2:
            return None
        known = ConcurrencyLimit(limit=running, most=running, changed=now, refused=now)
    known = replace(known, most=max(known.most, running), refused=now)
    if generation < known.generation:
        return known
    at_once = min(known.limit, running)
    return replace(
        known,
        limit=(at_once + 1) // 2,
        changed=now,
        generation=known.generation + 1,
        full=False,
        alone=at_once < 2,
    )


def answered(known: ConcurrencyLimit, now: float) -> ConcurrencyLimit | None:
    """After a call succeeded. None: there is no limit any more."""
    if now - known.refused >= FORGOTTEN_AFTER:
        return None
    if known.full and now - known.changed >= GROW_EVERY:
        limit = known.limit + 1
        return replace(known, limit=limit, changed=now, full=False, alone=False) if limit < known.most else None
    return replace(known, alone=False) if known.alone else known


def begun(known: ConcurrencyLimit, running: int) -> ConcurrencyLimit:
    """After a call began; `running`: calls that run, with it."""
    return replace(known, full=True) if running >= known.limit and not known.full else known
