"""Routes of the API: parameters and responses. Routing and the OpenAPI document are both made from them."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import field
from hashlib import blake2b
from http import HTTPStatus
from types import MappingProxyType
from typing import Annotated, TypeVar

from aiohttp import web
from aiohttp.helpers import ETAG_ANY
from pydantic import ConfigDict, Field

from mirrord.frozen import frozen
from mirrord.status import FileStatus
from mirrord.web.as_json import Json, as_json, dumps
from mirrord.web.query import ITEM_ID

T = TypeVar("T")
RouteHandler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_ITEM_ID = re.compile(ITEM_ID.strip("^$"))
JSON, TEXT, EVENTS = "application/json", "text/plain", "text/event-stream"
PROBLEM = "application/problem+json"
PROBES = frozenset({"/livez", "/readyz"})
"""Answered under any host name, and without a token."""


@frozen(kw_only=True)
class Parameter:
    """One value in the path or the query. `schema` is JSON Schema."""

    name: str
    text: str
    schema: Mapping[str, Json] = field(default_factory=lambda: {"type": "string"})
    location: str = "query"


@frozen
class Returned:
    """The body for one status code: a dataclass as JSON, or text."""

    text: str
    shape: type | None = None
    media: str = JSON


@frozen(kw_only=True)
class Route:
    """One method on one path."""

    method: str
    path: str
    answer: RouteHandler
    summary: str
    returns: Mapping[int, Returned]
    parameters: tuple[Parameter, ...] = ()
    needs_token: bool = False
    has_etag: bool = False
    """Whether the answer has an ETag, so that If-None-Match may be sent."""
    body: type | None = None
    """Of the request, as JSON."""


LONGEST_VERSION = 1_024
"""Characters of the id of a version (AWS, "How S3 Versioning works")."""


# ── bodies that only the API uses ──────────────────────────────────────────────────────────────
@frozen(kw_only=True)
class ProblemDocument:
    """An RFC 9457 problem document: the body of every response with status 400 or above, except that of /readyz.
    `instance` is the path of the request, `message` is `detail` again."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    message: str


@frozen
class RestoreRequest:
    """The version to make current."""

    __pydantic_config__ = ConfigDict(extra="forbid")
    version: Annotated[str, Field(min_length=1, max_length=LONGEST_VERSION)]

    @classmethod
    def of(cls, body: object) -> "RestoreRequest":
        """Raises ValueError for a body of another form."""
        if not isinstance(body, dict) or body.keys() != {"version"} or not isinstance(body["version"], str):
            raise ValueError("it must be an object with one text, version")
        if not 0 < len(body["version"]) <= LONGEST_VERSION:
            raise ValueError(f"a version has from 1 to {LONGEST_VERSION:,} characters")
        return cls(body["version"])


MOST_TRIGGERED = 500
"""Items of one request: their ids fill two thirds of the largest body."""


@frozen
class TriggerRequest:
    """The ids of the items to check now."""

    __pydantic_config__ = ConfigDict(extra="forbid")
    items: Annotated[tuple[Annotated[str, Field(pattern=ITEM_ID)], ...], Field(min_length=1, max_length=MOST_TRIGGERED)]

    @classmethod
    def of(cls, body: object) -> "TriggerRequest":
        """Raises ValueError for a body of another form."""
        if not isinstance(body, dict) or body.keys() != {"items"} or not isinstance(body["items"], list):
            raise ValueError("it must be an object with one list, items")
        if not 0 < len(body["items"]) <= MOST_TRIGGERED:
            raise ValueError(f"items must have from 1 to {MOST_TRIGGERED} ids")
        if not all(isinstance(one, str) and _ITEM_ID.fullmatch(one) for one in body["items"]):
            raise ValueError("an id of an item has 16 of 0-9 and a-f")
        return cls(tuple(body["items"]))


@frozen
class TriggeredItems:
    """`items` are checked as soon as workers are free. `unknown`: there are no such items."""

    items: tuple[str, ...]
    unknown: tuple[str, ...]


@frozen
class Triggered:
    """The item is checked as soon as a worker is free; the list or folder of that name is read now."""

    id: str


@frozen
class Reloaded:
    """The state of each manifest file after the reload."""

    files: tuple[FileStatus, ...]


def checked_query(check: Callable[[list[tuple[str, str]]], T], request: web.Request) -> T:
    """The checked query; else status 400 with the expected form."""
    try:
        return check(list(request.query.items()))
    except ValueError as error:
        raise web.HTTPBadRequest(text=str(error)) from None


def json_response(shape: object, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """A dataclass as the body."""
    return web.json_response(as_json(shape), status=status, headers=headers, dumps=dumps)


def read_response(request: web.Request, shape: object) -> web.Response:
    """A dataclass as the body, with an ETag (RFC 9110 8.8.3); 304 without it if the client has these bytes.

    The ETag is a digest of the bytes: also time, file systems and stores change what is shown, so that no counter of
    events knows each change. An answer has at most a page of items, so that this takes less than a millisecond.
    """
    body = dumps(as_json(shape)).encode()
    tag = blake2b(body, digest_size=16).hexdigest()
    headers = {"ETag": f'"{tag}"', "Cache-Control": "private, no-cache"}
    if any(one.value in (tag, ETAG_ANY) for one in request.if_none_match or ()):
        return web.Response(status=304, headers=headers)
    return web.Response(body=body, content_type=JSON, charset="utf-8", headers=headers)


def problem_response(
    request: web.BaseRequest, status: int, message: str, headers: Mapping[str, str] = MappingProxyType({})
) -> web.Response:
    """An RFC 9457 problem document."""
    body = ProblemDocument(
        type="about:blank",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=message,
        instance=request.rel_url.raw_path,
        message=message,
    )
    media = {**headers, "Content-Type": PROBLEM}
    return web.Response(body=dumps(as_json(body)).encode(), status=status, headers=media)


def refusal(text: str) -> Returned:
    """The documented body of a response with status 400 or above."""
    return Returned(text, ProblemDocument, media=PROBLEM)
