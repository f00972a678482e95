"""The reading side of one transfer: fills buffers from a source's stream and verifies length, size limit and digest.

Owns these checks while bytes are read. Refuses a source that sends another number of bytes than it declared, more than
the manifest allows, or other bytes than the declared ones. `copy` gives the buffers to `put` and `multipart`.
"""

from collections.abc import Callable

from mirrord import checksums
from mirrord.aio import CooperativePause
from mirrord.errors import DeclaredMismatch, LengthMismatch, SourceTooLarge
from mirrord.frozen import frozen
from mirrord.model import ChecksumKind
from mirrord.ports import ByteStream
from mirrord.transfer.bandwidth import NO_LIMIT, Bandwidth
from mirrord.transfer.budget import Budget, Buffer
from mirrord.transfer.spec import NO_DEMANDS, SourceDemands, ignore
from mirrord.units import format_size


@frozen
class FilledBuffer:
    """A buffer whose first `size` bytes were read from the source. `last`: the stream ended in it. The receiver owns
    the buffer."""

    buffer: Buffer
    size: int
    last: bool

    @property
    def body(self) -> memoryview:
        return self.buffer.view[: self.size]


class ReadChecks:
    """What must be true of the bytes of one stream, in order, while they are read and at the end.

    `length` (bytes) is what the source declared, None: unknown; `demands` are those of the manifest on all bytes.
    `counted` is called with the number of bytes of each read.
    """

    def __init__(
        self,
        *,
        length: int | None,
        demands: SourceDemands = NO_DEMANDS,
        counted: Callable[[int], None] = ignore,
    ) -> None:
        self._length = length
        self._demands = demands
        self._counted = counted
        self.bytes_read = 0
        declared = {ChecksumKind.SHA256: demands.sha256, ChecksumKind.MD5: demands.md5}
        self._digests = [(checksums.RunningChecksum(kind), hexa) for kind, hexa in declared.items() if hexa is not None]

    async def check_whole(self, body: memoryview) -> None:
        """Check a body that was read at once. Raises what `PartReader.fill` and `end` raise."""
        self._account(len(body))
        await self._extend(body)
        self.end()

    async def _extend(self, body: memoryview) -> None:
        for running, _ in self._digests:
            await checksums.extend(running, body)

    def end(self) -> None:
        """Call it after the last byte. Raises LengthMismatch unless exactly `length` bytes were read, DeclaredMismatch
        unless they are the declared ones."""
        if self._length is not None and self.bytes_read != self._length:
            raise LengthMismatch(f"the source ended after {self.bytes_read:,} of {self._length:,} bytes")
        if self._demands.size not in (None, self.bytes_read):
            raise DeclaredMismatch(f"the source has {self.bytes_read:,} bytes, declared were {self._demands.size:,}")
        for running, declared in self._digests:
            if (found := running.hexadecimal()) != declared:
                raise DeclaredMismatch(f"the source's bytes have {running.kind} {found}, declared was {declared}")

    def _account(self, count: int) -> None:
        self.bytes_read += count
        max_size = self._demands.max_size
        if max_size is not None and self.bytes_read > max_size:
            raise SourceTooLarge(f"the source sends more than max_size ({format_size(max_size)})")
        if self._length is not None and self.bytes_read > self._length:
            raise LengthMismatch(f"the source sends more than the {self._length:,} bytes it declared")
        self._counted(count)


class PartReader(ReadChecks):
    """Reads one stream in order, with the checks."""

    def __init__(
        self,
        stream: ByteStream,
        *,
        length: int | None,
        demands: SourceDemands = NO_DEMANDS,
        counted: Callable[[int], None] = ignore,
    ) -> None:
        super().__init__(length=length, demands=demands, counted=counted)
        self._stream = stream

    async def read(self, budget: Budget, most: int) -> FilledBuffer:
        """The next at most `most` bytes, in a buffer of `budget`. A buffer that is not full is the last one.

        The buffer has one byte more than the rest of the declared length. So one read detects the end, and also a
        source that sends too much. Raises what `fill` raises.
        """
        left = most if self._length is None else self._length - self.bytes_read + 1
        capacity = min(most, left)
        buffer = await budget.acquire(capacity)
        try:
            size = await self.fill(buffer.view, budget.bandwidth)
            await self._extend(buffer.view[:size])
        except BaseException:
            buffer.discard()
            raise
        return FilledBuffer(buffer, size, last=size < capacity)

    async def fill(self, view: memoryview, bandwidth: Bandwidth = NO_LIMIT) -> int:
        """Fill `view` from its start and return the number of bytes. Fewer than `len(view)` mean the end of the stream.

        Raises what the stream raises, LengthMismatch above the declared length, SourceTooLarge above `max_size`.
        """
        filled, pause = 0, CooperativePause()
        while filled < len(view):
            count = await bandwidth.read(self._stream, view[filled:])
            if count == 0:
                break
            filled += count
            self._account(count)
            await pause.when_due()
        return filled
