"""The web application: routes, the files of the page, errors as problem documents (RFC 9457), and common headers.

Owns what is common to all responses; `access` has the checks of requests. Uses the daemon only through `ports.Control`.
No response allows another origin to read it.
"""

import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler

from mirrord.errors import MirrordError
from mirrord.ports import Control
from mirrord.web.access import LARGEST_BODY, Access
from mirrord.web.api import Api
from mirrord.web.client_rates import ClientRates
from mirrord.web.routes import RouteHandler, problem_response
from mirrord.web.stream import HEARTBEAT, Streams
from mirrord.web.table import routes

_log = logging.getLogger(__name__)

_PAGE = Path(__file__).parent / "page"
_HTML = "text/html; charset=utf-8"
_SCRIPT = "text/javascript; charset=utf-8"
_MODULES = ("page", "listing", "groups", "item", "loop", "feed", "draw", "places", "dom", "words", "advice")
_FILES = {
    "/": ("index.html", _HTML),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
    **{f"/{name}.js": (f"{name}.js", _SCRIPT) for name in _MODULES},
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
_STREAMS = web.AppKey("streams", Streams)


def application(
    control: Control,
    metrics: Callable[[], Awaitable[bytes]],
    access: Access,
    *,
    heartbeat: float = HEARTBEAT,
    rates: ClientRates | None = None,
) -> web.Application:
    """The application of a daemon. `rates`: None: the usual ones."""
    checks = [(rates or ClientRates()).middleware(), access.middleware()]
    app = web.Application(middlewares=[_failures, *checks], client_max_size=LARGEST_BODY)
    streams = Streams(control, heartbeat=heartbeat)
    for route in routes(Api(control, metrics), streams):
        answer = access.guarded(route)
        path = route.path.replace("}", ":[^/]+}")  # by itself aiohttp takes no name with a brace
        app.router.add_route(route.method, path, answer)
        if route.method == "GET":
            app.router.add_route("HEAD", path, answer)
    for path, (name, media) in _FILES.items():
        app.router.add_get(path, _file(name, media))
    app.router.add_get("/items/{id:[^/]+}", _item_page(control, says_missing=not access.read_token))
    app[_STREAMS] = streams
    app.on_response_prepare.append(_secure)
    app.on_shutdown.append(_close_streams)
    return app


def _file(name: str, media: str) -> RouteHandler:
    async def answer(_request: web.Request) -> web.StreamResponse:
        headers = {"Content-Type": media, "Cache-Control": "no-cache"}  # the browser validates it by its ETag
        return web.FileResponse(_PAGE / name, headers=headers)

    return answer


def _item_page(control: Control, *, says_missing: bool) -> RouteHandler:
    """The page of each item. Its status is 404 if there is no such item, unless reading needs a token, which a browser
    sends only with the page's own requests."""
    body = (_PAGE / "item.html").read_bytes()

    async def answer(request: web.Request) -> web.StreamResponse:
        status = 404 if says_missing and await _is_missing(control, request.match_info["id"]) else 200
        return web.Response(body=body, status=status, headers={"Content-Type": _HTML})

    return answer


async def _is_missing(control: Control, item_id: str) -> bool:
    """False also if the journal does not answer: the page then shows why."""
    try:
        return await control.item(item_id) is None
    except MirrordError:
        return False


@web.middleware
async def _failures(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error as a problem document; an internal error is logged."""
    try:
        return await handler(request)
    except web.HTTPException as refusal:
        if refusal.status < 400:
            raise
        if isinstance(refusal, web.HTTPMethodNotAllowed):
            return _other_method(request, refusal)
        kept = {name: refusal.headers[name] for name in ("WWW-Authenticate",) if name in refusal.headers}
        return problem_response(request, refusal.status, _message(request, refusal), kept)
    except MirrordError as error:
        return problem_response(request, 503, str(error))
    except Exception:
        _log.exception("internal error while answering %s %s", request.method, request.path)
        if request.writer.output_size:  # part of the response is sent: only a closed connection shows the error
            raise
        return problem_response(request, 500, "internal error, please report it (see the log)")


def _other_method(request: web.Request, refusal: web.HTTPMethodNotAllowed) -> web.Response:
    """The methods of the path: for OPTIONS as the answer (RFC 9110 9.3.7), else with 405 (15.5.6)."""
    allowed = {"Allow": ", ".join(sorted({*refusal.allowed_methods, "OPTIONS"}))}
    if request.method == "OPTIONS":
        return web.Response(status=204, headers=allowed)
    return problem_response(request, 405, f"{request.path} takes {allowed['Allow']}, not {refusal.method}", allowed)


def _message(request: web.Request, refusal: web.HTTPException) -> str:
    if isinstance(refusal, web.HTTPNotFound):
        return f"nothing is served at {request.path}; see /api/v1/openapi.json"
    return refusal.text or refusal.reason


async def _secure(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")


async def _close_streams(app: web.Application) -> None:
    app[_STREAMS].close()
