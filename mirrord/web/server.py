"""A listening HTTP server for an application: its address, start and end, and clear errors of the address.

`protocol` has the bounds of a request's head, `connections` those of connections, `access` that of a body.
"""

import asyncio
import errno
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from aiohttp import web
from aiohttp.typedefs import Handler

from mirrord.errors import ListenFailed
from mirrord.settings import parse_listen, socket_path
from mirrord.web.connections import MOST, Connections
from mirrord.web.protocol import protocols
from mirrord.web.unix_socket import unix_socket

_BACKLOG = 128
_SHUTDOWN = 2.0
"""Seconds that requests get to finish when the server closes; streams end at once."""
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}


class Server:
    """Serves `app` inside `async with`; `url`, without a slash at its end, is its address on this machine.

    Raises ValueError for an invalid `listen`, and ListenFailed if the address is not available.
    """

    def __init__(self, listen: str, app: web.Application, *, connections: int = MOST) -> None:
        self._listen = listen
        self._path = socket_path(listen)
        self._address = ("", 0) if self._path else parse_listen(listen)
        self._most = connections
        app.middlewares.append(self._at_work)
        app.on_response_prepare.append(self._end_connection)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN)
        self._connections: Connections | None = None
        self._closing = ExitStack()
        self.url = ""

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        try:
            self.url = await self._bound()
        except OSError as error:
            await self._closed()
            raise ListenFailed(f"cannot listen on {self._listen}: {_why(error, self._path)}") from error
        except BaseException:
            await self._closed()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._closed()

    async def _closed(self) -> None:
        self._closing.close()
        await self._runner.cleanup()

    async def _bound(self) -> str:
        """Listen; the URL."""
        assert self._runner.server is not None
        self._connections = Connections(protocols(self._runner.server), most=self._most)
        loop = asyncio.get_running_loop()
        if self._path:
            bound = self._closing.enter_context(unix_socket(self._path))
            listening = await loop.create_unix_server(self._connections, sock=bound, backlog=_BACKLOG)
            self._closing.callback(listening.close)
            return self._listen
        host, port = self._address
        listening = await loop.create_server(self._connections, host, port, backlog=_BACKLOG, reuse_address=True)
        self._closing.callback(listening.close)
        host, port, *_ = listening.sockets[0].getsockname()
        host = _ANY.get(host, host)
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    @web.middleware
    async def _at_work(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        assert self._connections is not None
        with self._connections.at_work(request.protocol):
            return await handler(request)

    async def _end_connection(self, request: web.Request, response: web.StreamResponse) -> None:
        assert self._connections is not None
        if self._connections.is_last(request.protocol):
            response.force_close()
            response.headers["Connection"] = "close"


def _why(error: OSError, path: str | None) -> str:
    if path:
        return _why_no_socket(error)
    if error.errno == errno.EADDRINUSE:
        return "another program listens there; choose another address with daemon.listen, or port 0 for any free one"
    if error.errno == errno.EACCES:
        return "this user may not; choose a port from 1024 on with daemon.listen"
    if error.errno == errno.EADDRNOTAVAIL:
        return "this machine does not have that address; choose another with daemon.listen"
    return error.strerror or str(error)


def _why_no_socket(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "another program listens there; choose another path with daemon.listen"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "this user may not create it; choose a directory that it may write to"
    if error.errno == errno.ENOENT:
        return "its directory does not exist"
    if error.errno is None:  # of Python, before it asks the system
        return "the path is longer than 107 bytes, the most of Linux (unix(7))"
    return error.strerror or str(error)
