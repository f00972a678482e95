"""A small web server for `mirrord demo`, with texts and a file of 64 MiB. It follows RFC 9110.

Owns generated contents (the same bytes each time, never whole in memory), conditional and range requests, and the
count of body bytes sent, which shows that the second pass of the demo sends nothing. Listens on loopback only. For the
live demo it can change news.txt every few seconds and limit its rate, so that progress is visible.
"""

import asyncio
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from email.utils import formatdate, parsedate_to_datetime
from hashlib import sha256
from random import Random
from types import TracebackType
from typing import Self

from aiohttp import web

from mirrord.frozen import frozen
from mirrord.units import KiB, MiB

_BLOCK = 256 * KiB
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
_PUBLISHED = 1_767_225_600  # 2026-01-01T00:00:00Z


class Generated:
    """`size` bytes that depend only on `seed` and offset, so that any range can be generated alone. No two blocks are
    equal."""

    def __init__(self, size: int, seed: int = 0) -> None:
        self.size = size
        self._tail = Random(seed).randbytes(_BLOCK - 8)

    def pieces(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Bytes [start, end) in pieces of at most 256 KiB."""
        at, end = start, self.size if end is None else end
        while at < end:
            number, offset = divmod(at, _BLOCK)
            block = number.to_bytes(8, "big") + self._tail
            piece = block[offset : offset + end - at]
            yield piece
            at += len(piece)

    def sha256(self) -> str:
        """Hex digest of all bytes."""
        digest = sha256()
        for piece in self.pieces():
            digest.update(piece)
        return digest.hexdigest()


class Text:
    """A few bytes in memory, served like `Generated`."""

    def __init__(self, body: bytes) -> None:
        self.size = len(body)
        self._body = body

    def pieces(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Bytes [start, end), in one piece."""
        yield self._body[start:end]

    def sha256(self) -> str:
        """Hex digest of all bytes."""
        return sha256(self._body).hexdigest()


@frozen
class Published:
    """One version of a file that an origin serves. `etag` quoted; `modified` in seconds since the epoch."""

    content: Generated | Text
    etag: str
    modified: int = _PUBLISHED
    content_type: str = "application/octet-stream"

    @property
    def validators(self) -> dict[str, str]:
        return {"ETag": self.etag, "Last-Modified": formatdate(self.modified, usegmt=True)}


def unchanged(published: Published, asked: Mapping[str, str]) -> bool:
    """Whether the request's conditions allow a 304 (RFC 9110 13.2.2: If-None-Match takes precedence over the date)."""
    if (tags := asked.get("If-None-Match")) is not None:
        return published.etag in [tag.strip().removeprefix("W/") for tag in tags.split(",")]
    since = asked.get("If-Modified-Since")
    return since is not None and published.modified <= parsedate_to_datetime(since).timestamp()


def span(published: Published, asked: Mapping[str, str]) -> tuple[int, int] | None:
    """The byte range [start, end) to answer with. None: the whole content, with 200. ValueError: not satisfiable,
    416."""
    match = _RANGE.fullmatch(asked.get("Range", ""))
    if match is None or asked.get("If-Range", published.etag) != published.etag:
        return None
    size = published.content.size
    start, end = int(match[1]), min(int(match[2]) + 1, size) if match[2] else size
    if start >= end:
        raise ValueError(f"bytes {start} to {end} of {size}")
    return start, end


def edition(number: int) -> Published:
    """One edition of news.txt."""
    text = f"Edition {number} of the news. The next one replaces it.\n"
    return Published(Text(text.encode()), f'"news-{number}"', _PUBLISHED + number, "text/plain")


class SampleOrigin:
    """The server runs inside `async with`; `url` has no slash at its end.

    `size`: bytes of the large file. `port` is used if it is free, else any free port. `pace`: bytes per second of all
    bodies together. `news_every`: seconds between editions of news.txt. None: no limit, and no second edition.
    """

    def __init__(
        self, size: int = 64 * MiB, *, port: int = 0, pace: float | None = None, news_every: float | None = None
    ) -> None:
        self.files = {
            "hello.txt": Published(Text(b"This file came through mirrord.\n"), '"hello-1"', content_type="text/plain"),
            **{f"part-{one}.txt": _part(one) for one in ("one", "two", "three")},
            "news.txt": edition(0),
            "large.bin": Published(Generated(size), f'"large-{size}"'),
        }
        self.url = ""
        self.body_bytes = 0
        """Bytes of bodies sent since the start; headers do not count."""
        self._port = port
        self._pace = pace
        self._news_every = news_every
        self._lock = asyncio.Lock()
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/{name}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        except OSError:
            await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def _published(self, name: str) -> Published | None:
        if name == "news.txt" and self._news_every:
            return edition(int((time.time() - _PUBLISHED) // self._news_every))
        return self.files.get(name)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        published = self._published(request.match_info["name"])
        if published is None:
            return web.Response(status=404)
        if unchanged(published, request.headers):
            return web.Response(status=304, headers=published.validators)
        try:
            part = span(published, request.headers)
        except ValueError:
            return web.Response(status=416, headers={"Content-Range": f"bytes */{published.content.size}"})
        return await self._send(request, published, part)

    async def _send(
        self, request: web.Request, published: Published, part: tuple[int, int] | None
    ) -> web.StreamResponse:
        start, end = part or (0, published.content.size)
        headers = {**published.validators, "Accept-Ranges": "bytes", "Content-Type": published.content_type}
        if part:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{published.content.size}"
        response = web.StreamResponse(status=206 if part else 200, headers=headers)
        response.content_length = end - start
        await response.prepare(request)
        if request.method == "GET":
            with suppress(ConnectionError):  # the client has all it needs, or fetches the rest with another request
                for piece in published.content.pieces(start, end):
                    await self._wait_for(len(piece))
                    await response.write(piece)
                    self.body_bytes += len(piece)
        return response

    async def _wait_for(self, size: int) -> None:
        """Wait until this many bytes may be sent."""
        if self._pace is not None:
            async with self._lock:
                await asyncio.sleep(size / self._pace)


def _part(name: str) -> Published:
    return Published(Text(f"Part {name}.\n".encode()), f'"part-{name}"', content_type="text/plain")
