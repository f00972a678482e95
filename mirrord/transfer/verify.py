"""Compares objects and sources with the journal: by a HEAD, or by reading every byte.

Owns the comparison and its messages. Equality without a compared checksum is not a proof: see `Comparison.proven`. The
callers decide what to read and what follows from a difference.
"""

from collections.abc import Sequence
from math import inf

from mirrord import checksums
from mirrord.aio import CooperativePause
from mirrord.frozen import frozen
from mirrord.model import Checksum, ChecksumKind, Destination, Observed, Record, StoredObject
from mirrord.planning.decisions.object_identity import is_recorded
from mirrord.ports import ByteStream, ObjectStore, Source
from mirrord.transfer.budget import Budget
from mirrord.transfer.readback import READ_SIZE


@frozen
class Comparison:
    """`differs`: the difference as a message; None: no difference was found. `read`: bytes read of the object."""

    differs: str | None = None
    proven: bool = False
    """A checksum of all bytes was compared."""
    read: int = 0


@frozen
class ContentChecksums:
    """The length and the checksums of some bytes that were read."""

    size: int
    checksums: frozenset[Checksum]


def compare_head(record: Record, current: StoredObject | None) -> Comparison:
    """Compare what HEAD shows now (`current`) with what the store showed when the object was written."""
    if current is None:
        return Comparison("the object is missing")
    if current.other_key:
        return Comparison("the object was replaced: it is not encrypted with the key (SSE-C) that it was written with")
    if current.size != record.object.size:
        return Comparison(f"the object has {current.size:,} bytes, {record.object.size or 0:,} were stored")
    if not is_recorded(record, current):
        return Comparison(f"the object was replaced: its ETag is {current.etag}, {record.object.etag} was stored")
    known, shown = record.object.checksum, current.checksum
    comparable = known is not None and shown is not None and known.kind is shown.kind
    if comparable and known != shown:
        return Comparison(f"the store's {shown.kind if shown else ''} of the object is not what was stored")
    return Comparison(proven=comparable)


def checksum_kinds(record: Record) -> tuple[ChecksumKind, ...]:
    """The kinds to compute: CRC64NVME always, to compare with a file, and those of the recorded checksums."""
    kinds = [ChecksumKind.CRC64NVME, *(one.kind for one in recorded_checksums(record))]
    return tuple(dict.fromkeys(kinds))


def recorded_checksums(record: Record) -> tuple[Checksum, ...]:
    """Every checksum of the whole object in the journal. The digest of the source is not that of a restored object."""
    revision = record.revision if record.revision and record.revision.restored is None else None
    algorithm, _, digest = ((revision.digest if revision else None) or "").partition(":")
    declared = [checksums.from_hexadecimal(ChecksumKind(algorithm), digest)] if digest else []
    return (*([record.object.checksum] if record.object.checksum else []), *declared)


async def read_checksums(
    stream: ByteStream, kinds: Sequence[ChecksumKind], budget: Budget, most: float = inf
) -> ContentChecksums:
    """Read `stream` with one buffer of `budget`, to its end, or until it has more than `most` bytes. Raises what the
    stream raises."""
    running, size, pause = [checksums.RunningChecksum(kind) for kind in kinds], 0, CooperativePause()
    async with budget.buffer(min(READ_SIZE, budget.limit)) as view:
        while count := await budget.bandwidth.read(stream, view):
            size += count
            if size > most:
                break
            for one in running:
                await checksums.extend(one, view[:count])
            await pause.when_due()
    return ContentChecksums(size, frozenset(found for one in running if (found := one.checksum())))


async def object_checksums(
    store: ObjectStore, at: Destination, kinds: Sequence[ChecksumKind], budget: Budget
) -> ContentChecksums:
    """Read the object at `at` to its end. Raises what the store raises."""
    async with store.get_object(at) as stream:
        return await read_checksums(stream, kinds, budget)


async def has_recorded_bytes(source: Source, observed: Observed, record: Record, budget: Budget) -> bool:
    """Whether the revision `observed` has exactly the bytes of the recorded checksums; False if there are none.

    Reads the source once to its end. Raises what the source raises, and SourceChanged if it changed meanwhile.
    """
    known = recorded_checksums(record)
    if not known:
        return False
    async with source.open(observed) as stream:
        found = await read_checksums(stream, [one.kind for one in known], budget, record.object.size or 0)
    await source.confirm(observed)
    return found == ContentChecksums(record.object.size or 0, frozenset(known))


def compare_content(record: Record, found: ContentChecksums, file: ContentChecksums | None) -> Comparison:
    """Compare the bytes read of the object, and of its file, with the record. `file` None: no file to compare."""
    if found.size != record.object.size:
        return Comparison(f"{found.size:,} bytes were read, {record.object.size or 0:,} were stored", read=found.size)
    known = recorded_checksums(record)
    for checksum in known:
        if checksum not in found.checksums:
            return Comparison(
                f"the object's bytes changed: their {checksum.kind} is not what was stored", read=found.size
            )
    if file is not None and file != found:
        return Comparison("the object and its file differ", read=found.size)
    return Comparison(proven=bool(known) or file is not None, read=found.size)
