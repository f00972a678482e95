"""The body of a request: a file for botocore, a stream of small slices for the HTTP client, over one buffer.

aiobotocore accepts no memoryview and makes two to three copies of `bytes` (FIELD_NOTES 10b). This class copies 256 KiB
at a time, so a body that is being sent needs its pooled buffer and little more memory. The slices must be copies: a
transport may still have one when the caller already fills the buffer with other bytes.
"""

import io
from collections.abc import AsyncIterator
from typing import IO, cast

from mirrord.units import KiB

SLICE = 256 * KiB


class BufferBody:
    """Reads a buffer from its start to its end; seekable. After `close` no byte of the buffer is sent."""

    def __init__(self, view: memoryview) -> None:
        self.view = view
        """The bytes; empty after `close`."""
        self._size = len(view)
        self._position = 0

    def __len__(self) -> int:
        return self._size

    def __enter__(self) -> "IO[bytes] | bytes":
        """The body for one call. No byte of the buffer is sent after it."""
        return cast("IO[bytes]", self) if self._size else b""

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the buffer. A sender that still reads fails with ConnectionAbortedError: its call has ended."""
        self.view = memoryview(b"")

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = min(max(base + offset, 0), self._size)
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        """For botocore's signer, if payloads are signed."""
        end = self._size if size is None or size < 0 else min(self._position + size, self._size)
        piece = bytes(self.view[self._position : end])
        self._position = end
        return piece

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The slices for the HTTP client, always from the start."""
        for start in range(0, self._size, SLICE):
            if not len(self.view):
                raise ConnectionAbortedError("the call is over")
            yield bytes(self.view[start : start + SLICE])
