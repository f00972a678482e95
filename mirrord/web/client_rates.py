"""How many requests one client may send in a time, so that none takes the event loop from transfers.

Owns the bound, and who is one client: an address, or all clients of a Unix socket together. `connections` bounds how
many requests are answered at a time.
"""

import math
from collections.abc import Callable
from time import monotonic_ns

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from mirrord.web.routes import PROBES, problem_response

PER_SECOND, AT_ONCE = 100, 2_000
"""Requests of one client: on average, and at once after a time without any. The page sends a few a second."""
MOST_CLIENTS = 1_024
"""Of which the last request is remembered. The oldest is forgotten for another."""


class ClientRates:
    """Counts the requests of each client."""

    def __init__(
        self, per_second: float = PER_SECOND, at_once: int = AT_ONCE, clock: Callable[[], int] = monotonic_ns
    ) -> None:
        self._per_second = per_second
        self._interval = round(1e9 / per_second)  # in ns, as all times here
        self._ahead = (at_once - 1) * self._interval  # how far a client's next turn may be in the future
        self._clock = clock
        self._turns: dict[str, int] = {}  # of the next request at the average rate; the last one asked at the end

    def seconds_until(self, client: str) -> float:
        """Count a request of the client, and return 0.0; or do not, and return the seconds after which it may ask."""
        now = self._clock()
        turn = max(now, self._turns.pop(client, now))
        early = turn - now - self._ahead
        self._turns[client] = turn if early > 0 else turn + self._interval
        if len(self._turns) > MOST_CLIENTS:
            del self._turns[next(iter(self._turns))]
        return max(0, early) / 1e9

    def middleware(self) -> Middleware:
        """Refuses what is too much with 429 and Retry-After (RFC 6585 4). Probes are always answered."""

        @web.middleware
        async def counts(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.path in PROBES or not (wait := self.seconds_until(request.remote or "")):
                return await handler(request)
            reason = f"this address sends more than {self._per_second:g} requests a second"
            return problem_response(request, 429, reason, {"Retry-After": str(math.ceil(wait))})

        return counts
