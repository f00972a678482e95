"""An open file object as a Source: any object with `read(n)`, synchronous or async, from its position to its end.

Owns copying its reads into the caller's buffer. Refuses text. Has neither length nor revision, so it is read once, in
one stream, and there is nothing to confirm. The caller closes the reader.
"""

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Protocol, Self

from mirrord.errors import SourceRefused, SourceUnavailable
from mirrord.model import Observed, Revision
from mirrord.ports import ByteStream, Source
from mirrord.units import MiB

MAX_READ = MiB


class Reader(Protocol):
    """A binary file, an aiofiles file, an asyncio or aiohttp StreamReader."""

    def read(self, size: int, /) -> bytes | Awaitable[bytes]: ...


class ReaderSource(Source):
    """`reader` as a source. A synchronous `read` runs in a thread, so that a slow disk does not stop the event loop."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes nothing: the caller closes the reader."""

    async def probe(self, known: Revision | None = None) -> Observed:  # noqa: ARG002 - the port's signature
        """See `ports.Source`. A reader has no length and no validators."""
        return Observed(revision=Revision(address="reader"))

    @asynccontextmanager
    async def open(
        self,
        observed: Observed,  # noqa: ARG002 - the port's signature
        start: int = 0,
        end: int | None = None,
    ) -> AsyncIterator[ByteStream]:
        """See `ports.Source`. Raises SourceRefused for a range."""
        if start or end is not None:
            raise SourceRefused("an open file is read from its position to its end")
        yield ReaderStream(self._reader)

    def release(self) -> None:
        """Nothing to release: `probe` opens nothing."""

    async def confirm(self, observed: Observed) -> None:
        """Nothing to confirm: there was one stream."""


class ReaderStream:
    """`ports.ByteStream` over `read`."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._awaited = inspect.iscoroutinefunction(reader.read)

    async def readinto(self, view: memoryview) -> int:
        """See `ports.ByteStream`. An empty result is the end; None (a non-blocking reader without data) is an error."""
        size = min(len(view), MAX_READ)
        try:
            piece = await self._read(size)
        except OSError as error:
            raise SourceUnavailable(f"reading failed: {error.strerror or error}") from error
        if not isinstance(piece, bytes | bytearray | memoryview):
            raise SourceRefused(
                f"read() gave {type(piece).__name__}, not bytes: open the file in binary, blocking mode"
            )
        view[: len(piece)] = piece
        return len(piece)

    async def _read(self, size: int) -> Any:
        if self._awaited:
            return await self._reader.read(size)  # type: ignore[misc]
        piece = await asyncio.to_thread(self._reader.read, size)
        return await piece if inspect.isawaitable(piece) else piece
