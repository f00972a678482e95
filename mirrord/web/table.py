"""The table of the routes of the API: their handlers, parameters and responses. Routing and the OpenAPI document are
both made from it."""

from collections.abc import Mapping
from dataclasses import replace

from aiohttp import web

from mirrord.model import State
from mirrord.status import EntryPage, ItemHistory, ItemPage, ItemStatus, Restored, Status
from mirrord.web import openapi
from mirrord.web.api import Api
from mirrord.web.as_json import Json
from mirrord.web.query import ITEM_ID, LONGEST, MOST, SORTS, ItemsQuery, no_parameters
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
    TriggeredItems,
    TriggerRequest,
    checked_query,
    refusal,
)
from mirrord.web.stream import Streams


def routes(api: Api, streams: Streams) -> tuple[Route, ...]:
    """Every route but the page."""
    described = [*_probes(api), *map(_without_query, (*_reads(api, streams), *_writes(api)))]

    async def document(_request: web.Request) -> web.StreamResponse:
        return web.json_response(openapi.document(every))

    own = _get("/api/v1/openapi.json", document, "This document", Returned("OpenAPI 3.1"))
    every = (*described, _without_query(own))
    return every


def _without_query(route: Route) -> Route:
    """The route, where it has no parameters in the query with status 400 for any."""
    if any(one.location == "query" for one in route.parameters):
        return route

    async def answer(request: web.Request) -> web.StreamResponse:
        checked_query(no_parameters, request)
        return await route.answer(request)

    return replace(route, answer=answer)


_TEXT: Mapping[str, Json] = {"type": "string", "maxLength": LONGEST}
_ITEM = Parameter(name="id", text="An item's id", location="path", schema={"type": "string", "pattern": ITEM_ID})
_ENTRY = Parameter(name="entry", text="The name of a list or folder, percent-encoded", location="path")
_LIMIT = Parameter(
    name="limit",
    text="Most of one page",
    schema={"type": "integer", "minimum": 1, "maximum": MOST, "default": ItemsQuery().limit},
)
_ITEMS_PARAMETERS = (
    Parameter(name="state", text="Only items in this state", schema={"type": "string", "enum": [*State]}),
    Parameter(name="entry", text="Only items of the entry with this name", schema=_TEXT),
    Parameter(name="q", text="Only items with this text in key, source or entry", schema=_TEXT),
    Parameter(
        name="sort",
        text="The order; with a minus descending. `since`: when the state began; `copied`: when the object was written "
        "or adopted last; `state`: those that need attention first, of each state what changed last",
        schema={"type": "string", "enum": [*SORTS], "default": "id"},
    ),
    Parameter(name="cursor", text="The cursor of the previous page in this order", schema=_TEXT),
    _LIMIT,
)
_ENTRIES_PARAMETERS = (Parameter(name="cursor", text="The cursor of the previous page", schema=_TEXT), _LIMIT)


def _probes(api: Api) -> tuple[Route, ...]:
    return (
        _get("/livez", api.livez, "The event loop runs", Returned("It runs", media=TEXT)),
        Route(
            method="GET",
            path="/readyz",
            answer=api.readyz,
            summary="A valid manifest is in force, the journal is writable, and mirrord is not stopping",
            returns={200: Returned("Ready", media=TEXT), 503: Returned("Why not", media=TEXT)},
        ),
        _get("/metrics", api.metrics, "Metrics in Prometheus' text format", Returned("All of them", media=TEXT)),
    )


def _reads(api: Api, streams: Streams) -> tuple[Route, ...]:
    return (
        Route(
            method="GET",
            path="/api/v1/status",
            answer=api.status,
            summary="The status at this moment",
            returns={200: Returned("Status", Status)},
            has_etag=True,
        ),
        Route(
            method="GET",
            path="/api/v1/entries",
            answer=api.entries,
            summary="Entries of the manifests in force, in the order of their names, in pages",
            returns={200: Returned("One page", EntryPage)},
            parameters=_ENTRIES_PARAMETERS,
            has_etag=True,
        ),
        Route(
            method="GET",
            path="/api/v1/items",
            answer=api.items,
            summary="Items in pages, in the order of their ids or sorted",
            returns={200: Returned("One page", ItemPage)},
            parameters=_ITEMS_PARAMETERS,
            has_etag=True,
        ),
        Route(
            method="GET",
            path="/api/v1/items/{id}",
            answer=api.item,
            summary="One item",
            returns={200: Returned("The item", ItemStatus), 404: refusal("No such item")},
            parameters=(_ITEM,),
            has_etag=True,
        ),
        Route(
            method="GET",
            path="/api/v1/items/{id}/history",
            answer=api.history,
            summary="Objects that the item had, failed attempts, and the versions of the store, the newest first",
            returns={200: Returned("The history", ItemHistory), 404: refusal("No such item")},
            parameters=(_ITEM,),
            has_etag=True,
        ),
        _get(
            "/api/v1/events",
            streams.answer,
            "Events from now on, as server-sent events named as in the log; a slow reader loses the oldest",
            Returned("Each event's fields as JSON", media=EVENTS),
        ),
    )


def _writes(api: Api) -> tuple[Route, ...]:
    return (
        Route(
            method="POST",
            path="/api/v1/items/{id}/sync",
            answer=api.sync,
            summary="Check the item now, independent of its schedule",
            returns={202: Returned("It is queued", Triggered), 404: refusal("No such item")},
            parameters=(_ITEM,),
            needs_token=True,
        ),
        Route(
            method="POST",
            path="/api/v1/items/sync",
            answer=api.sync_items,
            summary="Check these items now, independent of their schedules",
            returns={202: Returned("They are queued", TriggeredItems), 400: refusal("The body has no list of ids")},
            body=TriggerRequest,
            needs_token=True,
        ),
        Route(
            method="POST",
            path="/api/v1/entries/{entry}/sync",
            answer=api.sync_entry,
            summary="Read the list, or scan the folder, of this name now",
            returns={202: Returned("It is due", Triggered), 404: refusal("No such list or folder")},
            parameters=(_ENTRY,),
            needs_token=True,
        ),
        Route(
            method="POST",
            path="/api/v1/items/{id}/restore",
            answer=api.restore,
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
            answer=api.reload,
            summary="Read the manifests again now",
            returns={200: Returned("Each file's state", Reloaded)},
            needs_token=True,
        ),
    )


def _get(path: str, answer: RouteHandler, summary: str, returned: Returned) -> Route:
    return Route(method="GET", path=path, answer=answer, summary=summary, returns={200: returned})
