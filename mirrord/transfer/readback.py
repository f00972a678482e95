"""Reads an object back and compares it with what was sent: the proof where the store shows no checksum.

Owns the comparison, with the checksum of the whole object or, where the kind cannot be combined, of each part in order.
Raises an error if there is nothing to compare with. The object is already visible: the caller decides what follows from
a difference.
"""

from collections.abc import Sequence

from mirrord import checksums
from mirrord.aio import CooperativePause
from mirrord.errors import ReadbackMismatch, StoreRefused
from mirrord.frozen import frozen
from mirrord.model import Checksum, ChecksumKind, Destination, Part
from mirrord.ports import ByteStream, ObjectStore, PacedStream
from mirrord.transfer.budget import Budget
from mirrord.units import MiB

READ_SIZE = MiB
"""Bytes that are read and hashed at a time."""


@frozen
class ExpectedBytes:
    """The checksum that the next `size` bytes of an object must have."""

    size: int
    checksum: Checksum


def expected_bytes(whole: Checksum | None, parts: Sequence[Part], size: int) -> list[ExpectedBytes]:
    """What an object of `size` bytes is compared with, in order. Empty: no checksum is known for all its bytes."""
    if whole is not None:
        return [ExpectedBytes(size, whole)]
    known = [ExpectedBytes(part.size, part.checksum) for part in parts if part.checksum is not None]
    return known if len(known) == len(parts) and sum(part.size for part in parts) == size else []


async def read_back(store: ObjectStore, at: Destination, expected: Sequence[ExpectedBytes], budget: Budget) -> Checksum:
    """Read the object at `at` to its end and compare it. Returns a checksum of the whole object; its kind may differ
    from that of the parts.

    Uses one buffer of `budget`; the caller must own none. Raises ReadbackMismatch if the bytes differ, StoreRefused if
    `expected` is empty, and what the store raises.
    """
    if not expected:
        raise StoreRefused(f"{at}: nothing is known to compare it with: set the store's checksum to another than none")
    whole = checksums.RunningChecksum(ChecksumKind.CRC64NVME)
    async with budget.buffer(min(READ_SIZE, budget.limit)) as view, store.get_object(at) as stream:
        for piece in expected:
            await _compare(at, PacedStream(stream, budget.bandwidth), piece, view, whole)
        if await stream.readinto(view[:1]):
            raise ReadbackMismatch(f"{at}: read back, the object is longer than what was sent")
    found = whole.checksum()
    return expected[0].checksum if len(expected) == 1 or found is None else found


async def _compare(
    at: Destination, stream: ByteStream, piece: ExpectedBytes, view: memoryview, whole: checksums.RunningChecksum
) -> None:
    running, left, pause = checksums.RunningChecksum(piece.checksum.kind), piece.size, CooperativePause()
    while left:
        count = await stream.readinto(view[:left])
        if count == 0:
            raise ReadbackMismatch(f"{at}: read back, the object ends {left:,} bytes too soon")
        await checksums.extend(running, view[:count])
        await checksums.extend(whole, view[:count])
        left -= count
        await pause.when_due()
    if running.checksum() != piece.checksum:
        raise ReadbackMismatch(f"{at}: read back, the object is not what was sent ({piece.checksum.kind} differs)")
