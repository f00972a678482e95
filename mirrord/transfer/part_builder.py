"""Builds parts of valid sizes from chunks of any size.

Owns the copying of chunks into part buffers, and the size of each part. Gives full buffers to `multipart`. `end` sends
the rest, or one empty part if there were no bytes at all: stores refuse Complete without parts (FIELD_NOTES 10c).
"""

from mirrord.aio import CooperativePause
from mirrord.model import PartSizes
from mirrord.planning.transfers.parts import size_of
from mirrord.transfer.budget import Budget, Buffer
from mirrord.transfer.multipart import MultipartUpload


class PartBuilder:
    """Sends parts of `sizes` to `upload`. The owner must call `close` in every case.

    With `whole_chunks` (bytes), a chunk of at least `sizes.first` bytes is one part, together with the smaller rest
    before it, and is split only above `whole_chunks`. `budget` must then belong to this upload alone: its limit is
    raised until the largest part fits.
    """

    def __init__(
        self, upload: MultipartUpload, budget: Budget, sizes: PartSizes, *, whole_chunks: int | None = None
    ) -> None:
        self._upload = upload
        self._budget = budget
        self._sizes = sizes
        self._whole_chunks = whole_chunks
        self._buffer: Buffer | None = None
        self._filled = 0
        self._pause = CooperativePause()

    async def take(self, chunk: memoryview) -> None:
        """Copy all of `chunk` (a view of bytes). Returns when each part that it filled may start.

        Raises what `MultipartUpload.send` raises.
        """
        while len(chunk):
            size = self._next_size(len(chunk))
            buffer = await self._buffer_for(size)
            count = min(len(chunk), size - self._filled)
            buffer.view[self._filled : self._filled + count] = chunk[:count]
            self._filled += count
            chunk = chunk[count:]
            if self._filled == size:
                await self._send(buffer)
        await self._pause.when_due()

    async def end(self) -> None:
        """Send the remaining bytes as the last part."""
        if self._buffer is not None:
            await self._send(self._buffer)
        elif not self._upload.started:
            await self._send(await self._budget.acquire(0))

    def close(self) -> None:
        """Release a buffer that was not sent."""
        if self._buffer is not None:
            self._buffer.release()
            self._buffer = None

    def _next_size(self, available: int) -> int:
        """The size of the current part, when `available` more bytes are there."""
        if self._whole_chunks is not None and available >= self._sizes.first:
            return min(self._filled + available, self._whole_chunks)
        return size_of(self._sizes, self._upload.started + 1)

    async def _buffer_for(self, size: int) -> Buffer:
        """The buffer of the current part. A buffer that is too small is replaced by a larger one with its bytes."""
        if self._whole_chunks is not None:
            self._budget.grow_for(size, self._upload.concurrency + 2)
        if self._buffer is None:
            self._buffer = await self._budget.acquire(size)
        elif len(self._buffer.view) < size:
            larger = await self._budget.acquire(size)
            larger.view[: self._filled] = self._buffer.view[: self._filled]
            self._buffer.release()
            self._buffer = larger
        return self._buffer

    async def _send(self, buffer: Buffer) -> None:
        size, self._buffer, self._filled = self._filled, None, 0
        await self._upload.send(buffer, size)
