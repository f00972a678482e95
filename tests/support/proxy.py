"""Fixture `store_proxy`: a transparent HTTP proxy in front of a store that counts calls by S3 operation.

It forwards the Host header, raw path and query unchanged, because SigV4 signs them, and streams in both directions. It
runs in its own thread, so that tests of any kind (async, blocking, subprocess) can use it. `before` and `after` are
hooks for faults: each receives a call and may answer instead of the store, wait, or cut the connection. `damage`
changes the bodies on the way to the store. `store_faults` has ready-made faults.
"""

import asyncio
import ssl
import threading
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from tests.support.operations import WRITES, operation
from tests.support.weed import Server

_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "upgrade", "expect", "proxy-connection"}
_AUTO = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
_CHUNK = 256 * 1024


@dataclass
class Seen:
    """One call: `sent` and `received` count body bytes, `status` is 0 until the answer."""

    operation: str
    bucket: str
    key: str
    sent: int = 0
    received: int = 0
    status: int = 0
    forwarded: bool = False  # sent to the store
    over: bool = False  # answered or cut, on both sides


Fault = Callable[[Seen, web.Request], Awaitable[web.StreamResponse | None]]
"""None: go on. A response: the answer instead of the store's. To cut the connection: `request.transport.abort()`, then
raise ConnectionResetError."""

SELF_SIGNED = Path(__file__).parent / "selfsigned.pem"


def self_signed() -> ssl.SSLContext:
    """The TLS context of a server with the certificate SELF_SIGNED, for localhost."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(SELF_SIGNED)
    return context


Damage = Callable[[Seen, bytes], bytes]
"""Gets the call so far and each piece of its body before it is forwarded; returns the same number of bytes."""


Rewrite = Callable[[Seen, CIMultiDict[str], bytes], bytes]
"""Gets the call, the headers of the answer, which it may change, and its whole body; returns the new body."""


class StoreProxy:
    """`calls` are in the order of arrival, readable from any thread; hooks may be set at any time."""

    def __init__(self, server: Server, *, tls: bool = False) -> None:
        self.upstream = server
        self._tls = tls
        self.calls: list[Seen] = []
        self.before: Fault | None = None
        self.after: Fault | None = None
        self.damage: Damage | None = None
        self.says: dict[str, str] = {}
        """Headers of each answer, in place of the store's own."""
        self.rewrite: Rewrite | None = None
        self.endpoint_url = ""
        self.spoiled: set[str] = set()
        """Operations whose answers get damaged bodies, as from a bad disk or cable."""
        self.sign: Callable[[str, str, CIMultiDict[str]], None] | None = None
        """Gets method, URL and headers of a request before it is forwarded; may replace its signature."""
        self._session: aiohttp.ClientSession | None = None

    @property
    def server(self) -> Server:
        """The store at the address of the proxy."""
        return replace(self.upstream, endpoint_url=self.endpoint_url)

    @property
    def counts(self) -> Counter[str]:
        return Counter(call.operation for call in self.calls)

    @property
    def writes(self) -> int:
        """The number of calls that change the store."""
        return sum(call.operation in WRITES for call in self.calls)

    @property
    def bytes_sent(self) -> int:
        """The number of body bytes sent to the store."""
        return sum(call.sent for call in self.calls)

    def clear(self) -> None:
        self.calls.clear()

    async def idle(self) -> None:
        """Wait until no call is in progress: then no request of a client that ended can reach the store later."""
        while not all(call.over for call in self.calls):  # noqa: ASYNC110 - the calls are in another thread
            await asyncio.sleep(0.01)

    async def serve(self, started: Callable[[], None], stop: asyncio.Event) -> None:
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=None)
        async with aiohttp.ClientSession(
            connector=connector, auto_decompress=False, timeout=timeout, skip_auto_headers=_AUTO
        ) as self._session:
            runner = web.ServerRunner(web.Server(self._pass, access_log=None), shutdown_timeout=1)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=self_signed() if self._tls else None)
            await site.start()
            where = "https://localhost" if self._tls else "http://127.0.0.1"
            self.endpoint_url = f"{where}:{runner.addresses[0][1]}"
            started()
            await stop.wait()
            await runner.cleanup()

    async def _pass(self, request: web.BaseRequest) -> web.StreamResponse:
        seen = Seen(*operation(request.method, request.raw_path, request.headers))
        self.calls.append(seen)
        try:
            return await self._passed(seen, request)
        finally:
            seen.over = True

    async def _passed(self, seen: Seen, request: web.BaseRequest) -> web.StreamResponse:
        if self.before and (instead := await self.before(seen, request)):  # type: ignore[arg-type]
            seen.status = instead.status
            return instead
        seen.forwarded = True
        async with self._ask(seen, request) as answer:
            seen.status = answer.status
            if self.after and (instead := await self.after(seen, request)):  # type: ignore[arg-type]
                return instead
            return await self._answer(seen, request, answer)

    def _ask(self, seen: Seen, request: web.BaseRequest, body: bytes | None = None) -> Any:
        assert self._session is not None
        headers = CIMultiDict((name, value) for name, value in request.headers.items() if name.lower() not in _HOP)
        url = self.upstream.endpoint_url + request.raw_path
        if self.sign:
            self.sign(request.method, url, headers)
        return self._session.request(
            request.method,
            URL(url, encoded=True),
            headers=headers,
            data=body if body is not None or not request.body_exists else self._counted(seen, request.content),
            allow_redirects=False,
        )

    async def _counted(self, seen: Seen, content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
        async for chunk in content.iter_chunked(_CHUNK):
            piece = self.damage(seen, chunk) if self.damage else chunk
            seen.sent += len(chunk)
            yield piece

    async def forward(self, request: web.BaseRequest, body: bytes) -> int:
        """Send a request to the store whose body a fault has read; the status of the answer."""
        async with self._ask(Seen(*operation(request.method, request.raw_path, request.headers)), request, body) as one:
            return int(one.status)

    async def _answer(self, seen: Seen, request: web.BaseRequest, answer: aiohttp.ClientResponse) -> web.StreamResponse:
        headers = CIMultiDict((name, value) for name, value in answer.headers.items() if name.lower() not in _HOP)
        headers.update(self.says)
        if self.rewrite and request.method != "HEAD":
            headers.popall("Content-Length", None)
            body = self.rewrite(seen, headers, await answer.read())
            return web.Response(status=answer.status, reason=answer.reason, headers=headers, body=body)
        response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=headers)
        await response.prepare(request)
        if request.method != "HEAD":
            async for chunk in answer.content.iter_chunked(_CHUNK):
                seen.received += len(chunk)
                await response.write(bytes([chunk[0] ^ 1]) + chunk[1:] if seen.operation in self.spoiled else chunk)
        await response.write_eof()
        return response


@pytest.fixture
def proxied() -> Iterator[Callable[..., StoreProxy]]:
    """Start a counting proxy in front of any server: `proxied(weed)`, or `proxied(weed, tls=True)`."""
    stops: list[Callable[[], None]] = []

    def start(server: Server, *, tls: bool = False) -> StoreProxy:
        proxy, started = StoreProxy(server, tls=tls), threading.Event()
        loop, stop = asyncio.new_event_loop(), asyncio.Event()
        thread = threading.Thread(target=_run, args=(loop, proxy.serve(started.set, stop)), name="store-proxy")
        thread.start()

        def end() -> None:
            loop.call_soon_threadsafe(stop.set)
            thread.join()

        stops.append(end)
        assert started.wait(60), "the proxy did not start"
        return proxy

    yield start
    for end in stops:
        end()


@pytest.fixture
def store_proxy(proxied: Callable[..., StoreProxy], weed: Server) -> StoreProxy:
    """A counting proxy in front of the session's SeaweedFS."""
    return proxied(weed)


def _run(loop: asyncio.AbstractEventLoop, work: Any) -> None:
    try:
        loop.run_until_complete(work)
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
