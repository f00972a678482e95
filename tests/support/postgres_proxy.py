"""A TCP proxy between mirrord and the test PostgreSQL: it can cut, refuse, hold back, and lose the answer to a COMMIT.

It runs in the loop of the test; mirrord is another process.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Self

from tests.support.postgres import PostgresServer

COMMITTED = b"C\0\0\0\x0bCOMMIT\0"
"""CommandComplete with the tag COMMIT (PostgreSQL, Message Formats)."""
_CHUNK = 64 * 1024


class PostgresProxy:
    """Forwards from a free port of 127.0.0.1 to the server's Unix socket, inside `async with`."""

    def __init__(self, server: PostgresServer) -> None:
        self._socket = str(server.directory / ".s.PGSQL.5432")
        self._listener: asyncio.Server | None = None
        self._pairs: dict[asyncio.Task[None], list[asyncio.StreamWriter]] = {}
        self._flows = asyncio.Event()
        self._flows.set()
        self.refuses = False
        """Whether new connections are closed at once."""
        self.loses: Callable[[], bool] = lambda: False
        """Asked at each COMMIT that succeeded: whether its connection is cut instead of the answer."""
        self.lost = 0
        """The number of these."""

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._listener is not None
        self._listener.close()
        self.pass_on()
        self.cut()
        await asyncio.gather(*self._pairs, return_exceptions=True)

    def uri(self, uri: str) -> str:
        """This URI of the server, by way of the proxy."""
        assert self._listener is not None
        host, port = self._listener.sockets[0].getsockname()
        return f"{uri.partition('?')[0].replace('@/', f'@{host}:{port}/')}"

    def cut(self) -> None:
        """End all connections with a reset."""
        for writers in self._pairs.values():
            for writer in writers:
                writer.transport.abort()

    def hold(self) -> None:
        """Pass nothing on in any direction, and answer nothing, as a network that loses all packets."""
        self._flows.clear()

    def pass_on(self) -> None:
        """The end of `hold`."""
        self._flows.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        writers = self._pairs[task] = [writer]
        try:
            with suppress(OSError):
                if self.refuses:
                    return
                await self._flows.wait()
                from_server, to_server = await asyncio.open_unix_connection(self._socket)
                writers.append(to_server)
                both = self._pipe(reader, to_server), self._pipe(from_server, writer, answers=True)
                async with asyncio.TaskGroup() as group:
                    for one in both:
                        group.create_task(one)
        finally:
            for one in writers:
                one.transport.abort()
            del self._pairs[task]

    async def _pipe(self, source: asyncio.StreamReader, to: asyncio.StreamWriter, *, answers: bool = False) -> None:
        """Until one side ends; then both end."""
        with suppress(OSError):
            while data := await source.read(_CHUNK):
                await self._flows.wait()
                if answers and COMMITTED in data and self.loses():
                    self.lost += 1
                    break
                to.write(data)
                await to.drain()
        to.transport.abort()
