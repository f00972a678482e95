"""A part buffer as the SDK wants a body: file-like to botocore, a stream of small slices to the HTTP client.

aiobotocore refuses memoryview and keeps two to three copies of `bytes` (FIELD_NOTES 10b); this copies 256 KiB at a
time, so a body in flight costs its pooled buffer and little more. The slices are copies on purpose: a transport
may still hold one when the caller has its buffer back and fills it with other bytes.
"""

import io
from collections.abc import AsyncIterator

from mirrord.units import KiB

SLICE = 256 * KiB


class BufferBody:
    """Reads a caller's buffer from its start to its end; seekable. After `close` nothing more leaves it."""

    def __init__(self, view: memoryview) -> None:
        self._view = view
        self._size = len(view)
        self._position = 0

    def __len__(self) -> int:
        return self._size

    def close(self) -> None:
        """Let go of the buffer. A sender that still wanted it fails: the call it belongs to is over."""
        self._view = memoryview(b"")

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = min(max(base + offset, 0), self._size)
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        """For botocore's signer, where payloads are signed."""
        end = self._size if size is None or size < 0 else min(self._position + size, self._size)
        piece = bytes(self._view[self._position : end])
        self._position = end
        return piece

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """For the HTTP client, always from the start, in its own pace."""
        for start in range(0, self._size, SLICE):
            if not len(self._view):
                raise ConnectionAbortedError("the call is over")
            yield bytes(self._view[start : start + SLICE])
