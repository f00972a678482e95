"""Fixture `origin`: a real local web server that serves published content, logs each request, and can misbehave.

It runs in its own thread, so that async tests, blocking tests and subprocesses can use it. A behaviour is a function
that changes the correct reply of RFC 9110. `BEHAVIOURS` lists all behaviours; add new ones there.
"""

import asyncio
import gzip
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain, count, repeat
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from aiohttp import web

from mirrord.demo.sample_origin import Generated, Published, Text, span, unchanged

__all__ = ["Generated", "Text"]


@dataclass
class Asked:
    """One request and its answer. `at`: when it came (monotonic seconds). `sent` counts body bytes; `over` is set after
    the answer or a broken connection."""

    method: str
    path: str
    query: str
    headers: dict[str, str]  # names in lower case
    status: int = 0
    at: float = field(default_factory=monotonic)
    sent: int = 0
    left: bool = False  # the client closed the connection before the end
    over: threading.Event = field(default_factory=threading.Event)


@dataclass
class Reply:
    """The reply to send: bytes [start, end) of the content, unless a behaviour changes it."""

    status: int
    headers: dict[str, str]
    content: Generated | Text
    start: int
    end: int
    framing: str = "length"  # chunked; close: the body ends with the connection
    cut_at: int | None = None  # bytes of body after which the connection is closed
    stall_at: int | None = None  # bytes of body after which no more bytes are sent
    drip: float | None = None  # seconds before each byte
    endless: bool = False  # repeat the content

    def empty(self, status: int, **headers: str) -> None:
        self.status, self.headers, self.content = status, dict(headers), Text(b"")
        self.start = self.end = 0


Behaviour = Callable[[Reply, Asked], None]


# ── behaviours ────────────────────────────────────────────────────────────────────────────────────
def answers(status: int, **headers: str) -> Behaviour:
    """Answer with this status and no body; header names have `_` for `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda reply, asked: reply.empty(status, **named)


def redirects(to: str, status: int = 302) -> Behaviour:
    return answers(status, Location=to)


def cut_after(size: int) -> Behaviour:
    """Close the connection after this many bytes, before the announced length."""
    return lambda reply, asked: setattr(reply, "cut_at", size)


def stalls_after(size: int) -> Behaviour:
    """Stop after this many bytes and keep the connection open."""
    return lambda reply, asked: setattr(reply, "stall_at", size)


def drips(seconds: float) -> Behaviour:
    """Send one byte at a time, with this pause before each."""
    return lambda reply, asked: setattr(reply, "drip", seconds)


def chunked() -> Behaviour:
    return lambda reply, asked: setattr(reply, "framing", "chunked")


def unframed() -> Behaviour:
    """No Content-Length and no chunks: the end of the connection ends the body."""
    return lambda reply, asked: setattr(reply, "framing", "close")


def endless() -> Behaviour:
    """Repeat the content in chunks until the client closes the connection."""

    def again(reply: Reply, asked: Asked) -> None:
        reply.framing, reply.endless = "chunked", True

    return again


def refuses_head() -> Behaviour:
    """405 to HEAD, as with signed URLs and some CDNs."""
    return lambda reply, asked: reply.empty(405) if asked.method == "HEAD" else None


def without(*names: str) -> Behaviour:
    """Remove these response headers."""

    def drop(reply: Reply, asked: Asked) -> None:
        for name in names:
            reply.headers.pop(name, None)

    return drop


def says(**headers: str) -> Behaviour:
    """Set these response headers instead of the correct ones."""
    return lambda reply, asked: reply.headers.update({k.replace("_", "-"): v for k, v in headers.items()})


def weak_etag() -> Behaviour:
    return lambda reply, asked: reply.headers.update(ETag=f"W/{reply.headers['ETag']}")


def rotating_etag() -> Behaviour:
    """A different ETag in each answer."""
    numbers = count()
    return lambda reply, asked: reply.headers.update(ETag=f'"rotating-{next(numbers)}"')


def ignores_range() -> Behaviour:
    """Answer 200 with the whole content to a Range request."""

    def whole(reply: Reply, asked: Asked) -> None:
        reply.status, reply.start, reply.end = 200, 0, reply.content.size
        reply.headers.pop("Content-Range", None)

    return whole


def shifts_range(by: int = 1) -> Behaviour:
    """Send a shifted range, with the Content-Range of the shifted one."""

    def shift(reply: Reply, asked: Asked) -> None:
        if reply.status == 206:
            reply.start += by
            reply.headers["Content-Range"] = f"bytes {reply.start}-{reply.end - 1}/{reply.content.size}"

    return shift


def resizes_body(by: int) -> Behaviour:
    """Send `by` bytes more (or, if negative, fewer) than the headers announce, in well-formed chunks."""

    def resize(reply: Reply, asked: Asked) -> None:
        reply.end += by
        reply.framing = "chunked"

    return resize


def forces_gzip() -> Behaviour:
    """Send Content-Encoding gzip, which was not requested."""

    def zipped(reply: Reply, asked: Asked) -> None:
        body = b"".join(reply.content.pieces(reply.start, reply.end))
        reply.content = Text(gzip.compress(body, mtime=0))
        reply.start, reply.end = 0, reply.content.size
        reply.headers["Content-Encoding"] = "gzip"

    return zipped


def once(behaviour: Behaviour) -> Behaviour:
    """Apply the behaviour only to the first answer."""
    answered = count()
    return lambda reply, asked: behaviour(reply, asked) if next(answered) == 0 else None


BEHAVIOURS: dict[str, Callable[..., Behaviour]] = {
    made.__name__: made
    for made in (
        answers,
        redirects,
        cut_after,
        stalls_after,
        drips,
        chunked,
        unframed,
        endless,
        refuses_head,
        without,
        says,
        weak_etag,
        rotating_etag,
        ignores_range,
        shifts_range,
        resizes_body,
        forces_gzip,
    )
}


# ── the server ────────────────────────────────────────────────────────────────────────────────────
class Origin:
    """The published content and the log of requests."""

    def __init__(self) -> None:
        self.port = 0
        self.log: list[Asked] = []
        self._published: dict[str, Published] = {}
        self._behaviours: dict[str, tuple[Behaviour, ...]] = {}
        self._versions = count(1)

    def url(self, path: str, *, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def publish(self, path: str, body: bytes | Path | Generated, *, content_type: str = "text/plain") -> str:
        """Serve this content at `path` as a new version; its URL."""
        content = body if isinstance(body, Generated) else Text(body if isinstance(body, bytes) else body.read_bytes())
        version = next(self._versions)
        self._published[path] = Published(content, f'"v{version}"', 1_700_000_000 + version, content_type)
        return self.url(path)

    def publish_all(self, directory: Path) -> None:
        """Serve each file below `directory` at its relative path."""
        for file in sorted(directory.rglob("*")):
            if file.is_file():
                self.publish(f"/{file.relative_to(directory)}", file)

    def withdraw(self, path: str) -> None:
        """Answer 404 at `path` from now on."""
        self._published.pop(path, None)

    def behave(self, path: str, *behaviours: Behaviour) -> None:
        """Set the behaviours of `path`, applied in this order; without any, replies are correct again."""
        self._behaviours[path] = behaviours

    def asked(self, path: str) -> list[Asked]:
        return [asked for asked in self.log if asked.path == path]

    def body_bytes(self) -> int:
        """Body bytes of all answers so far."""
        return sum(asked.sent for asked in self.log)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        asked = Asked(request.method, request.path, request.rel_url.raw_query_string, headers)
        self.log.append(asked)
        try:
            reply = self._reply(request)
            for behaviour in self._behaviours.get(asked.path, ()):
                behaviour(reply, asked)
            asked.status = reply.status
            return await _send(request, reply, asked)
        except (asyncio.CancelledError, ConnectionError):
            asked.left = True
            raise
        finally:
            asked.over.set()

    def _reply(self, request: web.Request) -> Reply:
        published = self._published.get(request.path)
        if published is None:
            status = 200 if request.path in self._behaviours else 404
            return Reply(status, {}, Text(b""), 0, 0)
        if unchanged(published, request.headers):
            return Reply(304, published.validators, Text(b""), 0, 0)
        headers = {**published.validators, "Accept-Ranges": "bytes", "Content-Type": published.content_type}
        whole = Reply(200, headers, published.content, 0, published.content.size)
        try:
            part = span(published, request.headers)
        except ValueError:
            return Reply(416, {"Content-Range": f"bytes */{whole.end}"}, Text(b""), 0, 0)
        if part is None:
            return whole
        headers["Content-Range"] = f"bytes {part[0]}-{part[1] - 1}/{whole.end}"
        return replace(whole, status=206, start=part[0], end=part[1])


async def _send(request: web.Request, reply: Reply, asked: Asked) -> web.StreamResponse:
    response = web.StreamResponse(status=reply.status, headers=reply.headers)
    if reply.framing == "close":
        await _send_unframed(request, reply, asked)
        return response
    if reply.framing == "length":
        response.content_length = reply.end - reply.start
    await response.prepare(request)
    if request.method == "GET":
        await _body(reply, asked, response.write)
    if reply.cut_at is not None and request.transport is not None:
        request.transport.close()
    return response


async def _send_unframed(request: web.Request, reply: Reply, asked: Asked) -> None:
    assert request.transport is not None
    transport: Any = request.transport
    lines = [f"HTTP/1.1 {reply.status} OK", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in reply.headers.items()]
    transport.write("\r\n".join([*lines, "", ""]).encode())

    async def write(piece: bytes) -> None:
        transport.write(piece)

    await _body(reply, asked, write)
    transport.close()


async def _body(reply: Reply, asked: Asked, write: Callable[[bytes], Any]) -> None:
    end = reply.end if reply.cut_at is None else min(reply.end, reply.start + reply.cut_at)
    for piece in _pieces(reply, end):
        if reply.stall_at is not None and asked.sent >= reply.stall_at:
            await asyncio.Event().wait()  # until the client closes the connection
        if reply.drip is not None:
            await asyncio.sleep(reply.drip)
        await write(piece)
        asked.sent += len(piece)


def _pieces(reply: Reply, end: int) -> Iterator[bytes]:
    contents = repeat(None) if reply.endless else repeat(None, 1)
    for piece in chain.from_iterable(reply.content.pieces(reply.start, end) for _ in contents):
        size = 1 if reply.drip is not None else reply.stall_at or len(piece)
        for start in range(0, len(piece), size or 1):
            yield piece[start : start + size]


async def _run(origin: Origin, ready: threading.Event, life: dict[str, Any]) -> None:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", origin.serve)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    origin.port = runner.addresses[0][1]
    life["loop"], life["stop"] = asyncio.get_running_loop(), asyncio.Event()
    ready.set()
    await life["stop"].wait()
    await runner.cleanup()


@pytest.fixture
def origin() -> Iterator[Origin]:
    origin, ready, life = Origin(), threading.Event(), dict[str, Any]()
    thread = threading.Thread(target=lambda: asyncio.run(_run(origin, ready, life)), daemon=True)
    thread.start()
    assert ready.wait(60), "the origin did not start"
    yield origin
    life["loop"].call_soon_threadsafe(life["stop"].set)
    thread.join(60)
    assert not thread.is_alive(), "the origin did not stop"
