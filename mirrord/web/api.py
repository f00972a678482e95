"""The handlers of the API: they call `ports.Control` and return its dataclasses as JSON. Without state."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

from aiohttp import web

from mirrord.errors import MirrordError, RestoreRefused
from mirrord.model import ItemFilter
from mirrord.ports import Control
from mirrord.status import ItemPage
from mirrord.web.query import cursor_of, cursor_of_place, entries_query, items_query
from mirrord.web.routes import (
    Reloaded,
    RestoreRequest,
    Triggered,
    TriggeredItems,
    TriggerRequest,
    checked_query,
    json_response,
    problem_response,
    read_response,
)

T = TypeVar("T")

BODY_WITHIN = 10.0
"""Seconds for the body of a request."""
METRICS = "text/plain; version=0.0.4; charset=utf-8"


class Api:
    """Handlers for the routes of `table`."""

    def __init__(self, control: Control, metrics: Callable[[], Awaitable[bytes]]) -> None:
        self._control = control
        self._metrics = metrics

    # ── health ────────────────────────────────────────────────────────────────────────────────────
    async def livez(self, _request: web.Request) -> web.StreamResponse:
        return web.Response(text="alive\n")

    async def readyz(self, _request: web.Request) -> web.StreamResponse:
        reason = self._control.not_ready()
        return web.Response(status=503, text=f"{reason}\n") if reason else web.Response(text="ready\n")

    async def metrics(self, _request: web.Request) -> web.StreamResponse:
        return web.Response(body=await self._metrics(), headers={"Content-Type": METRICS})

    # ── reads ─────────────────────────────────────────────────────────────────────────────
    async def status(self, request: web.Request) -> web.StreamResponse:
        return read_response(request, await self._control.status())

    async def items(self, request: web.Request) -> web.StreamResponse:
        query = checked_query(items_query, request)
        if (order := query.order) is not None:
            wanted = ItemFilter(query.state, query.entry, query.q)
            found = await self._control.sorted_items(order, wanted, query.place, query.limit)
            cursor = None if found.last is None else cursor_of_place(found.last, order)
            return read_response(request, ItemPage(items=found.items, cursor=cursor))
        page = await self._control.items(
            state=query.state, entry=query.entry, text=query.q, cursor=query.cursor, limit=query.limit
        )
        return read_response(request, page)

    async def entries(self, request: web.Request) -> web.StreamResponse:
        query = checked_query(entries_query, request)
        page = await self._control.entries(cursor=query.cursor, limit=query.limit)
        following = None if page.cursor is None else cursor_of(page.cursor)
        return read_response(request, replace(page, cursor=following))

    async def item(self, request: web.Request) -> web.StreamResponse:
        item_id = request.match_info["id"]
        found = await self._control.item(item_id)
        return read_response(request, found) if found else _no_item(request)

    async def history(self, request: web.Request) -> web.StreamResponse:
        item_id = request.match_info["id"]
        found = await self._control.history(item_id)
        return read_response(request, found) if found else _no_item(request)

    # ── writes ─────────────────────────────────────────────────────────────────────
    async def sync(self, request: web.Request) -> web.StreamResponse:
        item_id = request.match_info["id"]
        known = await self._control.trigger(item_id)
        return json_response(Triggered(item_id), status=202) if known else _no_item(request)

    async def sync_items(self, request: web.Request) -> web.StreamResponse:
        try:
            asked = await _body(request, TriggerRequest.of)
        except (ValueError, RecursionError) as error:
            return problem_response(request, 400, f'send ids as JSON, like {{"items": ["0123456789abcdef"]}}: {error}')
        known = {item_id: await self._control.trigger(item_id) for item_id in dict.fromkeys(asked.items)}
        triggered = TriggeredItems(
            tuple(item_id for item_id, found in known.items() if found),
            tuple(item_id for item_id, found in known.items() if not found),
        )
        return json_response(triggered, status=202)

    async def sync_entry(self, request: web.Request) -> web.StreamResponse:
        entry = request.match_info["entry"]
        if self._control.trigger_entry(entry):
            return json_response(Triggered(entry), status=202)
        return problem_response(request, 404, f"no list or folder is named {entry!r}")

    async def restore(self, request: web.Request) -> web.StreamResponse:
        item_id = request.match_info["id"]
        try:
            asked = await _body(request, RestoreRequest.of)
        except (ValueError, RecursionError) as error:
            return problem_response(
                request, 400, f'send the version as JSON, like {{"version": "3HL4kqtJvjVBH40N"}}: {error}'
            )
        try:
            restored = await self._control.restore(item_id, asked.version)
        except RestoreRefused as error:
            return problem_response(request, 409, str(error))
        except MirrordError as error:
            return problem_response(request, 503, str(error))
        return json_response(restored) if restored else _no_item(request)

    async def reload(self, _request: web.Request) -> web.StreamResponse:
        return json_response(Reloaded(tuple(await self._control.reload())))


async def _body(request: web.Request, read: Callable[[object], T]) -> T:
    """The body, read from JSON. Raises what `read` and the parser of JSON raise."""
    try:
        async with asyncio.timeout(BODY_WITHIN):
            body = await request.read()
    except TimeoutError:
        raise web.HTTPRequestTimeout(text=f"the body did not arrive within {BODY_WITHIN:g} s") from None
    except ConnectionResetError:  # the client has closed the connection
        raise web.HTTPBadRequest(text="the body did not arrive whole") from None
    return read(json.loads(body))


def _no_item(request: web.Request) -> web.Response:
    return problem_response(request, 404, f"there is no item {request.match_info['id']!r}")
