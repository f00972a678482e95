"""The body of one response as a stream of bytes: timed, decoded from its transfer codings, counted.

Owns the proof of the end: silence, a rate below `min_rate`, and a body that is too short or too long are errors, never
a short object. Lets other tasks run, however small the chunks are that the server sends.

The rest of a large body of known length goes straight into the reader's buffers (`receiver`); a GiB then costs a third
of the computing. All other bodies pass aiohttp's parser.
"""

from collections.abc import Callable
from time import perf_counter

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from mirrord.aio import CooperativePause, TimeLimit, TimeLimits
from mirrord.errors import SourceRefused, SourceTooSlow, SourceUnavailable
from mirrord.model import HttpOptions
from mirrord.ports import ByteStream
from mirrord.sources.http.client import parser_reason
from mirrord.sources.http.codings import BodyReader, TransferDecoder, transfer_codings
from mirrord.sources.http.exchange import HttpResponse
from mirrord.sources.http.protocol import HttpProtocol
from mirrord.sources.http.receiver import BodyReceiver
from mirrord.sources.http.responses import content_length
from mirrord.units import KiB, MiB, format_size

_MIN_READ, _FIRST_READ, _MAX_READ = KiB, 64 * KiB, MiB
"""Bytes taken from the connection's buffer at a time."""
_SLOW_READ = 0.004
"""Seconds that one read may take. A buffer full of one-byte chunks would take a hundred times as long."""
_LEAST_DIRECT = 256 * KiB
"""A shorter rest of a body passes the parser: handing the connection over and back would cost more."""
_LONGEST_RECEIVE = 1.0
"""Seconds after which bytes of a slow source are counted, although the buffer is not full."""


class HttpStream:
    """The bytes of one response, counted. `expected` bytes; None if the server does not send a length."""

    def __init__(
        self,
        response: HttpResponse,
        where: str,
        expected: int | None,
        options: HttpOptions,
        monotonic: Callable[[], float],
        limits: TimeLimits,
    ) -> None:
        self._where = where
        self._expected = expected
        self._connection = _ConnectionReader(response, self._failed, options, monotonic, limits)
        reader: BodyReader = self._connection
        for coding in transfer_codings(response.headers, where):
            reader = TransferDecoder(reader, coding, where)
        self._reader = reader
        self._plain = expected is not None and content_length(response.headers) == expected
        self._count = 0
        self._unread = memoryview(b"")

    async def readinto(self, view: memoryview) -> int:
        """See `ports.ByteStream`. Raises SourceUnavailable if the body is cut short, silent for `idle_timeout`, or
        slower than `min_rate` over an `idle_timeout` of waiting.

        So no body takes longer than length / min_rate + idle_timeout.
        """
        if not self._unread and self._plain and self._count == self._expected:
            return 0
        if not self._unread and self._plain and self._is_direct():
            count = await self._connection.readinto(view)
            self._count += count
            return count
        if not self._unread:
            chunk = await self._reader.read()
            self._check_length(len(chunk))
            self._unread = memoryview(chunk)
            self._count += len(chunk)
        count = min(len(self._unread), len(view))
        view[:count] = self._unread[:count]
        self._unread = self._unread[count:]
        return count

    def _is_direct(self) -> bool:
        """Whether the rest of the body is received straight into the caller's buffers, from now on or already."""
        return self._connection.receives(self._count, (self._expected or 0) - self._count)

    def _check_length(self, received: int) -> None:
        if self._expected is None:
            return
        if self._count + received > self._expected:
            raise SourceUnavailable(f"{self._where}: sent more than the {self._expected} bytes it announced")
        if not received and self._count < self._expected:
            raise self._failed("cut short")

    def _failed(self, how: str) -> SourceUnavailable:
        of = "an unknown number of" if self._expected is None else self._expected
        return SourceUnavailable(f"{self._where}: {how} at {self._count} of {of} bytes")


class StreamPrefix:
    """The first `length` bytes of a longer stream."""

    def __init__(self, stream: ByteStream, length: int) -> None:
        self._stream = stream
        self._left = length

    async def readinto(self, view: memoryview) -> int:
        """See `ports.ByteStream`."""
        count = await self._stream.readinto(view[: self._left]) if self._left else 0
        self._left -= count
        return count


class EmptyStream:
    """A stream without bytes."""

    async def readinto(self, view: memoryview) -> int:  # noqa: ARG002 - the port's signature
        return 0


class MinRate:
    """Whether a body is slower than `min_rate` (bytes a second), over windows of `window` seconds of waiting. Pure.

    Only the time of waiting for bytes counts: a slow store must not make its source seem slow. `idle_timeout` bounds
    silence; this bounds a source that is never silent and never ends.
    """

    def __init__(self, min_rate: int, window: float) -> None:
        self._min_rate = min_rate
        self._window = window
        self._waited = 0.0
        self._received = 0

    def add(self, received: int, waited: float) -> bool:
        """Count `received` bytes and `waited` seconds of waiting. Returns whether a window ended below the rate."""
        self._received += received
        self._waited += waited
        if self._waited < self._window:
            return False
        too_slow = self._received < self._min_rate * self._waited
        self._waited, self._received = 0.0, 0
        return too_slow


class _ConnectionReader:
    """Reads a body from the connection, at most `_MAX_READ` bytes at a time."""

    def __init__(
        self,
        response: HttpResponse,
        failed: Callable[[str], SourceUnavailable],
        options: HttpOptions,
        monotonic: Callable[[], float],
        limits: TimeLimits,
    ) -> None:
        self._limits = limits
        self._response = response
        self._content = response.content
        self._receiver: BodyReceiver | None = None
        self._failed = failed
        self._options = options
        self._rate = MinRate(options.min_rate, options.idle_timeout)
        self._monotonic = monotonic
        self._read_size = _FIRST_READ
        self._pause = CooperativePause()

    def receives(self, count: int, left: int) -> bool:
        """Whether `readinto` receives the last `left` bytes, which follow the `count` that were read: from now on, or
        already."""
        if self._receiver is None and left >= _LEAST_DIRECT and self._content.total_bytes == count:
            connection = self._response.connection
            protocol = connection.protocol if connection is not None else None
            if isinstance(protocol, HttpProtocol):
                self._receiver = protocol.receiver(left)
        return self._receiver is not None

    async def readinto(self, view: memoryview) -> int:
        """As `ports.ByteStream.readinto`, of a body that `receives` the rest. Raises what `read` raises."""
        assert self._receiver is not None
        step, waits = min(_LONGEST_RECEIVE, self._options.idle_timeout / 4), 0
        while self._receiver.left:
            began = self._monotonic()
            try:
                count = await self._receiver.receive(view, step)
            except OSError as error:
                raise self._failed("cut short") from error
            if self._rate.add(count, self._monotonic() - began) and count:
                raise self._slow()
            if count:
                return count
            waits += 1
            if waits * step >= self._options.idle_timeout:
                raise self._silent()
        return 0

    async def read(self) -> bytes:
        """See `codings.BodyReader`."""
        try:
            if chunk := self._read_buffered():
                self._rate.add(len(chunk), 0.0)
                await self._pause.when_due()
                return chunk
            began = self._monotonic()
            with TimeLimit(self._limits, self._options.idle_timeout):
                chunk = await self._content.read(self._read_size)
        except TimeoutError as error:
            raise self._silent() from error
        except HttpProcessingError as error:
            raise SourceRefused(f"{self._failed('malformed')}: {parser_reason(error.message)}") from None
        except (aiohttp.ClientError, OSError) as error:
            raise self._failed("cut short") from error
        if self._rate.add(len(chunk), self._monotonic() - began) and chunk:
            raise self._slow()
        return chunk

    def _silent(self) -> SourceTooSlow:
        return SourceTooSlow(str(self._failed(f"silent for {self._options.idle_timeout:g} s")))

    def _slow(self) -> SourceTooSlow:
        slower = f"slower than min_rate ({format_size(self._options.min_rate)}/s)"
        return SourceTooSlow(str(self._failed(slower)))

    def _read_buffered(self) -> bytes:
        """Bytes that have arrived, without waiting: more at a time while reading is quick, fewer where it is slow."""
        began = perf_counter()  # not thread_time: a system call, of 2 us
        chunk = self._content.read_nowait(self._read_size)
        took = perf_counter() - began
        if took > _SLOW_READ:
            self._read_size = max(_MIN_READ, self._read_size // 4)
        elif len(chunk) == self._read_size and took < _SLOW_READ / 4:
            self._read_size = min(_MAX_READ, self._read_size * 2)
        return chunk
