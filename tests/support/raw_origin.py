"""An origin that sends given raw bytes, for unusual or invalid headers and framings of real servers."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import cast

from mirrord.aio import drain

Sends = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass
class RawOrigin:
    """`url` ends in `/it`; `requests` are the heads of the requests, as text."""

    url: str = ""
    requests: list[str] = field(default_factory=list)
    connections: int = 0


def response(*fields: str, body: bytes = b"", status: str = "HTTP/1.1 200 OK") -> bytes:
    """An HTTP response with these header lines and this body."""
    return "\r\n".join([status, *fields, "", ""]).encode("latin-1") + body


def chunks(body: bytes, size: int) -> bytes:
    """`body` in chunks of `size` bytes, with the last chunk of size 0."""
    cut = (body[start : start + size] for start in range(0, len(body), size))
    return b"".join(b"%x\r\n%b\r\n" % (len(one), one) for one in cut) + b"0\r\n\r\n"


@asynccontextmanager
async def raw_origin(
    answer: bytes | Sends, *, stays: bool = False, tls: ssl.SSLContext | None = None
) -> AsyncIterator[RawOrigin]:
    """Answers each request with these bytes, or calls `answer` to write. `stays`: connections are kept open."""
    origin, serving = RawOrigin(), set[asyncio.Task[None]]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        origin.connections += 1
        serving.add(this := cast("asyncio.Task[None]", asyncio.current_task()))
        this.add_done_callback(serving.discard)
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                origin.requests.append((await reader.readuntil(b"\r\n\r\n")).decode("latin-1"))
                if isinstance(answer, bytes):
                    writer.write(answer)
                else:
                    await answer(writer)
                await writer.drain()
                if not stays:
                    break
        writer.close()
        with suppress(ConnectionError, TimeoutError):
            await asyncio.wait_for(writer.wait_closed(), 1)

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls) as server:
        address = "https://localhost" if tls else "http://127.0.0.1"
        origin.url = f"{address}:{server.sockets[0].getsockname()[1]}/it"
        yield origin
        await drain(serving)
