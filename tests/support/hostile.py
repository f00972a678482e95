"""A server that answers each request with a script of hostile bytes.

A script is parts, each after the first on a line of its own after `----`:

- `5*bytes` sends the bytes 5 times, `endless*bytes` until the peer closes (or MOST bytes were sent),
- `drip*bytes` sends them one by one, with a pause after each,
- `stays*` leaves the connection open after the other parts; else it is closed.

Bytes that are no part are sent once. In all of them `@N@` becomes the number of the request, as `<000007>`, and `@URL@`
the server's URL.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import cast

from mirrord.aio import drain
from mirrord.units import KiB, MiB

MOST = 96 * MiB
_BLOCK = 64 * KiB
_DRIP = 0.02
"""Seconds between two bytes: far below each limit on silence, and far below each limit on a rate."""
_PART = re.compile(rb"(\d{1,6}|endless|drip|stays)\*(.*)", re.DOTALL)
_MARK = re.compile(rb"<\d{6}>")


def marks(content: bytes) -> set[bytes]:
    """The numbers of the requests whose answers these bytes are of."""
    return set(_MARK.findall(content))


@dataclass
class HostileServer:
    script: bytes = b""
    url: str = ""
    requests: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        stays = True
        while stays:
            await reader.readuntil(b"\r\n\r\n")
            self.requests += 1
            stays = await self._answer(writer)
        writer.close()

    async def _answer(self, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection stays open."""
        stays, mark, url = False, b"<%06d>" % self.requests, self.url.encode()
        for part in self.script.split(b"\n----\n"):
            found = _PART.fullmatch(part)
            how, content = found.groups() if found else (b"1", part)
            content = content.replace(b"@N@", mark).replace(b"@URL@", url)
            stays |= how == b"stays"
            await self._send(writer, how, content)
        return stays

    async def _send(self, writer: asyncio.StreamWriter, how: bytes, content: bytes) -> None:
        if how == b"drip":
            for at in range(len(content)):
                await self._write(writer, content[at : at + 1])
                await asyncio.sleep(_DRIP)
        elif content:
            left = MOST if how == b"endless" else min(MOST, int(how) * len(content)) if how.isdigit() else 0
            block = content * max(1, _BLOCK // len(content))
            while left > 0:
                await self._write(writer, block[:left])
                left -= len(block)

    async def _write(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        writer.write(data)
        await writer.drain()


@asynccontextmanager
async def hostile() -> AsyncIterator[HostileServer]:
    """A running server on a free port of loopback."""
    server, serving = HostileServer(), set[asyncio.Task[None]]()

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(this := cast("asyncio.Task[None]", asyncio.current_task()))
        this.add_done_callback(serving.discard)
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
            await server.serve(reader, writer)
        writer.close()

    async with await asyncio.start_server(served, "127.0.0.1", 0) as listening:
        server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        yield server
        await drain(serving)
