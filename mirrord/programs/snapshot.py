"""Every item of the manifests, once: the items of mirrors and lists, then the files that the folders hold now.

For programs that end, `sync` and `plan`. Owns the scan of each folder, and one wait during which the files of all
folders settle. Does not wait for markers: a file without its marker is left Waiting.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

from mirrord.aio import batches
from mirrord.declared import FolderSpec
from mirrord.engine.local_files import LocalFiles
from mirrord.errors import Reason
from mirrord.events import FolderRescanned, ItemsUnchanged
from mirrord.folders.binding import Binding
from mirrord.folders.intake import needs_no_marker
from mirrord.folders.missing import MissingFiles, refused
from mirrord.folders.new_files import NewFiles
from mirrord.folders.unchanged import UnchangedFiles, note_seen
from mirrord.frozen import frozen
from mirrord.model import Item, Outcome, State
from mirrord.planning.decisions.listed import Verdict
from mirrord.planning.decisions.markers import Markers
from mirrord.planning.decisions.prune import ScannedItems, trusted
from mirrord.planning.items.bind import item_of
from mirrord.ports import Clock, Found, Journal, Observer
from mirrord.programs.desired import Desired, matches, selected
from mirrord.programs.leaving import ProgramItems, loaded_entries
from mirrord.programs.report_file import ReportFile
from mirrord.reconcile.file_batch import NewFile
from mirrord.reconcile.leaving import Leaving
from mirrord.reconcile.left_items import LeftItems
from mirrord.reconcile.store_listings import StoreListings
from mirrord.sources.folder.settle import SettledFolder
from mirrord.sources.folder.walk import FoundFile

SETTLING = Outcome(state=State.WAITING, reason=Reason.STILL_GROWING, message="settling")
"""The outcome of an item whose file changed within `settle`."""
_BATCH = 256


@frozen
class PlannedItem:
    """An item, and the outcome if it must wait; None: it may be transferred."""

    item: Item
    waits: Outcome | None = None
    failed: Outcome | None = None
    """The outcome of a first attempt that failed."""
    file: str = ""
    """The manifest that an item left."""


def _guarded(why: str) -> Outcome:
    return Outcome(state=State.BLOCKED, reason=Reason.PRUNE_GUARD, message=why)


class Batches(Protocol):
    """Sends new small files together, beside the checks of items."""

    async def add(self, files: Sequence[NewFile]) -> None:
        """Send these files of one folder."""

    def taken_left(self) -> Iterator[PlannedItem]:
        """The items that need a check of their own after all, so far."""

    def rest(self) -> AsyncIterator[PlannedItem]:
        """The same, until all files have ended."""


@frozen(kw_only=True)
class SnapshotOptions:
    """The options of a snapshot."""

    cause: str
    """The program's name, for the event of each folder's scan."""
    only: Sequence[str]
    """Globs on entry names and keys; empty: everything."""
    prune_max: float | None = None
    """The share of an entry's objects, from 0 to 1, that may be deleted; None: the default of the prune guard."""
    reads_only: bool = False
    """Record nothing."""
    file: ReportFile | None = None
    """Gets the items of the pass that are none of `Snapshot.items`."""


@dataclass(slots=True, kw_only=True)
class Snapshot:
    """All items at one moment. Read `items` to its end, then `incomplete`."""

    desired: Desired
    journal: Journal
    clock: Clock
    observer: Observer
    options: SnapshotOptions
    files: LocalFiles
    listings: StoreListings
    resume: Callable[[FolderSpec, Sequence[Found]], Awaitable[None]] | None = None
    """Continues with files that `after_upload` had put into quarantine; None: they are left."""
    batches: Batches | None = None
    """Sends new small files; None: each of them is an item."""
    unchanged: int = field(default=0, init=False)
    """Files that are as recorded, and whose objects a listing showed: they are no `items`."""
    incomplete: list[str] = field(default_factory=list, init=False)
    """Folders and lists that could not be read completely, and bad rows of lists, each with the reason."""

    async def items(self) -> AsyncIterator[PlannedItem]:
        """Each item that `only` selects. Raises JournalError."""
        specs = self.desired.expansion.folders
        folders = [(spec, self._listing(spec)) for spec in specs if not self.options.only or self._may_match(spec)]
        for spec, listing in folders:
            await listing.first_scan()
            await self.files.refresh(spec.entry, listing.linked)
            if await self._resumed(spec, listing):
                await listing.first_scan()  # files that were put back are new to the first scan
        self.incomplete += self.desired.listed.faults
        left = await self._left()
        wanted = iter(self.desired.items(self.options.only))
        while batch := list(islice(wanted, _BATCH)):
            await self.journal.read_ahead([item.id for item in batch])
            for item in batch:
                yield PlannedItem(item)
        for spec, listing in folders:
            async for planned in self._found(spec, listing):
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
        found = await leaving.review(ProgramItems(self.desired), now, self.options.prune_max)
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
                await self._also_blocked(one.item, why)
            else:
                shown.add(entry)
                yield PlannedItem(one.item, _guarded(why))

    async def _keep_if_written(self, found: LeftItems) -> None:
        """Nothing leaves while a list is being written: its next rows may be those of the items."""
        if self.desired.listed.fresh and await found.allowed():
            whys = await asyncio.gather(*(why() for why in self.desired.listed.fresh))
            if any(whys):
                self.incomplete += filter(None, whys)
                await found.keep_allowed()

    async def _also_blocked(self, item: Item, why: str) -> None:
        if self.options.file is not None:
            self.options.file.add(item, _guarded(why))
            await self.options.file.flush(self.journal)

    def _may_match(self, spec: FolderSpec) -> bool:
        return any(
            glob == spec.entry or any(sign in glob for sign in "*?[") or "/" in glob for glob in self.options.only
        )

    def _listing(self, spec: FolderSpec) -> SettledFolder:
        return SettledFolder(self.files.listing(spec), spec.times.settle, self.clock)

    async def _found(self, spec: FolderSpec, listing: SettledFolder) -> AsyncIterator[PlannedItem]:
        began, files, seen = self.clock.monotonic(), 0, ScannedItems()
        recorded = await self.journal.count(spec.entry)
        is_first = not (recorded or await self.journal.totals())  # nothing is in force, so nothing is unchanged
        unchanged, new = None if is_first else self._unchanged(spec), self._new(spec)
        prunes = spec.delete == "mirror" and not self.options.only and not spec.options.suspend
        async with aclosing(batches(listing.enumerate(), _BATCH)) as found:
            async for batch in found:
                files += len(batch)
                self.listings.expect(spec, self._expected(spec, listing, files, recorded), recorded)
                bound = await self._bound_items(
                    spec, await self._changed(spec, batch, unchanged, seen if prunes else None)
                )
                if prunes:
                    await self._note_seen(seen, bound)
                for planned in await self._planned(spec, listing, bound, new):
                    yield planned
                for planned in self.batches.taken_left() if self.batches is not None else ():
                    yield planned
        await self._resumed(spec, listing)
        self.incomplete += [f"{problem.path}: {problem.message}" for problem in listing.problems]
        duration = self.clock.monotonic() - began
        rescanned = FolderRescanned(
            folder=spec.entry,
            cause=self.options.cause,
            files=files,
            complete=listing.complete,
            duration=duration,
            left_out=listing.left_out,
        )
        self.observer(rescanned)
        if trusted(complete=listing.complete, files=files):
            seen.root = listing.root
            async for planned in self._gone(spec, listing, seen, prunes=prunes):
                yield planned

    def _expected(self, spec: FolderSpec, listing: SettledFolder, files: int, recorded: int) -> int:
        """The number of files that will be checked, while `files` were found: counted by the first scan, else guessed
        from the records."""
        if self.options.only or spec.removes_files or files % _BATCH:
            return files
        return max(files, recorded) if listing.counted is None else listing.counted

    def _unchanged(self, spec: FolderSpec) -> UnchangedFiles | None:
        """None: each file of the folder needs a whole check, also an unchanged one."""
        if self.files.overlaps.concern(spec.entry) or not matches(spec.entry, "", self.options.only):
            return None
        return UnchangedFiles(spec, self.journal)

    def _new(self, spec: FolderSpec) -> NewFiles | None:
        """None: each file of the folder is an item."""
        if self.batches is None or self.files.overlaps.concern(spec.entry):
            return None
        return NewFiles(spec, self.journal, self.listings)

    async def _sent(self, found: Sequence[tuple[FoundFile, Item]], files: NewFiles | None) -> Mapping[str, NewFile]:
        """Those of these files, by item id, that are new and small, and are being sent."""
        if files is None or self.batches is None:
            return {}
        new = await files.among(found)
        if new:
            await self.batches.add(list(new.values()))
        return new

    async def _changed(
        self, spec: FolderSpec, found: Sequence[FoundFile], files: UnchangedFiles | None, seen: ScannedItems | None
    ) -> Sequence[FoundFile]:
        """The files that are checked one by one. The others are unchanged, and a listing showed their objects."""
        recorded = await files.among([one for one in found if one.settled]) if files is not None else {}
        if not recorded:
            return found
        verdicts = await self.listings.verdicts(spec, [one.item_id for one in recorded.values()])
        done = {
            name: one
            for (name, one), verdict in zip(recorded.items(), verdicts, strict=True)
            if verdict is Verdict.AS_RECORDED
        }
        if seen is not None:
            note_seen(seen, done.values())
        self.unchanged += len(done)
        if self.options.file is not None:
            self.options.file.add_unchanged(one.item_id for one in done.values())
            await self.options.file.flush(self.journal)
        if done and not self.options.reads_only:
            self.observer(ItemsUnchanged(count=len(done), items=lambda: (item_of(spec, name, 0.0) for name in done)))
        return [one for one in found if one.name not in done]

    async def _resumed(self, spec: FolderSpec, listing: SettledFolder) -> bool:
        if self.resume is None or not listing.quarantined:
            return False
        await self.resume(spec, listing.quarantined)
        return True

    async def _gone(
        self, spec: FolderSpec, listing: SettledFolder, seen: ScannedItems, *, prunes: bool
    ) -> AsyncIterator[PlannedItem]:
        """The items whose files are gone; if the prune guard refuses, only the first of them, Blocked."""
        missing = MissingFiles(
            spec=spec, listing=listing, journal=self.journal, observer=self.observer, clock=self.clock
        )
        if not prunes:
            if spec.delete == "keep" and not self.options.reads_only:
                await missing.keep_root(seen.root)
            return
        gone = await missing.find(seen)
        why = refused(gone, spec.prune_most, self.options.prune_max)
        if not self.options.reads_only:
            await (missing.block(gone, why) if why else missing.keep_root(seen.root))
        mirrored, first = {item.id for item in self.desired.expansion.items}, True
        async for item, record in missing.items(gone):
            if why and first:
                first = False
                yield PlannedItem(item, _guarded(why))
            elif why:
                await self._also_blocked(item, why)
            elif record.item_id not in mirrored and record.item_id not in self.desired.listed:
                yield PlannedItem(item)

    async def _note_seen(self, seen: ScannedItems, bound: Sequence[tuple[FoundFile, Item]]) -> None:
        records = await self.journal.recorded([item.id for _, item in bound])
        for one, item in bound:
            seen.add_found(item, records.get(item.id), one.revision.file)

    async def _planned(
        self,
        spec: FolderSpec,
        listing: SettledFolder,
        bound: Sequence[tuple[FoundFile, Item]],
        files: NewFiles | None,
    ) -> list[PlannedItem]:
        """The files that are checked one by one. The others are being sent."""
        mine = [(one, item) for one, item in bound if selected(item, self.options.only)]
        settled = [(one, item) for one, item in mine if one.settled]
        without_marker = await self._without_marker(spec, listing, settled)
        sent = await self._sent([(one, item) for one, item in settled if item.id not in without_marker], files)
        return [
            PlannedItem(item, without_marker.get(item.id) if one.settled else SETTLING)
            for one, item in mine
            if item.id not in sent or sent[item.id].item is not item
        ]

    async def _without_marker(
        self, spec: FolderSpec, listing: SettledFolder, found: Sequence[tuple[FoundFile, Item]]
    ) -> dict[str, Outcome]:
        """The outcomes of items whose files have no marker yet, by item id."""
        if spec.selection.ready is None:
            return {}
        markers = Markers(spec.selection.ready)
        existing = await listing.existing({name for one, _ in found for name in markers.of(one.name)})
        missing_marker = [(one, item) for one, item in found if existing.isdisjoint(markers.of(one.name))]
        records = await self.journal.recorded([item.id for _, item in missing_marker])
        return {
            item.id: Outcome(state=State.WAITING, reason=Reason.NO_MARKER, message=markers.missing(one.name))
            for one, item in missing_marker
            if not needs_no_marker(records.get(item.id), one.revision.file)
        }

    async def _bound_items(self, spec: FolderSpec, found: Sequence[FoundFile]) -> list[tuple[FoundFile, Item]]:
        bound = []
        for one, item in await Binding(spec, self.journal).items(found):
            if isinstance(item, Item):
                bound.append((one, item))
            else:
                self.incomplete.append(f"{spec.path}/{one.name}: {item}")
        return bound
