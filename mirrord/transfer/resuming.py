"""A range of a pinned source as one stream that survives broken connections.

Owns the resuming: after a break it pauses and reopens the source at the current offset, a limited number of times. Only
for sources whose ranges are pinned: the bytes after a break belong to the same revision, or the source raises
SourceChanged.

Connections to a host and buffers are both limited, and both are awaited without a deadline. A task that owns one and
waits for the other without a limit could deadlock. Therefore a stream is opened before its reader acquires a buffer. It
is reopened while the reader owns a buffer, so reopening has a deadline (REOPEN_DEADLINE).
"""

import asyncio
from contextlib import AbstractAsyncContextManager
from functools import partial
from types import TracebackType
from typing import Self

from mirrord.errors import MirrordError, SourceTooSlow, SourceUnavailable
from mirrord.model import Observed
from mirrord.planning.transfers.resume import PartRange
from mirrord.ports import ByteStream, Source
from mirrord.transfer.retry import Failures, RetryPolicy
from mirrord.units import MiB

REOPEN_DEADLINE = 60.0  # seconds
BREAKS_RESET_AFTER = MiB
"""Bytes. Earlier breaks are forgotten after so much progress. So a source that sends one byte per connection fails."""


class ResumingStream:
    """`async with ResumingStream(source, observed, wanted, retry) as stream`: a `ports.ByteStream` of the range.

    Not `patient`: a source that is too slow is an error, and not a break.
    """

    def __init__(
        self, source: Source, observed: Observed, wanted: PartRange, retry: RetryPolicy, *, patient: bool = True
    ) -> None:
        self._source = source
        self._observed = observed
        self._offset = wanted.start
        self._end = wanted.end
        self._retry = retry
        self._patient = patient
        self._breaks = Failures()
        self._last_break = wanted.start
        self._stream: ByteStream | None = None
        self._opened: AbstractAsyncContextManager[ByteStream] | None = None  # of `_stream`

    async def __aenter__(self) -> Self:
        try:
            await self._retry.run(self._first, self._is_break, self._breaks)
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def readinto(self, view: memoryview) -> int:
        """See `ports.ByteStream`. Raises SourceUnavailable after too many breaks, and SourceChanged."""
        count = await self._retry.run(partial(self._read, view), self._is_break, self._breaks)
        self._offset += count
        return count

    async def _first(self) -> None:
        try:
            await self._open()
        except SourceUnavailable:
            await self._broken()
            raise

    async def _read(self, view: memoryview) -> int:
        try:
            if self._stream is None:
                await self._reopen()
            assert self._stream is not None
            return await self._stream.readinto(view)
        except SourceUnavailable:
            await self._broken()
            raise

    async def _open(self) -> None:
        opening = self._source.open(self._observed, self._offset, self._end)
        self._stream = await opening.__aenter__()
        self._opened = opening

    async def _reopen(self) -> None:
        try:
            async with asyncio.timeout(REOPEN_DEADLINE):
                await self._open()
        except TimeoutError as error:
            raise SourceUnavailable(f"no new connection to the source within {REOPEN_DEADLINE:.0f} s") from error

    async def _broken(self) -> None:
        await self._close()
        if self._offset - self._last_break >= BREAKS_RESET_AFTER:
            self._breaks.count = 0
        self._last_break = self._offset

    async def _close(self) -> None:
        self._stream = None
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened.__aexit__(None, None, None)

    def _is_break(self, error: MirrordError) -> bool:
        return isinstance(error, SourceUnavailable) and (self._patient or not isinstance(error, SourceTooSlow))
