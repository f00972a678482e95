"""A listening HTTP server for an application: its address, start and end, and clear errors of the address."""

import asyncio
import errno
import logging
from types import TracebackType
from typing import Self

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler

from mirrord.errors import ListenFailed
from mirrord.settings import parse_listen
from mirrord.web.connections import MOST, Connections

_log = logging.getLogger(__name__)


def _is_of_the_server(record: logging.LogRecord) -> bool:
    """Whether a line is not about a malformed request: any client can send one, and its answer is 400."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


_log.addFilter(_is_of_the_server)

_SHUTDOWN = 2.0
"""Seconds that requests get to finish when the server closes; streams end at once."""
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}


class Server:
    """Serves `app` inside `async with`; `url`, without a slash at its end, is its address on this machine.

    Raises ValueError for an invalid `listen`, and ListenFailed if the address is not available.
    """

    def __init__(self, listen: str, app: web.Application, *, connections: int = MOST) -> None:
        self._listen = listen
        self._host, self._port = parse_listen(listen)
        self._most = connections
        app.middlewares.append(self._at_work)
        self._runner = web.AppRunner(app, access_log=None, logger=_log, shutdown_timeout=_SHUTDOWN)
        self._connections: Connections | None = None
        self._listening: asyncio.Server | None = None
        self.url = ""

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        try:
            self._listening = await self._bound()
        except OSError as error:
            await self._runner.cleanup()
            raise ListenFailed(f"cannot listen on {self._listen}: {_why(error)}") from error
        except BaseException:
            await self._runner.cleanup()
            raise
        host, port, *_ = self._listening.sockets[0].getsockname()
        host = _ANY.get(host, host)
        self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._listening is not None:
            self._listening.close()
        await self._runner.cleanup()

    async def _bound(self) -> asyncio.Server:
        assert self._runner.server is not None
        self._connections = Connections(self._runner.server, most=self._most)
        return await asyncio.get_running_loop().create_server(
            self._connections, self._host, self._port, backlog=128, reuse_address=True
        )

    @web.middleware
    async def _at_work(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        assert self._connections is not None
        with self._connections.at_work(request.protocol):
            return await handler(request)


def _why(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "another program listens there; choose another address with daemon.listen, or port 0 for any free one"
    if error.errno == errno.EACCES:
        return "this user may not; choose a port from 1024 on with daemon.listen"
    if error.errno == errno.EADDRNOTAVAIL:
        return "this machine does not have that address; choose another with daemon.listen"
    return error.strerror or str(error)
