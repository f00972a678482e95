"""Reading an object back and comparing it with what was sent: the proof where the store's word is not enough.

Owns the comparison, with the checksum of the whole or, where the kind has no combination, of each part in its order.
Refuses to compare with nothing. The object stands already: what a difference means for it is the caller's.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mirrord import checksums
from mirrord.aio import Turns
from mirrord.errors import ReadbackMismatch, StoreRefused
from mirrord.model import Checksum, ChecksumKind, Destination, Part
from mirrord.ports import ByteStream, ObjectStore
from mirrord.transfer.budget import Budget
from mirrord.units import MiB

READ_SIZE = MiB
"""Bytes that are read and hashed at a time."""


@dataclass(frozen=True, slots=True)
class ExpectedBytes:
    """So many bytes, in order, and what they must hash to."""

    size: int
    checksum: Checksum


def expected_bytes(whole: Checksum | None, parts: Sequence[Part], size: int) -> list[ExpectedBytes]:
    """What an object of `size` bytes must read as; empty: nothing is known that it could be compared with."""
    if whole is not None:
        return [ExpectedBytes(size, whole)]
    known = [ExpectedBytes(part.size, part.checksum) for part in parts if part.checksum is not None]
    return known if len(known) == len(parts) and sum(part.size for part in parts) == size else []


async def read_back(
    store: ObjectStore, at: Destination, stretches: Sequence[ExpectedBytes], budget: Budget
) -> Checksum:
    """Read the object at `at` to its end: a checksum of the whole, also where parts only had one each.

    Takes one buffer of `budget`; the caller must hold none. Raises ReadbackMismatch if it is not what was sent, else
    what the store does.
    """
    if not stretches:
        raise StoreRefused(f"{at}: nothing is known to compare it with: set the store's checksum to another than none")
    whole = checksums.RunningChecksum(ChecksumKind.CRC64NVME)
    async with budget.buffer(min(READ_SIZE, budget.limit)) as view, store.get_object(at) as stream:
        for stretch in stretches:
            await _compare(at, stream, stretch, view, whole)
        if await stream.readinto(view[:1]):
            raise ReadbackMismatch(f"{at}: read back, the object is longer than what was sent")
    found = whole.checksum()
    return stretches[0].checksum if len(stretches) == 1 or found is None else found


async def _compare(
    at: Destination, stream: ByteStream, stretch: ExpectedBytes, view: memoryview, whole: checksums.RunningChecksum
) -> None:
    running, left, turns = checksums.RunningChecksum(stretch.checksum.kind), stretch.size, Turns()
    while left:
        count = await stream.readinto(view[:left])
        if count == 0:
            raise ReadbackMismatch(f"{at}: read back, the object ends {left:,} bytes too soon")
        await checksums.extend(running, view[:count])
        await checksums.extend(whole, view[:count])
        left -= count
        await turns.give()
    if running.checksum() != stretch.checksum:
        raise ReadbackMismatch(f"{at}: read back, the object is not what was sent ({stretch.checksum.kind} differs)")
