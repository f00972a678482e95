"""Which recorded files of a folder are gone, by a whole scan, the journal, and a last look at each place.

Owns the way from what a scan saw to the items whose objects are to be deleted, or to the entry that is Blocked
(PruneGuard). In memory: eight bytes for each file that was seen or is gone. The rules are `planning.decisions.prune`'s.
"""

from array import array
from collections.abc import AsyncIterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Protocol

from mirrord.declared import FolderSpec
from mirrord.errors import Reason
from mirrord.events import ItemBlocked
from mirrord.model import Condition, Item, Record, State
from mirrord.planning.decisions.prune import DirectoryId, MissingItems, ScannedItems, is_other_directory, prune_refusal
from mirrord.planning.items.bind import name_of, recorded_origin
from mirrord.ports import Clock, JournalRecords, Observer

_BATCH = 500


class Places(Protocol):
    """What of `ports.FolderListing` is needed here."""

    async def absent(self, files: Mapping[str, int | None]) -> frozenset[str]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingFiles:
    """Finds the recorded files of one folder that are gone."""

    spec: FolderSpec
    listing: Places
    journal: JournalRecords
    observer: Observer
    clock: Clock

    async def find(self, seen: ScannedItems) -> MissingItems:
        """What the journal has of this folder, `seen` has not, and is not there now. Raises JournalError."""
        gone, objects, held, after = array("Q"), 0, 0, ""
        then = await self.journal.folder_root(self.spec.entry, self.spec.path)
        replaced = is_other_directory(then, seen.root, seen.moved)
        if seen.recorded == await self.journal.count(self.spec.entry):
            return MissingItems(gone, 0, 0, replaced=replaced)
        while records := await self.journal.page(entry=self.spec.entry, after=after, limit=_BATCH):
            after = records[-1].item_id
            held += sum(one.object.etag is not None for one in records)
            for one in await self._missing([one for one in records if one.item_id not in seen], seen.moved):
                gone.append(int(one.item_id, 16))
                objects += one.object.etag is not None
        return MissingItems(gone, objects, held, frozenset(seen.moved), replaced)

    async def keep_root(self, root: DirectoryId | None) -> None:
        """Record the directory that a whole scan read and that counts from now on. Raises JournalError."""
        entry, path = self.spec.entry, self.spec.path
        if root is not None and root != await self.journal.folder_root(entry, path):
            await self.journal.save_folder_root(entry, path, root)

    async def items(self, gone: MissingItems) -> AsyncIterator[tuple[Item, Record]]:
        """Those items, with what is recorded of them; as they are still gone now. Raises JournalError."""
        for batch in gone.batches(_BATCH):
            records = await self.journal.recorded(batch)
            for one in await self._missing([one for one in records.values() if one.removed is None], gone.moved):
                yield self._item(one), one

    async def block(self, gone: MissingItems, message: str) -> None:
        """Record that these items are Blocked (PruneGuard); only of the first it is said aloud."""
        said = False
        for batch in gone.batches(_BATCH):
            records = (await self.journal.recorded(batch)).values()
            blocked = [self._blocked(one, message) for one in records if one.removed is None]
            news = [one for one in blocked if one not in records]
            await self.journal.save_all(news)
            if news and not said:
                self.observer(ItemBlocked(item=self._item(news[0]), reason=Reason.PRUNE_GUARD, message=message))
            said = True

    def _blocked(self, record: Record, message: str) -> Record:
        same = record.condition.reason is Reason.PRUNE_GUARD
        blocked = Condition(
            state=State.BLOCKED,
            reason=Reason.PRUNE_GUARD,
            message=message,
            since=record.condition.since if same else self.clock.now(),
        )
        return replace(record, condition=blocked)

    async def _missing(self, records: Sequence[Record], moved: Set[tuple[int, int]]) -> Sequence[Record]:
        """Those whose files are gone. Where the scan found recorded files on another device by number, that one is as
        good as theirs: else nothing could be deleted after a reboot that numbers the devices anew."""
        theirs = (one for one in records if not (one.revision and one.revision.departs))  # their files we took away
        mine = {name: one for one in theirs if (name := name_of(self.spec, one.source)) is not None}
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
            destination=record.destination,
            options=self.spec.options,
            gone=True,
            dated=record.dated,
        )


def refused(gone: MissingItems, most: float | None = None) -> str | None:
    """Why nothing of this may be deleted; None if it may."""
    return prune_refusal(gone.objects, gone.total, most, replaced=gone.replaced)
