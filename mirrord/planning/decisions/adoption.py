"""Which evidence shows that an object of another tool has the bytes of a source, and what it must equal. Pure.

Owns the choice of the checksums that are compared, and of the part sizes for which the ETag of an upload in parts is
computed. `reconcile.adoption` reads files and asks sources. Sources of the part sizes: the documentation and source of
rclone, AWS CLI, s5cmd, MinIO client, s3cmd and the AWS SDKs.
"""

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice

from mirrord.frozen import frozen
from mirrord.model import Checksum, ChecksumKind, Item, Observed, StoredObject
from mirrord.units import GiB, MiB

_WHOLE = re.compile(r'"?([0-9a-fA-F]{32})"?')
_IN_PARTS = re.compile(r'"?([0-9a-fA-F]{32}-([1-9][0-9]{0,5}))"?')
_STRONG = frozenset({ChecksumKind.CRC64NVME, ChecksumKind.SHA256})
_COMMON = (*(size * MiB for size in (8, 5, 16, 64, 50, 15, 10, 32, 100, 128, 20, 25, 256, 512)), GiB)
"""Bytes of a part. 8 MiB: AWS CLI and boto; 5: rclone and older SDKs; 16 and its multiples: MinIO client, mirrord;
50: s5cmd; 15: s3cmd; 64, 100, 128: Hadoop and Spark. The others are usual settings."""
_STEPS = (5 * MiB, 8 * MiB, MiB, 5_000_000, 1_000_000)
"""Tools that take larger parts for larger files take multiples of these."""
_MOST_HASHED = 16 * GiB
LIKELY = 3
_FEWEST, _MOST = 8, 64
"""Part sizes that are tried: all bytes are hashed once for each, so fewer for large objects."""


@frozen
class Evidence:
    """What a store shows of an object's bytes. `whole`: checksums of all bytes. `in_parts`: the ETag of an upload in
    parts, lower case, without quotes; `parts`: their number."""

    size: int
    whole: tuple[Checksum, ...] = ()
    in_parts: str | None = None
    parts: int = 0


@frozen
class Reading:
    """What is computed from the bytes of a file. A CRC64NVME always, for the record: later comparisons use it."""

    kinds: tuple[ChecksumKind, ...]
    part_sizes: tuple[int, ...] = ()

    @property
    def passes(self) -> list[tuple[int, ...]]:
        """The part sizes of each pass over the bytes: mostly the first few are right, and each further one would cost
        as much CPU as the MD5 of all bytes. So the others are tried together in a second pass, if one is needed."""
        likely, others = self.part_sizes[:LIKELY], self.part_sizes[LIKELY:]
        return [likely, others] if others else [likely]


@frozen
class SameBytes:
    """The object has the bytes of the source. `checksum` of all bytes, `digest` as `Revision.digest`, if one is
    declared: both for the record."""

    checksum: Checksum | None = None
    digest: str | None = None


def evidence(stored: StoredObject) -> Evidence:
    """What can be compared. An ETag of 32 hex digits may be an MD5; encrypted objects have others, which equal none:
    where a store shows both such a key and a checksum, the checksum alone counts."""
    shown = () if stored.checksum is None else (stored.checksum,)
    if stored.has_key and shown:
        return Evidence(stored.size, shown)
    if whole := _WHOLE.fullmatch(stored.etag):
        return Evidence(stored.size, (*shown, _md5(whole[1])))
    if parted := _IN_PARTS.fullmatch(stored.etag):
        return Evidence(stored.size, shown, parted[1].lower(), int(parted[2]))
    return Evidence(stored.size, shown)


def may_be_equal(item: Item, observed: Observed, stored: StoredObject) -> bool:
    """Whether the bytes of the source and of an object that stands at its key are compared. A URL states digests of all
    bytes at most: its ETag in parts says nothing."""
    if not item.options.adopt or observed.revision.length != stored.size:
        return False
    shown, is_url = evidence(stored), observed.revision.file is None and observed.object is None
    return bool(shown.whole) or (shown.in_parts is not None and not is_url)


def compared(shown: Evidence) -> tuple[Checksum, ...]:
    """The checksums of all bytes that a file must have: the strong one that the store shows, else all of them. A CRC of
    32 bits counts alone only where the ETag is no MD5."""
    strong = tuple(one for one in shown.whole if one.kind in _STRONG)
    return strong[:1] or shown.whole


def reading(shown: Evidence) -> Reading:
    """What is computed from a file, in one pass, to compare it."""
    needed = compared(shown)
    kinds = dict.fromkeys((ChecksumKind.CRC64NVME, *(one.kind for one in needed)))
    return Reading(tuple(kinds), () if needed else tuple(part_sizes(shown.size, shown.parts)))


def equals_file(shown: Evidence, size: int, found: Iterable[Checksum], etags: Iterable[str]) -> bool:
    """Whether a file of `size` bytes with these checksums, and these ETags by part size, has the object's bytes."""
    if size != shown.size:
        return False
    if needed := compared(shown):
        return frozenset(needed) <= frozenset(found)
    return shown.in_parts is not None and shown.in_parts in frozenset(etags)


def equal_checksum(shown: Evidence, stated: Sequence[Checksum]) -> Checksum | None:
    """A checksum of the object that the source states, too. None: there is none of the same kind, or one of them
    differs, or the source contradicts itself. Of a strong kind, one suffices."""
    kinds = [one.kind for one in dict.fromkeys(stated)]
    comparable = [one for one in shown.whole if one.kind in kinds]
    comparable = [one for one in comparable if one.kind in _STRONG][:1] or comparable
    differs = any(one not in stated or kinds.count(one.kind) > 1 for one in comparable)
    return comparable[0] if comparable and not differs else None


def equals_object(shown: Evidence, source: Evidence) -> bool:
    """Whether an object that is a source has the bytes of the object at the key: by their checksums, or by the equal
    ETags of uploads in equal parts."""
    if shown.size != source.size:
        return False
    if {one.kind for one in shown.whole} & {one.kind for one in source.whole}:
        return equal_checksum(shown, source.whole) is not None
    return shown.in_parts is not None and shown.in_parts == source.in_parts


def part_sizes(length: int, parts: int) -> list[int]:
    """The sizes of equal parts, the last one shorter or equal, with which `length` bytes make `parts` parts: the usual
    ones first, then equal shares, then multiples of usual steps. Not all that are possible: see `_MOST_HASHED`."""
    if parts < 1 or length < parts:
        return []
    smallest = -(-length // parts)
    largest = length if parts == 1 else (length - 1) // (parts - 1)
    if parts == 1:
        return [length]
    wanted = chain(
        (size for size in _COMMON if smallest <= size <= largest),
        (size for size in (smallest, smallest + 1) if size <= largest),
        *(_multiples(step, smallest, largest) for step in _STEPS),
    )
    most = min(_MOST, max(_FEWEST, _MOST_HASHED // length))
    return list(islice(dict.fromkeys(wanted), most))


def _multiples(step: int, smallest: int, largest: int) -> Iterator[int]:
    return iter(range(-(-smallest // step) * step, largest + 1, step))


def _md5(digits: str) -> Checksum:
    return Checksum(ChecksumKind.MD5, b64encode(bytes.fromhex(digits)).decode("ascii"))
