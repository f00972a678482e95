"""A real HTTP proxy on a socket: CONNECT, and absolute targets. It connects to loopback, whatever host is requested."""

import asyncio
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import cast

from mirrord.aio import drain

_PIECE = 16 * 1024
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class HttpProxy:
    """`requests`: method and target of each. `credentials`: user:password that it demands."""

    url: str = ""
    credentials: str = ""
    requests: list[tuple[str, str]] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    refuse: int = 0
    """Answers this status to each request."""
    die_after: int = 0
    """Aborts the next connection that carried so many bytes from the origin, once."""
    died: int = 0

    def url_with(self, userinfo: str) -> str:
        return self.url.replace("://", f"://{userinfo}@")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        method, target, _ = head.split(" ", 2)
        self.requests.append((method, target))
        self.heads.append(head)
        if status := self._refused(head):
            writer.write(f"HTTP/1.1 {status} No\r\nContent-Length: 2\r\n\r\nno".encode())
            return
        place, _, path = target.removeprefix("http://").partition("/")
        port = int(place.rpartition(":")[2]) if ":" in place else 80
        upstream, sending = await asyncio.open_connection("127.0.0.1", port)
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n")
        else:
            lines = [line for line in head.split("\r\n")[1:] if not line.lower().startswith("proxy-")]
            sending.write("\r\n".join([f"{method} /{path} HTTP/1.1", *lines]).encode("latin-1"))
        try:
            await asyncio.gather(pump(reader, sending), self._answers(upstream, writer))
        finally:
            sending.close()

    def _refused(self, head: str) -> int:
        wanted = f"Proxy-Authorization: Basic {b64encode(self.credentials.encode()).decode()}\r\n"
        return self.refuse or (407 if self.credentials and wanted not in head else 0)

    async def _answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        passed = 0
        while data := await reader.read(_PIECE):
            passed += len(data)
            if self.die_after and passed > self.die_after:
                self.die_after, self.died = 0, self.died + 1
                writer.transport.abort()
                raise ConnectionAbortedError
            writer.write(data)
            await writer.drain()
        writer.close()


@asynccontextmanager
async def http_proxy(
    *, credentials: str = "", tls: ssl.SSLContext | None = None, port: int = 0
) -> AsyncIterator[HttpProxy]:
    """A running proxy. With `tls` it is an https:// proxy at localhost."""
    proxy = HttpProxy(credentials=credentials)
    async with _serving(proxy.serve, tls, port) as place:
        proxy.url = f"https://{place}" if tls else f"http://{place}"
        yield proxy


@asynccontextmanager
async def tls_front(port: int, tls: ssl.SSLContext) -> AsyncIterator[str]:
    """The https:// URL, without a path, of a server whose bytes the server at this port of loopback has without TLS."""

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream, sending = await asyncio.open_connection("127.0.0.1", port)
        try:
            await asyncio.gather(pump(reader, sending), pump(upstream, writer))
        finally:
            sending.close()

    async with _serving(pass_on, tls, 0) as place:
        yield f"https://{place}"


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on bytes until the end."""
    while data := await reader.read(_PIECE):
        writer.write(data)
        await writer.drain()
    with suppress(OSError, NotImplementedError):  # TLS has no half-closed connections
        writer.write_eof()


@asynccontextmanager
async def _serving(serve: Serve, tls: ssl.SSLContext | None, port: int) -> AsyncIterator[str]:
    """Serve each connection at a port of loopback; its host and port."""
    serving = set[asyncio.Task[None]]()

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(this := cast("asyncio.Task[None]", asyncio.current_task()))
        this.add_done_callback(serving.discard)
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await serve(reader, writer)
        writer.close()

    async with await asyncio.start_server(served, "127.0.0.1", port, ssl=tls) as server:
        yield f"localhost:{server.sockets[0].getsockname()[1]}"
        await drain(serving)
