"""Who may do what: a request names one of our hosts, comes from no page of another origin, and shows the right token.

Owns the order of these checks, which come before any handler. Pure except for the middleware.
"""

import hmac
from dataclasses import field
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from mirrord.frozen import frozen
from mirrord.model import Secret
from mirrord.web.hosts import LOOPBACK, Hosts
from mirrord.web.routes import PROBES, Route, RouteHandler, problem_response

LARGEST_BODY = 16 * 1024
"""Bytes of the body of a request. The only one that is read names a version."""
_DEFAULT_PORTS = {"http": 80, "https": 443}


@frozen
class Access:
    """The names under which page and API answer, and their tokens. Without `token` (or with an empty one) POST is
    refused. With `read_token` GET needs it, or `token`; probes and the files of the page need none."""

    token: Secret | None = field(repr=False)
    read_token: Secret | None = field(default=None, repr=False)
    hosts: Hosts = LOOPBACK

    def guarded(self, route: Route) -> RouteHandler:
        """The handler of the route, after a check of the token that it needs."""
        if route.needs_token:
            return _guarded(route.answer, (self.token,)) if self.token else _off
        if self.read_token and route.path not in PROBES:
            return _guarded(route.answer, (self.read_token, self.token))
        return route.answer

    def middleware(self) -> Middleware:
        """Refuses requests by a host name that is not ours, requests that a page of another origin sends to change
        something, and large bodies. Probes, and requests without a host, are answered."""

        @web.middleware
        async def checks(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.path not in PROBES and not all(map(self.hosts.known, _named(request))):
                return problem_response(
                    request, 421, f"{request.host!r} is no name of this mirrord; if it is, add it to daemon.hosts"
                )
            if request.method not in ("GET", "HEAD") and _is_foreign(request):
                return problem_response(
                    request, 403, "a page of another origin sent this request; a proxy must pass Host on"
                )
            if (request.content_length or 0) > LARGEST_BODY:
                return problem_response(request, 413, f"the body has more than {LARGEST_BODY:,} bytes")
            return await handler(request)

        return checks


def _named(request: web.Request) -> list[str]:
    """The hosts that a request names: in Host, and before its path (RFC 9112 3.2.2). None through a Unix socket."""
    if request.transport is None or isinstance(request.transport.get_extra_info("sockname"), str | bytes):
        return []
    named = [request.headers.get("Host", "")] + [request.host] * (not request.raw_path.startswith("/"))
    return [host for host in named if host.strip()]


def _is_foreign(request: web.Request) -> bool:
    """Whether a browser says that a page of another origin sent it: in Sec-Fetch-Site (W3C Fetch Metadata), else in
    Origin (RFC 6454 7). Other clients send neither."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site not in ("same-origin", "none")
    origins = request.headers.getall("Origin", [])
    return any(not is_same_origin(origin, request.host) for origin in origins)


def is_same_origin(origin: str, host: str) -> bool:
    """Whether an Origin header names this host and port. The scheme is not compared: a proxy may have ended TLS."""
    try:
        parts, own = urlsplit(origin), urlsplit(f"//{host}")
        port = _DEFAULT_PORTS.get(parts.scheme)
        there, here = (parts.hostname, parts.port or port), (own.hostname, own.port or port)
    except ValueError:
        return False
    return port is not None and there == here and there[0] is not None


def _guarded(answer: RouteHandler, tokens: tuple[Secret | None, ...]) -> RouteHandler:
    """`answer`, after a check that the request shows one of the tokens."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        shown = [_shows(request, token) for token in tokens if token]
        if True not in shown:
            raise web.HTTPUnauthorized(
                text="send the API token: Authorization: Bearer …", headers={"WWW-Authenticate": "Bearer"}
            )
        return await answer(request)

    return guarded


async def _off(_request: web.Request) -> web.StreamResponse:
    raise web.HTTPForbidden(text="POST is off: set daemon.api_token in the manifest to allow it")


def _shows(request: web.Request, token: Secret) -> bool:
    """Compared in constant time, so that the time of a refusal tells nothing about the token."""
    scheme, _, shown = request.headers.get("Authorization", "").partition(" ")
    right = hmac.compare_digest(shown.strip().encode("utf-8", "surrogateescape"), token.reveal().encode())
    return right and scheme.lower() == "bearer"
