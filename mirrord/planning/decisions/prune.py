"""Whether objects of missing files may be deleted, and which (guarantee 9). Pure.

Owns the guards: after a scan that was incomplete or found no files nothing is deleted; a pass that would delete too
much deletes nothing; an object that is not the recorded one is kept. `reconcile.removal` deletes.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Set

from mirrord.frozen import frozen
from mirrord.model import FileIdentity, Item, Record
from mirrord.planning.decisions.identity import same_state
from mirrord.planning.decisions.unchanged import RecordedFile

ALWAYS_FEW = 10
"""The number of objects of an entry that one pass may always delete."""
SMALL = 2
"""Objects of an entry that count for the guard of its file: a mirror of one object, also while it has a former one."""
SHARE = 0.10
"""More objects may be deleted up to this share of the entry's objects."""
_SHARDS = 1024  # each is sorted separately: sorting a million at once would block the loop for half a second


DirectoryId = tuple[int, int]
"""Device and inode of a folder's directory."""


def trusted(*, complete: bool, files: int) -> bool:
    """Whether files that a scan did not find count as missing. Not for an unmounted or partly read folder: it looks
    empty."""
    return complete and files > 0


def is_other_directory(then: DirectoryId | None, now: DirectoryId | None, moved: Set[tuple[int, int]]) -> bool:
    """Whether a folder's directory is another one than `then`. After a reboot its device may have another number: it is
    the same directory if a recorded file changed from that device number to this one (`moved`, as
    `ScannedItems.moved`)."""
    if then is None or now is None or then == now:
        return False
    return then[1] != now[1] or (then[0], now[0]) not in moved


def largest(shares: Iterable[float | None]) -> float | None:
    """The largest of the shares that were named; None: none was."""
    return max((one for one in shares if one is not None), default=None)


def prune_refusal(
    missing: int,
    total: int,
    most: float | None = None,
    *,
    replaced: bool = False,
    back: str = "the files",
    place: str = "prune",
) -> str | None:
    """Why `missing` of the `total` objects of an entry are not deleted in this pass; None if they may be.

    `most`: the share that the user allowed, from 0 to 1; None: SHARE. `replaced`: the folder's directory is another
    one, so that only an explicit `most` allows deletion. For the message: `back` is what the user may bring back
    instead, `place` the field that may allow it.
    """
    if replaced and missing and (most is None or missing > most * total):
        return (
            "the folder's directory is another one than at its last whole scan: "
            f"{missing:,} of {total:,} objects would be deleted, so none is: "
            "bring the former directory or the files back, or allow it with prune: {max: 100%} or sync --prune-max 100%"
        )
    share = SHARE if most is None else most
    if missing <= ALWAYS_FEW or missing <= share * total:
        return None
    return (
        f"{missing:,} of {total:,} objects would be deleted, more than {ALWAYS_FEW} and more than {share:.0%}, so none "
        f"is: bring {back} back, or allow it with {place}: {{max: 100%}} or sync --prune-max 100%"
    )


class ScannedItems:
    """The item ids that one scan found, in eight bytes each. An id is 16 hex digits, which are evenly distributed."""

    def __init__(self) -> None:
        self._shards = [array("Q") for _ in range(_SHARDS)]
        self._sorted = [True] * _SHARDS
        self.recorded = 0
        """How many of them are in the journal. If these are all records of the entry, no file is missing."""
        self.root: DirectoryId | None = None
        """The directory that was scanned."""
        self.moved: set[tuple[int, int]] = set()
        """(recorded device, device now) of files that are the recorded ones: devices with a new number."""

    def add_found(self, item: Item, record: Record | None, file: FileIdentity | None) -> None:
        """Add the item of a found file; `record`: its record in the journal, None if there is none."""
        self.add(item.id)
        if record is None or record.removed is not None or record.source != item.shown_source:
            return
        self.recorded += record.entry == item.entry
        then = record.revision.file if record.revision else None
        if file is not None and then is not None and file.device != then.device and same_state(file, then):
            self.moved.add((then.device, file.device))

    def add_recorded(self, item_id: str, device: int, recorded: RecordedFile) -> None:
        """Add the item of a file that is unchanged and now on this device."""
        self.add(item_id)
        self.recorded += recorded.of_entry
        if device != recorded.device:
            self.moved.add((recorded.device, device))

    def add(self, item_id: str) -> None:
        mark = int(item_id, 16)
        self._shards[mark % _SHARDS].append(mark)
        self._sorted[mark % _SHARDS] = False

    def __contains__(self, item_id: str) -> bool:
        mark = int(item_id, 16)
        number = mark % _SHARDS
        if not self._sorted[number]:
            self._shards[number] = array("Q", sorted(self._shards[number]))
            self._sorted[number] = True
        shard = self._shards[number]
        index = bisect_left(shard, mark)
        return index < len(shard) and shard[index] == mark


@frozen
class MissingItems:
    """The missing items of an entry: packed `item_ids`, of which `objects` have an object; the entry has `total`
    objects."""

    item_ids: "array[int]"
    objects: int
    total: int
    moved: frozenset[tuple[int, int]] = frozenset()
    """As `ScannedItems.moved`."""
    replaced: bool = False
    """The folder's directory is another one than at the last whole scan."""

    def batches(self, size: int) -> "list[list[str]]":
        """The ids as text, in lists of `size`."""
        ids = self.item_ids
        return [[f"{one:016x}" for one in ids[at : at + size]] for at in range(0, len(ids), size)]
