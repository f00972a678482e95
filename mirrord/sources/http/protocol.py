"""One connection to an HTTP server: aiohttp's protocol, with rewritten heads and with bounds that aiohttp lacks.

Owns the limits of a response head and of interim (1xx) responses, and closes the connection when bytes follow a
complete response: they reach no other request. A response that arrived whole needs no parser (`arrived`); `heads`
rewrites the head of any other for the strict parser. A body with malformed framing fails with the parser's reason, not
as one that was cut short. A large body of known length can be received past the parser (`receiver`).
"""

import asyncio
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, cast

import aiohttp
from aiohappyeyeballs import AddrInfoType, start_connection
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.helpers import TimerNoop
from aiohttp.http import RawResponseMessage
from aiohttp.http_exceptions import BadHttpMessage, HttpProcessingError
from aiohttp.tracing import Trace

from mirrord.aio import TimeLimit
from mirrord.sources.http.arrived import ArrivedBody, ArrivedHead, arrived_response
from mirrord.sources.http.heads import normalised
from mirrord.sources.http.receiver import BodyReceiver, PlainReceiver, TlsReceiver
from mirrord.sources.http.routes import RoutedRequest, connected_through
from mirrord.sources.http.tls import TlsTransport, tls_connection
from mirrord.units import KiB

LARGEST_HEAD = 256 * KiB
MOST_FIELDS = 1000
MOST_INTERIM = 50
"""1xx responses before the final one. A server that sends 102 every 10 s may take 8 minutes."""

_LONGEST_LINE = 64 * KiB
_READ_AHEAD = 256 * KiB
"""Bytes of a body that may wait for their reader. A reader that reads more at a time raises it."""
_STEP = 16 * KiB
_SAMPLE, _BYTES_PER_LINE = 2048, 16
"""A body with a line feed in each 16 bytes of the sample has chunks of fewer than 32 bytes, or is parsed quickly."""

_TURNS = 3
"""Turns of the event loop until bytes that arrived are delivered, also those that TLS has still to decrypt."""

_END = re.compile(rb"\r?\n\r?\n")
_INTERIM = re.compile(rb"HTTP/1\.[01] +1(?!01)\d\d\b")
_VERSION = b"HTTP/"
_NO_TIMER = TimerNoop()


Response = tuple[RawResponseMessage | ArrivedHead, aiohttp.StreamReader | ArrivedBody]
"""The head of a response, and its body."""


class NotHttp(aiohttp.ClientConnectionError):
    """The received bytes do not begin like an HTTP response."""


class HttpProtocol(ResponseHandler):
    """Collects the head of each response, and passes the body to the parser as it arrives."""

    def __init__(self, loop: Any) -> None:
        super().__init__(loop)
        self._head: bytearray | None = None
        self._interim = 0
        self._backlog = b""
        self.peer: str | None = None
        """The address of the server; None before the connection is made."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        self.peer = peer[0] if isinstance(peer, tuple) else None

    async def exchange(self, request: bytes) -> Response:
        """Send a request without a body, and wait for the head of its response. Raises what aiohttp raises."""
        if self.transport is None:
            raise aiohttp.ServerDisconnectedError
        self._head, self._interim = bytearray(), 0
        self._parser = self._payload = None
        self.transport.write(request)
        return await self.read()

    def data_received(self, received: bytes) -> None:
        if self._head is None or not received:
            return self._body_received(received)
        if not self._head and (whole := arrived_response(received)) is not None:
            self._head = None
            return self.feed_data(cast("Any", whole), 0)  # of aiohttp's types, only `Response` is used
        if not self._head and received.startswith(_VERSION) and (found := _END.search(received)):
            return self._head_received(received[: found.end()], received[found.end() :])  # as nearly always
        searched = max(0, len(self._head) - 3)
        self._head += received if self._head else received.lstrip(b"\r\n")
        return self._find_head_end(searched)

    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        payload = self._payload
        if payload is not None and isinstance(exc, HttpProcessingError) and not payload.is_eof():
            payload.set_exception(exc, *cause)
            self._payload = None  # else the end of the connection would replace this error by its own
        super().set_exception(exc, *cause)

    def resume_reading(self, resume_parser: bool = True) -> None:
        """aiohttp calls this after every read, paused or not, and each call would start the parser."""
        if self._reading_paused:
            super().resume_reading(resume_parser)
            self._schedule_step()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._backlog = b""
        super().connection_lost(exc)

    # ── bodies ────────────────────────────────────────────────────────────────────────────────────
    def receiver(self, left: int) -> BodyReceiver | None:
        """Hand the connection over for the last `left` bytes of the response, framed by their number alone.

        All bytes that arrived before must have been read. None: the parser still holds some, or the connection ended.
        """
        transport, payload = self.transport, self._payload
        held = self._reading_paused or self._buffer_paused or self._backlog or self._head is not None
        if transport is None or transport.is_closing() or held or payload is None or payload.is_eof():
            return None
        transport.pause_reading()
        if isinstance(transport, TlsTransport):
            return TlsReceiver(transport, left, self._body_ended)
        receiver = PlainReceiver(transport, left, self._body_ended, self.connection_lost)
        transport.set_protocol(receiver)
        return receiver

    async def _body_ended(self) -> None:
        """Take the connection back after the last byte: aiohttp keeps it for another request, or closes it.

        The body was read to its last byte and no further. Bytes that follow must close the connection before another
        request is sent, which would take them for its response.
        """
        payload = self._payload
        if self.transport is None or payload is None:
            return
        self._parser = None  # it has not seen the body; the next request has a new one
        if not isinstance(self.transport, TlsTransport):
            self.transport.set_protocol(self)
        self.transport.resume_reading()
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        payload.feed_eof()

    def _body_received(self, received: bytes) -> None:
        """Parse the bytes; a body of tiny chunks in steps, so that other tasks run between them."""
        tiny = len(received) > _STEP and received.count(b"\n", 0, _SAMPLE) > _SAMPLE // _BYTES_PER_LINE
        if received and self._is_complete:
            self._close_connection()
        elif tiny or (received and self._backlog):
            self._backlog += received
            self._pause_reading_for_buffer()
            self._schedule_step()
        else:
            self._parse(received)

    @property
    def _is_complete(self) -> bool:
        """Whether no response is due, or the whole one arrived. Bytes after it were not requested."""
        return self._parser is None or (self._payload is not None and self._payload.is_eof())

    def _parse(self, received: bytes) -> None:
        super().data_received(received)
        if len(self) > 1:  # responses without a request
            self._close_connection()

    def _schedule_step(self) -> None:
        if self._backlog and not self._reading_paused:
            self._loop.call_soon(self._step)

    def _step(self) -> None:
        if self._reading_paused or not self._backlog:
            return
        step, self._backlog = self._backlog[:_STEP], self._backlog[_STEP:]
        self._parse(step)
        if self.exception() is not None:
            self._backlog = b""
        elif self._backlog:
            self._schedule_step()
        else:
            self._resume_reading_for_buffer()

    # ── heads ─────────────────────────────────────────────────────────────────────────────────────
    def _find_head_end(self, searched: int = 0) -> None:
        """Search the end of the head after its first `searched` bytes."""
        head = self._head or bytearray()
        if not head.startswith(_VERSION[: len(head)]):
            return self._fail(NotHttp())
        if found := _END.search(head, searched):
            return self._head_received(bytes(head[: found.end()]), bytes(head[found.end() :]))
        if len(head) > LARGEST_HEAD:
            self._fail(BadHttpMessage(f"a response head of more than {LARGEST_HEAD // KiB} KiB"))
        return None

    def _head_received(self, head: bytes, rest: bytes) -> None:
        if not _INTERIM.match(head):
            return self._parse_response(normalised(head), rest)
        self._interim += 1
        self._head = bytearray(rest)
        if self._interim > MOST_INTERIM:
            return self._fail(BadHttpMessage(f"more than {MOST_INTERIM} interim (1xx) responses"))
        return self._find_head_end()

    def _parse_response(self, head: bytes, rest: bytes) -> None:
        """Parse the head and the rest separately: an error in the rest must not discard the head."""
        self._head = None
        self.set_response_params(
            timer=_NO_TIMER,
            read_until_eof=True,
            auto_decompress=False,
            read_bufsize=_READ_AHEAD,
            max_line_size=_LONGEST_LINE,
            max_field_size=_LONGEST_LINE,
            max_headers=MOST_FIELDS,
        )
        super().data_received(head)
        if rest and self.exception() is None:
            self._body_received(rest)

    def _fail(self, error: Exception) -> None:
        self._head = None
        self._close_connection()
        self.set_exception(error)

    def _close_connection(self) -> None:
        self.force_close()
        if self.transport is not None:
            self.transport.close()


@contextmanager
def _errors_of_tls(req: aiohttp.ClientRequest) -> Iterator[None]:
    try:
        yield
    except (TimeoutError, aiohttp.ClientError):
        raise
    except ssl.CertificateError as error:
        raise aiohttp.ClientConnectorCertificateError(req.connection_key, error) from error
    except ssl.SSLError as error:
        raise aiohttp.ClientConnectorSSLError(req.connection_key, error) from error
    except OSError as error:
        raise aiohttp.ClientConnectorError(req.connection_key, error) from error


response_limit: ContextVar[TimeLimit] = ContextVar("response_limit")
"""Of the request that the task sends: the response must begin within this time."""


class HttpConnector(aiohttp.TCPConnector):
    """A TCPConnector whose connections use `HttpProtocol`. A request's deadline does not run while the request waits
    for a connection of the pool. aiohttp's tracing could do the same, for 20 us more a request, also if none waits."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._factory = cast("partial[ResponseHandler]", partial(HttpProtocol, loop=self._loop))

    async def _wrap_create_connection(
        self, *args: Any, addr_infos: list[AddrInfoType], req: aiohttp.ClientRequest, **options: Any
    ) -> tuple[asyncio.Transport, ResponseHandler]:
        """TCP and TLS to the first address that accepts. Errors are those of aiohttp's method."""
        context: ssl.SSLContext | None = options.get("ssl")
        if context is None:
            return await super()._wrap_create_connection(*args, addr_infos=addr_infos, req=req, **options)
        with _errors_of_tls(req):
            async with asyncio.timeout(options["timeout"].sock_connect):
                return await self._connect_tls(addr_infos, context, options["server_hostname"])

    async def _create_connection(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's name
    ) -> ResponseHandler:
        """As aiohttp's method, and through the proxy of the request's route."""
        if not isinstance(req, RoutedRequest) or req.route.proxy is None:
            return await super()._create_connection(req, traces, timeout)
        with _errors_of_tls(req), req.route.noted():
            async with asyncio.timeout(timeout.sock_connect):
                protocol = await connected_through(req.route, req.url, self._get_ssl_context(req), self._factory)
        return cast("ResponseHandler", protocol)

    async def _connect_tls(
        self, addresses: list[AddrInfoType], context: ssl.SSLContext, hostname: str
    ) -> tuple[TlsTransport, ResponseHandler]:
        sock = await start_connection(
            addresses,
            happy_eyeballs_delay=self._happy_eyeballs_delay,
            interleave=self._interleave,
            loop=self._loop,
            socket_factory=self._socket_factory,
        )
        protocol = self._factory()
        return await tls_connection(sock, context, hostname, protocol), protocol

    async def _wait_for_available_connection(self, key: ConnectionKey, traces: list[Trace]) -> None:
        limit = response_limit.get()
        limit.pause()
        await super()._wait_for_available_connection(key, traces)
        limit.restart()
