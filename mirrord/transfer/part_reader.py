"""The reading side of one transfer: fills buffers from a source's stream, counts, and holds it to what was observed.

Owns the size limit, the length check and the declared digest while bytes flow. Refuses a source that sends more than it
said or than the manifest allows, or other bytes than were declared. `put` and `multipart` take buffers from here.
"""

from collections.abc import Callable
from dataclasses import dataclass

from mirrord import checksums
from mirrord.aio import Turns
from mirrord.errors import ChecksumMismatch, LengthMismatch, SourceTooLarge
from mirrord.model import ChecksumKind
from mirrord.ports import ByteStream
from mirrord.transfer.budget import Budget, Buffer
from mirrord.transfer.spec import ignore
from mirrord.units import format_size


@dataclass(frozen=True, slots=True)
class FilledBuffer:
    """A buffer with `size` bytes of the source at its start; `last`: the stream ended in it. Its owner ends it."""

    buffer: Buffer
    size: int
    last: bool

    @property
    def body(self) -> memoryview:
        return self.buffer.view[: self.size]


class PartReader:
    """One stream, read in order.

    `length` is what the source promised, `max_size` and `sha256` (hex, lower case) what the manifest demands; None:
    nothing. `counted` is called with the number of bytes of each step.
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
        self.taken = 0
        """Bytes read so far."""
        self._declared = sha256
        self._sha256 = checksums.RunningChecksum(ChecksumKind.SHA256)

    async def read(self, budget: Budget, most: int) -> FilledBuffer:
        """A buffer of at most `most` bytes, filled with what comes next. A buffer not full is the last one.

        It is one byte larger than what is left: so the end shows, and so does a source that sends too much.
        """
        left = most if self._length is None else self._length - self.taken + 1
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
        """Fill `view` from its start; fewer bytes than it holds mean that the stream ended, proven.

        Raises what the stream raises, LengthMismatch for more bytes than promised, SourceTooLarge over `max_size`.
        """
        filled, turns = 0, Turns()
        while filled < len(view):
            count = await self._stream.readinto(view[filled:])
            if count == 0:
                break
            filled += count
            self._account(count)
            await turns.give()
        return filled

    def end(self) -> None:
        """After the last byte. Raises LengthMismatch unless exactly the promised bytes came, ChecksumMismatch unless
        they have the declared sha256."""
        if self._length is not None and self.taken != self._length:
            raise LengthMismatch(f"the source ended after {self.taken:,} of {self._length:,} bytes")
        if self._declared is not None and (came := self._sha256.hexadecimal()) != self._declared:
            raise ChecksumMismatch(f"the source's bytes have sha256 {came}, declared was {self._declared}")

    def _account(self, count: int) -> None:
        self.taken += count
        if self._max_size is not None and self.taken > self._max_size:
            raise SourceTooLarge(f"the source sends more than max_size ({format_size(self._max_size)})")
        if self._length is not None and self.taken > self._length:
            raise LengthMismatch(f"the source sends more than the {self._length:,} bytes it declared")
        self._counted(count)
