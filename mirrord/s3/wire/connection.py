"""One connection to a store: carries one request and its answer at a time.

Owns the socket's events: the body is written as the socket takes it, while the answer may already arrive. There is no
task and no timer: an exchange is one future. `pool` owns which connections are kept, `http` what an error means.
"""

import asyncio
import ssl

from mirrord.s3.wire.response import InvalidResponse, ResponseParser
from mirrord.sockets import SLICE, Stream
from mirrord.units import KiB

ONE_WRITE = 64 * KiB
"""Head and this much of the body go in one write."""
_NOTHING = memoryview(b"")
_CLOSED = "the store closed the connection without an answer"
_CUT = "the store closed the connection within its answer"


class ExchangeFailed(Exception):
    """The connection ended without a whole answer.

    `wrote`: bytes of the request may have reached the store. `reused`: the connection had carried another request.
    """

    def __init__(self, reason: Exception, *, wrote: bool, reused: bool) -> None:
        super().__init__(str(reason) or type(reason).__name__)
        self.reason = reason
        self.wrote = wrote
        self.reused = reused


class WireConnection:
    """Owns the stream. `context` is the one that its TLS was opened with."""

    __slots__ = (
        "_answer",
        "_first",
        "_loop",
        "_parser",
        "_rest",
        "_stream",
        "_unsent",
        "_waits_to_write",
        "_wrote",
        "closed",
        "context",
        "idle_since",
        "used",
    )

    def __init__(self, stream: Stream, context: ssl.SSLContext | None, loop: asyncio.AbstractEventLoop) -> None:
        self.context = context
        self.closed = False
        self.used = False
        """It has carried a request before."""
        self.idle_since = 0.0
        """The loop's time, in seconds."""
        self._stream = stream
        self._loop = loop
        self._parser: ResponseParser | None = None  # None: no answer is due
        self._answer: asyncio.Future[None] | None = None
        self._first: bytes = b""  # to be written before `_rest`
        self._rest: memoryview = _NOTHING
        self._unsent = False  # the socket has not yet taken the whole request
        self._waits_to_write = False
        self._wrote = False
        loop.add_reader(stream.fileno(), self._on_readable)

    def trouble(self) -> OSError | None:
        """Why no request may be written, and the connection is closed: the store ended it, or sent bytes unasked."""
        if self.closed:
            return ConnectionResetError(_CLOSED)
        try:
            unasked = self._stream.receive()
        except BlockingIOError:
            return None
        except OSError as error:
            found: OSError = error
        else:
            found = ConnectionAbortedError("the store sent bytes before the request" if unasked else _CLOSED)
        self.close()
        return found

    async def exchange(self, head: bytes, body: memoryview | bytes, parser: ResponseParser) -> None:
        """Write a request and wait until the parser has the whole answer. Raises ExchangeFailed.

        Afterwards no view of `body` is kept. The connection is closed if the answer ended it or came before the whole
        request was written, and after an error or a cancellation.
        """
        self._parser = parser
        self._answer = answer = self._loop.create_future()
        try:
            self._begin(head, body)
            await answer
        except BaseException:
            self.abort()
            raise
        self.used = True
        if self._unsent:
            self.abort()
        elif not parser.persistent:
            self.close()

    def close(self) -> None:
        if self._end():
            self._stream.close()

    def abort(self) -> None:
        """Close, and drop all unsent bytes: a store must not carry out later what was given up."""
        if self._end():
            self._stream.abort()

    def _end(self) -> bool:
        if self.closed:
            return False
        self.closed = True
        self._stop_writing()
        self._loop.remove_reader(self._stream.fileno())
        self._parser = self._answer = None
        return True

    # ── writing ───────────────────────────────────────────────────────────────────────────────────
    def _begin(self, head: bytes, body: memoryview | bytes) -> None:
        self._wrote = False
        first = b"".join((head, body[:ONE_WRITE])) if body else head
        try:
            sent = self._stream.send(first)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise ExchangeFailed(error, wrote=False, reused=self.used) from error
        self._wrote = True
        self._unsent = sent < len(first) or len(body) > ONE_WRITE or not self._stream.flush()
        if self._unsent:
            self._first, self._rest = first[sent:], memoryview(body)[ONE_WRITE:]
            self._waits_to_write = True
            self._loop.add_writer(self._stream.fileno(), self._on_writable)

    def _on_writable(self) -> None:
        try:
            if self._first:
                self._first = self._first[self._stream.send(self._first) :]
            elif self._rest:
                self._rest = self._rest[self._stream.send(self._rest[:SLICE]) :]
            self._unsent = bool(self._first or self._rest) or not self._stream.flush()
        except BlockingIOError:
            return
        except OSError:
            self._stop_writing()  # the answer that tells why may have arrived; else reading fails too
            return
        if not self._unsent:
            self._stop_writing()

    def _stop_writing(self) -> None:
        if self._waits_to_write:
            self._waits_to_write = False
            self._loop.remove_writer(self._stream.fileno())
        self._first, self._rest = b"", _NOTHING

    # ── reading ───────────────────────────────────────────────────────────────────────────────────
    def _on_readable(self) -> None:
        parser = self._parser
        if parser is None:  # the store closed an idle connection, or sent bytes that belong to no request
            self.trouble()
            return
        try:
            data = self._stream.receive()
            complete = parser.feed(data) if data else False
            if not complete and (not data or self._stream.ended):
                data, complete = b"", parser.feed_eof()
        except BlockingIOError:
            return
        except (OSError, InvalidResponse) as error:
            if not (parser.status >= 300 and isinstance(error, OSError) and parser.feed_eof()):
                self.fail(error)
                return
            complete = True
        if complete:
            self._finish(parser)
        elif not data:
            self.fail(ConnectionResetError(_CUT if parser.begun else _CLOSED))

    def _finish(self, parser: ResponseParser) -> None:
        if self._unsent and parser.status < 300:
            self.fail(InvalidResponse(f"the store answered {parser.status} before it had the whole request"))
            return
        answer, self._parser, self._answer = self._answer, None, None
        if answer is not None and not answer.done():
            answer.set_result(None)

    def fail(self, error: Exception) -> None:
        """Abort; the exchange that runs raises ExchangeFailed with this reason."""
        answer, wrote = self._answer, self._wrote
        self.abort()
        if answer is not None and not answer.done():
            answer.set_exception(ExchangeFailed(error, wrote=wrote, reused=self.used))
