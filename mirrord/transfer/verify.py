"""Whether an object still is what the journal says was stored: by a HEAD, or by reading every byte back. And whether a
source holds the bytes that were stored.

Owns the comparison and its words. Refuses to call equal what it could not compare: `Comparison.proven` says which.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mirrord import checksums
from mirrord.aio import Turns
from mirrord.model import Checksum, ChecksumKind, Destination, Observed, Record, StoredObject
from mirrord.planning.decisions.object_identity import is_recorded
from mirrord.ports import ByteStream, ObjectStore, Source
from mirrord.transfer.budget import Budget
from mirrord.transfer.readback import READ_SIZE


@dataclass(frozen=True, slots=True)
class Comparison:
    """`differs`: how, in a person's words; None: no difference was found. `read`: bytes of the object."""

    differs: str | None = None
    proven: bool = False
    """A checksum of all bytes was compared."""
    read: int = 0


@dataclass(frozen=True, slots=True)
class ContentChecksums:
    """What some bytes were found to be."""

    size: int
    checksums: frozenset[Checksum]


def compare_head(record: Record, standing: StoredObject | None) -> Comparison:
    """What the store says of the object against what it said when the object was written."""
    if standing is None:
        return Comparison("the object is missing")
    if standing.size != record.object.size:
        return Comparison(f"the object has {standing.size:,} bytes, {record.object.size or 0:,} were stored")
    if not is_recorded(record, standing):
        return Comparison(f"the object was replaced: its ETag is {standing.etag}, {record.object.etag} was stored")
    known, told = record.object.checksum, standing.checksum
    comparable = known is not None and told is not None and known.kind is told.kind
    if comparable and known != told:
        return Comparison(f"the store's {told.kind if told else ''} of the object is not what was stored")
    return Comparison(proven=comparable)


def checksum_kinds(record: Record) -> tuple[ChecksumKind, ...]:
    """What to compute: what the journal knows, and a CRC in any case, to compare with a file."""
    kinds = [ChecksumKind.CRC64NVME, *(one.kind for one in recorded_checksums(record))]
    return tuple(dict.fromkeys(kinds))


def recorded_checksums(record: Record) -> tuple[Checksum, ...]:
    """Every checksum that the journal has of the whole object."""
    digest = record.revision.digest if record.revision else None
    declared = [checksums.from_hexadecimal(ChecksumKind.SHA256, digest.removeprefix("sha256:"))] if digest else []
    return (*([record.object.checksum] if record.object.checksum else []), *declared)


async def read_checksums(stream: ByteStream, kinds: Sequence[ChecksumKind], budget: Budget) -> ContentChecksums:
    """Read `stream` to its end, through one buffer of `budget`."""
    running, size, turns = [checksums.RunningChecksum(kind) for kind in kinds], 0, Turns()
    async with budget.buffer(min(READ_SIZE, budget.limit)) as view:
        while count := await stream.readinto(view):
            size += count
            for one in running:
                await checksums.extend(one, view[:count])
            await turns.give()
    return ContentChecksums(size, frozenset(found for one in running if (found := one.checksum())))


async def object_checksums(
    store: ObjectStore, at: Destination, kinds: Sequence[ChecksumKind], budget: Budget
) -> ContentChecksums:
    """What the object at `at` is now. Raises what the store raises."""
    async with store.get_object(at) as stream:
        return await read_checksums(stream, kinds, budget)


async def has_recorded_bytes(source: Source, observed: Observed, record: Record, budget: Budget) -> bool:
    """Whether the revision `observed` has the very bytes that `record` has checksums of; False if it has none.

    Reads the source to its end, once. Raises what it raises, SourceChanged if it became another one meanwhile.
    """
    known = recorded_checksums(record)
    if not known:
        return False
    async with source.open(observed) as stream:
        found = await read_checksums(stream, [one.kind for one in known], budget)
    await source.confirm(observed)
    return found == ContentChecksums(record.object.size or 0, frozenset(known))


def compare_content(record: Record, found: ContentChecksums, file: ContentChecksums | None) -> Comparison:
    """What was read, of the object and of its file, against what was stored. `file` None: there is none to compare."""
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
