"""What of a multipart upload is still to be done: from what was journaled, what the store confirms, and the source now.

Owns the rule whether an unfinished transfer may go on, and the arithmetic of missing parts. The journal is the truth:
ListParts shows a part that was sent twice as two and tells no checksum, so it only confirms (FIELD_NOTES 6). Pure;
`reconcile` asks journal and store, `transfer` fetches what is missing.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from mirrord.model import Observed, Part, Transfer, TransferKind
from mirrord.planning.decisions.identity import same_revision

LONGEST_RANGE = 8
"""Parts that one reader takes at a time: long enough to be worth a request, short enough that all end together."""


@dataclass(frozen=True, slots=True)
class PartRange:
    """Bytes [start, end) of a source, whole parts of it; only the source's end may cut the last one short."""

    start: int
    end: int

    @property
    def size(self) -> int:
        return self.end - self.start


def pinned(observed: Observed) -> bool:
    """Whether a part of exactly this revision can be fetched by itself, now and after a crash."""
    return observed.ranges and observed.revision.length is not None


def can_resume(transfer: Transfer, wanted: Transfer, largest_part: int) -> bool:
    """Whether `transfer`, begun earlier, moves what the intent `wanted` would move now, and can go on.

    Part size and id are those of the earlier one, for an upload keeps them to its end; all else must be the same. The
    source must be `pinned`.
    """
    return (
        transfer.kind is wanted.kind is TransferKind.MULTIPART
        and transfer.progress.upload_id is not None
        and transfer.part_size is not None
        and transfer.part_size <= largest_part
        and same_revision(wanted.revision, transfer.revision)
        and transfer.destination.item_id == wanted.destination.item_id
        and (transfer.options_digest, transfer.checksum_kind) == (wanted.options_digest, wanted.checksum_kind)
    )


def confirmed_parts(journaled: Iterable[Part], listed: Iterable[Part], length: int, part_size: int) -> dict[int, Part]:
    """The journaled parts that the store holds as they were sent: same number, size and ETag; by number."""
    held = {(part.number, part.size, part.etag) for part in listed}
    return {
        part.number: part
        for part in journaled
        if (part.number, part.size, part.etag) in held and part.size == part_length(part.number, length, part_size)
    }


def part_length(number: int, length: int, part_size: int) -> int:
    """The size of part `number` (from 1) of an object of `length` bytes; 0 if it has no such part."""
    return max(0, min(part_size, length - (number - 1) * part_size))


def missing_ranges(length: int, part_size: int, have: Collection[int] = ()) -> list[PartRange]:
    """What is left of `length` bytes when the parts `have` are done: neighbouring parts as one run, ascending."""
    runs: list[PartRange] = []
    for number in range(1, -(-length // part_size) + 1):
        if number in have:
            continue
        start = (number - 1) * part_size
        end = min(length, start + part_size)
        if runs and runs[-1].end == start:
            runs[-1] = PartRange(runs[-1].start, end)
        else:
            runs.append(PartRange(start, end))
    return runs


def split_ranges(runs: Iterable[PartRange], part_size: int, readers: int) -> list[PartRange]:
    """The runs cut for `readers` that fetch at the same time, ascending. One reader takes each run whole."""
    whole = list(runs)
    if readers <= 1:
        return whole
    parts = sum(-(-run.size // part_size) for run in whole)
    step = part_size * max(1, min(LONGEST_RANGE, parts // readers))
    return [PartRange(start, min(run.end, start + step)) for run in whole for start in range(run.start, run.end, step)]
