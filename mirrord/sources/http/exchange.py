"""One GET over a connection of aiohttp's pool, without aiohttp's session: the request's bytes, and the open response.

Owns what a request consists of, and when the response's connection is free again. aiohttp's session, which has cookies,
proxies, request bodies and tracing, would take a third of the CPU of a small body. Connections, TLS and parsing are
aiohttp's (`protocol`); deadlines, redirects and errors are the client's.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple
from urllib.parse import quote

import aiohttp
from aiohttp.connector import Connection
from multidict import CIMultiDict, MultiMapping
from yarl import URL

from mirrord._version import __version__
from mirrord.ports import CallPermits
from mirrord.sources.http.protocol import HttpConnector, HttpProtocol, Response
from mirrord.sources.http.routes import RoutedRequest, SourceRoute
from mirrord.sources.http.urls import LEGAL, PLAIN

_USER_AGENT = f"mirrord/{__version__}"


class RequestOrigin(NamedTuple):
    """Scheme, host and port of requests: as the connector needs it, and as the value of Host."""

    request: aiohttp.ClientRequest
    host: str
    through: str
    """The proxy, for errors, after the URL of the source."""
    permits: CallPermits | None = None
    """Of its requests; None: any number at once."""

    @classmethod
    def of(cls, url: str, route: SourceRoute | None = None, permits: CallPermits | None = None) -> "RequestOrigin":
        """`url` without path. Raises ValueError if it is malformed."""
        place = URL(url, encoded=True)
        request = aiohttp.ClientRequest("GET", place) if route is None else RoutedRequest(place, route)
        return cls(request, request.headers["Host"], route.through if route else "", permits)


class HttpResponse:
    """An open response of any status. `content` is its body as aiohttp's parser delivers it, or whole. After the last
    byte of the body the connection is free by itself."""

    __slots__ = ("_connection", "_ended", "content", "headers", "peer", "status", "through")

    def __init__(self, response: Response, connection: Connection, through: str = "") -> None:
        self.through = through
        """The proxy, for errors, after the URL of the source."""
        head, content = response
        protocol = connection.protocol
        self.status = head.code
        self.headers: MultiMapping[str] = head.headers
        self.content = content
        self.peer = protocol.peer if isinstance(protocol, HttpProtocol) else None
        """The address of the server, or None if it is unknown."""
        self._connection: Connection | None = connection
        self._ended: Callable[[], None] | None = None
        content.on_eof(self.release)

    @property
    def connection(self) -> Connection | None:
        """None: it is free, or closed."""
        return self._connection

    def on_end(self, ended: Callable[[], None]) -> None:
        """Call `ended` once, when the response has ended; at once if it has."""
        if self._connection is None:
            ended()
        else:
            self._ended = ended

    def release(self) -> None:
        """End the response: another request may use the connection if the body has ended."""
        if self._connection is not None:
            self._connection.release()
            self._end()

    def close(self) -> None:
        """End the response, and close its connection if the body has not ended."""
        if self._connection is not None:
            self._connection.close()
            self._end()

    def _end(self) -> None:
        self._connection, ended, self._ended = None, self._ended, None
        if ended is not None:
            ended()


def request_target(url: str) -> tuple[str, str]:
    """Scheme and authority, and the target of a request: path and query. `url` has no userinfo.

    All characters are encoded that no URL may hold. All others stay, so that signatures still match. Raises ValueError
    if the URL is malformed.
    """
    if found := PLAIN.fullmatch(url):
        place, target = found.groups()
        return place, target if target.startswith("/") else f"/{target}"
    encoded = URL(quote(url, safe=LEGAL, errors="surrogateescape"), encoded=True)
    return f"{encoded.scheme}://{encoded.raw_authority}", encoded.raw_path_qs


def request_head(target: str, host: str, headers: Mapping[str, str]) -> bytes:
    """The bytes of a GET. `headers` replace those that each request has.

    Raises ValueError for a character that would end a line.
    """
    fields = CIMultiDict({"Host": host, "User-Agent": _USER_AGENT, "Accept": "*/*"})
    fields.update(headers)
    lines = "".join([f"{name}: {value}\r\n" for name, value in fields.items()])
    if lines.count("\n") != len(fields) or lines.count("\r") != len(fields) or "\0" in lines:
        raise ValueError("a line break in a request header")
    return f"GET {target} HTTP/1.1\r\n{lines}\r\n".encode()


async def exchange(
    connector: HttpConnector, origin: RequestOrigin, head: bytes, bounds: aiohttp.ClientTimeout
) -> HttpResponse:
    """Send a request, and wait for the head of its response. Raises what aiohttp raises."""
    try:
        connection = await connector.connect(origin.request, [], bounds)
    except TimeoutError as error:
        raise aiohttp.ConnectionTimeoutError from error
    try:
        protocol = connection.protocol
        assert isinstance(protocol, HttpProtocol)
        return HttpResponse(await protocol.exchange(head), connection, origin.through)
    except BaseException:
        connection.close()
        raise
