"""An open file object as a Source: anything with `read(n)`, plain or awaited, from where it stands to its end.

Owns turning reads into the caller's buffer. Refuses text. Knows neither length nor revision, so it is read once, in one
stream, and there is nothing to confirm. The reader stays its owner's to close.
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

READ_MOST = MiB


class Reader(Protocol):
    """A binary file, an aiofiles file, an asyncio or aiohttp StreamReader."""

    def read(self, size: int, /) -> bytes | Awaitable[bytes]: ...


class ReaderSource(Source):
    """`reader` as a source; a plain `read` runs in a thread, so that a slow disk does not stop the loop."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to close: the reader is its owner's."""

    async def probe(self, known: Revision | None = None) -> Observed:  # noqa: ARG002 - the port's
        """See `ports.Source`. Nothing is known before it is read."""
        return Observed(revision=Revision(address="reader"))

    @asynccontextmanager
    async def open(
        self,
        observed: Observed,  # noqa: ARG002 - the port's
        start: int = 0,
        end: int | None = None,
    ) -> AsyncIterator[ByteStream]:
        """See `ports.Source`. Only the whole can be asked for."""
        if start or end is not None:
            raise SourceRefused("an open file is read from where it stands to its end")
        yield ReaderStream(self._reader)

    def release(self) -> None:
        """Nothing is kept open for later."""

    async def confirm(self, observed: Observed) -> None:
        """Nothing to ask: there was one stream."""


class ReaderStream:
    """ports.ByteStream over `read`."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._awaited = inspect.iscoroutinefunction(reader.read)

    async def readinto(self, view: memoryview) -> int:
        """See `ports.ByteStream`. An empty answer is the end; one of None (non-blocking, nothing there) is an error."""
        size = min(len(view), READ_MOST)
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
