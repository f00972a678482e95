"""Applies the desired state to what runs: items to the scheduler, folders and lists to their loops, stores
to their pool.

Items that stay the same are not touched. Items that left the manifests are no longer shown. Their objects stay, unless
their entries had `prune` (`leaving_items`).
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice

from mirrord.daemon.folder_loops import FolderLoops
from mirrord.daemon.health import Health
from mirrord.daemon.leaving_items import LeavingItems
from mirrord.daemon.list_loops import ListLoops
from mirrord.daemon.manifests import Manifests
from mirrord.daemon.restores import RequestedRestores
from mirrord.engine.local_files import LocalFiles
from mirrord.engine.stores import Stores
from mirrord.errors import JournalError, Reason
from mirrord.model import IdList, Item, State
from mirrord.planning.items.expand import Expansion
from mirrord.ports import Clock, JournalRecords
from mirrord.reconcile.store_listings import StoreListings
from mirrord.scheduling.scheduler import Scheduler
from mirrord.scheduling.shared_checks import SharedChecks

_PAGE = 1000
_BATCH = 500
_REFUSALS = frozenset({Reason.STORE_DENIED, Reason.STORE_REFUSED, Reason.STORE_UNAVAILABLE})
"""Reasons that other keys or certificates may remove."""


@dataclass(slots=True, kw_only=True)
class AppliedState:
    """The work for the manifests in force. `apply` after each change of them; calls run one at a time."""

    manifests: Manifests
    scheduler: Scheduler
    folders: FolderLoops
    lists: ListLoops
    leaving: LeavingItems
    restores: RequestedRestores
    stores: Stores
    files: LocalFiles
    listings: StoreListings
    journal: JournalRecords
    health: Health
    clock: Clock
    shared: SharedChecks | None = None
    """The checks of the scheduler, if workers can take some of them."""
    unreviewed: bool = field(default=False, init=False)
    """The journal failed, so that it is not known which items left: `apply` again."""
    _applying: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)
    _retire_all: bool = field(default=True, init=False)
    """Whether items may have left the manifests unnoticed: before the start, or when the journal failed."""
    _unknown_lists: frozenset[str] = field(default=frozenset(), init=False)
    _expansion: Expansion = field(default=Expansion(()), init=False)
    """The one that was applied last."""

    async def apply(self) -> None:
        """Make what runs equal to the manifests in force."""
        async with self._applying:
            current = self.manifests.current
            changed_stores = await self.stores.replace(current.loaded.stores)
            self._expansion = current.expansion
            await self.lists.stop_outdated({spec.entry: spec for spec in self._expansion.lists}, self._apply_lists)
            await self._apply_items(changed_stores)
            self.lists.start_missing()

    async def _apply_lists(self) -> None:
        """The same after a list was read: only items may have changed."""
        async with self._applying:
            if self.manifests.current.expansion is self._expansion:  # else `apply` follows, with the rows of the list
                await self._apply_items(())

    async def _apply_items(self, changed_stores: Collection[str]) -> None:
        items, unknown = await self.lists.added_to({item.id: item for item in self._expansion.items})
        folders = {spec.entry: spec for spec in self._expansion.folders}
        await self.health.track(items)
        await self.files.replace(self._expansion.folders, items.local())
        await self.listings.replace(items, self._expansion.folders)
        removed_folders = await self.folders.stop_outdated(folders)
        difference = await self.scheduler.apply(items, changed_stores)
        await self._retire(difference.removed, removed_folders, items, unknown)
        await self._rename(difference.renamed)
        self.folders.start_missing(folders)
        await self.scheduler.check_soon(self.lists.take_due())
        self.restores.refuse_unscheduled(self.scheduler.item)

    async def renew_stores(self, *, again: bool = False) -> None:
        """Use replaced keys and certificates, and check the items now that their stores had refused.

        `again`: read them also where their files did not change.
        """
        names = await self.stores.renewed(again=again)
        if names:
            async for item_id in self._refused_by(names):
                await self.trigger(item_id)

    async def _refused_by(self, stores: Collection[str]) -> AsyncIterator[str]:
        for state in (State.BLOCKED, State.RETRYING):
            after = ""
            while records := await self.journal.page(state=state, after=after, limit=_PAGE):
                for record in records:
                    if record.destination.store in stores and record.condition.reason in _REFUSALS:
                        yield record.item_id
                after = records[-1].item_id

    async def trigger(self, item_id: str) -> bool:
        """Check an item now; False if it is not in force. A recorded file of a folder returns to the scheduler. For an
        item on its way out, decide again now."""
        self.listings.doubt(item_id)
        if await self.scheduler.trigger(item_id):
            return True
        if (entry := self.leaving.entry_of(item_id)) is not None:
            self.lists.read_again(entry)
            await self._apply_lists()
            return True
        record = await self.journal.record(item_id)
        return record is not None and await self.folders.submit(record)

    async def trigger_scheduled(self, item_id: str) -> bool:
        """The same for a restore, which is refused if no check of the item comes."""
        triggered, record = await self.trigger(item_id), await self.journal.record(item_id)
        self.restores.refuse_unscheduled(self.scheduler.item)
        return triggered or (record is not None and record.removed is None)

    def trigger_entry(self, entry: str) -> bool:
        """Read this list, or scan this folder, now; False if no list or folder in force has this name."""
        return self.lists.read_again(entry) or self.folders.rescan(entry)

    async def _retire(
        self, removed: IdList, folders: list[str], items: Mapping[str, Item], unknown: frozenset[str]
    ) -> None:
        """Items that left are no longer shown. A file that is bad from the start hides what it would yield: then
        nothing is taken to have left while we did not run. So does a list, for its entry, until it was read wholly."""
        try:
            await self.leaving.review(items, unknown)
        except JournalError:
            self._retire_all = self.unreviewed = True
            return
        self.unreviewed = False
        sound = all(file.valid for file in self.manifests.statuses())
        if self._unknown_lists - unknown:
            self._retire_all = True
        self._unknown_lists = unknown
        if folders or (self._retire_all and sound):
            kept = {*unknown, *(one.entry for one in self._expansion.folders)}
            async for item_id in self.journal.item_ids_outside(kept):
                if item_id not in items:
                    removed.append(item_id)
            self._retire_all = False
        await self._retired(removed)

    async def _rename(self, item_ids: Iterable[str]) -> None:
        """Show the items under the names that their entries have now. Those that are held have them already."""
        ids = iter(item_ids)
        with suppress(JournalError):  # the next start repeats it
            while some := list(islice(ids, _BATCH)):
                renamed = defaultdict[str, list[str]](list)
                for item_id in some:
                    if (entry := self.scheduler.entry_of(item_id)) is not None:
                        renamed[entry].append(item_id)
                for entry, of_entry in renamed.items():
                    await self.journal.rename(entry, of_entry)
                await asyncio.sleep(0)

    async def _retired(self, removed: Iterable[str]) -> None:
        ids = iter(removed)
        try:
            while some := list(islice(ids, _BATCH)):
                await self.journal.retire([one for one in some if one not in self.leaving], self.clock.now())
                await asyncio.sleep(0)
        except JournalError:
            self._retire_all = True  # with the next change
