"""One GET over aiohttp, redirects included: connections, deadlines, address rules, errors in our own words.

Owns the sessions. Cookies, ~/.netrc and proxies of the environment are not used; TLS is verified. A connection made
for a hop behind a public address comes from a pool of its own, in which no private address ever gets
(FIELD_NOTES 13). Hands on an open answer, never a body.
"""

import asyncio
import re
import socket
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from os import strerror
from types import SimpleNamespace, TracebackType
from typing import Self
from urllib.parse import quote, urldefrag, urljoin, urlsplit

import aiohttp
from aiohttp.connector import Connection
from yarl import URL

from mirrord._version import __version__
from mirrord.errors import SourceError, SourceRefused, SourceUnavailable
from mirrord.model import shown
from mirrord.sources.http.addresses import AddressRules
from mirrord.sources.http.protocol import MOST_FIELDS, Connector, NotHttp
from mirrord.units import KiB, MiB

HeadersFor = Callable[[str], Mapping[str, str]]
"""Which request headers a hop gets: a secret or a validator goes to its own address only."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_LEGAL = "!#$%&'()*+,/:;=?@[]~"  # what a URL may hold beside letters, digits and -._ (RFC 3986)


class AddressRefused(OSError):
    """A rule of SPEC section 7 forbids to connect; `str()` says which."""


class Answer(aiohttp.ClientResponse):
    """A response that remembers whom it came from, which aiohttp forgets once a small body is read."""

    peer: str | None = None

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        transport = connection.transport
        peer = transport.get_extra_info("peername") if transport else None
        self.peer = peer[0] if isinstance(peer, tuple) else None
        return await super().start(connection)


class _Turn:
    """The deadline of one request, which stands still while the request waits for a connection."""

    def __init__(self, deadline: asyncio.Timeout, seconds: float) -> None:
        self._deadline = deadline
        self._seconds = seconds

    def begin(self) -> None:
        self._deadline.reschedule(asyncio.get_running_loop().time() + self._seconds)

    def wait(self) -> None:
        self._deadline.reschedule(None)


def _turns() -> aiohttp.TraceConfig:
    """Tells each request's `_Turn` when its waiting for a connection starts and ends."""

    async def queued(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
        context.trace_request_ctx.wait()

    async def served(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
        context.trace_request_ctx.begin()

    config = aiohttp.TraceConfig()
    config.on_connection_queued_start.append(queued)
    config.on_connection_queued_end.append(served)
    return config


class Network:
    """Two pools of connections, alive inside `async with`.

    `connect_timeout` in seconds; `allow` as networks in CIDR, exempt from the address rules; `per_host`: how many
    connections of a pool may go to one host and port at a time, 0: any number. Whoever comes too many waits its turn,
    first come, first served, and no deadline counts that waiting: it says nothing of the source.
    """

    def __init__(self, *, connect_timeout: float = 10.0, allow: Iterable[str] = (), per_host: int = 0) -> None:
        self._connect_timeout = connect_timeout
        self._per_host = per_host
        self._rules = AddressRules(allow)
        self._sessions: dict[bool, aiohttp.ClientSession] = {}  # by "behind a public address"

    async def __aenter__(self) -> Self:
        self._sessions = {behind_public: self._session(behind_public) for behind_public in (False, True)}
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            await session.close()

    def _session(self, behind_public: bool) -> aiohttp.ClientSession:
        def connect(found: tuple[int, int, int, str, tuple[object, ...]]) -> socket.socket:  # of getaddrinfo
            if why := self._rules.refuses(str(found[4][0]), behind_public=behind_public):
                raise AddressRefused(why)
            return socket.socket(found[0], found[1], found[2])

        return aiohttp.ClientSession(
            connector=Connector(
                limit=0,
                limit_per_host=self._per_host,
                socket_factory=connect,
                resolver=aiohttp.ThreadedResolver(),
            ),
            trace_configs=[_turns()],
            response_class=Answer,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": f"mirrord/{__version__}"},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._connect_timeout),
            auto_decompress=False,
            read_bufsize=MiB,
            max_line_size=64 * KiB,
            max_field_size=64 * KiB,
            max_headers=MOST_FIELDS,
        )

    async def get(self, url: str, headers_for: HeadersFor, *, max_redirects: int, idle: float) -> tuple[Answer, str]:
        """GET through at most `max_redirects` redirects: the open answer, whatever its status, and its URL.

        Each hop has `connect_timeout + idle` seconds for its answer to begin. The caller closes the answer. Raises
        SourceUnavailable, SourceRefused.
        """
        here, behind_public = url, False
        for _ in range(max_redirects + 1):
            answer = await self._hop(here, headers_for(here), idle, behind_public)
            if answer.status not in _REDIRECTS:
                return answer, here
            location = answer.headers.get("Location")
            answer.release()
            behind_public |= answer.peer is not None and self._rules.public(answer.peer)
            here = redirected(here, location)
        raise SourceRefused(f"{shown(url)}: more than {max_redirects} redirects")

    async def _hop(self, url: str, headers: Mapping[str, str], idle: float, behind_public: bool) -> Answer:
        session = self._sessions[behind_public]
        with translated(url):
            async with asyncio.timeout(None) as deadline:
                turn = _Turn(deadline, self._connect_timeout + idle)
                turn.begin()
                answer = await session.get(
                    URL(legal(url), encoded=True), headers=headers, allow_redirects=False, trace_request_ctx=turn
                )
        assert isinstance(answer, Answer)
        return answer


def redirected(here: str, location: str | None) -> str:
    """Where a redirect leads. Raises SourceRefused if it leads nowhere, away from HTTP, or from https to http."""
    if not location:
        raise SourceRefused(f"{shown(here)}: a redirect without a Location")
    try:
        there = urldefrag(urljoin(here, location)).url
    except ValueError:
        raise SourceRefused(f"{shown(here)}: a redirect with a malformed Location") from None
    scheme = urlsplit(there).scheme.lower()
    if scheme not in ("http", "https"):
        raise SourceRefused(f"{shown(here)}: a redirect leads to another scheme than http or https")
    if scheme == "http" and urlsplit(here).scheme.lower() == "https":
        raise SourceRefused(f"{shown(here)}: a redirect leads from https to http")
    return scheme + there[len(scheme) :]


def legal(url: str) -> str:
    """The URL with what no URL may hold percent-encoded and all else as it is, so that signatures still match."""
    return quote(url, safe=_LEGAL, errors="surrogateescape")


@contextmanager
def translated(url: str) -> Iterator[None]:
    """What aiohttp raises, as SourceUnavailable or SourceRefused; causes that quote the whole URL are cut off."""
    where = shown(url)
    try:
        yield
    except aiohttp.ClientResponseError as error:
        raise SourceRefused(f"{where}: the answer is not valid HTTP: {reason(error.message)}") from None
    except aiohttp.ClientConnectorError as error:
        raise _unconnected(error, where) from error
    except ValueError:  # InvalidURL is one; a certificate error is too, and is caught above
        raise SourceRefused(f"{where}: cannot be asked: the URL or a header is malformed") from None
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise SourceUnavailable(f"{where}: {_broken(error)}") from error


def reason(message: str) -> str:
    """What the parser complained of, without the line that it quotes: that may hold a cookie."""
    return re.split(r":\s*\n|: b?['\"]| ['\"]", message.removeprefix("Bad status line:\n").strip())[0]


def _unconnected(error: aiohttp.ClientConnectorError, where: str) -> SourceError:
    cause = error.os_error
    if isinstance(cause, AddressRefused):
        return SourceRefused(f"{where}: {cause}")
    if isinstance(cause, ssl.CertificateError):
        return SourceRefused(f"{where}: its TLS certificate is not valid: {cause.verify_message}")
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return SourceUnavailable(f"{where}: the host name does not resolve")
    return SourceUnavailable(f"{where}: cannot connect: {strerror(cause.errno) if cause.errno else cause}")


def _broken(error: Exception) -> str:
    if isinstance(error, NotHttp):
        return "the answer is not valid HTTP"
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return "cannot connect: timed out"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "closed the connection without an answer"
    return f"the connection broke ({type(error).__name__})"
