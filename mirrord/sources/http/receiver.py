"""The rest of one body, received from the connection straight into the reader's buffers.

Owns the connection's transport from the moment that `HttpProtocol.receiver` gives it until the last byte of the body:
no parser sees these bytes, and each is copied once, by the kernel or by TLS. The transport is read only while a reader
waits, and never beyond the end of the body. Bodies with chunks, without a length or with other codings stay with
aiohttp's parser.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from mirrord.sources.http.tls import TlsTransport

_CUT = "the connection ended before the body did"


class BodyReceiver(Protocol):
    """Receives the next `left` bytes of a connection."""

    left: int

    async def receive(self, view: memoryview, most: float) -> int:
        """Fill `view` from its start, and return the number of bytes: as many as it has room for or as are left, or
        what arrived within `most` seconds.

        0 means that no byte arrived in time, or that none is left. Raises ConnectionError if the connection ended.
        After a cancellation nothing is written to `view`.
        """


class TlsReceiver:
    """Receives `left` bytes of `transport`, whose reading is paused. After the last one `ended` is awaited, which takes
    the transport back."""

    def __init__(self, transport: TlsTransport, left: int, ended: Callable[[], Awaitable[None]]) -> None:
        self.left = left
        self._transport = transport
        self._ended = ended

    async def receive(self, view: memoryview, most: float) -> int:
        """See `BodyReceiver`."""
        if not self.left:
            return 0
        count = await self._transport.receive_into(view[: self.left], most)
        self.left -= count
        if not count and self._transport.is_closing():
            raise ConnectionError(_CUT)
        if not self.left:
            await self._ended()
        return count


class PlainReceiver(asyncio.BufferedProtocol):
    """Receives `left` bytes of `transport`, whose protocol it is. After the last one `ended` is awaited, which takes
    the transport back; `lost` is called if the connection ends before."""

    def __init__(
        self,
        transport: asyncio.Transport,
        left: int,
        ended: Callable[[], Awaitable[None]],
        lost: Callable[[BaseException | None], None],
    ) -> None:
        self.left = left
        self._transport = transport
        self._ended = ended
        self._lost = lost
        self._is_lost = False
        self._view = memoryview(b"")
        self._filled = 0
        self._waiter: asyncio.Future[None] | None = None

    async def receive(self, view: memoryview, most: float) -> int:
        """See `BodyReceiver`."""
        if self.left and not self._is_lost:
            await self._fill(view[: self.left], most)
        count, self._filled = self._filled, 0
        if self._is_lost and not count:
            raise ConnectionError(_CUT)
        return count

    async def _fill(self, view: memoryview, most: float) -> None:
        loop = asyncio.get_running_loop()
        self._view, self._waiter = view, loop.create_future()
        timer = loop.call_later(most, self._wake)
        self._transport.resume_reading()
        try:
            await self._waiter
        finally:
            timer.cancel()
            self._transport.pause_reading()  # no effect if the connection is lost
            self._view, self._waiter = memoryview(b""), None
        self.left -= self._filled
        if not self.left and not self._is_lost:
            await self._ended()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # ── asyncio.BufferedProtocol ──────────────────────────────────────────────────────────────────
    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's signature
        return self._view[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        self._filled += nbytes
        if self._filled == len(self._view):
            self._transport.pause_reading()
            self._wake()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._is_lost = True
        self._lost(exc)
        self._wake()
