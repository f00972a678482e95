"""GET with redirects: connections, deadlines, address rules, translated errors.

Owns the pools, which are aiohttp's. ~/.netrc is not used; TLS is verified. Cookies of
redirects end with the chain (`cookies`). A
request after a redirect from a public address uses a separate pool, which never connects to a private address
(FIELD_NOTES 13). Returns an open response; `body` reads it.
"""

import re
import socket
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from os import strerror
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDict

from mirrord.aio import TimeLimit, TimeLimits
from mirrord.errors import SourceError, SourceRefused, SourceUnavailable
from mirrord.model import USUAL_CONNECTION, ConnectionOptions, shown
from mirrord.ports import UNPACED, SourceLimits
from mirrord.proxies import NO_PROXIES, EnvironmentProxies, Proxy, UsedProxies
from mirrord.sources.http.addresses import AddressRefused, AddressRules, checked_socket
from mirrord.sources.http.cookies import RedirectCookies
from mirrord.sources.http.exchange import HttpResponse, RequestOrigin, exchange, request_head, request_target
from mirrord.sources.http.protocol import HttpConnector, NotHttp, response_limit
from mirrord.sources.http.receive_window import limit_window
from mirrord.sources.http.responses import THROTTLED
from mirrord.sources.http.routes import ProxyFailed, Routes, SourceRoute
from mirrord.sources.http.urls import origin, redirect_target, without_userinfo

HeadersFor = Callable[[str], Mapping[str, str]]
"""The request headers for a URL of a redirect chain: a secret or a validator is sent to its own address only."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_ORIGINS = 1_000
"""Of which the parsed form is kept."""


class HttpClient:
    """Two pools of connections, each opened at its first use and closed at the end of `async with`.

    `connect_timeout` in seconds; `allow`: networks (CIDR) exempt from the address rules; `per_host`: connections of one
    pool to one host and port at a time, 0: any number. More requests wait, first come, first served. No deadline counts
    this waiting, because it is no fault of the source.
    """

    def __init__(
        self,
        *,
        connect_timeout: float = 10.0,
        allow: Iterable[str] = (),
        per_host: int = 0,
        proxies: EnvironmentProxies = NO_PROXIES,
        paced: SourceLimits = UNPACED,
        of_lists: bool = False,
        used: UsedProxies | None = None,
    ) -> None:
        self._connect_timeout = connect_timeout
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout)
        self._per_host = per_host
        self._rules = AddressRules(allow)
        self._routes = Routes(self._rules, proxies, used or UsedProxies())
        self.pace, self._requests, permits = paced
        """Of bodies that no transfer reads; None: as they come."""
        self.of_lists = of_lists
        """Whether no transfer reads any of its bodies."""
        self._permits_at = None if of_lists else permits  # a list is read while a response of its host may be open
        self._connectors: dict[bool, HttpConnector] = {}  # by `behind_public`
        self.limits = TimeLimits()
        """Of requests and of reading bodies."""
        self._origins: dict[object, RequestOrigin] = {}  # by scheme and authority, with the route if there is one
        self._always_routed = bool(proxies.of)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        connectors, self._connectors = self._connectors, {}
        for connector in connectors.values():
            await connector.close()

    def _connector(self, behind_public: bool) -> HttpConnector:
        if behind_public not in self._connectors:
            self._connectors[behind_public] = self._new_connector(behind_public)
        return self._connectors[behind_public]

    def _new_connector(self, behind_public: bool) -> HttpConnector:
        def connect(info: tuple[int, int, int, str, tuple[object, ...]]) -> socket.socket:  # of getaddrinfo
            sock = checked_socket(self._rules, info, behind_public=behind_public)
            if self.pace is not None and (rate := self.pace.rate) is not None:
                limit_window(sock, rate)
            return sock

        return HttpConnector(
            limit=0, limit_per_host=self._per_host, socket_factory=connect, resolver=aiohttp.ThreadedResolver()
        )

    async def get(
        self,
        url: str,
        headers_for: HeadersFor,
        *,
        max_redirects: int,
        idle: float,
        connection: ConnectionOptions = USUAL_CONNECTION,
    ) -> tuple[HttpResponse, str]:
        """GET through at most `max_redirects` redirects: the open response, of any final status, and its URL. The
        userinfo of a redirect is sent to its own target, and refused if the request has an Authorization already.

        Each request has `connect_timeout + idle` seconds until its response begins. The caller closes the response.
        Raises SourceUnavailable, SourceRefused.
        """
        target, behind_public, cookies, own = url, False, None, None
        for _ in range(max_redirects + 1):
            headers = headers_for(target)
            if cookies is not None:
                headers = _with_cookies(headers, cookies, target)
            route = None
            if connection is not USUAL_CONNECTION or self._always_routed:
                own = own or origin(url)
                route = await self._routes.of(
                    target, connection, own=origin(target) == own, behind_public=behind_public
                )
            response = await self._get_once(target, headers, idle, behind_public, route)
            if response.status not in _REDIRECTS:
                if response.status == 407 and route is not None and route.proxy is not None:
                    response.close()
                    raise route.refused(f"{shown(target)}{response.through}")
                return response, target
            location = response.headers.get("Location")
            cookies = cookies or RedirectCookies()
            cookies.keep(target, response.headers.getall("Set-Cookie", ()))
            response.release()
            if route is not None and route.proxy is not None:
                behind_public |= await self._routes.is_public(target)
            else:
                behind_public |= response.peer is not None and self._rules.is_public(response.peer)
            target = redirect_target(target, location)
        raise SourceRefused(f"{shown(url)}: more than {max_redirects} redirects")

    async def _get_once(
        self, url: str, headers: Mapping[str, str], idle: float, behind_public: bool, route: SourceRoute | None
    ) -> HttpResponse:
        connector, seconds = self._connector(behind_public), self._connect_timeout + idle
        with translated(url, route.through if route else ""):
            own, credentials = without_userinfo(url)
            if credentials and "authorization" in {name.lower() for name in headers}:
                raise SourceRefused(f"{shown(url)}: a redirect brings a user name, but the entry has an Authorization")
            place, target = request_target(own)
            origin = self._origin(place, route)
            head = request_head(target, origin.host, {**headers, **credentials} if credentials else headers)
            if route is not None and route.proxy is not None and not place.startswith("https"):
                head = _for_proxy(head, place, route.proxy)
            try:
                return await self._permitted(connector, origin, head, seconds, url)
            except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
                if isinstance(error, aiohttp.ClientConnectorError):
                    raise
                return await self._permitted(connector, origin, head, seconds, url)

    async def _permitted(
        self, connector: HttpConnector, origin: RequestOrigin, head: bytes, seconds: float, url: str
    ) -> HttpResponse:
        """One request with a permit of its host, which it has until the response has ended."""
        permits = origin.permits
        if permits is None:
            return await self._exchange(connector, origin, head, seconds, url)
        generation = await permits.take()
        try:
            response = await self._exchange(connector, origin, head, seconds, url)
        except BaseException:
            permits.give()
            raise
        if response.status in THROTTLED:
            permits.refused(generation)
        else:
            permits.answered()
        response.on_end(permits.give)
        return response

    async def _exchange(
        self, connector: HttpConnector, origin: RequestOrigin, head: bytes, seconds: float, url: str
    ) -> HttpResponse:
        """One request when it may be sent; its `seconds` begin then."""
        if self._requests is not None:
            await self._requests.next_request(url)
        limit = TimeLimit(self.limits, seconds)
        with limit:
            response_limit.set(limit)
            return await exchange(connector, origin, head, self._timeout)

    def _origin(self, place: str, route: SourceRoute | None) -> RequestOrigin:
        """The origin of this scheme and authority. Raises ValueError if it is malformed."""
        key = place if route is None else (place, route)
        if (known := self._origins.get(key)) is not None:
            return known
        if len(self._origins) >= _MOST_ORIGINS:
            self._origins.clear()
        permits = None if self._permits_at is None else self._permits_at(place)
        self._origins[key] = made = RequestOrigin.of(place, route, permits)
        return made


def _with_cookies(headers: Mapping[str, str], cookies: RedirectCookies, url: str) -> Mapping[str, str]:
    fields = CIMultiDict(headers)
    found = cookies.header(url, fields.get("Cookie"))
    if found is not None:
        fields["Cookie"] = found
    return fields


def _for_proxy(head: bytes, place: str, proxy: Proxy) -> bytes:
    """The request with an absolute target (RFC 9112 3.2.2), and with the credentials of the proxy."""
    first, rest = head.split(b"\r\n", 1)
    method, target = first.split(b" ", 1)
    credentials = proxy.peer.authorization
    sign_in = f"Proxy-Authorization: {credentials.reveal()}\r\n" if credentials else ""
    return b"%b %b%b\r\n%b%b" % (method, place.encode(), target, sign_in.encode(), rest)


@contextmanager
def translated(url: str, through: str = "") -> Iterator[None]:
    """Raise errors of aiohttp as SourceUnavailable or SourceRefused, without causes that quote the whole URL.

    `through`: the proxy, after the URL."""
    where = f"{shown(url)}{through}"
    try:
        yield
    except ProxyFailed as error:
        raise error.as_source_error(where) from None
    except HttpProcessingError as error:
        raise SourceRefused(f"{where}: the answer is not valid HTTP: {parser_reason(error.message)}") from None
    except aiohttp.ClientConnectorError as error:
        raise _connect_error(error, where) from error
    except ValueError:  # InvalidURL; also a certificate error, which is caught above
        raise SourceRefused(f"{where}: cannot be asked: the URL or a header is malformed") from None
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise SourceUnavailable(f"{where}: {_connection_error(error)}") from error


def parser_reason(message: str) -> str:
    """The parser's reason, without the line that it quotes, which may contain a cookie."""
    return re.split(r":\s*\n|: b?['\"]| ['\"]", message.removeprefix("Bad status line:\n").strip())[0]


def _connect_error(error: aiohttp.ClientConnectorError, where: str) -> SourceError:
    cause = error.os_error
    if isinstance(cause, AddressRefused):
        return SourceRefused(f"{where}: {cause}")
    if isinstance(cause, ssl.CertificateError):
        return SourceRefused(f"{where}: its TLS certificate is not valid: {cause.verify_message}")
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return SourceUnavailable(f"{where}: the host name does not resolve")
    return SourceUnavailable(f"{where}: cannot connect: {strerror(cause.errno) if cause.errno else cause}")


def _connection_error(error: Exception) -> str:
    if isinstance(error, NotHttp):
        return "the answer is not valid HTTP"
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return "cannot connect: timed out"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "closed the connection without an answer"
    return f"the connection broke ({type(error).__name__})"
