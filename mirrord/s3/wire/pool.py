"""The connections of one origin: at most `limit`, the most recently used first, idle ones closed after some time.

Owns which connections are open, and serves requests first in, first out. `connection` owns what one carries.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable

from mirrord.s3.wire.connection import WireConnection

IDLE_LIMIT = 15.0
"""Seconds until an idle connection is closed. Stores and proxies keep theirs longer (nginx: 75 s, Go: often 60 s)."""

_Opens = Callable[[ssl.SSLContext | None], Awaitable[WireConnection]]


class ConnectionPool:
    """Belongs to one event loop. `close` ends it."""

    def __init__(self, limit: int, open_connection: _Opens) -> None:
        self._slots = asyncio.Semaphore(limit)  # first in, first out; safe under cancellation
        self._open_connection = open_connection
        self._in_use: set[WireConnection] = set()
        self._idle: list[WireConnection] = []  # the most recently used last
        self._sweep: asyncio.TimerHandle | None = None
        self._closed = False

    async def acquire(self, context: ssl.SSLContext | None, *, fresh: bool) -> WireConnection:
        """A connection with this TLS context for one exchange; `release` must follow. `fresh`: never an idle one.

        A new one is opened only if there is no idle one: so idle and used ones together are at most `limit`.
        """
        await self._slots.acquire()
        try:
            self._raise_if_closed()
            connection = self._take_idle(context, fresh=fresh) or await self._open_new(context)
        except BaseException:
            self._slots.release()
            raise
        self._in_use.add(connection)
        return connection

    async def _open_new(self, context: ssl.SSLContext | None) -> WireConnection:
        connection = await self._open_connection(context)
        if self._closed:
            connection.close()
        self._raise_if_closed()
        return connection

    def _raise_if_closed(self) -> None:
        if self._closed:
            raise RuntimeError("the client is closed: it must be used within `async with`")

    def release(self, connection: WireConnection, *, keep: bool) -> None:
        """End the exchange. `keep`: another one may use the connection if it is still open."""
        self._in_use.discard(connection)
        self._slots.release()
        if connection.closed:
            return
        if self._closed or not keep:
            connection.close()
            return
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        self._idle.append(connection)
        if self._sweep is None:
            self._sweep = loop.call_later(IDLE_LIMIT, self._close_idle)

    def close(self) -> None:
        """Close all connections. Exchanges that run fail."""
        self._closed = True
        if self._sweep is not None:
            self._sweep.cancel()
        for connection in self._idle:
            connection.close()
        self._idle.clear()
        for connection in list(self._in_use):
            connection.fail(ConnectionAbortedError("the client was closed"))

    def _take_idle(self, context: ssl.SSLContext | None, *, fresh: bool) -> WireConnection | None:
        while self._idle:
            connection = self._idle.pop()
            if not fresh and connection.context is context and not connection.trouble():
                return connection
            connection.close()
        return None

    def _close_idle(self) -> None:
        """Close connections that were idle for IDLE_LIMIT; come again for the others."""
        loop = asyncio.get_running_loop()
        oldest = loop.time() - IDLE_LIMIT
        for connection in self._idle:
            if connection.idle_since <= oldest:
                connection.close()
        self._idle = [connection for connection in self._idle if not connection.closed]
        self._sweep = None
        if self._idle:
            self._sweep = loop.call_at(self._idle[0].idle_since + IDLE_LIMIT, self._close_idle)
