"""How the requests of a source reach its host: directly or through a proxy, and with which TLS settings.

Owns the choice, what is refused of requests through a proxy, and the connections to proxies. Direct connections are
`protocol`'s. Through a proxy the proxy decides which addresses are connected to (SPEC section 7): literals are refused
by the same rules as without one, and so are names that lead to a metadata address here.
"""

import asyncio
import os
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from logging import getLogger
from time import monotonic
from typing import NamedTuple, cast
from urllib.parse import urlsplit

import aiohttp
from aiohappyeyeballs import AddrInfoType, start_connection
from aiohttp.client_reqrep import ConnectionKey
from yarl import URL

from mirrord.errors import SourceDenied, SourceError, SourceRefused, SourceUnavailable
from mirrord.model import ConnectionOptions, shown
from mirrord.proxies import EnvironmentProxies, HttpPeer, Proxy, UsedProxies, chosen_proxy, is_local, literal_address
from mirrord.sockets import PlainStream, Stream, TlsStream, aborted_on_error, secured
from mirrord.sources.http.addresses import AddressRules
from mirrord.sources.http.tls import TlsTransport, secured_transport
from mirrord.tls_contexts import client_context
from mirrord.tunnels import TunnelRefused, open_tunnel

_log = getLogger(__name__)

_NAME_LIFE, _NAME_WAIT = 60.0, 3.0
"""Seconds for which the addresses of a name behind a proxy are kept, and within which they must be found."""
_MOST_NAMES = 10_000
_FILE_CHECK = 1.0
"""Seconds between two checks whether the files of a TLS context changed."""
_ATTEMPT_DELAY = 0.25
"""Seconds until the next address is tried, too (RFC 8305)."""


class SourceRoute(NamedTuple):
    """`tls`: for the source, None: as usual. `proxy_tls`: for an https:// proxy."""

    proxy: Proxy | None
    tls: ssl.SSLContext | None
    proxy_tls: ssl.SSLContext | None
    used: UsedProxies

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Note for the status whether a connection through the proxy failed."""
        assert self.proxy is not None
        try:
            yield
        except ProxyFailed as error:
            self.used.note(self.proxy, str(error))
            raise
        except TimeoutError:
            self.used.note(self.proxy, "it does not answer in time")
            raise
        self.used.note(self.proxy)

    def refused(self, where: str) -> SourceError:
        """The error of an answer 407 to a request that is no CONNECT."""
        error = ProxyFailed("it answered 407", 407)
        if self.proxy is not None:
            self.used.note(self.proxy, str(error))
        return error.as_source_error(where)

    @property
    def through(self) -> str:
        """For errors, after the URL of the source."""
        return f" through the proxy {self.proxy.shown}" if self.proxy else ""


class RoutedRequest(aiohttp.ClientRequest):
    """Connections of another route are not used for it."""

    def __init__(self, url: URL, route: SourceRoute) -> None:
        super().__init__("GET", url, ssl=route.tls or True)
        self.route = route

    @property
    def connection_key(self) -> ConnectionKey:
        proxy = self.route.proxy
        return super().connection_key._replace(proxy=URL(proxy.url.reveal(), encoded=True) if proxy else None)


class ProxyFailed(aiohttp.ClientConnectionError):
    """No connection through the proxy. `status`: its answer to CONNECT, None: it sent none."""

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason)
        self.status = status

    def as_source_error(self, where: str) -> SourceError:
        """`where`: the URL and the proxy. A proxy that does not answer, or has trouble itself, is asked again."""
        if self.status == 407:
            return SourceDenied(f"{where}: it answered 407: set its user and password in its URL")
        if 400 <= (self.status or 0) < 500 and self.status not in (408, 429):
            return SourceRefused(f"{where}: {self}")
        return SourceUnavailable(f"{where}: {self}")


class Routes:
    """Of one client. `rules` are those of its direct connections."""

    def __init__(self, rules: AddressRules, environment: EnvironmentProxies, used: UsedProxies) -> None:
        self._rules = rules
        self._environment = environment
        self._names: dict[str, tuple[float, tuple[str, ...]]] = {}
        self._contexts = _Contexts()
        self._used = used

    async def of(self, url: str, options: ConnectionOptions, *, own: bool, behind_public: bool) -> SourceRoute | None:
        """The route to `url`; None: a direct one with the usual TLS. `own`: the origin of the entry, to which its
        client certificate is shown. Raises SourceRefused."""
        try:
            proxy = chosen_proxy(options.proxy, self._environment, url)
            tls = await self._contexts.of(options, own=own)
            proxy_tls = await self._contexts.of_proxy(options) if proxy and proxy.peer.secure else None
        except ValueError as error:
            raise SourceRefused(f"{shown(url)}: {error}") from None
        if proxy is None:
            return None if tls is None else SourceRoute(None, tls, None, self._used)
        await self._refuse(url, proxy, behind_public=behind_public)
        if proxy not in self._used:
            self._used.note(proxy)
            _log.info("sources are requested through the proxy %s: network policy: by proxy", proxy.shown)
        return SourceRoute(proxy, tls, proxy_tls, self._used)

    async def is_public(self, url: str) -> bool:
        """Whether a host behind a proxy may be on the public internet: also if its name is known to the proxy only."""
        found = await self._addresses(_host(url))
        return not found or any(self._rules.is_public(address) for address in found)

    async def _refuse(self, url: str, proxy: Proxy, *, behind_public: bool) -> None:
        if reason := await self.refusal(_host(url), behind_public=behind_public):
            raise SourceRefused(f"{shown(url)} through the proxy {proxy.shown}: {reason}")

    async def refusal(self, host: str, *, behind_public: bool = False) -> str | None:
        """Why this host is not requested through a proxy; None if it may be."""
        literal = is_local(host) or literal_address(host) is not None
        for address in await self._addresses(host):
            if reason := self._rules.refusal(address, behind_public=behind_public and literal):
                return reason
        return None

    async def _addresses(self, host: str) -> tuple[str, ...]:
        """The addresses that the host has here; none if its name does not resolve here."""
        if (literal := literal_address(host)) is not None:
            return (str(literal),)
        until, found = self._names.get(host, (0.0, ()))
        if monotonic() < until:
            return found
        try:
            async with asyncio.timeout(_NAME_WAIT):
                infos = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
            found = tuple(str(info[4][0]) for info in infos)
        except (OSError, ValueError):  # also TimeoutError and UnicodeError
            found = ()
        if len(self._names) >= _MOST_NAMES:
            self._names.clear()
        self._names[host] = monotonic() + _NAME_LIFE, found
        return found


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        raise SourceRefused(f"{shown(url)}: the URL is malformed") from None


class _Contexts:
    """TLS contexts by their settings. Files that are replaced are read again."""

    def __init__(self) -> None:
        self._usual: ssl.SSLContext | None = None
        self._made: dict[tuple[object, ...], tuple[ssl.SSLContext, object]] = {}
        self._checked: dict[tuple[object, ...], float] = {}

    async def of_proxy(self, options: ConnectionOptions) -> ssl.SSLContext:
        """For the TLS with an https:// proxy. Raises ValueError."""
        found = await self.of(options, own=False)
        if found is None and self._usual is None:
            self._usual = await asyncio.to_thread(client_context)
        return found or cast("ssl.SSLContext", self._usual)

    async def of(self, options: ConnectionOptions, *, own: bool) -> ssl.SSLContext | None:
        """None: as usual. The system's authorities count, too. To other origins than the entry's own no client
        certificate is shown. Raises ValueError."""
        certificate = options.client_cert if own else None
        if not (options.ca_file or certificate or options.tls_min):
            return None
        key = (options.ca_file, certificate, options.tls_min)
        made, now = self._made.get(key), monotonic()
        if made is not None and now - self._checked[key] < _FILE_CHECK:
            return made[0]
        stats = await asyncio.to_thread(_stats, options.ca_file, certificate)
        if made is None or made[1] != stats:
            try:
                context = await asyncio.to_thread(
                    client_context, options.ca_file, certificate, options.tls_min, system=True
                )
            except ValueError:
                if made is None:
                    raise
                context = made[0]  # a file that is being replaced: what it had before stays in use
            made = context, stats
        self._made[key], self._checked[key] = made, now
        return made[0]


def _stats(*paths: str | None) -> object:
    return [_stat(path) for path in paths if path]


def _stat(path: str) -> object:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


# ── connections ───────────────────────────────────────────────────────────────────────────────────
async def connected_through(
    route: SourceRoute, url: URL, context: ssl.SSLContext | None, factory: Callable[[], asyncio.Protocol]
) -> asyncio.Protocol:
    """A connection to the host of `url` through the proxy of the route: a tunnel for https://, else one to the proxy.

    `context`: for https://. The caller limits the time. Raises ProxyFailed; ssl.SSLError and OSError are of the TLS
    with the source.
    """
    assert route.proxy is not None
    protocol = factory()
    with _errors_of_proxy():
        sock, stream = await _connected(route.proxy.peer, route.proxy_tls)
        if context is not None:
            with aborted_on_error(stream):
                await open_tunnel(stream, HttpPeer.of(str(url.origin())), route.proxy.peer)
        elif route.proxy_tls is None:
            await asyncio.get_running_loop().create_connection(lambda: protocol, sock=sock)
    if context is not None:
        await secured_transport(stream, sock, context, (url.raw_host or "").rstrip("."), protocol)
    elif route.proxy_tls is not None:
        TlsTransport(cast("TlsStream", stream), sock, route.proxy_tls, protocol)
    return protocol


async def _connected(peer: HttpPeer, context: ssl.SSLContext | None) -> tuple[socket.socket, Stream]:
    """TCP to the proxy, and TLS if it is an https:// one."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(peer.host, peer.port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    addresses = cast("list[AddrInfoType]", found)
    sock = await start_connection(addresses, happy_eyeballs_delay=_ATTEMPT_DELAY, interleave=1, loop=loop)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    stream = PlainStream(sock)
    return sock, stream if context is None else await secured(stream, context, peer.host.rstrip("."))


@contextmanager
def _errors_of_proxy() -> Iterator[None]:
    try:
        yield
    except TunnelRefused as error:
        said = f"it answered {error.status} to CONNECT" if error.status else str(error)
        raise ProxyFailed(said, error.status) from None
    except ssl.CertificateError as error:
        raise ProxyFailed(f"its TLS certificate is not valid: {error.verify_message}") from error
    except ssl.SSLError as error:
        raise ProxyFailed(f"no TLS: {error.reason or 'no reason is known'}") from error
    except socket.gaierror as error:
        raise ProxyFailed("its name does not resolve") from error
    except ValueError as error:  # of HttpPeer: no URL that has come so far
        raise ProxyFailed("the URL is malformed") from error
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else type(error).__name__
        raise ProxyFailed(f"it does not answer: {why}") from error
