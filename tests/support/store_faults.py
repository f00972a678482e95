"""Named faults between mirrord and a store: `Faults(proxy).on("PutObject", answer_lost)`.

Each fault acts at one of three points: before the request is forwarded, on its body, or after the store has answered.
A rule skips the first `skip` calls of its operation and applies to the next `times` calls.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from tests.support.proxy import Seen, StoreProxy

Act = Callable[[StoreProxy, web.BaseRequest], Awaitable[web.StreamResponse | None]]
ALWAYS = 10**9


@dataclass(frozen=True)
class StoreFault:
    """One fault: `before` the request is forwarded, on its body (`damage`), or `after` the store has answered."""

    name: str
    before: Act | None = None
    after: Act | None = None
    damage: Callable[[bytes], bytes] | None = None

    def __str__(self) -> str:
        return self.name


@dataclass
class Rule:
    operation: str
    fault: StoreFault
    times: int
    skip: int
    met: int = 0

    def applies(self, operation: str) -> bool:
        """Whether the rule applies to this call; counts the call."""
        if operation != self.operation:
            return False
        self.met += 1
        return self.skip < self.met <= self.skip + self.times


class Faults:
    """The rules of one proxy, in force until `lift`. `met` counts the calls to which a rule applied."""

    def __init__(self, proxy: StoreProxy) -> None:
        self._proxy = proxy
        self._rules: list[Rule] = []
        self._acting: dict[int, StoreFault] = {}
        self.met = 0
        proxy.before, proxy.after, proxy.damage = self._before, self._after, self._damage  # type: ignore[assignment]

    def on(self, operation: str, fault: StoreFault, *, times: int = 1, skip: int = 0) -> "Faults":
        self._rules.append(Rule(operation, fault, times, skip))
        return self

    def lift(self) -> None:
        self._proxy.before = self._proxy.after = self._proxy.damage = None

    async def _before(self, seen: Seen, request: web.BaseRequest) -> web.StreamResponse | None:
        acting = [rule.fault for rule in self._rules if rule.applies(seen.operation)]
        if not acting:
            return None
        self.met += 1
        self._acting[id(seen)] = acting[0]
        return await acting[0].before(self._proxy, request) if acting[0].before else None

    async def _after(self, seen: Seen, request: web.BaseRequest) -> web.StreamResponse | None:
        fault = self._acting.get(id(seen))
        return await fault.after(self._proxy, request) if fault and fault.after else None

    def _damage(self, seen: Seen, piece: bytes) -> bytes:
        fault = self._acting.get(id(seen))
        return fault.damage(piece) if fault and fault.damage and not seen.sent else piece


# ── answers ───────────────────────────────────────────────────────────────────────────────────────
def _xml(code: str) -> bytes:
    head = '<?xml version="1.0" encoding="UTF-8"?>\n'
    return f"{head}<Error><Code>{code}</Code><Message>planted by a test</Message></Error>".encode()


def _answering(status: int, code: str, headers: dict[str, str]) -> Act:
    async def act(proxy: StoreProxy, request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=status, body=_xml(code), content_type="application/xml", headers=headers)

    return act


def answers(status: int, code: str, **headers: str) -> StoreFault:
    """This answer without forwarding the request; header names have `_` for `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return StoreFault(f"{status} {code}", before=_answering(status, code, named))


def executes_and_answers(status: int, code: str) -> StoreFault:
    """The store executes the request, and the answer is this error."""
    return StoreFault(f"works and answers {status} {code}", after=_answering(status, code, {}))


# ── connections ───────────────────────────────────────────────────────────────────────────────────
async def _reset(proxy: StoreProxy, request: web.BaseRequest) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    raise ConnectionResetError


async def _stall(proxy: StoreProxy, request: web.BaseRequest) -> web.StreamResponse:
    """Wait until the client closes the connection. Polled: the proxy's server does not cancel its handlers."""
    assert request.protocol is not None
    while request.protocol.connected:  # noqa: ASYNC110 - aiohttp has no event for it
        await asyncio.sleep(0.05)
    raise ConnectionResetError


async def _truncate(proxy: StoreProxy, request: web.BaseRequest) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/xml", "Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'<?xml version="1.0" encoding="UTF-8"?>\n<CompleteMultipart')
    return await _reset(proxy, request)


def _flip(piece: bytes) -> bytes:
    middle = len(piece) // 2
    return piece[:middle] + bytes([piece[middle] ^ 1]) + piece[middle + 1 :]


internal_error = answers(500, "InternalError")
unavailable = answers(503, "ServiceUnavailable")
slow_down = answers(503, "SlowDown", Retry_After="1")
too_many = answers(429, "TooManyRequests")
denied = answers(403, "AccessDenied")
error_in_200 = answers(200, "InternalError")
not_sent = StoreFault("reset before forwarding", before=_reset)
answer_lost = StoreFault("answer lost", after=_reset)
stalls = StoreFault("stalls before forwarding", before=_stall)
answer_stalls = StoreFault("answer stalls", after=_stall)
answer_truncated = StoreFault("answer truncated", after=_truncate)
body_damaged = StoreFault("a bit of the body is flipped", damage=_flip)


def lands_late() -> tuple[StoreFault, StoreFault]:
    """(first, second): the first call is cut; the store gets it only just before the second call."""
    held: list[Any] = []

    async def first(proxy: StoreProxy, request: web.BaseRequest) -> web.StreamResponse:
        held.append((request, await request.read()))
        return await _reset(proxy, request)

    async def second(proxy: StoreProxy, request: web.BaseRequest) -> None:
        assert await proxy.forward(*held.pop()) == 200

    return StoreFault("cut", before=first), StoreFault("the first takes effect first", before=second)
