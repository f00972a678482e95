"""The streams of one local file: bytes that were read already, and bytes that a thread reads.

Owns offsets and the size of one read. `source` opens files and checks that their revision is the observed one.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Self

from mirrord.ports import ByteStream
from mirrord.sources.pool import FilePool
from mirrord.units import MiB

READ_MOST = 4 * MiB
"""Most bytes of one read, so that progress is visible. A file up to this size is not kept open between reads."""


class BytesStream(AbstractAsyncContextManager[ByteStream]):
    """`ports.ByteStream` over bytes in memory."""

    def __init__(self, left: memoryview) -> None:
        self._left = left

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing to close."""

    async def readinto(self, view: memoryview) -> int:
        """See `ports.ByteStream`."""
        size = min(len(view), len(self._left))
        view[:size] = self._left[:size]
        self._left = self._left[size:]
        return size


class FileStream:
    """Bytes [start, end) of a file. `read(view, at)` reads in a thread of `pool`; an empty `view` only checks it."""

    def __init__(self, read: Callable[[memoryview, int], int], pool: FilePool, start: int, end: int) -> None:
        self._read = read
        self._pool = pool
        self._at = start
        self._end = end
        self._checked = False

    async def readinto(self, view: memoryview) -> int:
        """See `ports.ByteStream`. Raises SourceChanged if the file became shorter, SourceUnavailable if it fails.

        After a cancellation or SourceTimedOut, a thread may still write into `view`: the buffer's owner discards it, as
        after every error (`transfer.budget`).
        """
        want = min(len(view), self._end - self._at, READ_MOST)
        if want <= 0 and self._checked:
            return 0
        count = await self._pool.run(partial(self._read, view[: max(0, want)], self._at))
        self._checked = True
        self._at += count
        return count
