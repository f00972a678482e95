"""Which files of a folder are submitted to the scheduler, and which wait.

Owns the order of the checks of each file that a listing found: is it recorded as it is, does another source have its
object (`folders.conflicts`), was it submitted as it is, is it settled, does its marker exist. `folders.candidates`
keeps the results. `folders.loop` decides when the folder is scanned.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from mirrord.declared import FolderSpec
from mirrord.errors import KeyRefused, LeftOut, Reason, printable
from mirrord.events import FolderSettled
from mirrord.folders.binding import Binding
from mirrord.folders.candidates import AwaitingMarker, Candidates, Unsettled
from mirrord.folders.conflicts import Conflicts, state_of
from mirrord.folders.ports import FolderPorts
from mirrord.folders.unchanged import UnchangedFiles, note_seen
from mirrord.folders.waiting import WaitingFile, candidate_waits, waiting_files
from mirrord.model import FileIdentity, Item, Record, State
from mirrord.planning.decisions.identity import same_state
from mirrord.planning.decisions.listed import has_just_appeared
from mirrord.planning.decisions.markers import Markers
from mirrord.planning.decisions.prune import ScannedItems
from mirrord.planning.timing.schedule import is_current
from mirrord.ports import Found
from mirrord.status import FolderWait


def mirrored(item: Item, record: Record | None, file: FileIdentity) -> bool:
    """Whether nothing is left to do for the file as it is now, by its record."""
    if record is None:
        return False
    if item.options.suspend:
        return record.condition.state is State.SUSPENDED and record.removed is None
    return is_current(item, record.schedule) and record.revision is not None and same_state(file, record.revision.file)


def needs_no_marker(record: Record | None, file: FileIdentity | None) -> bool:
    """Whether the file was uploaded as it is: then a missing marker does not delay what is left to do."""
    return record is not None and record.revision is not None and same_state(file, record.revision.file)


@dataclass(slots=True)
class RefusedNames:
    """The files of the last whole scan whose names make no key."""

    count: int = 0
    first: str = ""
    """The first by name."""
    example: str | None = None
    """The first that was found, with the reason."""

    def add(self, name: str, error: KeyRefused) -> None:
        """Count one file."""
        self.count += 1
        self.first = min(name, self.first or name)
        if self.example is None:
            self.example = f"{printable(name)}: {error}"

    def problems(self) -> Iterator[str]:
        """The example, and how many more there are."""
        if self.example is not None:
            yield self.example
        if self.count > 1:
            yield f"{self.count - 1:,} more names make no key"


@dataclass(slots=True)
class Submissions:
    """What was submitted since the last report, and how long that took."""

    files: int = 0
    new: int = 0
    """Files without a record that were not submitted before."""
    bytes: int = 0
    waited: float = 0.0
    """Seconds spent waiting for `submit`, in total."""


class FileIntake:
    """Checks the files of one folder and submits them to the scheduler. For one caller at a time."""

    def __init__(self, spec: FolderSpec, ports: FolderPorts) -> None:
        self._spec = spec
        self._ports = ports
        self._markers = Markers(spec.selection.ready) if spec.selection.ready is not None else None
        self.candidates = Candidates(spec.times.settle)
        self._binding = Binding(spec, ports.journal, self.candidates.dates)
        self.conflicts = Conflicts(self._binding, ports, self.candidates)
        self._unchanged = UnchangedFiles(spec, ports.journal)
        self._since = ports.clock.now()
        self._is_scanning = False
        self._refused = RefusedNames()
        self._submissions = Submissions()
        self._seen: ScannedItems | None = None

    # ── what a listing found ─────────────────────────────────────────────────────────────────────
    def begin_scan(self) -> None:
        """A scan of the whole folder begins."""
        self._is_scanning = True
        self.candidates.begin_scan()
        self._refused = RefusedNames()
        self._seen = ScannedItems() if self._spec.delete == "mirror" else None

    def end_scan(self, complete: bool) -> ScannedItems | None:
        """The scan ended. If it was complete, files that it did not see are gone. Returns what it saw, for pruning."""
        self._is_scanning = False
        if complete:
            self.candidates.forget_unseen()
        seen, self._seen = self._seen, None
        return seen

    async def see(self, found: Sequence[Found], began: float) -> None:
        """Take files that were read since `began` (monotonic). Raises JournalError and the errors of `submit`."""
        now = self._ports.clock.monotonic()
        asked = await self._bound(await self._changed([one for one in found if self._needs_lookup(one, began, now)]))
        records = await self._records([item.id for _, item in asked])
        self._note(found, asked, records)
        marked = await self._marked([(one, records.get(item.id)) for one, item in asked])
        for one, item in asked:
            await self._check_file(one, item, records.get(item.id), began, ready=one.name in marked)
        await self._forget_done()

    def marked(self, hinted: Iterable[str]) -> set[str]:
        """The files that wait for a marker, if the marker is among the hinted names."""
        unmarked = self.candidates.unmarked
        if self._markers is None or not unmarked:
            return set()
        markers = frozenset(filter(self._markers.is_marker, hinted))
        return set(self._markers.marked(unmarked, markers)) if markers else set()

    def report(self) -> None:
        """Emit an event of what was submitted since the last call."""
        done = self._submissions
        if done.files:
            waiting = len(self.candidates.unsettled) + len(self.candidates.unmarked)
            event = FolderSettled(folder=self._spec.entry, files=done.files, bytes=done.bytes, waiting=waiting)
            self._ports.observer(event)
        done.files = done.new = done.bytes = 0

    @property
    def new_files(self) -> int:
        """Files without a record that were submitted for the first time, since the last report."""
        return self._submissions.new

    @property
    def waited(self) -> float:
        """Seconds spent waiting for `submit`, in total."""
        return self._submissions.waited

    def _needs_lookup(self, found: Found, began: float, now: float) -> bool:
        """Whether the file needs a look-up: a file that remains unsettled needs none."""
        known, file = self.candidates.unsettled.get(found.name), found.revision.file
        if file is None:
            return False
        return known is None or self.candidates.see(found.name, replace(known, file=file, since=now), began)

    async def _changed(self, found: Sequence[Found]) -> Sequence[Found]:
        """The files for which something may be left to do; the others are done. Of files that a hint named, most did
        change: their records are read at once."""
        if not self._is_scanning:
            return found
        unchanged = await self._unchanged.among(found)
        if self._seen is not None:
            note_seen(self._seen, unchanged.values())
        for name in unchanged:
            self.candidates.forget(name)
        return [one for one in found if one.name not in unchanged]

    async def _bound(self, found: Sequence[Found]) -> Sequence[tuple[Found, Item]]:
        """The files with their items. Files whose names make no key are counted."""
        bound = []
        for one, item in await self._binding.items(found):
            if isinstance(item, Item):
                bound.append((one, item))
            else:
                self._refused.add(one.name, item)
        return bound

    async def _records(self, item_ids: Sequence[str]) -> Mapping[str, Record]:
        """The records of these items, read at once."""
        return await self._ports.journal.recorded(item_ids) if item_ids else {}

    def _note(self, found: Sequence[Found], asked: Sequence[tuple[Found, Item]], records: Mapping[str, Record]) -> None:
        """Remember what a whole scan saw: each file by its item."""
        if self._seen is None:
            return
        for one in found:
            if known := self.candidates.unsettled.get(one.name):
                self._seen.add(known.item_id)
        for one, item in asked:
            self._seen.add_found(item, records.get(item.id), one.revision.file)

    async def _marked(self, asked: Sequence[tuple[Found, Record | None]]) -> frozenset[str]:
        """The names of the files that need no marker or have one."""
        markers = self._markers
        if markers is None:
            return frozenset(one.name for one, _ in asked)
        lacking = [one.name for one, record in asked if not needs_no_marker(record, one.revision.file)]
        existing = await self._ports.listing.existing({marker for name in lacking for marker in markers.of(name)})
        without = set(lacking).difference(markers.marked(lacking, existing))
        return frozenset(one.name for one, _ in asked if one.name not in without)

    async def _check_file(self, found: Found, item: Item, record: Record | None, began: float, *, ready: bool) -> None:
        name, file = found.name, found.revision.file
        before = self.candidates.submitted.get(name)
        if file is None or mirrored(item, record, file):
            self.candidates.forget(name)
            if item.removes_file and self._is_scanning and not item.options.suspend:
                await self._ports.submit(item)  # it should be removed: each whole scan tries that again
        elif await self.conflicts.is_lost(found, item, record):
            return
        elif before is not None and before.file == file and not _was_missed(record):
            before.scan = self.candidates.scan
        elif not self._is_settled(name, item, state_of(record), file, began):
            self.candidates.claim(name)
        elif ready:
            if record is None:
                self._ports.arrive(item, found.revision, just_appeared=has_just_appeared(file, self._since))
                self._submissions.new += before is None
            await self._submit(name, item, file)
        else:
            self._await_marker(name, item, state_of(record), file)

    def _is_settled(self, name: str, item: Item, recorded: State | None, file: FileIdentity, began: float) -> bool:
        """A file that waits for its marker, and is unchanged, was settled before."""
        awaiting = self.candidates.unmarked.get(name)
        if awaiting is not None and awaiting.file == file:
            return True
        now = self._ports.clock.monotonic()
        seen = Unsettled(item.id, file, first=now, since=now, dated=item.dated, recorded=recorded)
        return self.candidates.see(name, seen, began)

    def _await_marker(self, name: str, item: Item, recorded: State | None, file: FileIdentity) -> None:
        before = self.candidates.unmarked.get(name)
        since = before.since if before is not None and before.file == file else self._ports.clock.now()
        entry = AwaitingMarker(item.id, file, since, self.candidates.scan, item.dated, recorded)
        self.candidates.put(name, entry)
        self.candidates.claim(name)

    async def _submit(self, name: str, item: Item, file: FileIdentity) -> None:
        began = self._ports.clock.monotonic()
        await self._ports.submit(item)
        self._submissions.waited += self._ports.clock.monotonic() - began
        self.candidates.submit(name, item, file)
        self._submissions.files += 1
        self._submissions.bytes += file.size

    async def _forget_done(self) -> None:
        """Limit the number of submitted files: the oldest are at the front, and most of those are done."""
        oldest = self.candidates.oldest_submitted()
        records = await self._records([one.item_id for _, one in oldest])
        for name, one in oldest:
            record = records.get(one.item_id)
            if record and record.condition.state is State.SYNCED and needs_no_marker(record, one.file):
                self.candidates.forget(name)
            else:
                self.candidates.still_submitted(name)

    # ── status ───────────────────────────────────────────────────────────────────────────────────
    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """The names that make no key."""
        refused = self._refused
        return (LeftOut("refused name", refused.count, printable(refused.first)),) if refused.count else ()

    @property
    def problems(self) -> Sequence[str]:
        """Problems of the last whole scan that a person must solve, besides what could not be listed."""
        first = next(iter(self.candidates.conflicts.values()), None)
        return [*self._refused.problems(), *([] if first is None else [first.message])]

    def waits(self) -> Iterator[FolderWait]:
        """How many files wait, by kind; see `candidate_waits`."""
        return candidate_waits(self.candidates, self._ports.clock.monotonic())

    def waiting(self) -> Iterator[WaitingFile]:
        """The files that are not submitted: in conflict, without marker, or unsettled. See `waiting_files`."""
        return waiting_files(self._spec, self._ports.clock, self.candidates)


def _was_missed(record: Record | None) -> bool:
    """Whether the scheduler found no file and gave up. The file is back."""
    return record is not None and record.condition.reason is Reason.SOURCE_MISSING
