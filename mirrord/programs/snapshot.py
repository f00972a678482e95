"""Every item of the manifests, once: the items of mirrors and lists, then the files that the folders hold now.

For programs that end, `sync` and `plan`. Owns the order, and one wait during which the files of all folders settle.
`folder_pass` finds the files of one folder.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from itertools import islice

from mirrord.declared import FolderSpec
from mirrord.planning.items.shared_objects import partners
from mirrord.programs.file_claims import FileClaims
from mirrord.programs.folder_pass import FolderPass
from mirrord.programs.leaving import loaded_entries
from mirrord.programs.planned import Pass, PlannedItem, guarded
from mirrord.reconcile.leaving import Leaving
from mirrord.reconcile.left_items import LeftItems
from mirrord.sources.folder.settle import SettledFolder

_BATCH = 256


class Snapshot(Pass):
    """All items at one moment. Read `items` to its end, then `incomplete`."""

    __slots__ = ()

    async def items(self) -> AsyncIterator[PlannedItem]:
        """Each item that `only` selects. Raises JournalError."""
        claims, folders = self._folders()
        for spec, listing in folders:
            await listing.first_scan(claims.noting(spec))
            await self.files.refresh(spec.entry, listing.linked)
            if await FolderPass(self, claims, spec, listing).resumed():
                await listing.first_scan(claims.noting(spec))  # files that were put back are new to the first scan
        await claims.decide()
        self.incomplete += self.desired.listed.faults
        left = await self._left()
        wanted = iter(self.desired.items(self.options.only))
        while batch := list(islice(wanted, _BATCH)):
            await self.journal.read_ahead([item.id for item in batch])
            for item in batch:
                yield PlannedItem(item)
        for spec, listing in folders:
            async for planned in FolderPass(self, claims, spec, listing).items():
                yield planned
        if self.batches is not None:
            async for planned in self.batches.rest():
                yield planned
        async for planned in self._leaving(left):
            yield planned

    async def _left(self) -> LeftItems | None:
        """The items that left the manifests; None: they are not asked for."""
        leaving = Leaving(self.journal, self.observer, self.clock)
        now = loaded_entries(self.desired)
        found = await leaving.review(self.declared, now, self.options.prune_max)
        if self.options.only:
            return None
        if not self.options.reads_only:
            await self._keep_if_written(found)
            await leaving.note(found, await found.allowed())
        return found

    async def _leaving(self, found: LeftItems | None) -> AsyncIterator[PlannedItem]:
        """The items that left; of an entry whose deletions the guard refuses only the first, Blocked."""
        if found is None:
            return
        leaving = Leaving(self.journal, self.observer, self.clock)
        async for one in leaving.all_items(found, await found.allowed()):
            yield PlannedItem(one.item, file=one.holder.file)
        shown = set[str]()
        async for one in leaving.all_items(found, await found.blocked()):
            entry, why = one.holder.entry, found.refused[one.holder.entry]
            if entry in shown:
                await self.also_blocked(one.item, why)
            else:
                shown.add(entry)
                yield PlannedItem(one.item, guarded(why))

    async def _keep_if_written(self, found: LeftItems) -> None:
        """Nothing leaves while a list is being written: its next rows may be those of the items."""
        if self.desired.listed.fresh and await found.allowed():
            whys = await asyncio.gather(*(why() for why in self.desired.listed.fresh))
            if any(whys):
                self.incomplete += filter(None, whys)
                await found.keep_allowed()

    def _folders(self) -> tuple[FileClaims, Sequence[tuple[FolderSpec, SettledFolder]]]:
        """The folders that `only` may select, and the claims of their files, and of others that may have their
        objects."""
        all_folders = self.desired.expansion.folders
        wanted = [spec for spec in all_folders if not self.options.only or self._may_match(spec)]
        listings = {spec.entry: self.files.listing(spec) for spec in (*wanted, *partners(all_folders, wanted))}
        settled = [(spec, SettledFolder(listings[spec.entry], spec.times.settle, self.clock)) for spec in wanted]
        return FileClaims(all_folders, listings, self.journal), settled

    def _may_match(self, spec: FolderSpec) -> bool:
        return any(
            glob == spec.entry or any(sign in glob for sign in "*?[") or "/" in glob for glob in self.options.only
        )
