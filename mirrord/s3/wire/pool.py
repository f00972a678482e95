"""The connections of one origin, the most recently used first, idle ones closed after some time.

Owns which connections are open, and serves requests first in, first out: the pools that share a `ConnectionLimit`
have together at most so many connections. `connection` owns what one carries.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable

from mirrord.s3.call import NotOpen
from mirrord.s3.wire.connection import WireConnection

IDLE_LIMIT = 15.0
"""Seconds until an idle connection is closed. Stores and proxies keep theirs longer (nginx: 75 s, Go: often 60 s)."""

CONNECTIONS = 64
"""Connections to one store at the same time, where the limit of open files allows it: 16 transfers x 4 parts."""

_Opens = Callable[[ssl.SSLContext | None], Awaitable[WireConnection]]


class ConnectionLimit:
    """At most `most` connections, used and idle, in all pools that share this object: those of one store, which has an
    origin for each bucket with virtual addressing, and for each region.

    A pool has a slot for each connection that it uses or opens. Belongs to one event loop."""

    def __init__(self, most: int = CONNECTIONS) -> None:
        self.most = most
        self._free = asyncio.Semaphore(most)  # first in, first out; safe under cancellation
        self._slots = 0
        self.pools: set[ConnectionPool] = set()

    async def acquire(self) -> None:
        await self._free.acquire()
        self._slots += 1

    def release(self) -> None:
        self._slots -= 1
        self._free.release()

    def make_room(self) -> None:
        """Call it with a slot, before a connection is opened: closes the connection that has been idle longest if
        the new one would be one too many."""
        idle = [pool.idle for pool in self.pools if pool.idle]
        if self._slots + sum(map(len, idle)) > self.most:
            min(idle, key=lambda one: one[0].idle_since).pop(0).close()


class ConnectionPool:
    """Belongs to one event loop. `close` ends it."""

    def __init__(self, limit: ConnectionLimit, open_connection: _Opens) -> None:
        self._limit = limit
        self._open_connection = open_connection
        self._in_use: set[WireConnection] = set()
        self.idle: list[WireConnection] = []  # the most recently used last
        self._sweep: asyncio.TimerHandle | None = None
        self._closed = False

    async def acquire(self, context: ssl.SSLContext | None, *, fresh: bool) -> WireConnection:
        """A connection with this TLS context for one exchange; `release` must follow. `fresh`: never an idle one.

        A new one is opened only if there is no idle one.
        """
        await self._limit.acquire()
        try:
            self._raise_if_closed()
            connection = self._take_idle(context, fresh=fresh) or await self._open_new(context)
        except BaseException:
            self._limit.release()
            raise
        self._in_use.add(connection)
        return connection

    async def _open_new(self, context: ssl.SSLContext | None) -> WireConnection:
        self._limit.pools.add(self)
        self._limit.make_room()
        connection = await self._open_connection(context)
        if self._closed:
            connection.close()
        self._raise_if_closed()
        return connection

    def _raise_if_closed(self) -> None:
        if self._closed:
            raise NotOpen("the client is closed: it must be used within `async with`")

    def release(self, connection: WireConnection, *, keep: bool) -> None:
        """End the exchange. `keep`: another one may use the connection if it is still open."""
        self._in_use.discard(connection)
        self._limit.release()
        if connection.closed:
            return
        if self._closed or not keep:
            connection.close()
            return
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        self.idle.append(connection)
        if self._sweep is None:
            self._sweep = loop.call_later(IDLE_LIMIT, self._close_idle)

    def close(self) -> None:
        """Close all connections. Exchanges that run fail."""
        self._closed = True
        self._limit.pools.discard(self)
        if self._sweep is not None:
            self._sweep.cancel()
        for connection in self.idle:
            connection.close()
        self.idle.clear()
        for connection in list(self._in_use):
            connection.fail(ConnectionAbortedError("the client was closed"))

    def _take_idle(self, context: ssl.SSLContext | None, *, fresh: bool) -> WireConnection | None:
        while self.idle:
            connection = self.idle.pop()
            if not fresh and connection.context is context and not connection.trouble():
                return connection
            connection.close()
        return None

    def _close_idle(self) -> None:
        """Close connections that were idle for IDLE_LIMIT; come again for the others."""
        loop = asyncio.get_running_loop()
        oldest = loop.time() - IDLE_LIMIT
        for connection in self.idle:
            if connection.idle_since <= oldest:
                connection.close()
        self.idle = [connection for connection in self.idle if not connection.closed]
        self._sweep = None
        if self.idle:
            self._sweep = loop.call_at(self.idle[0].idle_since + IDLE_LIMIT, self._close_idle)
