"""The missing parts of a multipart upload: from the journal, the store's confirmation, and the source now. Pure.

Owns the rule whether an unfinished transfer may be resumed, and the arithmetic of missing parts. The journal decides:
ListParts lists a part that was sent twice as two parts and has no checksums, so it only confirms (FIELD_NOTES 6).
`reconcile` reads journal and store, `transfer` sends the missing parts.
"""

from collections.abc import Collection, Iterable

from mirrord.frozen import frozen
from mirrord.model import Observed, Part, Transfer, TransferKind
from mirrord.planning.decisions.identity import same_revision

LONGEST_RANGE = 8
"""Parts in one range of a reader: enough for one request, and few enough that all readers end at about the same
time."""


@frozen
class PartRange:
    """Bytes [start, end) of a source. They are whole parts; only the last part of the source may be shorter."""

    start: int
    end: int

    @property
    def size(self) -> int:
        return self.end - self.start


def pinned(observed: Observed) -> bool:
    """Whether a single part of exactly this revision can be requested, now and after a crash."""
    return observed.ranges and observed.revision.length is not None


def can_resume(transfer: Transfer, wanted: Transfer, largest_part: int) -> bool:
    """Whether the earlier `transfer` moves the same bytes to the same object as the intent `wanted`, and can be
    resumed.

    `largest_part` in bytes. Part sizes and id are those of the earlier transfer, because an upload keeps them; all else
    must be equal. The source must be `pinned`: its length is known, so its parts have one size.
    """
    return (
        transfer.kind is wanted.kind is TransferKind.MULTIPART
        and transfer.progress.upload_id is not None
        and transfer.part_sizes is not None
        and transfer.part_sizes.are_equal
        and transfer.part_sizes.largest <= largest_part
        and same_revision(wanted.revision, transfer.revision)
        and transfer.revision.restored == wanted.revision.restored
        and transfer.destination.item_id == wanted.destination.item_id
        and (transfer.options_digest, transfer.checksum_kind) == (wanted.options_digest, wanted.checksum_kind)
    )


def confirmed_parts(journaled: Iterable[Part], listed: Iterable[Part], length: int, part_size: int) -> dict[int, Part]:
    """The recorded parts that the store confirms with the same number, size and ETag; by number."""
    listed_parts = {(part.number, part.size, part.etag) for part in listed}
    return {
        part.number: part
        for part in journaled
        if (part.number, part.size, part.etag) in listed_parts
        and part.size == part_length(part.number, length, part_size)
    }


def part_length(number: int, length: int, part_size: int) -> int:
    """The size in bytes of part `number` (from 1) of an object of `length` bytes; 0 if it has no such part."""
    return max(0, min(part_size, length - (number - 1) * part_size))


def missing_ranges(length: int, part_size: int, have: Collection[int] = ()) -> list[PartRange]:
    """The ranges of `length` bytes without the parts `have`, ascending. Adjacent parts are one range."""
    ranges: list[PartRange] = []
    for number in range(1, -(-length // part_size) + 1):
        if number in have:
            continue
        start = (number - 1) * part_size
        end = min(length, start + part_size)
        if ranges and ranges[-1].end == start:
            ranges[-1] = PartRange(ranges[-1].start, end)
        else:
            ranges.append(PartRange(start, end))
    return ranges


def split_ranges(ranges: Iterable[PartRange], part_size: int, readers: int) -> list[PartRange]:
    """The ranges divided for `readers` that read at the same time, ascending. For one reader they are not divided."""
    whole = list(ranges)
    if readers <= 1:
        return whole
    parts = sum(-(-one.size // part_size) for one in whole)
    step = part_size * max(1, min(LONGEST_RANGE, parts // readers))
    return [PartRange(start, min(one.end, start + step)) for one in whole for start in range(one.start, one.end, step)]
