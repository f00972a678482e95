"""GET with redirects over aiohttp: connections, deadlines, address rules, translated errors.

Owns the sessions. Cookies, ~/.netrc and proxies of the environment are not used; TLS is verified. A request after a
redirect from a public address uses a separate pool, which never connects to a private address (FIELD_NOTES 13). Returns
an open response; `body` reads it.
"""

import asyncio
import re
import socket
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from os import strerror
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp.connector import Connection
from yarl import URL

from mirrord._version import __version__
from mirrord.errors import SourceError, SourceRefused, SourceUnavailable
from mirrord.model import shown
from mirrord.sources.http.addresses import AddressRules
from mirrord.sources.http.protocol import MOST_FIELDS, HttpConnector, NotHttp, response_deadline
from mirrord.sources.http.urls import percent_encoded, redirect_target
from mirrord.units import KiB

HeadersFor = Callable[[str], Mapping[str, str]]
"""The request headers for a URL of a redirect chain: a secret or a validator is sent to its own address only."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class AddressRefused(OSError):
    """A rule of SPEC section 7 forbids the connection; `str()` is the reason."""


class HttpResponse(aiohttp.ClientResponse):
    """A response that keeps its peer's address, which aiohttp drops once a small body is read."""

    peer: str | None = None

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        transport = connection.transport
        peer = transport.get_extra_info("peername") if transport else None
        self.peer = peer[0] if isinstance(peer, tuple) else None
        return await super().start(connection)


class HttpClient:
    """Two pools of connections, each opened at its first use and closed at the end of `async with`.

    `connect_timeout` in seconds; `allow`: networks (CIDR) exempt from the address rules; `per_host`: connections of one
    pool to one host and port at a time, 0: any number. More requests wait, first come, first served. No deadline counts
    this waiting, because it is no fault of the source.
    """

    def __init__(self, *, connect_timeout: float = 10.0, allow: Iterable[str] = (), per_host: int = 0) -> None:
        self._connect_timeout = connect_timeout
        self._per_host = per_host
        self._rules = AddressRules(allow)
        self._sessions: dict[bool, aiohttp.ClientSession] = {}  # by `behind_public`

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            await session.close()

    def _session(self, behind_public: bool) -> aiohttp.ClientSession:
        if behind_public not in self._sessions:
            self._sessions[behind_public] = self._new_session(behind_public)
        return self._sessions[behind_public]

    def _new_session(self, behind_public: bool) -> aiohttp.ClientSession:
        def connect(info: tuple[int, int, int, str, tuple[object, ...]]) -> socket.socket:  # of getaddrinfo
            if reason := self._rules.refusal(str(info[4][0]), behind_public=behind_public):
                raise AddressRefused(reason)
            return socket.socket(info[0], info[1], info[2])

        return aiohttp.ClientSession(
            connector=HttpConnector(
                limit=0,
                limit_per_host=self._per_host,
                socket_factory=connect,
                resolver=aiohttp.ThreadedResolver(),
            ),
            response_class=HttpResponse,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": f"mirrord/{__version__}"},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._connect_timeout),
            auto_decompress=False,
            read_bufsize=256 * KiB,  # a reader that reads more at a time raises it
            max_line_size=64 * KiB,
            max_field_size=64 * KiB,
            max_headers=MOST_FIELDS,
        )

    async def get(
        self, url: str, headers_for: HeadersFor, *, max_redirects: int, idle: float
    ) -> tuple[HttpResponse, str]:
        """GET through at most `max_redirects` redirects: the open response, of any final status, and its URL.

        Each request has `connect_timeout + idle` seconds until its response begins. The caller closes the response.
        Raises SourceUnavailable, SourceRefused.
        """
        target, behind_public = url, False
        for _ in range(max_redirects + 1):
            response = await self._get_once(target, headers_for(target), idle, behind_public)
            if response.status not in _REDIRECTS:
                return response, target
            location = response.headers.get("Location")
            response.release()
            behind_public |= response.peer is not None and self._rules.is_public(response.peer)
            target = redirect_target(target, location)
        raise SourceRefused(f"{shown(url)}: more than {max_redirects} redirects")

    async def _get_once(self, url: str, headers: Mapping[str, str], idle: float, behind_public: bool) -> HttpResponse:
        session, seconds = self._session(behind_public), self._connect_timeout + idle
        with translated(url):
            async with asyncio.timeout(seconds) as timeout:
                response_deadline.set((timeout, seconds))
                response = await session.get(
                    URL(percent_encoded(url), encoded=True), headers=headers, allow_redirects=False
                )
        assert isinstance(response, HttpResponse)
        return response


@contextmanager
def translated(url: str) -> Iterator[None]:
    """Raise errors of aiohttp as SourceUnavailable or SourceRefused, without causes that quote the whole URL."""
    try:
        yield
    except aiohttp.ClientResponseError as error:
        raise SourceRefused(f"{shown(url)}: the answer is not valid HTTP: {parser_reason(error.message)}") from None
    except aiohttp.ClientConnectorError as error:
        raise _connect_error(error, shown(url)) from error
    except ValueError:  # InvalidURL; also a certificate error, which is caught above
        raise SourceRefused(f"{shown(url)}: cannot be asked: the URL or a header is malformed") from None
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise SourceUnavailable(f"{shown(url)}: {_connection_error(error)}") from error


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
