"""One connection to an origin: aiohttp's protocol, with heads that a strict parser takes and bounds that it lacks.

Owns the limits of a head, of interim (1xx) responses before the final one, and what may follow it: nothing. Bytes
behind a complete response close the connection and harm nobody else. A body whose framing is malformed fails with the
parser's reason, not as one that was cut short.
"""

import re
from functools import partial
from typing import Any, cast

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import BadHttpMessage, HttpProcessingError

from mirrord.sources.http.heads import normalised
from mirrord.units import KiB

LARGEST_HEAD = 256 * KiB
MOST_FIELDS = 1000
MOST_INTERIM = 50
"""1xx responses before the final one. A server that sends 102 each 10 s may take 8 minutes."""

_STEP = 16 * KiB
_SAMPLE, _TINY = 2048, 16
"""A body with a line feed in each 16 bytes consists of chunks of fewer than 32, or parses quickly all the same."""

_END = re.compile(rb"\r?\n\r?\n")
_INTERIM = re.compile(rb"HTTP/1\.[01] +1(?!01)\d\d\b")
_VERSION = b"HTTP/"


class NotHttp(aiohttp.ClientConnectionError):
    """What came does not begin as an HTTP response does."""


class HttpProtocol(ResponseHandler):
    """Collects the head of each response, and hands on the rest as it comes."""

    def __init__(self, loop: Any) -> None:
        super().__init__(loop)
        self._head: bytearray | None = None
        self._interim = 0
        self._backlog = b""

    def set_response_params(self, **params: Any) -> None:
        """A request was sent: a new head is to come."""
        self._head, self._interim = bytearray(), 0
        super().set_response_params(**params)

    def data_received(self, received: bytes) -> None:
        if self._head is None or not received:
            return self._body(received)
        searched = max(0, len(self._head) - 3)
        self._head += received if self._head else received.lstrip(b"\r\n")
        return self._read_head(searched)

    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        payload = self._payload
        if payload is not None and isinstance(exc, HttpProcessingError) and not payload.is_eof():
            payload.set_exception(exc, *cause)
            self._payload = None  # else the end of the connection would put its own error in this one's place
        super().set_exception(exc, *cause)

    def resume_reading(self, resume_parser: bool = True) -> None:
        """aiohttp asks after every piece that is read, paused or not, and each time starts the parser."""
        if self._reading_paused:
            super().resume_reading(resume_parser)
            self._go_on()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._backlog = b""
        super().connection_lost(exc)

    # ── bodies ────────────────────────────────────────────────────────────────────────────────────
    def _body(self, received: bytes) -> None:
        """Parse it: one of tiny chunks in steps, with turns of the loop for others between them."""
        tiny = len(received) > _STEP and received.count(b"\n", 0, _SAMPLE) > _SAMPLE // _TINY
        if received and self._complete:
            self._hang_up()
        elif tiny or (received and self._backlog):
            self._backlog += received
            self._pause_reading_for_buffer()
            self._go_on()
        else:
            self._parse(received)

    @property
    def _complete(self) -> bool:
        """Whether all of the response came: what follows is an unsolicited one."""
        return self._payload is not None and self._payload.is_eof()

    def _parse(self, received: bytes) -> None:
        super().data_received(received)
        if len(self) > 1:  # responses that wait to be looked at
            self._hang_up()

    def _go_on(self) -> None:
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
            self._go_on()
        else:
            self._resume_reading_for_buffer()

    # ── heads ─────────────────────────────────────────────────────────────────────────────────────
    def _read_head(self, searched: int = 0) -> None:
        """Look for the end of the head behind its first `searched` bytes."""
        head = self._head or bytearray()
        if not head.startswith(_VERSION[: len(head)]):
            return self._fail(NotHttp())
        if found := _END.search(head, searched):
            return self._headed(bytes(head[: found.end()]), bytes(head[found.end() :]))
        if len(head) > LARGEST_HEAD:
            self._fail(BadHttpMessage(f"a response head of more than {LARGEST_HEAD // KiB} KiB"))
        return None

    def _headed(self, head: bytes, rest: bytes) -> None:
        if not _INTERIM.match(head):
            return self._pass_on(normalised(head), rest)
        self._interim += 1
        self._head = bytearray(rest)
        if self._interim > MOST_INTERIM:
            return self._fail(BadHttpMessage(f"more than {MOST_INTERIM} interim (1xx) responses"))
        return self._read_head()

    def _pass_on(self, head: bytes, rest: bytes) -> None:
        """In two steps: a fault of what follows the head must not take the head along."""
        self._head = None
        super().data_received(head)
        if rest and self.exception() is None:
            self._body(rest)

    def _fail(self, error: Exception) -> None:
        self._head = None
        self._hang_up()
        self.set_exception(error)

    def _hang_up(self) -> None:
        self.force_close()
        if self.transport is not None:
            self.transport.close()


class Connector(aiohttp.TCPConnector):
    """TCPConnector whose connections speak `HttpProtocol`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._factory = cast("partial[ResponseHandler]", partial(HttpProtocol, loop=self._loop))
