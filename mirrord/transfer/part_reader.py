"""The reading side of one transfer: fills buffers from a source's stream and verifies length, size limit and digest.

Owns these checks while bytes are read. Refuses a source that sends another number of bytes than it declared, more than
the manifest allows, or bytes without the declared sha256. `copy` gives the buffers to `put` and `multipart`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from mirrord import checksums
from mirrord.aio import CooperativePause
from mirrord.errors import ChecksumMismatch, LengthMismatch, SourceTooLarge
from mirrord.model import ChecksumKind
from mirrord.ports import ByteStream
from mirrord.transfer.budget import Budget, Buffer
from mirrord.transfer.spec import ignore
from mirrord.units import format_size


@dataclass(frozen=True, slots=True)
class FilledBuffer:
    """A buffer whose first `size` bytes were read from the source. `last`: the stream ended in it. The receiver owns
    the buffer."""

    buffer: Buffer
    size: int
    last: bool

    @property
    def body(self) -> memoryview:
        return self.buffer.view[: self.size]


class PartReader:
    """Reads one stream in order.

    `length` (bytes) is what the source declared; `max_size` (bytes) and `sha256` (lower-case hexadecimal) are demands
    of the manifest; None: unknown or no demand. `counted` is called with the number of bytes of each read.
    """

    def __init__(
        self,
        stream: ByteStream,
        *,
        length: int | None,
        max_size: int | None = None,
        sha256: str | None = None,
        counted: Callable[[int], None] = ignore,
    ) -> None:
        self._stream = stream
        self._length = length
        self._max_size = max_size
        self._counted = counted
        self.bytes_read = 0
        self._declared = sha256
        self._sha256 = checksums.RunningChecksum(ChecksumKind.SHA256)

    async def read(self, budget: Budget, most: int) -> FilledBuffer:
        """The next at most `most` bytes, in a buffer of `budget`. A buffer that is not full is the last one.

        The buffer has one byte more than the rest of the declared length. So one read detects the end, and also a
        source that sends too much. Raises what `fill` raises.
        """
        left = most if self._length is None else self._length - self.bytes_read + 1
        capacity = min(most, left)
        buffer = await budget.acquire(capacity)
        try:
            size = await self.fill(buffer.view)
            if self._declared is not None:
                await checksums.extend(self._sha256, buffer.view[:size])
        except BaseException:
            buffer.discard()
            raise
        return FilledBuffer(buffer, size, last=size < capacity)

    async def fill(self, view: memoryview) -> int:
        """Fill `view` from its start and return the number of bytes. Fewer than `len(view)` mean the end of the stream.

        Raises what the stream raises, LengthMismatch above the declared length, SourceTooLarge above `max_size`.
        """
        filled, pause = 0, CooperativePause()
        while filled < len(view):
            count = await self._stream.readinto(view[filled:])
            if count == 0:
                break
            filled += count
            self._account(count)
            await pause.when_due()
        return filled

    def end(self) -> None:
        """Call it after the last byte. Raises LengthMismatch unless exactly `length` bytes were read, ChecksumMismatch
        unless they have the declared sha256."""
        if self._length is not None and self.bytes_read != self._length:
            raise LengthMismatch(f"the source ended after {self.bytes_read:,} of {self._length:,} bytes")
        if self._declared is not None and (found := self._sha256.hexadecimal()) != self._declared:
            raise ChecksumMismatch(f"the source's bytes have sha256 {found}, declared was {self._declared}")

    def _account(self, count: int) -> None:
        self.bytes_read += count
        if self._max_size is not None and self.bytes_read > self._max_size:
            raise SourceTooLarge(f"the source sends more than max_size ({format_size(self._max_size)})")
        if self._length is not None and self.bytes_read > self._length:
            raise LengthMismatch(f"the source sends more than the {self._length:,} bytes it declared")
        self._counted(count)
