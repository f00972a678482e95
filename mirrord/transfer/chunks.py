"""Parts from chunks of any size: whoever pushes bytes, in whatever pieces, gets parts of one size.

Owns the copying of chunks into part buffers. Hands full buffers to `multipart`; the rest, or one empty part if there
were no bytes at all (Complete without parts is refused, FIELD_NOTES 10c), goes at the end.
"""

from mirrord.aio import Turns
from mirrord.transfer.budget import Budget, Buffer
from mirrord.transfer.multipart import Multipart


class Chunks:
    """Feeds `upload` with parts of `part_size` bytes. `close` whatever happens."""

    def __init__(self, upload: Multipart, budget: Budget, part_size: int) -> None:
        self._upload = upload
        self._budget = budget
        self._part_size = part_size
        self._buffer: Buffer | None = None
        self._filled = 0
        self._turns = Turns()

    async def take(self, chunk: memoryview) -> None:
        """Copy all of `chunk` (bytes); returns once each part that it filled has its turn. Raises what sending does."""
        while len(chunk):
            buffer = self._buffer = self._buffer or await self._budget.lend(self._part_size)
            count = min(len(chunk), self._part_size - self._filled)
            buffer.view[self._filled : self._filled + count] = chunk[:count]
            self._filled += count
            chunk = chunk[count:]
            if self._filled == self._part_size:
                await self._hand_over(buffer)
        await self._turns.give()

    async def end(self) -> None:
        """Hand over what is left."""
        if self._buffer is not None:
            await self._hand_over(self._buffer)
        elif not self._upload.begun:
            await self._hand_over(await self._budget.lend(0))

    def close(self) -> None:
        """Give back a buffer that was not handed over."""
        if self._buffer is not None:
            self._buffer.give_back()
            self._buffer = None

    async def _hand_over(self, buffer: Buffer) -> None:
        size, self._buffer, self._filled = self._filled, None, 0
        await self._upload.send(buffer, size)
