"""A fake of Source: bytes in memory that a test may change at any time.

A stream has the bytes of the revision that was observed, or is refused, as from a correct server. `fails` and
`SourceHooks` script faults.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Self

from mirrord.errors import SourceChanged, SourceMissing
from mirrord.model import Checksum, Observed, Revision
from mirrord.ports import ByteStream


def _same(size: int) -> int | None:
    return size


async def _pass(*_: int) -> None:
    """The default of hooks."""


@dataclass
class MemorySource:
    """`ports.Source` of `content`. A test that changes `content` must change `etag` too. `log` records all calls."""

    content: bytes | None = b"one"  # None: SourceMissing
    etag: str = '"1"'
    address: str = "x"
    content_type: str | None = None
    ranges: bool = True
    step: int = 1 << 20  # the maximum number of bytes of one read
    claims: Callable[[int], int | None] = _same  # the announced length, from the true one; None: no length
    states: Sequence[Checksum] = ()  # digests of all bytes
    fails: Exception | None = None  # raised by each probe
    hooks: "SourceHooks" = field(default_factory=lambda: SourceHooks())
    log: "SourceLog" = field(default_factory=lambda: SourceLog())

    @property
    def observed(self) -> Observed:
        """The source as it is now. Raises SourceMissing."""
        if self.content is None:
            raise SourceMissing(f"{self.address}: the source does not exist")
        revision = Revision(address=self.address, etag=self.etag, length=self.claims(len(self.content)))
        return Observed(revision=revision, content_type=self.content_type, ranges=self.ranges)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def probe(self, known: Revision | None = None) -> Observed | None:
        self.log.known.append(known)
        await asyncio.sleep(0)
        if self.fails is not None:
            raise self.fails
        observed = self.observed
        return None if observed.revision == known else observed

    @asynccontextmanager
    async def open(self, observed: Observed, start: int = 0, end: int | None = None) -> AsyncIterator[ByteStream]:
        content = self._pinned(observed)
        stop = len(content) if end is None else min(end, len(content))
        self.log.opened.append((start, stop))
        await self.hooks.on_open(start, stop)
        self.log.open_now += 1
        self.log.most_open = max(self.log.most_open, self.log.open_now)
        try:
            yield _SourceStream(self, content, start, stop)
        finally:
            self.log.open_now -= 1

    def arrived(self, observed: Observed) -> bytes | None:  # noqa: ARG002 - the port's signature
        return None

    async def stated(self, observed: Observed) -> Sequence[Checksum]:  # noqa: ARG002 - the port's signature
        return self.states

    def release(self) -> None: ...

    async def confirm(self, observed: Observed) -> None:
        self.log.confirmed += 1
        self._pinned(observed)

    def _pinned(self, observed: Observed) -> bytes:
        if self.content is None or self.observed.revision != observed.revision:
            raise SourceChanged(f"{self.address}: it changed since it was observed")
        return self.content


@dataclass(slots=True)
class SourceHooks:
    """Called at each open with the range, and before each read with its offset. They may raise or wait."""

    on_open: Callable[[int, int], Awaitable[None]] = _pass
    on_read: Callable[[int], Awaitable[None]] = _pass


@dataclass(slots=True)
class SourceLog:
    """The calls of a source, in order."""

    known: list[Revision | None] = field(default_factory=list)  # of each probe
    opened: list[tuple[int, int]] = field(default_factory=list)  # the bytes [start, end) of each stream
    open_now: int = 0
    most_open: int = 0
    confirmed: int = 0


class _SourceStream:
    """`ports.ByteStream` of content[start:stop], as it was when the stream was opened."""

    def __init__(self, source: MemorySource, content: bytes, start: int, stop: int) -> None:
        self._source = source
        self._content = content
        self._at = start
        self._stop = stop

    async def readinto(self, view: memoryview) -> int:
        await asyncio.sleep(0)
        await self._source.hooks.on_read(self._at)
        piece = self._content[self._at : min(self._stop, self._at + len(view), self._at + self._source.step)]
        view[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)
