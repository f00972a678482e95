"""Whether objects whose files are gone may be deleted, and which (guarantee 9). Pure.

Owns the guards: a scan that was incomplete or found nothing deletes nothing, a pass that would delete too much deletes
nothing, an object that is not the journal's own stays. Hands on verdicts; `reconcile.removal` deletes.
"""

from array import array
from bisect import bisect_left
from collections.abc import Set
from dataclasses import dataclass

from mirrord.model import FileIdentity, Item, Record
from mirrord.planning.decisions.identity import same_state

ALWAYS_FEW = 10
"""So many objects of an entry may always be deleted in one pass."""
SHARE = 0.10
"""More than these may be deleted up to this share of the entry's objects."""
_SHARDS = 1024  # each is sorted by itself: sorting a million at once would hold the loop for half a second


Root = tuple[int, int]
"""Device and inode of a folder's directory."""


def trusted(*, complete: bool, files: int) -> bool:
    """Whether what a scan did not find may be taken as gone: an unmounted or half-read folder looks empty."""
    return complete and files > 0


def is_another(then: Root | None, now: Root | None, moved: Set[tuple[int, int]]) -> bool:
    """Whether a folder's directory is another one than `then`. After a reboot its device may have another number: it is
    the same where a recorded file was found to have moved from that device to this one (`moved`, as `Seen.moved`)."""
    if then is None or now is None or then == now:
        return False
    return then[1] != now[1] or (then[0], now[0]) not in moved


def refusal(gone: int, held: int, most: float | None = None, *, replaced: bool = False) -> str | None:
    """Why `gone` of the `held` objects of an entry are not deleted in this pass; None if they may be.

    `most`: the share that is allowed by word, from 0 to 1; None: the guard's own. `replaced`: the folder's directory is
    another one, so that nothing may be deleted but by word.
    """
    if replaced and gone and (most is None or gone > most * held):
        return (
            "the folder's directory is another one than at its last whole scan: "
            f"{gone:,} of {held:,} objects would be deleted, so none is: "
            "bring the former directory or the files back, or allow it with sync --prune-max 100%"
        )
    share = SHARE if most is None else most
    if gone <= ALWAYS_FEW or gone <= share * held:
        return None
    return (
        f"{gone:,} of {held:,} objects would be deleted, more than {ALWAYS_FEW} and more than {share:.0%}, so none is: "
        "bring the files back, or allow it with sync --prune-max 100%"
    )


class Seen:
    """The item ids that one scan came across: eight bytes each. An id is 16 hex digits, and those are evenly spread."""

    def __init__(self) -> None:
        self._shards = [array("Q") for _ in range(_SHARDS)]
        self._sorted = [True] * _SHARDS
        self.recorded = 0
        """How many of them the journal was found to have: if those are all that it has of the entry, none is gone."""
        self.root: Root | None = None
        """The directory that was scanned."""
        self.moved: set[tuple[int, int]] = set()
        """(device that was recorded, device now) of files that are the recorded ones: what was mounted anew."""

    def meet(self, item: Item, record: Record | None, file: FileIdentity | None) -> None:
        """The scan came across the file of this item, of which the journal has this record."""
        self.add(item.id)
        if record is None or record.removed is not None or record.source != item.shown_source:
            return
        self.recorded += record.entry == item.entry
        then = record.revision.file if record.revision else None
        if file is not None and then is not None and file.device != then.device and same_state(file, then):
            self.moved.add((then.device, file.device))

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
        place = bisect_left(shard, mark)
        return place < len(shard) and shard[place] == mark


@dataclass(frozen=True, slots=True)
class MissingItems:
    """What is gone of an entry: `item_ids` packed, of which `objects` have one; the entry has `held` objects."""

    item_ids: "array[int]"
    objects: int
    held: int
    moved: frozenset[tuple[int, int]] = frozenset()
    """As `Seen.moved`."""
    replaced: bool = False
    """The folder's directory is another one than at the last whole scan."""

    def batches(self, size: int) -> "list[list[str]]":
        """The ids as text again, `size` at a time."""
        ids = self.item_ids
        return [[f"{one:016x}" for one in ids[at : at + size]] for at in range(0, len(ids), size)]
