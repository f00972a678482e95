"""The limit on requests a second to one host of sources (`daemon.per_host.requests_per_second`).

Owns a token bucket for each host. Each request takes a token directly before it is sent, first come, first served:
probes, ranges, lists, and each hop of redirects at its own host. A check that would find no token is not begun: it
returns its slot, and gets a turn (`planning.timing.request_rate`). So a slow host delays no item of another one. No
deadline counts the wait. Where nothing is limited, no host is known here.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import random

from mirrord.model import host_of
from mirrord.planning.timing.bandwidth import TokenBucket, refilled, spent, wait_for
from mirrord.planning.timing.request_rate import SHORT, RequestLine, most_tokens, turn, without_turn

_LOOK_AGAIN = 1.0
"""Seconds until the rate is looked up again, which a reload may change."""
_MOST_IDLE = 1_000
"""Hosts that are kept although nothing waits there."""


@dataclass(slots=True)
class HostRequests:
    """One host. Its bucket begins full."""

    bucket: TokenBucket
    next: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0
    """Requests that wait for a token."""
    begun: set[str] = field(default_factory=set)
    """Ids of items that were let through and have sent no request yet."""
    line: RequestLine = field(default_factory=RequestLine)
    turns: dict[str, float] = field(default_factory=dict)
    """When the turn of an item is, by its id."""

    @property
    def idle(self) -> bool:
        return not (self.waiting or self.begun or self.turns)


class RequestRates:
    """`ports.RequestPace` of a process, and who may begin. Belongs to one event loop.

    `rate`: requests a second to each host; None: any number. `monotonic` and `sleep` as those of `ports.Clock`;
    `chance` is uniform in [0, 1).
    """

    def __init__(
        self,
        rate: float | None = None,
        *,
        monotonic: Callable[[], float] = lambda: asyncio.get_running_loop().time(),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random,
    ) -> None:
        self.rate = rate
        self._monotonic = monotonic
        self._sleep = sleep
        self._chance = chance
        self._hosts: dict[str, HostRequests] = {}

    def use(self, rate: float | None) -> None:
        """Use this rate from now on, also for requests that wait."""
        if rate != self.rate:
            self.rate = rate
            for host in self._hosts.values():
                host.line = RequestLine()
                host.turns.clear()

    async def next_request(self, address: str) -> None:
        """See `ports.RequestPace`."""
        rate = self.rate
        if rate is None or (name := host_of(address)) is None:
            return
        host = self._host(name, rate)
        if host.begun:
            host.begun.pop()
        host.waiting += 1
        try:
            async with host.next:
                while (rate := self.rate) is not None and (wait := self._wait(host, rate, 1)):
                    await self._sleep(min(wait, _LOOK_AGAIN))
                host.bucket = spent(host.bucket, 1)
        finally:
            host.waiting -= 1

    def begin(self, item_id: str, address: str) -> float:
        """Seconds until the item may be checked; 0: now, and `left` must follow."""
        if (rate := self.rate) is None or (name := host_of(address)) is None:
            return 0.0
        host, now = self._host(name, rate), self._monotonic()
        turn_at = host.turns.get(item_id)
        if turn_at is not None and turn_at > now + SHORT:
            return turn_at - now
        has_turn = host.turns.pop(item_id, None) is not None
        wait = self._wait(host, rate, host.waiting + len(host.begun) + 1)
        is_next = (has_turn or host.line.until <= now) and wait <= SHORT
        if is_next or (has_turn and host.waiting and not host.begun):  # ranges of a transfer would take each token
            host.begun.add(item_id)
            return 0.0
        host.line, delay = turn(host.line, now, wait, rate)
        if delay is not None:
            self._give(host, item_id, now, now + delay)
            return delay or SHORT
        host.line, delay = without_turn(host.line, now, rate, self._chance())
        return delay

    def left(self, item_id: str, address: str) -> None:
        """The check of an item that was let through has ended."""
        known = self._hosts.get(host_of(address) or "") if self._hosts else None
        if known is not None:
            known.begun.discard(item_id)

    def _give(self, host: HostRequests, item_id: str, now: float, at: float) -> None:
        """Keep the turn. Those that were not used, because their items left, are forgotten."""
        first = next(iter(host.turns), None)
        while first is not None and host.turns[first] < now - 60.0:
            del host.turns[first]
            first = next(iter(host.turns), None)
        host.turns[item_id] = at

    def _wait(self, host: HostRequests, rate: float, tokens: int) -> float:
        host.bucket = refilled(host.bucket, self._monotonic(), rate, most_tokens(rate))
        return wait_for(host.bucket, tokens, rate)

    def _host(self, name: str, rate: float) -> HostRequests:
        if (known := self._hosts.get(name)) is not None:
            return known
        if len(self._hosts) >= _MOST_IDLE:
            now = self._monotonic()
            self._hosts = {
                one: host for one, host in self._hosts.items() if not host.idle or now - host.bucket.at < 1 / rate
            }
        self._hosts[name] = made = HostRequests(TokenBucket(most_tokens(rate), self._monotonic()))
        return made
