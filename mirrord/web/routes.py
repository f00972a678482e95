"""Routes of the API: parameters and responses. Routing and the OpenAPI document are both made from them."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import field
from http import HTTPStatus
from types import MappingProxyType

from aiohttp import web

from mirrord.frozen import frozen
from mirrord.status import FileStatus
from mirrord.web.as_json import Json, as_json, dumps

RouteHandler = Callable[[web.Request], Awaitable[web.StreamResponse]]

JSON, TEXT, EVENTS = "application/json", "text/plain", "text/event-stream"
PROBLEM = "application/problem+json"


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
    body: type | None = None
    """Of the request, as JSON."""


LONGEST_VERSION = 1_024
"""Characters of the id of a version (AWS, "How S3 Versioning works")."""


# ── bodies that only the API uses ──────────────────────────────────────────────────────────────
@frozen(kw_only=True)
class ProblemDocument:
    """An RFC 9457 problem document: the body of every response with status 400 or above, except that of /readyz.
    `message` is `detail` again."""

    type: str
    title: str
    status: int
    detail: str
    message: str


@frozen
class RestoreRequest:
    """The version to make current."""

    version: str

    @classmethod
    def of(cls, body: object) -> "RestoreRequest":
        """Raises ValueError for a body of another form."""
        if not isinstance(body, dict) or body.keys() != {"version"} or not isinstance(body["version"], str):
            raise ValueError("it must be an object with one text, version")
        if not 0 < len(body["version"]) <= LONGEST_VERSION:
            raise ValueError(f"a version has from 1 to {LONGEST_VERSION:,} characters")
        return cls(body["version"])


@frozen
class Triggered:
    """The item is checked as soon as a worker is free; the list or folder of that name is read now."""

    id: str


@frozen
class Reloaded:
    """The state of each manifest file after the reload."""

    files: tuple[FileStatus, ...]


def json_response(shape: object, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """A dataclass as the body."""
    return web.json_response(as_json(shape), status=status, headers=headers, dumps=dumps)


def problem_response(status: int, message: str, headers: Mapping[str, str] = MappingProxyType({})) -> web.Response:
    """An RFC 9457 problem document."""
    body = ProblemDocument(
        type="about:blank", title=HTTPStatus(status).phrase, status=status, detail=message, message=message
    )
    media = {**headers, "Content-Type": PROBLEM}
    return web.Response(body=dumps(as_json(body)).encode(), status=status, headers=media)


def refusal(text: str) -> Returned:
    """The documented body of a response with status 400 or above."""
    return Returned(text, ProblemDocument, media=PROBLEM)
