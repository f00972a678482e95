"""Events as a stream for a browser's EventSource (WHATWG HTML 9.2): one event a message, and comments between them.

Owns the number of streams and their end: with the server, with the events, or with a reader that reads nothing until a
deadline. The subscription of `Control` drops progress events and bounds the backlog.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from aiohttp import web

from mirrord.aio import drain
from mirrord.events import Event
from mirrord.ports import Control
from mirrord.web.as_json import dumps, event_json
from mirrord.web.routes import EVENTS

MOST = 64
"""Streams at a time; each uses a connection and a backlog."""
HEARTBEAT = 10.0
"""Seconds without an event after which a comment is sent, so that proxies and readers keep the stream open."""
READER_DEADLINE = 30.0
"""Seconds for a reader to read one message."""
RECONNECT_MS = 2000
_HEADERS = {"Content-Type": EVENTS, "X-Accel-Buffering": "no"}


class Streams:
    """All open streams. `close` ends them; new ones are refused from then on."""

    def __init__(self, control: Control, *, heartbeat: float = HEARTBEAT) -> None:
        self._control = control
        self._heartbeat = heartbeat
        self._open = 0
        self._stopping = asyncio.Event()

    def close(self) -> None:
        self._stopping.set()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """One stream, until the reader or the server ends it."""
        if self._stopping.is_set():
            raise web.HTTPServiceUnavailable(text="stopping")
        if request.method == "HEAD":
            return web.Response(headers=_HEADERS)
        if self._open >= MOST:
            raise web.HTTPServiceUnavailable(text=f"{MOST} streams are open, which is the most")
        self._open += 1
        try:
            async with self._control.subscribe() as events:
                return await self._stream(request, events)
        finally:
            self._open -= 1

    async def _stream(self, request: web.Request, events: AsyncIterator[Event]) -> web.StreamResponse:
        response = web.StreamResponse(headers=_HEADERS)
        await response.prepare(request)
        with suppress(ConnectionResetError, TimeoutError):  # the reader has gone, or reads nothing
            await _write(response, f"retry: {RECONNECT_MS}\n\n")
            await self._pass_on(response, events)
        return response

    async def _pass_on(self, response: web.StreamResponse, events: AsyncIterator[Event]) -> None:
        stopping = asyncio.ensure_future(self._stopping.wait())
        following = asyncio.ensure_future(_next(events))
        try:
            while not stopping.done():
                await asyncio.wait({stopping, following}, timeout=self._heartbeat, return_when=asyncio.FIRST_COMPLETED)
                if not following.done():
                    await _write(response, ": still here\n\n")
                    continue
                event = following.result()
                if event is None:
                    return
                await _write(response, message(event))
                following = asyncio.ensure_future(_next(events))
        finally:
            await drain([stopping, following])


def message(event: Event) -> str:
    """One server-sent message: this JSON has no line breaks, so one `data` line is enough."""
    return f"event: {event.name}\ndata: {dumps(event_json(event))}\n\n"


async def _next(events: AsyncIterator[Event]) -> Event | None:
    """The next event; None at the end of events (a task must not raise StopAsyncIteration)."""
    return await anext(events, None)


async def _write(response: web.StreamResponse, text: str) -> None:
    async with asyncio.timeout(READER_DEADLINE):
        await response.write(text.encode())
