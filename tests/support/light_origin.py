"""An origin with very low CPU use, in a separate process: 1,000 requests a second take a few percent of a core.

It serves a short text at any path, and 304 to a request with the right validator. `?after=0.2` delays the answer by
this number of seconds. It records when each request arrived and was answered. For tests that measure the client.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from tests.support.command import REPOSITORY

_ETAG = b'"light"'
_UNCHANGED = b"HTTP/1.1 304 Not Modified\r\nETag: " + _ETAG + b"\r\n\r\n"
_BODY = b"light\n"
_WHOLE = (
    b"HTTP/1.1 200 OK\r\nETag: " + _ETAG + b"\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(_BODY)
)


@dataclass(frozen=True, slots=True)
class Visit:
    """One request. Times are seconds of the machine's monotonic clock."""

    path: str
    came: float
    answered: float
    status: int


class _Connection(asyncio.Protocol):
    """The part of HTTP/1.1 that mirrord needs: requests without bodies, one after the other."""

    def __init__(self, visits: list[tuple[str, float, float, int]]) -> None:
        self._visits = visits
        self._unread = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # transports of uvloop are no subclasses of it

    def data_received(self, data: bytes) -> None:
        self._unread += data
        while b"\r\n\r\n" in self._unread:
            head, _, self._unread = self._unread.partition(b"\r\n\r\n")
            self._serve(head, time.monotonic())

    def _serve(self, head: bytes, came: float) -> None:
        path, _, query = head.split(b" ", 2)[1].decode().partition("?after=")
        known = _ETAG in head
        if query:
            asyncio.get_running_loop().call_later(float(query), self._answer, path, known, came)
        else:
            self._answer(path, known, came)

    def _answer(self, path: str, known: bool, came: float) -> None:
        if not self._transport.is_closing():
            self._transport.write(_UNCHANGED if known else _WHOLE + _BODY)
            self._visits.append((path, came, time.monotonic(), 304 if known else 200))


async def _main(log: Path) -> None:
    visits: list[tuple[str, float, float, int]] = []
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(visits), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    while await asyncio.to_thread(sys.stdin.readline):  # until the parent process ends or closes the pipe
        await asyncio.to_thread(log.write_text, json.dumps(visits))
        print("written", flush=True)


class LightOrigin:
    """The running origin. `url` ends without a slash."""

    def __init__(self, process: asyncio.subprocess.Process, port: int, log: Path) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._process = process
        self._log = log

    async def visits(self) -> list[Visit]:
        """All answered requests so far, in the order of the answers."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(b"write\n")
        assert await self._process.stdout.readline() == b"written\n"
        return [Visit(*one) for one in json.loads(self._log.read_text())]


@asynccontextmanager
async def light_origin(directory: Path) -> AsyncIterator[LightOrigin]:
    """Start the origin; its process ends with the context or with this process."""
    log = directory / "visits.json"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.support.light_origin",
        str(log),
        cwd=REPOSITORY,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin
    assert process.stdout
    try:
        yield LightOrigin(process, int(await process.stdout.readline()), log)
    finally:
        process.stdin.close()
        await process.wait()


if __name__ == "__main__":
    import uvloop

    uvloop.run(_main(Path(sys.argv[1])))
