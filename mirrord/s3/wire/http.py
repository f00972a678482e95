"""The HTTP/1.1 client of one origin (scheme, host, port): sends requests over pooled connections.

Owns which connection carries a request, and when a request may be sent again. Leaves to the caller what the request
means: signing, retries, redirects, deadlines (`asyncio.timeout`), and the repair of bodies (`answers.xml_repair`).
"""

import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

RequestHeaders = Sequence[tuple[str, str]]
"""Names and values as they are sent, in this order. Values have only characters of Latin-1."""

ContextSource = Callable[[], Awaitable[ssl.SSLContext]]
"""The TLS settings for the next request, e.g. `CertificateAuthorities.context`. A connection that was opened with
another context is not used again."""

CONNECTIONS = 64
"""Connections of one client at the same time: the default 16 transfers x 4 parts."""


@dataclass(frozen=True, slots=True)
class WireResponse:
    """One complete answer of the store."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case; the values of repeated headers are joined with ", "."""
    body: bytes
    """As it was received, without its transfer coding, at most `max_body` bytes. Empty for HEAD."""


class WireClient:
    """`endpoint_url` has scheme, host and port; its path has no effect. `tls` is needed for https://.

    `proxy` is the URL of an HTTP proxy with its userinfo. https:// goes through it by CONNECT, http:// with absolute
    targets. Entering opens no connection; leaving closes all.
    """

    def __init__(
        self,
        endpoint_url: str,
        *,
        tls: ContextSource | None = None,
        proxy: str | None = None,
        connections: int = CONNECTIONS,
    ) -> None:
        self._endpoint_url = endpoint_url
        self._tls = tls
        self._proxy = proxy
        self._connections = connections

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

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
        """Send a request and wait for the whole answer. At most `max_body` bytes of its body are kept.

        `target` is the encoded path and query, sent as it is. `headers` have Host and all others that are signed; the
        client adds Content-Length. No view of `body` is kept after the call has returned or raised.

        A request that met a connection which the store had closed is sent again on a new one, if it is `repeatable` or
        if no byte of it was sent. The body of an answer with a status of 300 or more is cut; a longer one of a success
        is AnswerTooLong. Raises the SDK's exceptions that `answers.transport` translates: ConnectTimeoutError,
        EndpointConnectionError, SSLError, ProxyConnectionError, PlainHttpAtTls, UrlUnusable (nothing was sent), else
        ConnectionClosedError (the outcome of a write is unknown). After a cancellation the connection is aborted.
        """
        raise NotImplementedError
