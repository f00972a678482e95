"""When an item may begin whose host has a limit on requests a second. Pure: times, rate and chance are parameters.

Owns the arithmetic. The tokens of a host are those of `bandwidth.TokenBucket`, one for each request. An item that finds
none gets a turn: a moment of its own, 1/rate after the turn before it, so that no item is asked often in vain. Turns go
`longest_turn` ahead at most. Items beyond that ask again at random times, less often the more of them there are.
`reconcile.request_rates` has the hosts and waits.
"""

from dataclasses import replace

from mirrord.frozen import frozen

CATCH_UP = 0.1
"""Seconds of the rate that may be sent at once after a pause (at least one request): late timers lose nothing."""
SHORT = 0.05
"""Seconds. A wait of this length is no reason to put an item off: it waits when it sends its request."""
_AHEAD = 5.0
_EACH = 0.005
"""Seconds between two items without a turn that ask again: 200 a second, also if there are a million of them."""


def most_tokens(rate: float) -> float:
    """The largest number of requests that are sent at once."""
    return max(1.0, CATCH_UP * rate)


def longest_turn(rate: float) -> float:
    """Seconds that turns go ahead at most: another rate after a reload is soon in force for all items."""
    return max(_AHEAD, 2 / rate)


@frozen(kw_only=True)
class RequestLine:
    """The items that wait for one host. Times are monotonic seconds."""

    until: float = 0.0
    """All turns before this time are given."""
    since: float = 0.0
    asked: int = 0
    """Items that got no turn since `since`."""
    crowd: int = 0
    """The same of the period before."""


def turn(line: RequestLine, now: float, wait: float, rate: float) -> tuple[RequestLine, float | None]:
    """The next turn, not before `wait` seconds from now, in seconds from now; None: it would be too far ahead."""
    at = max(line.until, now + wait)
    if at - now > longest_turn(rate):
        return line, None
    return replace(line, until=at + 1 / rate), at - now


def without_turn(line: RequestLine, now: float, rate: float, chance: float) -> tuple[RequestLine, float]:
    """Seconds until an item without a turn asks again; `chance` is uniform in [0, 1).

    Each of these items asks about once in a period, so the count of a period is their number.
    """
    if now - line.since >= 2 * _period(line, rate):
        line = RequestLine(until=line.until, since=now, crowd=line.asked)
    line = replace(line, asked=line.asked + 1)
    return line, _period(line, rate) * (1.0 + chance)


def _period(line: RequestLine, rate: float) -> float:
    return max(longest_turn(rate) / 2, _EACH * max(line.crowd, line.asked))
