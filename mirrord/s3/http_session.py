"""The HTTP client for stores; aiobotocore uses it instead of its own.

Owns the connections of one SDK client. Follows no redirect: a signature and a session token are for one host. Reads at
most 64 KiB of an error response and 16 MiB of a result; the bytes of an object are streamed. After a connection that
closed without an answer, each connection is used once for some time: a store that closes reused connections would
close the next one too. Detects http:// to a TLS port. Raises the SDK's own exceptions.
"""

import asyncio
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp
from aiohttp.connector import Connection
from aiohttp.http_exceptions import HttpProcessingError
from botocore import exceptions as sdk
from botocore.awsrequest import HeadersDict
from botocore.httpsession import ProxyConfiguration
from yarl import URL

from mirrord.model import shown
from mirrord.s3.answers.xml_repair import readable
from mirrord.s3.authorities import CertificateAuthorities
from mirrord.s3.http_errors import (
    REFUSAL_LIMIT,
    RESULT_LIMIT,
    AnswerTooLong,
    PlainHttpAtTls,
    UrlUnusable,
    is_from_tls_port,
    speaks_tls,
)
from mirrord.s3.single_use import SingleUsePeriod
from mirrord.units import KiB, MiB

_PIECE = 64 * KiB
_QUOTE = "\n\n"
"""Precedes the quoted bytes in the errors of aiohttp's parser."""


class BoundedAnswer:
    """An answer for the SDK. Its `content` is bounded: an error response is cut, a longer result is an error."""

    def __init__(self, raw: aiohttp.ClientResponse) -> None:
        self.raw = raw
        self.url = str(raw.url)
        self.status_code = raw.status
        self.headers = HeadersDict(
            {_latin(name).lower(): value.decode(errors="replace") for name, value in raw.raw_headers}
        )
        self._content: bytes | None = None

    @property
    def content(self) -> Awaitable[bytes]:
        return self._read_content()

    async def _read_content(self) -> bytes:
        if self._content is None:
            refused = self.status_code >= 300
            content = await _read(self.raw, REFUSAL_LIMIT if refused else RESULT_LIMIT, cut=refused)
            self._content = readable(content, self.headers, RESULT_LIMIT)
        return self._content


class _Connector(aiohttp.TCPConnector):
    """Aborts a connection that is released while a part of the request is unsent.

    asyncio closes such a transport only after the peer has read the rest. A call whose deadline has passed would keep
    its socket and its body as long as the store does not read, and the store could still carry out the write later.
    """

    async def connect(self, *args: Any, **kwargs: Any) -> Connection:
        connection = await super().connect(*args, **kwargs)
        connection.add_callback(partial(_abort_if_unsent, connection.transport))
        return connection


def _abort_if_unsent(transport: asyncio.Transport | None) -> None:
    if transport is not None and transport.get_write_buffer_size():
        transport.abort()


class HttpSession:
    """Has the interface that aiobotocore needs of an HTTP client. `verify` is a `CertificateAuthorities`."""

    def __init__(
        self,
        *,
        verify: CertificateAuthorities,
        timeout: tuple[float, float | None],
        max_pool_connections: int,
        connector_args: dict[str, Any],
        proxies: dict[str, str] | None = None,
        **_unused: object,
    ) -> None:
        self._authorities = verify
        self._connect_timeout, self._read_timeout = timeout
        self._connector = {"limit": max_pool_connections, **connector_args}
        self._proxies = ProxyConfiguration(proxies=proxies)
        self._pooled: aiohttp.ClientSession | None = None
        self._single: aiohttp.ClientSession | None = None  # closes each connection after one answer
        self._single_use = SingleUsePeriod()
        self._answered: bool = False

    async def __aenter__(self) -> Self:
        self._pooled = self._client(self._connector)
        self._single = self._client({"limit": self._connector["limit"], "force_close": True})
        return self

    def _client(self, connector: dict[str, Any]) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=_Connector(**connector),
            timeout=aiohttp.ClientTimeout(sock_connect=self._connect_timeout, sock_read=self._read_timeout),
            skip_auto_headers={"Content-Type"},
            auto_decompress=False,
        )

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        clients, self._pooled, self._single = (self._pooled, self._single), None, None
        for client in clients:
            if client is not None:
                await client.close()
        await asyncio.sleep(0)  # asyncio closes the sockets of closed transports in the loop's next iteration

    def _connections(self) -> aiohttp.ClientSession | None:
        return self._single if self._single_use.active else self._pooled

    async def send(self, request: Any) -> BoundedAnswer:
        """Send a request. Repeat a read once, on a new connection, if a connection that may have been idle closed."""
        reused = self._connections() is self._pooled
        try:
            return await self._answer_to(request)
        except sdk.ConnectionClosedError:
            self._single_use.begin()
            if not reused or request.method not in ("GET", "HEAD"):
                raise
        return await self._answer_to(request)

    async def _answer_to(self, request: Any) -> BoundedAnswer:
        proxy = self._proxies.proxy_url_for(request.url)
        try:
            with _translated(request.url, proxy):
                answer = await self._send(request, proxy)
        except sdk.ConnectionClosedError as error:
            if not proxy and await self._speaks_tls(request.url, error):
                raise PlainHttpAtTls(error=error) from error
            raise
        self._answered = True
        return answer

    async def _send(self, request: Any, proxy: str | None) -> BoundedAnswer:
        client = self._connections()
        assert client is not None, "used outside of `async with`"
        secure = request.url.startswith("https:")
        raw = await client.request(
            request.method,
            URL(request.url, encoded=True),
            headers={name: _text(value) for name, value in request.headers.items()} | {"Accept-Encoding": "identity"},
            data=request.body,
            proxy=proxy,
            ssl=await self._authorities.context() if secure else True,
            allow_redirects=False,
        )
        answer = BoundedAnswer(raw)
        if raw.status >= 300 or not request.stream_output:
            content = await answer.content  # frees the connection
            if raw.status == 400 and not secure and is_from_tls_port(content.decode(errors="replace")):
                raise PlainHttpAtTls(error=None)
        return answer

    async def _speaks_tls(self, url: str, error: Exception) -> bool:
        """Whether an http:// port that never answered speaks TLS. Some servers close without an answer."""
        parts = urlsplit(url)
        if self._answered or parts.scheme != "http":
            return False
        return is_from_tls_port(str(error.__cause__)) or await speaks_tls(parts.hostname, parts.port or 80)


async def _read(raw: aiohttp.ClientResponse, limit: int, *, cut: bool) -> bytes:
    content = bytearray()
    try:
        while piece := await raw.content.read(_PIECE):
            content += piece
            if len(content) > limit:
                raw.close()
                if not cut:
                    raise AnswerTooLong(limit=f"{limit // MiB} MiB", error=None)
                return bytes(content[:limit])
    except BaseException:  # also at a deadline: a connection with an unread rest must not go back to the pool
        raw.close()
        raise
    raw.release()
    return bytes(content)


def _latin(name: bytes) -> str:
    return name.decode("latin-1")


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


@contextmanager
def _translated(url: str, proxy: str | None) -> Iterator[None]:
    """Raise aiohttp's exceptions as those of the SDK that `transport` translates."""
    try:
        yield
    except sdk.HTTPClientError:
        raise
    except aiohttp.ClientSSLError as error:
        raise sdk.SSLError(endpoint_url=url, error=error) from error
    except ValueError as error:  # a proxy's or an endpoint's URL that aiohttp cannot read
        if proxy:  # the text may have its password
            raise UrlUnusable(error=shown(proxy)) from None
        raise UrlUnusable(error=error) from error
    except (aiohttp.ClientProxyConnectionError, aiohttp.ClientHttpProxyError) as error:
        raise sdk.ProxyConnectionError(proxy_url=shown(proxy or ""), error=error) from error
    except aiohttp.ConnectionTimeoutError as error:
        raise sdk.ConnectTimeoutError(endpoint_url=url, error=error) from error
    except TimeoutError as error:
        raise sdk.ReadTimeoutError(endpoint_url=url, error=error) from error
    except aiohttp.ClientConnectorError as error:
        raise sdk.EndpointConnectionError(endpoint_url=url, error=error) from error
    except (aiohttp.ClientError, HttpProcessingError, OSError) as error:
        raise sdk.ConnectionClosedError(endpoint_url=url, error=_without_answer(error)) from error


def _without_answer(error: Exception) -> Exception:
    """aiohttp names the URL, of a proxy with its password, and quotes the answer, which may repeat the request."""
    if not isinstance(error, aiohttp.ClientResponseError | HttpProcessingError):
        return error
    return ValueError(f"the answer is not HTTP: {error.message.partition(_QUOTE)[0]}")
