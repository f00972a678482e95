"""Some bytes of a pinned source as one stream, however often the connection breaks.

Owns going on from the offset where a stream broke, after a pause, a bounded number of times. Only for sources whose
ranges are pinned: what comes after the break is of the same revision, or SourceChanged.

Connections to a host are few and waited for without a deadline, and so are buffers; whoever holds one of them and waits
for the other must not wait for ever. Hence a stream is opened before its reader borrows a buffer, and opened again,
which happens with a buffer in hand, only within REOPEN_DEADLINE.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self, TypeVar

from mirrord.errors import SourceUnavailable
from mirrord.model import Observed
from mirrord.planning.transfers.resume import PartRange
from mirrord.ports import ByteStream, Source
from mirrord.transfer.retry import Failures, RetryPolicy
from mirrord.units import MiB

T = TypeVar("T")

REOPEN_DEADLINE = 60.0  # seconds
BREAKS_RESET_AFTER = MiB
"""So many bytes after a break, the breaks before it no longer count: a source that gives a byte a time is given up."""


class ResumingStream:
    """`async with ResumingStream(source, observed, run, retry) as stream`: the bytes of `run`, a ports.ByteStream."""

    def __init__(self, source: Source, observed: Observed, run: PartRange, retry: RetryPolicy) -> None:
        self._source = source
        self._observed = observed
        self._at = run.start
        self._end = run.end
        self._retry = retry
        self._breaks = Failures()
        self._broke_at = run.start
        self._stream: ByteStream | None = None
        self._life = AsyncExitStack()

    async def __aenter__(self) -> Self:
        try:
            await self._going_on(self._open)
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def readinto(self, view: memoryview) -> int:
        """See `ports.ByteStream`. Raises SourceUnavailable once the source broke too often."""

        async def read() -> int:
            if self._stream is None:
                await self._reopen()
            assert self._stream is not None
            return await self._stream.readinto(view)

        count = await self._going_on(read)
        self._at += count
        return count

    async def _going_on(self, step: Callable[[], Awaitable[T]]) -> T:
        async def tried() -> T:
            try:
                return await step()
            except SourceUnavailable:
                await self._broken()
                raise

        return await self._retry.run(tried, lambda error: isinstance(error, SourceUnavailable), self._breaks)

    async def _open(self) -> None:
        opening = self._source.open(self._observed, self._at, self._end)
        self._stream = await self._life.enter_async_context(opening)

    async def _reopen(self) -> None:
        try:
            async with asyncio.timeout(REOPEN_DEADLINE):
                await self._open()
        except TimeoutError as error:
            raise SourceUnavailable(f"no new connection to the source within {REOPEN_DEADLINE:.0f} s") from error

    async def _broken(self) -> None:
        await self._close()
        if self._at - self._broke_at >= BREAKS_RESET_AFTER:
            self._breaks.count = 0
        self._broke_at = self._at

    async def _close(self) -> None:
        self._stream = None
        life, self._life = self._life, AsyncExitStack()
        await life.aclose()
