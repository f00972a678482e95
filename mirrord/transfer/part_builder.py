"""Parts from chunks of any size: whoever pushes bytes, in whatever pieces, gets parts that the store takes.

Owns the copying of chunks into part buffers and where a part ends. Hands full buffers to `multipart`; the rest, or one
empty part if there were no bytes at all (Complete without parts is refused, FIELD_NOTES 10c), goes at the end.
"""

from mirrord.aio import Turns
from mirrord.transfer.budget import Budget, Buffer
from mirrord.transfer.multipart import MultipartUpload
from mirrord.units import GiB, MiB

GROWTH_STEPS = 10
"""So often may a part grow before a store takes no further one."""
MAX_GROWN_SIZE = 64 * MiB


class PartBuilder:
    """Feeds `upload` with parts of `part_size` bytes. `close` whatever happens.

    Without `equal`, a chunk of `part_size` or more is one part, together with the smaller rest before it, and is cut
    only above `most`; smaller chunks make parts that start at `part_size` and double with each tenth of the parts that
    the store takes, up to 64 MiB. The pool is then the upload's own, and has room for its largest part.
    """

    def __init__(
        self, upload: MultipartUpload, budget: Budget, part_size: int, *, equal: bool = True, most: int = 5 * GiB
    ) -> None:
        self._upload = upload
        self._budget = budget
        self._part_size = part_size
        self._equal = equal
        self._most = most
        self._buffer: Buffer | None = None
        self._filled = 0
        self._turns = Turns()

    async def take(self, chunk: memoryview) -> None:
        """Copy all of `chunk` (bytes); returns once each part that it filled has its turn. Raises what sending does."""
        while len(chunk):
            size = self._next_size(len(chunk))
            buffer = await self._room(size)
            count = min(len(chunk), size - self._filled)
            buffer.view[self._filled : self._filled + count] = chunk[:count]
            self._filled += count
            chunk = chunk[count:]
            if self._filled == size:
                await self._hand_over(buffer)
        await self._turns.give()

    async def end(self) -> None:
        """Hand over what is left."""
        if self._buffer is not None:
            await self._hand_over(self._buffer)
        elif not self._upload.started:
            await self._hand_over(await self._budget.acquire(0))

    def close(self) -> None:
        """Release a buffer that was not handed over."""
        if self._buffer is not None:
            self._buffer.release()
            self._buffer = None

    def _next_size(self, coming: int) -> int:
        """Of the part that is being filled, when `coming` bytes are at hand."""
        if self._equal:
            return self._part_size
        if coming >= self._part_size:
            return min(self._filled + coming, self._most)
        grown = self._part_size << self._upload.started * GROWTH_STEPS // self._upload.max_parts
        return max(self._part_size, min(grown, MAX_GROWN_SIZE, self._most))

    async def _room(self, size: int) -> Buffer:
        """The part's buffer; a larger one in its place if what is at hand belongs to the same part."""
        if not self._equal:
            self._budget.grow_for(size, self._upload.concurrency + 2)
        if self._buffer is None:
            self._buffer = await self._budget.acquire(size)
        elif len(self._buffer.view) < size:
            larger = await self._budget.acquire(size)
            larger.view[: self._filled] = self._buffer.view[: self._filled]
            self._buffer.release()
            self._buffer = larger
        return self._buffer

    async def _hand_over(self, buffer: Buffer) -> None:
        size, self._buffer, self._filled = self._filled, None, 0
        await self._upload.send(buffer, size)
