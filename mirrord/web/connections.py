"""The connections of the server: how many at a time, and how long one may stay without a request.

Owns the deadlines that aiohttp does not have. A connection is closed if the head of a request is not there within 10 s
of its first byte (for the first request: of the connection), or after 60 s without a request. Where there are too many,
the one that has been without a request longest makes room; if all are at work, the new one is closed.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

MOST = 256
HEAD_WITHIN = 10.0
IDLE_WITHIN = 60.0
_SHARE = 4
"""At most one in so many of the process's descriptors is a connection: transfers and folders need theirs."""


def connections_of(descriptors: int) -> int:
    """How many connections there may be at a time."""
    return max(1, min(MOST, descriptors // _SHARE))


class Connections:
    """Call it for the protocol of a new connection; `at_work` while a request of one is answered."""

    def __init__(
        self,
        inner: Callable[[], asyncio.Protocol],
        *,
        most: int = MOST,
        head_within: float = HEAD_WITHIN,
        idle_within: float = IDLE_WITHIN,
    ) -> None:
        self._inner = inner
        self._most = most
        self.head_within = head_within
        self._idle_within = idle_within
        self._open: dict[asyncio.BaseProtocol, Connection] = {}  # by aiohttp's protocol, the longest idle first

    def __call__(self) -> asyncio.Protocol:
        return Connection(self, self._inner())

    def __len__(self) -> int:
        return len(self._open)

    @contextmanager
    def at_work(self, protocol: asyncio.BaseProtocol) -> Iterator[None]:
        """While a request is answered, its connection has no deadline here."""
        if connection := self._open.get(protocol):
            connection.expect(None)
        try:
            yield
        finally:
            if connection := self._open.pop(protocol, None):
                self._open[protocol] = connection
                connection.expect(self._idle_within)
                connection.between = True

    def opened(self, connection: "Connection") -> None:
        self._open[connection.inner] = connection
        connection.expect(self.head_within)
        if len(self._open) > self._most:
            next(one for one in self._open.values() if one.idle).close()

    def closed(self, connection: "Connection") -> None:
        self._open.pop(connection.inner, None)


class Connection(asyncio.Protocol):
    """Passes everything on to aiohttp's protocol, `inner`, and closes the transport when its time is up."""

    def __init__(self, connections: Connections, inner: asyncio.Protocol) -> None:
        self._connections = connections
        self.inner = inner
        self.between = False
        """A request was answered, and no byte of the next has come."""
        self.idle = True
        self._transport: asyncio.Transport | None = None
        self._deadline: asyncio.TimerHandle | None = None

    def expect(self, within: float | None) -> None:
        """Close after so many seconds; None: a request is at work."""
        if self._deadline is not None:
            self._deadline.cancel()
        self.between, self.idle = False, within is not None
        self._deadline = None if within is None else asyncio.get_running_loop().call_later(within, self.close)

    def close(self) -> None:
        """At once: what a reader has not taken by now is lost."""
        self._connections.closed(self)
        if self._transport is None:
            return
        if self._transport.get_write_buffer_size():
            self._transport.abort()
        else:
            self._transport.close()

    # ── asyncio.Protocol ──────────────────────────────────────────────────────────────────────────
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class
        self.inner.connection_made(transport)
        self._connections.opened(self)

    def data_received(self, chunk: bytes) -> None:
        if self.between:
            self.expect(self._connections.head_within)
        self.inner.data_received(chunk)

    def eof_received(self) -> bool | None:
        return self.inner.eof_received()

    def pause_writing(self) -> None:
        self.inner.pause_writing()

    def resume_writing(self) -> None:
        self.inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._connections.closed(self)
        self.inner.connection_lost(exc)
