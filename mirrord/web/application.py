"""The web application: routes, the files of the page, the token for every POST, errors as JSON, and common headers.

Owns what is common to all responses. Uses the daemon only through `ports.Control`. No response allows another origin
to read it. Each request that changes something needs a header that a form of another site cannot send.
"""

import hmac
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from mirrord.errors import MirrordError
from mirrord.ports import Control
from mirrord.web.api import Api
from mirrord.web.hosts import LOOPBACK, Hosts
from mirrord.web.routes import Failure, RouteHandler, json_response, problem_response
from mirrord.web.stream import HEARTBEAT, Streams

_log = logging.getLogger(__name__)

_PAGE = Path(__file__).parent / "page"
_SCRIPT = "text/javascript; charset=utf-8"
_FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
    **{f"/{name}": (name, _SCRIPT) for name in ("page.js", "feed.js", "draw.js", "words.js")},
}
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "object-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Server": "mirrord",
}
_PROBES = frozenset({"/livez", "/readyz"})
_STREAMS = web.AppKey("streams", Streams)


def application(
    control: Control,
    metrics: Callable[[], Awaitable[bytes]],
    token: str | None,
    *,
    hosts: Hosts = LOOPBACK,
    heartbeat: float = HEARTBEAT,
) -> web.Application:
    """The application of a daemon that answers to `hosts`. Without a `token` (or with an empty one) POST is refused."""
    app = web.Application(middlewares=[_failures, _checks_host(hosts)])
    streams = Streams(control, heartbeat=heartbeat)
    for route in Api(control, metrics, streams).routes():
        answer = _guarded(route.answer, token) if route.needs_token else route.answer
        path = route.path.replace("}", ":[^/]+}")  # by itself aiohttp takes no name with a brace
        app.router.add_route(route.method, path, answer)
        if route.method == "GET":
            app.router.add_route("HEAD", path, answer)
    for path, (name, media) in _FILES.items():
        app.router.add_get(path, _file(name, media))
    app[_STREAMS] = streams
    app.on_response_prepare.append(_secure)
    app.on_shutdown.append(_close_streams)
    return app


def _file(name: str, media: str) -> RouteHandler:
    async def answer(_request: web.Request) -> web.StreamResponse:
        headers = {"Content-Type": media, "Cache-Control": "no-cache"}  # the browser validates it by its ETag
        return web.FileResponse(_PAGE / name, headers=headers)

    return answer


def _guarded(answer: RouteHandler, token: str | None) -> RouteHandler:
    """`answer`, after a check of the token."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        if not token:
            raise web.HTTPForbidden(text="POST is off: set daemon.api_token in the manifest to allow it")
        if not _shows(request, token):
            raise web.HTTPUnauthorized(
                text="send the API token: Authorization: Bearer …", headers={"WWW-Authenticate": "Bearer"}
            )
        return await answer(request)

    return guarded


def _shows(request: web.Request, token: str) -> bool:
    scheme, _, shown = request.headers.get("Authorization", "").partition(" ")
    right = hmac.compare_digest(shown.strip().encode("utf-8", "surrogateescape"), token.encode())
    return right and scheme.lower() == "bearer"


def _checks_host(hosts: Hosts) -> Middleware:
    """Refuse requests that name a host that is not in `hosts`. Probes, and requests without a host, are answered."""

    @web.middleware
    async def checks_host(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path not in _PROBES and not all(map(hosts.known, _named(request))):
            return problem_response(
                421, f"{request.host!r} is no name of this mirrord; if it is, add it to daemon.hosts"
            )
        return await handler(request)

    return checks_host


def _named(request: web.Request) -> list[str]:
    """The hosts that a request names: in Host, and before its path (RFC 9112 3.2.2). None through a Unix socket."""
    if request.transport is None or isinstance(request.transport.get_extra_info("sockname"), str | bytes):
        return []
    named = [request.headers.get("Host", "")] + [request.host] * (not request.raw_path.startswith("/"))
    return [host for host in named if host.strip()]


@web.middleware
async def _failures(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error as JSON with a message; an internal error is logged."""
    try:
        return await handler(request)
    except web.HTTPException as refusal:
        if refusal.status < 400:
            raise
        kept = {name: refusal.headers[name] for name in ("Allow", "WWW-Authenticate") if name in refusal.headers}
        return json_response(Failure(_message(request, refusal)), status=refusal.status, headers=kept)
    except MirrordError as error:
        return json_response(Failure(str(error)), status=503)
    except Exception:
        _log.exception("internal error while answering %s %s", request.method, request.path)
        if request.writer.output_size:  # part of the response is sent: only a closed connection shows the error
            raise
        return json_response(Failure("internal error, please report it (see the log)"), status=500)


def _message(request: web.Request, refusal: web.HTTPException) -> str:
    if isinstance(refusal, web.HTTPNotFound):
        return f"nothing is served at {request.path}; see /api/v1/openapi.json"
    if isinstance(refusal, web.HTTPMethodNotAllowed):
        return f"{request.path} takes {', '.join(sorted(refusal.allowed_methods))}, not {refusal.method}"
    return refusal.text or refusal.reason


async def _secure(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")


async def _close_streams(app: web.Application) -> None:
    app[_STREAMS].close()
