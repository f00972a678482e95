"""The files of one folder in a pass of `sync` or `plan`: those that are checked, and the items whose files are gone.

Owns the scan of the folder and what each file needs: none of what is unchanged, a place in a batch, a wait, or a check.
Does not wait for markers: a file without its marker is left Waiting.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing

from mirrord.aio import batches
from mirrord.declared import FolderSpec
from mirrord.errors import Reason
from mirrord.events import FolderRescanned, ItemBlocked, ItemsUnchanged
from mirrord.folders.binding import Binding
from mirrord.folders.intake import needs_no_marker
from mirrord.folders.missing import MissingFiles, refused
from mirrord.folders.new_files import NewFiles
from mirrord.folders.unchanged import UnchangedFiles, note_seen
from mirrord.model import Item, Outcome, State
from mirrord.planning.decisions.claims import mirror_text
from mirrord.planning.decisions.listed import Verdict
from mirrord.planning.decisions.markers import Markers
from mirrord.planning.decisions.prune import ScannedItems, trusted
from mirrord.planning.items.bind import item_of
from mirrord.programs.desired import matches, selected
from mirrord.programs.file_claims import FileClaims, conflict
from mirrord.programs.planned import Pass, PlannedItem, guarded
from mirrord.reconcile.file_batch import NewFile
from mirrord.sources.folder.settle import SettledFolder
from mirrord.sources.folder.walk import FoundFile

SETTLING = Outcome(state=State.WAITING, reason=Reason.STILL_GROWING, message="settling")
"""The outcome of an item whose file changed within `settle`."""
BATCH = 256
"""Files that are examined together."""

Bound = Sequence[tuple[FoundFile, Item]]


class FolderPass:
    """Read `items` to its end."""

    def __init__(self, whole: Pass, claims: FileClaims, spec: FolderSpec, listing: SettledFolder) -> None:
        self._pass = whole
        self._claims = claims
        self._spec = spec
        self._listing = listing
        self._journal = whole.journal
        self._reads_only = whole.options.reads_only
        self._only = whole.options.only

    async def items(self) -> AsyncIterator[PlannedItem]:
        """The files that are checked one by one, then the items whose files are gone. Raises JournalError."""
        spec, listing, clock = self._spec, self._listing, self._pass.clock
        began, files, seen = clock.monotonic(), 0, ScannedItems()
        recorded = await self._journal.count(spec.entry)
        is_first = not (recorded or await self._journal.totals())  # nothing is in force, so nothing is unchanged
        unchanged, new = None if is_first else self._unchanged(), self._new()
        prunes = spec.delete == "mirror" and not self._only and not spec.options.suspend
        async with aclosing(batches(listing.enumerate(), BATCH)) as found:
            async for batch in found:
                files += len(batch)
                self._pass.listings.expect(spec, self._expected(files, recorded), recorded)
                mine, lost = await self._claims.split(spec, batch)
                bound = await self._bound(await self._changed(mine, unchanged, seen if prunes else None))
                if prunes:
                    await self._note_seen(seen, [*bound, *((one.found, one.item) for one in lost)])
                for one in lost:
                    if one.outcome is not None and selected(one.item, self._only):
                        yield self._blocked(one.item, one.outcome)
                for planned in await self._planned(bound, new):
                    yield planned
                for planned in self._pass.batches.taken_left() if self._pass.batches is not None else ():
                    yield planned
        await self.resumed()
        self._pass.incomplete += [f"{problem.path}: {problem.message}" for problem in listing.problems]
        self._pass.observer(
            FolderRescanned(
                folder=spec.entry,
                cause=self._pass.options.cause,
                files=files,
                complete=listing.complete,
                duration=clock.monotonic() - began,
                left_out=listing.left_out,
            )
        )
        if trusted(complete=listing.complete, files=files):
            seen.root = listing.root
            async for planned in self._gone(seen, prunes=prunes):
                yield planned

    async def resumed(self) -> bool:
        """Whether the last scan found files that `after_upload` had set aside; they were continued with."""
        resume = self._pass.resume
        if resume is None or not self._listing.quarantined:
            return False
        await resume(self._spec, self._listing.quarantined)
        return True

    def _expected(self, files: int, recorded: int) -> int:
        """The number of files that will be checked, while `files` were found: counted by the first scan, else guessed
        from the records."""
        if self._only or self._spec.removes_files or files % BATCH:
            return files
        return max(files, recorded) if self._listing.counted is None else self._listing.counted

    # ── files that need no check of their own ────────────────────────────────────────────────────
    def _unchanged(self) -> UnchangedFiles | None:
        """None: each file of the folder needs a whole check, also an unchanged one."""
        entry = self._spec.entry
        if self._pass.files.overlaps.concern(entry) or not matches(entry, "", self._only):
            return None
        return UnchangedFiles(self._spec, self._journal)

    def _new(self) -> NewFiles | None:
        """None: each file of the folder is an item."""
        if self._pass.batches is None or self._pass.files.overlaps.concern(self._spec.entry):
            return None
        return NewFiles(self._spec, self._journal, self._pass.listings)

    async def _sent(self, found: Bound, files: NewFiles | None) -> Mapping[str, NewFile]:
        """Those of these files, by item id, that are new and small, and are being sent."""
        if files is None or self._pass.batches is None:
            return {}
        new = await files.among(found)
        if new:
            await self._pass.batches.add(list(new.values()))
        return new

    async def _changed(
        self, found: Sequence[FoundFile], files: UnchangedFiles | None, seen: ScannedItems | None
    ) -> Sequence[FoundFile]:
        """The files that are checked one by one. The others are unchanged, and a listing showed their objects."""
        known = await files.among([one for one in found if one.settled]) if files is not None else {}
        recorded = {name: one for name, one in known.items() if self._pass.declared.entry_of(one.item_id) is None}
        if not recorded:
            return found
        verdicts = await self._pass.listings.verdicts(self._spec, [one.item_id for one in recorded.values()])
        done = {
            name: one
            for (name, one), verdict in zip(recorded.items(), verdicts, strict=True)
            if verdict is Verdict.AS_RECORDED
        }
        if seen is not None:
            note_seen(seen, done.values())
        self._pass.unchanged += len(done)
        if self._pass.options.file is not None:
            self._pass.options.file.add_unchanged(one.item_id for one in done.values())
            await self._pass.options.file.flush(self._journal)
        if done and not self._reads_only:
            spec = self._spec
            event = ItemsUnchanged(count=len(done), items=lambda: (item_of(spec, name, 0.0) for name in done))
            self._pass.observer(event)
        return [one for one in found if one.name not in done]

    # ── files that are checked ───────────────────────────────────────────────────────────────────
    async def _planned(self, bound: Bound, files: NewFiles | None) -> list[PlannedItem]:
        """The files that are checked one by one. The others are being sent."""
        mine, lost = self._without_mirrored([(one, item) for one, item in bound if selected(item, self._only)])
        settled = [(one, item) for one, item in mine if one.settled]
        without_marker = await self._without_marker(settled)
        sent = await self._sent([(one, item) for one, item in settled if item.id not in without_marker], files)
        checked = [
            PlannedItem(item, without_marker.get(item.id) if one.settled else SETTLING)
            for one, item in mine
            if item.id not in sent or sent[item.id].item is not item
        ]
        return [*lost, *checked]

    def _without_mirrored(self, found: Bound) -> tuple[Bound, Sequence[PlannedItem]]:
        """The files without those whose objects belong to items of mirrors and lists; and the latter, Blocked."""
        entries = [self._pass.declared.entry_of(item.id) for _, item in found]
        mine = [one for one, entry in zip(found, entries, strict=True) if entry is None]
        lost = [
            self._blocked(item, conflict(one.name, item, mirror_text(entry)))
            for (one, item), entry in zip(found, entries, strict=True)
            if entry is not None
        ]
        return mine, lost

    def _blocked(self, item: Item, outcome: Outcome) -> PlannedItem:
        """An item that is in conflict. Nothing is recorded: the record is that of the source that has the object."""
        if not self._reads_only:
            self._pass.observer(ItemBlocked(item=item, reason=Reason.CONFLICT, message=outcome.message))
        return PlannedItem(item, outcome)

    async def _without_marker(self, found: Bound) -> dict[str, Outcome]:
        """The outcomes of items whose files have no marker yet, by item id."""
        if self._spec.selection.ready is None:
            return {}
        markers = Markers(self._spec.selection.ready)
        existing = await self._listing.existing({name for one, _ in found for name in markers.of(one.name)})
        missing_marker = [(one, item) for one, item in found if existing.isdisjoint(markers.of(one.name))]
        records = await self._journal.recorded([item.id for _, item in missing_marker])
        return {
            item.id: Outcome(state=State.WAITING, reason=Reason.NO_MARKER, message=markers.missing(one.name))
            for one, item in missing_marker
            if not needs_no_marker(records.get(item.id), one.revision.file)
        }

    async def _bound(self, found: Sequence[FoundFile]) -> Bound:
        bound = []
        for one, item in await Binding(self._spec, self._journal).items(found):
            if isinstance(item, Item):
                bound.append((one, item))
            else:
                self._pass.incomplete.append(f"{self._spec.path}/{one.name}: {item}")
        return bound

    # ── files that are gone ──────────────────────────────────────────────────────────────────────
    async def _gone(self, seen: ScannedItems, *, prunes: bool) -> AsyncIterator[PlannedItem]:
        """The items whose files are gone; if the prune guard refuses, only the first of them, Blocked."""
        missing = MissingFiles(
            spec=self._spec,
            listing=self._listing,
            journal=self._journal,
            observer=self._pass.observer,
            clock=self._pass.clock,
        )
        if not prunes:
            if self._spec.delete == "keep" and not self._reads_only:
                await missing.keep_root(seen.root)
            return
        gone = await missing.find(seen)
        why = refused(gone, self._spec.prune_most, self._pass.options.prune_max)
        if not self._reads_only:
            await (missing.block(gone, why) if why else missing.keep_root(seen.root))
        first = True
        async for item, _ in missing.items(gone):
            if why and first:
                first = False
                yield PlannedItem(item, guarded(why))
            elif why:
                await self._pass.also_blocked(item, why)
            elif not self._is_claimed(item):
                yield PlannedItem(item)

    def _is_claimed(self, item: Item) -> bool:
        """Whether the object is that of another source now."""
        mirrored = self._pass.declared.entry_of(item.id) is not None
        return mirrored or self._claims.is_claimed(item.destination)

    async def _note_seen(self, seen: ScannedItems, bound: Bound) -> None:
        records = await self._journal.recorded([item.id for _, item in bound])
        for one, item in bound:
            seen.add_found(item, records.get(item.id), one.revision.file)
