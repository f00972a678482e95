"""The connections of the server: their largest number, and their deadlines.

Owns the deadlines that aiohttp does not have. A connection is closed if the head of a request is not complete within
10 s of its first byte (for the first request: of the connection), or 60 s after a request was handled, also if the
answer is not read by then. It is closed after 1,000 requests. If there are too many, the connection that has been idle
longest is closed; if none is idle, the new one is closed.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

MOST = 256
HEAD_WITHIN = 10.0
IDLE_WITHIN = 60.0
MOST_REQUESTS = 1_000
_SHARE = 4
"""At most one in so many descriptors of the process is a connection: transfers and folders need the others."""


def connections_of(descriptors: int) -> int:
    """Most connections at a time."""
    return max(1, min(MOST, descriptors // _SHARE))


class Connections:
    """Call it for the protocol of a new connection. Enter `at_work` while a request is answered."""

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
        """Its connection has no deadline while a request is answered."""
        if connection := self._open.get(protocol):
            connection.expect(None)
            connection.requests += 1
        try:
            yield
        finally:
            if connection := self._open.pop(protocol, None):
                self._open[protocol] = connection
                connection.expect(self._idle_within)
                connection.between = True

    def is_last(self, protocol: asyncio.BaseProtocol) -> bool:
        """Whether the request that is answered is the last one of its connection."""
        connection = self._open.get(protocol)
        return connection is not None and connection.requests >= MOST_REQUESTS

    def opened(self, connection: "Connection") -> None:
        self._open[connection.inner] = connection
        connection.expect(self.head_within)
        if len(self._open) > self._most:
            next(one for one in self._open.values() if one.idle).close()

    def closed(self, connection: "Connection") -> None:
        self._open.pop(connection.inner, None)


class Connection(asyncio.Protocol):
    """Forwards every call to aiohttp's protocol, `inner`, and closes the transport at its deadline."""

    def __init__(self, connections: Connections, inner: asyncio.Protocol) -> None:
        self._connections = connections
        self.inner = inner
        self.between = False
        """A request was answered, and no byte of the next one has arrived."""
        self.idle = True
        self.requests = 0
        self._transport: asyncio.Transport | None = None
        self._deadline: asyncio.TimerHandle | None = None

    def expect(self, within: float | None) -> None:
        """Close after so many seconds; None: a request is being answered."""
        if self._deadline is not None:
            self._deadline.cancel()
        self.between, self.idle = False, within is not None
        self._deadline = None if within is None else asyncio.get_running_loop().call_later(within, self.close)

    def close(self) -> None:
        """Close at once: data that the peer has not read yet is lost."""
        self._connections.closed(self)
        if self._transport is None:
            return
        if self._transport.get_write_buffer_size():
            self._transport.abort()
        else:
            self._transport.close()

    # ── asyncio.Protocol ──────────────────────────────────────────────────────────────────────────
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's class does not inherit from it
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
