"""A server whose connections run a given script: reads requests and writes raw bytes, to test an HTTP client."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

_TLS = b"\x16"
"""First byte of a TLS handshake: clients probe an http:// port that closed for TLS."""


@dataclass(frozen=True)
class ReadRequest:
    """`lines` are the header lines, as they were sent."""

    method: str
    target: str
    lines: tuple[str, ...]
    body: bytes

    def field(self, name: str) -> str | None:
        found = (line.partition(":") for line in self.lines)
        return next((value.strip() for key, _, value in found if key.lower() == name.lower()), None)


class ServedConnection:
    """One connection, numbered from 0 on."""

    def __init__(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.number = number
        self.reader, self.writer = reader, writer

    async def head(self) -> ReadRequest:
        """The next request without its body. IncompleteReadError: the client closed."""
        start = await self.reader.readexactly(1)
        if start == _TLS:
            raise ConnectionResetError
        raw = (start + await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = raw[:-4].split("\r\n")
        method, target, _ = first.split(" ")
        return ReadRequest(method, target, tuple(lines), b"")

    async def request(self) -> ReadRequest:
        head = await self.head()
        body = await self.reader.readexactly(int(head.field("Content-Length") or 0))
        return ReadRequest(head.method, head.target, head.lines, body)

    async def answer(self, body: bytes = b"", *lines: str, status: int = 200) -> None:
        await self.send(answer_of(body, *lines, status=status))

    async def send(self, raw: bytes) -> None:
        self.writer.write(raw)
        await self.writer.drain()


Script = Callable[[ServedConnection], Awaitable[None]]


@dataclass
class ScriptedStore:
    """`requests` are those that scripts append."""

    url: str = ""
    port: int = 0
    connections: int = 0
    requests: list[ReadRequest] = field(default_factory=list)
    open: int = 0
    """Connections whose script runs."""


def answer_of(body: bytes = b"", *lines: str, status: int = 200) -> bytes:
    head = [f"HTTP/1.1 {status} Reason", *lines, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(head).encode("latin-1") + body


@asynccontextmanager
async def scripted(
    script: Script, *, tls: ssl.SSLContext | None = None, into: ScriptedStore | None = None
) -> AsyncIterator[ScriptedStore]:
    """Runs the script for each connection, and closes it at the end of the script. `into` is filled and yielded."""
    store = into or ScriptedStore()
    scripts: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = ServedConnection(store.connections, reader, writer)
        store.connections += 1
        store.open += 1
        task = asyncio.current_task()
        assert task is not None
        scripts.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, asyncio.CancelledError):
                await script(connection)
        finally:
            store.open -= 1
            scripts.discard(task)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    store.port = server.sockets[0].getsockname()[1]
    store.url = f"https://localhost:{store.port}" if tls else f"http://127.0.0.1:{store.port}"
    try:
        yield store
    finally:
        server.close()
        for task in list(scripts):
            task.cancel()
        await asyncio.gather(*scripts, return_exceptions=True)
        await asyncio.sleep(0)


def serves(store: ScriptedStore, *, until: int = 1_000_000) -> Script:
    """Answers each request with its number in the store, at most `until` of one connection."""

    async def script(connection: ServedConnection) -> None:
        for _ in range(until):
            store.requests.append(await connection.request())
            whole = answer_of(str(len(store.requests)).encode())
            bodiless = store.requests[-1].method == "HEAD"
            await connection.send(whole[: whole.index(b"\r\n\r\n") + 4] if bodiless else whole)

    return script
