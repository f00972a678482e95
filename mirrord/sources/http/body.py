"""The body of one answer as a stream of bytes: timed, freed of its transfer codings, counted.

Owns the proof of its end: silence, slowness, a body cut short or too long are errors, never a short object. Gives
others their turns on the loop, however small the pieces are that an origin sends.
"""

import asyncio
from collections.abc import Callable
from time import thread_time

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from mirrord.aio import Turns
from mirrord.errors import SourceRefused, SourceUnavailable
from mirrord.model import HttpOptions
from mirrord.sources.http.codings import Decoded, Pieces, transfer_codings
from mirrord.sources.http.network import Answer, reason
from mirrord.sources.http.pace import Pace
from mirrord.units import KiB, MiB, format_size

_LEAST, _FIRST, _MOST = KiB, 64 * KiB, MiB
"""Bytes taken from the connection's buffer at a time."""
_SLOW = 0.004
"""Seconds of computing that this may take: a buffer full of one-byte chunks would take a hundred times as long."""


class HttpStream:
    """The bytes of one answer, counted. `expected` bytes, None if the origin does not say."""

    def __init__(
        self, answer: Answer, where: str, expected: int | None, options: HttpOptions, monotonic: Callable[[], float]
    ) -> None:
        self._where = where
        self._expected = expected
        pieces: Pieces = _Wire(answer, self._failed, options, monotonic)
        for coding in transfer_codings(answer.headers, where):
            pieces = Decoded(pieces, coding, where)
        self._pieces = pieces
        self._count = 0
        self._surplus = memoryview(b"")

    async def readinto(self, view: memoryview) -> int:
        """See `ports.ByteStream`. Raises SourceUnavailable if cut short, silent for `idle_timeout`, or slower than
        `min_rate` over an `idle_timeout` of waiting: no body takes longer than length / min_rate + idle_timeout."""
        if not self._surplus:
            piece = await self._pieces.piece()
            self._check(len(piece))
            self._surplus = memoryview(piece)
            self._count += len(piece)
        count = min(len(self._surplus), len(view))
        view[:count] = self._surplus[:count]
        self._surplus = self._surplus[count:]
        return count

    def _check(self, came: int) -> None:
        if self._expected is None:
            return
        if self._count + came > self._expected:
            raise SourceUnavailable(f"{self._where}: sent more than the {self._expected} bytes it announced")
        if not came and self._count < self._expected:
            raise self._failed("cut short")

    def _failed(self, how: str) -> SourceUnavailable:
        of = "an unknown number of" if self._expected is None else self._expected
        return SourceUnavailable(f"{self._where}: {how} at {self._count} of {of} bytes")


class First:
    """The first `most` bytes of a stream that goes on."""

    def __init__(self, stream: HttpStream, most: int) -> None:
        self._stream = stream
        self._left = most

    async def readinto(self, view: memoryview) -> int:
        """See `ports.ByteStream`."""
        count = await self._stream.readinto(view[: self._left]) if self._left else 0
        self._left -= count
        return count


class Nothing:
    """An empty stream."""

    async def readinto(self, view: memoryview) -> int:  # noqa: ARG002 - the port's signature
        return 0


class _Wire:
    """What the connection brings, in pieces of at most `_MOST` bytes."""

    def __init__(
        self,
        answer: Answer,
        failed: Callable[[str], SourceUnavailable],
        options: HttpOptions,
        monotonic: Callable[[], float],
    ) -> None:
        self._content = answer.content
        self._failed = failed
        self._idle = options.idle_timeout
        self._least = options.min_rate
        self._pace = Pace(options.min_rate, options.idle_timeout)
        self._monotonic = monotonic
        self._most = _FIRST
        self._turns = Turns()

    async def piece(self) -> bytes:
        """See `codings.Pieces`."""
        try:
            if piece := self._buffered():
                self._pace.slow(len(piece), 0.0)
                await self._turns.give()
                return piece
            began = self._monotonic()
            async with asyncio.timeout(self._idle):
                piece = await self._content.read(self._most)
        except TimeoutError as error:
            raise self._failed(f"silent for {self._idle:g} s") from error
        except HttpProcessingError as error:
            raise SourceRefused(f"{self._failed('malformed')}: {reason(error.message)}") from None
        except (aiohttp.ClientError, OSError) as error:
            raise self._failed("cut short") from error
        if self._pace.slow(len(piece), self._monotonic() - began) and piece:
            raise self._failed(f"slower than min_rate ({format_size(self._least)}/s)")
        return piece

    def _buffered(self) -> bytes:
        """What came already, without waiting: more at a time while that is quick, less where it is not."""
        began = thread_time()
        piece = self._content.read_nowait(self._most)
        took = thread_time() - began
        if took > _SLOW:
            self._most = max(_LEAST, self._most // 4)
        elif len(piece) == self._most and took < _SLOW / 4:
            self._most = min(_MOST, self._most * 2)
        return piece
