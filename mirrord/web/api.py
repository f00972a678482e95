"""The handlers of the API: they call `ports.Control` and return its dataclasses as JSON. Without state."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import TypeVar

from aiohttp import web

from mirrord.errors import MirrordError, RestoreRefused
from mirrord.model import State
from mirrord.ports import Control
from mirrord.status import ItemHistory, ItemPage, ItemStatus, Restored, Status
from mirrord.web import openapi
from mirrord.web.query import MOST, ItemsQuery, items_query, no_parameters
from mirrord.web.routes import (
    EVENTS,
    TEXT,
    Parameter,
    Reloaded,
    RestoreRequest,
    Returned,
    Route,
    RouteHandler,
    Triggered,
    json_response,
    problem_response,
    refusal,
)
from mirrord.web.stream import Streams

T = TypeVar("T")

BODY_WITHIN = 10.0
"""Seconds for the body of a request."""
METRICS = "text/plain; version=0.0.4; charset=utf-8"
_ITEM = Parameter(
    name="id", text="An item's id", location="path", schema={"type": "string", "pattern": "^[0-9a-f]{16}$"}
)
_ENTRY = Parameter(name="entry", text="The name of a list or folder, percent-encoded", location="path")


class Api:
    """Handlers for every route but the page; `routes` is the table of routes."""

    def __init__(self, control: Control, metrics: Callable[[], Awaitable[bytes]], streams: Streams) -> None:
        self._control = control
        self._metrics = metrics
        self._streams = streams

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
        _checked(no_parameters, request)
        return json_response(await self._control.status())

    async def items(self, request: web.Request) -> web.StreamResponse:
        query = _checked(items_query, request)
        page = await self._control.items(
            state=query.state, entry=query.entry, text=query.q, cursor=query.cursor, limit=query.limit
        )
        return json_response(page)

    async def item(self, request: web.Request) -> web.StreamResponse:
        _checked(no_parameters, request)
        item_id = request.match_info["id"]
        found = await self._control.item(item_id)
        return json_response(found) if found else _no_item(item_id)

    async def history(self, request: web.Request) -> web.StreamResponse:
        _checked(no_parameters, request)
        item_id = request.match_info["id"]
        found = await self._control.history(item_id)
        return json_response(found) if found else _no_item(item_id)

    async def openapi(self, _request: web.Request) -> web.StreamResponse:
        return web.json_response(openapi.document(self.routes()))

    # ── writes ─────────────────────────────────────────────────────────────────────
    async def sync(self, request: web.Request) -> web.StreamResponse:
        item_id = request.match_info["id"]
        known = await self._control.trigger(item_id)
        return json_response(Triggered(item_id), status=202) if known else _no_item(item_id)

    async def sync_entry(self, request: web.Request) -> web.StreamResponse:
        entry = request.match_info["entry"]
        if self._control.trigger_entry(entry):
            return json_response(Triggered(entry), status=202)
        return problem_response(404, f"no list or folder is named {entry!r}")

    async def restore(self, request: web.Request) -> web.StreamResponse:
        _checked(no_parameters, request)
        item_id = request.match_info["id"]
        try:
            async with asyncio.timeout(BODY_WITHIN):
                asked = RestoreRequest.of(json.loads(await request.read()))
        except TimeoutError:
            raise web.HTTPRequestTimeout(text=f"the body did not arrive within {BODY_WITHIN:g} s") from None
        except ConnectionResetError:  # nobody reads the answer
            raise web.HTTPBadRequest(text="the body did not arrive whole") from None
        except (ValueError, RecursionError) as error:
            return problem_response(400, f'send the version as JSON, like {{"version": "3HL4kqtJvjVBH40N"}}: {error}')
        try:
            restored = await self._control.restore(item_id, asked.version)
        except RestoreRefused as error:
            return problem_response(409, str(error))
        except MirrordError as error:
            return problem_response(503, str(error))
        return json_response(restored) if restored else _no_item(item_id)

    async def reload(self, _request: web.Request) -> web.StreamResponse:
        return json_response(Reloaded(tuple(await self._control.reload())))

    # ── the table ─────────────────────────────────────────────────────────────────────────────────
    def routes(self) -> tuple[Route, ...]:
        return (*self._probes(), *self._reads(), *self._writes())

    def _probes(self) -> tuple[Route, ...]:
        return (
            _get("/livez", self.livez, "The event loop runs", Returned("It runs", media=TEXT)),
            Route(
                method="GET",
                path="/readyz",
                answer=self.readyz,
                summary="A valid manifest is in force, the journal is writable, and mirrord is not stopping",
                returns={200: Returned("Ready", media=TEXT), 503: Returned("Why not", media=TEXT)},
            ),
            _get("/metrics", self.metrics, "Metrics in Prometheus' text format", Returned("All of them", media=TEXT)),
        )

    def _reads(self) -> tuple[Route, ...]:
        return (
            _get("/api/v1/status", self.status, "The status at this moment", Returned("Status", Status)),
            Route(
                method="GET",
                path="/api/v1/items",
                answer=self.items,
                summary="Items in the order of their ids, in pages",
                returns={200: Returned("One page", ItemPage), 400: refusal("A bad query")},
                parameters=_ITEMS_PARAMETERS,
            ),
            Route(
                method="GET",
                path="/api/v1/items/{id}",
                answer=self.item,
                summary="One item",
                returns={200: Returned("The item", ItemStatus), 404: refusal("No such item")},
                parameters=(_ITEM,),
            ),
            Route(
                method="GET",
                path="/api/v1/items/{id}/history",
                answer=self.history,
                summary="Objects that the item had, failed attempts, and the versions of the store, the newest first",
                returns={200: Returned("The history", ItemHistory), 404: refusal("No such item")},
                parameters=(_ITEM,),
            ),
            _get(
                "/api/v1/events",
                self._streams.answer,
                "Events from now on, as server-sent events named as in the log; a slow reader loses the oldest",
                Returned("Each event's fields as JSON", media=EVENTS),
            ),
            _get("/api/v1/openapi.json", self.openapi, "This document", Returned("OpenAPI 3.1")),
        )

    def _writes(self) -> tuple[Route, ...]:
        return (
            Route(
                method="POST",
                path="/api/v1/items/{id}/sync",
                answer=self.sync,
                summary="Check the item now, independent of its schedule",
                returns={202: Returned("It is queued", Triggered), 404: refusal("No such item")},
                parameters=(_ITEM,),
                needs_token=True,
            ),
            Route(
                method="POST",
                path="/api/v1/entries/{entry}/sync",
                answer=self.sync_entry,
                summary="Read the list, or scan the folder, of this name now",
                returns={202: Returned("It is due", Triggered), 404: refusal("No such list or folder")},
                parameters=(_ENTRY,),
                needs_token=True,
            ),
            Route(
                method="POST",
                path="/api/v1/items/{id}/restore",
                answer=self.restore,
                summary="Make a version of the item's object current, and wait until it is",
                returns={
                    200: Returned("It is current", Restored),
                    400: refusal("The body names no version"),
                    404: refusal("No such item"),
                    409: refusal("The version cannot be made current"),
                    503: refusal("Store or journal do not answer"),
                },
                parameters=(_ITEM,),
                body=RestoreRequest,
                needs_token=True,
            ),
            Route(
                method="POST",
                path="/api/v1/reload",
                answer=self.reload,
                summary="Read the manifests again now",
                returns={200: Returned("Each file's state", Reloaded)},
                needs_token=True,
            ),
        )


_ITEMS_PARAMETERS = (
    Parameter(name="state", text="Only items in this state", schema={"type": "string", "enum": [*State]}),
    Parameter(name="entry", text="Only items of the entry with this name"),
    Parameter(name="q", text="Only items with this text in key, source or entry"),
    Parameter(name="cursor", text="The cursor of the previous page"),
    Parameter(
        name="limit",
        text="Items of a page",
        schema={"type": "integer", "minimum": 1, "maximum": MOST, "default": ItemsQuery().limit},
    ),
)


def _get(path: str, answer: RouteHandler, summary: str, returned: Returned) -> Route:
    return Route(method="GET", path=path, answer=answer, summary=summary, returns={200: returned})


def _checked(check: Callable[[list[tuple[str, str]]], T], request: web.Request) -> T:
    """The checked query; else status 400 with the expected form."""
    try:
        return check(list(request.query.items()))
    except ValueError as error:
        raise web.HTTPBadRequest(text=str(error)) from None


def _no_item(item_id: str) -> web.Response:
    return problem_response(404, f"there is no item {item_id!r}")
