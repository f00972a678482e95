"""Which recorded files of a folder are gone, by a whole scan, the journal, and a last check of each path.

Owns the steps from what a scan saw to the items whose objects are deleted, or to the entry that is Blocked
(PruneGuard). Memory: eight bytes for each file that was seen or is gone. The rules are in `planning.decisions.prune`.
"""

from array import array
from collections.abc import AsyncIterator, Mapping, Sequence, Set
from typing import Protocol

from mirrord.declared import FolderSpec
from mirrord.frozen import frozen
from mirrord.model import Item, Record
from mirrord.planning.decisions.prune import (
    DirectoryId,
    MissingItems,
    ScannedItems,
    is_other_directory,
    largest,
    prune_refusal,
)
from mirrord.planning.items.bind import name_of, recorded_origin
from mirrord.ports import Clock, JournalRecords, Observer
from mirrord.reconcile.prune_guard import BlockedDeletions

_BATCH = 500


class AbsenceCheck(Protocol):
    """The part of `ports.FolderListing` that is needed here."""

    async def absent(self, files: Mapping[str, int | None]) -> frozenset[str]: ...


@frozen(kw_only=True)
class MissingFiles:
    """Finds the recorded files of one folder that are gone."""

    spec: FolderSpec
    listing: AbsenceCheck
    journal: JournalRecords
    observer: Observer
    clock: Clock

    async def find(self, seen: ScannedItems) -> MissingItems:
        """The recorded items of this folder that are not in `seen` and do not exist now. Raises JournalError."""
        gone, objects, total, after = array("Q"), 0, 0, ""
        then = await self.journal.folder_root(self.spec.entry, self.spec.path)
        replaced = is_other_directory(then, seen.root, seen.moved)
        if seen.recorded == await self.journal.count(self.spec.entry):
            return MissingItems(gone, 0, 0, replaced=replaced)
        while records := await self.journal.page(entry=self.spec.entry, after=after, limit=_BATCH):
            after = records[-1].item_id
            total += sum(one.object.etag is not None for one in records)
            for one in await self._missing([one for one in records if one.item_id not in seen], seen.moved):
                gone.append(int(one.item_id, 16))
                objects += one.object.etag is not None
        return MissingItems(gone, objects, total, frozenset(seen.moved), replaced)

    async def keep_root(self, root: DirectoryId | None) -> None:
        """Record the directory that a whole scan read, for comparison with later ones. Raises JournalError."""
        entry, path = self.spec.entry, self.spec.path
        if root is not None and root != await self.journal.folder_root(entry, path):
            await self.journal.save_folder_root(entry, path, root)

    async def items(self, gone: MissingItems) -> AsyncIterator[tuple[Item, Record]]:
        """Those items that are still gone now, with their records. Raises JournalError."""
        for batch in gone.batches(_BATCH):
            records = await self.journal.recorded(batch)
            for one in await self._missing([one for one in records.values() if one.removed is None], gone.moved):
                yield self._item(one), one

    async def block(self, gone: MissingItems, message: str) -> None:
        """Record that these items are Blocked (PruneGuard). Only the first is reported as an event."""
        deletions = BlockedDeletions(self.journal, self.observer, self.clock)
        for number, batch in enumerate(gone.batches(_BATCH)):
            records = (await self.journal.recorded(batch)).values()
            blocked = [(self._item(one), one) for one in records if one.removed is None]
            await deletions.block(blocked, message, report=number == 0)

    async def _missing(self, records: Sequence[Record], moved: Set[tuple[int, int]]) -> Sequence[Record]:
        """The records whose files are gone. If the scan found recorded files on a device of another number, that device
        counts as theirs: otherwise nothing could be deleted after a reboot that numbers the devices differently."""
        not_removed = (one for one in records if not (one.revision and one.revision.departs))  # else mirrord removed it
        mine = {name: one for one in not_removed if (name := name_of(self.spec, one.source)) is not None}
        devices = {
            name: one.revision.file.device if one.revision and one.revision.file else None for name, one in mine.items()
        }
        gone = await self.listing.absent(devices)
        for then, now in moved:
            again = {name: now for name, device in devices.items() if device == then and name not in gone}
            gone |= await self.listing.absent(again)
        return [one for name, one in mine.items() if name in gone]

    def _item(self, record: Record) -> Item:
        return Item(
            id=record.item_id,
            entry=record.entry,
            origin=recorded_origin(self.spec, record.source),
            destination=record.object_at,
            options=self.spec.options,
            gone=True,
            dated=record.dated,
        )


def refused(gone: MissingItems, *allowed: float | None) -> str | None:
    """Why none of these may be deleted; None if they may. `allowed`: the shares that the user named, the largest
    counts."""
    return prune_refusal(gone.objects, gone.total, largest(allowed), replaced=gone.replaced)
