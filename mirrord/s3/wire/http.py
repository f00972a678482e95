"""The HTTP/1.1 client of one origin (scheme, host, port): sends requests over pooled connections.

Owns which connection carries a request, and when a request may be sent again. Leaves to the caller what the request
means: signing, retries, redirects, deadlines (`asyncio.timeout`), and the repair of bodies (`answers.xml_repair`).

A put of 4 KiB takes about 30 us of CPU here (uvloop, loopback), bodies take 0.2 s a GiB, under TLS 0.8 s, of which
encryption is 0.5 s.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple, Self

from botocore import exceptions as sdk

from mirrord.model import shown
from mirrord.proxies import HttpPeer
from mirrord.s3.http_errors import AnswerTooLong, PlainHttpAtTls, UrlUnusable, is_from_tls_port, speaks_tls
from mirrord.s3.single_use import SingleUsePeriod
from mirrord.s3.wire.connection import ExchangeFailed, WireConnection
from mirrord.s3.wire.opening import ConnectFailed, Opener
from mirrord.s3.wire.pool import ConnectionLimit, ConnectionPool
from mirrord.s3.wire.response import ResponseParser, ResponseTooLong
from mirrord.units import format_size

RequestHeaders = Sequence[tuple[str, str]]
"""Names and values as they are sent, in this order. Values have only characters of Latin-1."""

ContextSource = Callable[[], Awaitable[ssl.SSLContext]]
"""The TLS settings for the next request, e.g. `CertificateAuthorities.context`. A connection that was opened with
another context is not used again."""


def _peer(url: str) -> HttpPeer:
    try:
        return HttpPeer.of(url)
    except ValueError:
        raise UrlUnusable(error=shown(url)) from None


class WireResponse(NamedTuple):
    """One complete answer of the store."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case; different values of repeated headers are joined with ", "."""
    body: bytes
    """As it was received, without its transfer coding, at most `max_body` bytes. Empty for HEAD."""


class WireClient:
    """`endpoint_url` has scheme, host and port; its path has no effect. `tls` is needed for https://.

    `proxy` is the URL of an HTTP proxy with its userinfo. https:// goes through it by CONNECT, http:// with absolute
    targets. The clients of a store share one `limit`. The constructor raises UrlUnusable. It opens no connection, and
    neither does entering; leaving closes all.
    """

    def __init__(
        self,
        endpoint_url: str,
        *,
        tls: ContextSource | None = None,
        proxy: str | None = None,
        limit: ConnectionLimit | None = None,
    ) -> None:
        origin, through = _peer(endpoint_url), _peer(proxy) if proxy else None
        self._origin = origin
        self._url = f"{'https' if origin.secure else 'http'}://{origin.authority}"
        self._opener = Opener(self._url, origin, shown(proxy or ""), through)
        self._tls = tls if origin.secure else None
        self._pool = ConnectionPool(limit or ConnectionLimit(), self._open)
        self._single_use = SingleUsePeriod()
        self._answered = False
        absolute = through is not None and not origin.secure
        self._target_start = self._url if absolute else ""
        self._more_headers = "Accept-Encoding: identity\r\n"
        if absolute and through is not None and through.authorization:
            self._more_headers += f"Proxy-Authorization: {through.authorization.reveal()}\r\n"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._pool.close()

    async def send(
        self,
        method: str,
        target: str,
        headers: RequestHeaders,
        body: memoryview | bytes = b"",
        *,
        repeatable: bool,
        max_body: int,
    ) -> WireResponse:
        """Send a request and wait for the whole answer. At most `max_body` bytes of its body are accepted.

        `target` is the encoded path and query, sent as it is. `headers` have Host and all others that are signed; the
        client adds Content-Length and `Accept-Encoding: identity`. No view of `body` is kept after the call returned
        or raised. The body of an answer with a status of 300 or more is cut at 64 KiB; a success with a longer body
        than `max_body` is AnswerTooLong.

        A request that met a connection which the store had closed is sent again, once and on a new connection, if it
        is `repeatable` or if no byte of it was sent; a read also after a new connection closed. Raises the SDK's
        exceptions that `answers.transport` translates: ConnectTimeoutError, EndpointConnectionError, SSLError,
        ProxyConnectionError, PlainHttpAtTls, UrlUnusable (nothing was sent), else ConnectionClosedError (the outcome of
        a write is unknown). A cancellation aborts the connection.
        """
        head = self._head(method, target, headers, len(body))
        fresh = self._single_use.active
        while True:
            parser = ResponseParser(bodiless=method == "HEAD", max_body=max_body)
            try:
                return await self._attempt(head, body, parser, fresh=fresh)
            except ExchangeFailed as failed:
                met_closed = failed.reused and isinstance(failed.reason, OSError)
                if met_closed:
                    self._single_use.begin()
                read_was_cut = repeatable and not body and isinstance(failed.reason, ConnectionError)
                again = read_was_cut or (met_closed and (repeatable or not failed.wrote))
                if fresh or not again:
                    raise await self._error_of(failed, max_body) from failed
                fresh = True

    async def _attempt(
        self, head: bytes, body: memoryview | bytes, parser: ResponseParser, *, fresh: bool
    ) -> WireResponse:
        context = None if self._tls is None else await self._tls()
        connection = await self._pool.acquire(context, fresh=fresh)
        try:
            await connection.exchange(head, body, parser)
        finally:
            self._pool.release(connection, keep=not fresh)
        response = WireResponse(parser.status, parser.headers, parser.body)
        self._answered = True
        if response.status == 400 and not self._origin.secure and is_from_tls_port(response.body.decode("latin-1")):
            raise PlainHttpAtTls(error=None)
        return response

    async def _open(self, context: ssl.SSLContext | None) -> WireConnection:
        connection = WireConnection(await self._opener.open(context), context, asyncio.get_running_loop())
        if trouble := connection.trouble():
            raise ExchangeFailed(trouble, wrote=False, reused=False)
        return connection

    def _head(self, method: str, target: str, headers: RequestHeaders, size: int) -> bytes:
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers])
        if lines.count("\n") != len(headers) or lines.count("\r") != len(headers) or not _is_target(target):
            raise UrlUnusable(error="a line break or a blank in the request's head")
        length = f"Content-Length: {size}\r\n" if size or method in ("PUT", "POST") else ""
        return f"{method} {self._target_start}{target} HTTP/1.1\r\n{lines}{length}{self._more_headers}\r\n".encode()

    async def _error_of(self, failed: ExchangeFailed, max_body: int) -> sdk.BotoCoreError:
        """The SDK's exception for a call without an answer."""
        reason = failed.reason
        if isinstance(reason, ResponseTooLong):
            return AnswerTooLong(limit=format_size(max_body).replace(".0 ", " "), error=None)
        if isinstance(reason, ssl.SSLError) and _refuses_certificate(reason.reason or ""):
            return sdk.SSLError(endpoint_url=self._url, error=reason)
        if not failed.wrote and isinstance(reason, OSError):
            failure = ConnectFailed(self._origin.host, self._origin.port, reason)
            return sdk.EndpointConnectionError(endpoint_url=self._url, error=failure)
        if is_from_tls_port(str(reason)) or (isinstance(reason, OSError) and await self._is_tls_port()):
            return PlainHttpAtTls(error=reason)
        return sdk.ConnectionClosedError(endpoint_url=self._url, error=reason)

    async def _is_tls_port(self) -> bool:
        """Whether an http:// port that never answered speaks TLS: some servers close such connections at once."""
        if self._answered or self._origin.secure or self._opener.proxy is not None:
            return False
        return await speaks_tls(self._origin.host, self._origin.port)


def _refuses_certificate(reason: str) -> bool:
    """Whether it is the store's alert about the client's certificate: with TLS 1.3 it comes after the handshake."""
    return "_ALERT_" in reason and ("CERTIFICATE" in reason or "UNKNOWN_CA" in reason)


def _is_target(target: str) -> bool:
    return target.isascii() and target.isprintable() and " " not in target
