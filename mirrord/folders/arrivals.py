"""What becomes of each file that a folder's listing finds: nothing, a wait, a conflict, or a look by the scheduler.

Owns the order of the questions: does the journal know the file as it is, does another source have its object
(`folders.conflicts`), has the scheduler got it as it is, is it settled, does its marker stand. In memory are only
files that are unsettled or without marker, in conflict, or submitted and not yet known to be done. `folders.loop`
decides when to look at the folder.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from mirrord.declared import FolderSpec
from mirrord.errors import LeftOut, Reason, printable
from mirrord.events import FolderSettled
from mirrord.folders.binding import Binding
from mirrord.folders.conflicts import Conflicts, state_of
from mirrord.folders.held import Held, held
from mirrord.folders.ports import FolderPorts
from mirrord.folders.settling import Settling
from mirrord.folders.unmarked import Lacking, Unmarked
from mirrord.model import FileIdentity, Item, Record, State
from mirrord.planning.decisions.identity import same_state
from mirrord.planning.decisions.prune import Seen
from mirrord.planning.timing.schedule import fresh
from mirrord.ports import Found

MOST_SUBMITTED = 10_000
"""Submitted files from which on the oldest are asked about, so that those that are done are forgotten."""
_ASKED = 256


@dataclass(slots=True)
class Submitted:
    """A file that the scheduler was given in this state; `scan` is the last whole scan that saw it so."""

    item_id: str
    file: FileIdentity
    scan: int


def mirrored(item: Item, record: Record | None, file: FileIdentity) -> bool:
    """Whether the journal says that nothing is to be done about the file as it is now."""
    if record is None:
        return False
    if item.options.suspend:
        return record.state is State.SUSPENDED and record.removed is None
    return fresh(item, record) and record.revision is not None and same_state(file, record.revision.file)


def needs_no_marker(record: Record | None, file: FileIdentity | None) -> bool:
    """Whether the file was uploaded as it is: a marker that is gone since does not hold back what is left to do."""
    return record is not None and record.revision is not None and same_state(file, record.revision.file)


class Arrivals:
    """The files of one folder on their way to the scheduler. For one caller at a time."""

    def __init__(self, spec: FolderSpec, ports: FolderPorts) -> None:
        self._spec = spec
        self._ports = ports
        self.settling = Settling(spec.settle)
        self._unmarked = Unmarked(spec.ready)
        self._submitted: dict[str, Submitted] = {}
        self._dates: dict[str, float] = {}  # of files that were submitted, until it is known that they are recorded
        self._binding = Binding(spec, ports.journal, self._dates)
        self.conflicts = Conflicts(self._binding, ports, self._let_go)
        self._claims: dict[str, str] = {}  # item id -> name, of files that wait or were submitted
        self._scan = 0
        self._is_scanning = False
        self._refused: list[str] = []  # the first of the last whole scan
        self._first_refused = ""  # by name
        self._refusals = self._settled = self._bytes = 0
        self._seen: Seen | None = None
        self.held_up = 0.0
        """Seconds spent waiting for `submit`, all together."""

    # ── what a listing found ─────────────────────────────────────────────────────────────────────
    def begin_scan(self) -> None:
        """A scan of the whole folder begins."""
        self._scan += 1
        self._is_scanning = True
        self.conflicts.begin_scan()
        self._refusals, self._refused, self._first_refused = 0, [], ""
        self.settling.full = False
        self._seen = Seen() if self._spec.delete == "mirror" else None

    def end_scan(self, complete: bool) -> Seen | None:
        """It came to its end; if it was complete, what it did not see is gone. Returns what it saw, for pruning."""
        self._is_scanning = False
        if complete:
            unseen = [name for name, one in self._submitted.items() if one.scan != self._scan]
            for name in (*unseen, *self._unmarked.unseen(self._scan)):
                self.forget(name)
            self.conflicts.end_scan()
        seen, self._seen = self._seen, None
        return seen

    async def see(self, found: Sequence[Found], began: float) -> None:
        """Files that were looked at since `began` (monotonic). Raises JournalError and what `submit` raises."""
        now = self._ports.clock.monotonic()
        asked = await self._bound([one for one in found if self._is_open(one, began, now)])
        records = await self._records([item.id for _, item in asked])
        self._note(found, asked, records)
        marked = await self._marked([(one, records.get(item.id)) for one, item in asked])
        for one, item in asked:
            await self._judge(one, item, records.get(item.id), began, ready=one.name in marked)
        await self._forget_done()

    def forget(self, name: str) -> None:
        """The file is gone, or nothing is to be done about it."""
        self._let_go(name)
        self.conflicts.forget(name)

    def _let_go(self, name: str) -> None:
        """It waits for nothing, is not with the scheduler, and claims no object."""
        self._unclaim(name)
        self.settling.forget(name)
        self._unmarked.forget(name)
        self._submitted.pop(name, None)
        self._dates.pop(name, None)

    def _unclaim(self, name: str) -> None:
        known = self.settling.get(name) or self._submitted.get(name) or self._unmarked.get(name)
        if known and self._claims.get(known.item_id) == name:
            del self._claims[known.item_id]

    def marked(self, hinted: Iterable[str]) -> set[str]:
        """The files that wait for a marker which is among the hinted names."""
        return self._unmarked.marked(hinted)

    def tell(self) -> None:
        """Say what was submitted since this was last called."""
        if self._settled:
            waiting = len(self.settling) + len(self._unmarked)
            event = FolderSettled(folder=self._spec.entry, files=self._settled, bytes=self._bytes, waiting=waiting)
            self._ports.observer(event)
        self._settled = self._bytes = 0

    def _is_open(self, found: Found, began: float, now: float) -> bool:
        """Whether its last stat leaves a question: a file that goes on being unsettled costs no look-up."""
        known, file = self.settling.get(found.name), found.revision.file
        if file is None:
            return False
        return known is None or self.settling.see(
            found.name, known.item_id, file, began, now, known.dated, known.recorded
        )

    async def _bound(self, found: Sequence[Found]) -> Sequence[tuple[Found, Item]]:
        """The files with their items; those that can have none are counted."""
        bound = []
        for one, item in await self._binding.items(found):
            if isinstance(item, Item):
                bound.append((one, item))
            else:
                self._refusals += 1
                self._refused = self._refused or [f"{printable(one.name)}: {item}"]
                self._first_refused = min(one.name, self._first_refused or one.name)
        return bound

    async def _records(self, item_ids: Sequence[str]) -> Mapping[str, Record]:
        """What the journal knows of these: the one place to ask it for many at once."""
        return await self._ports.journal.recorded(item_ids) if item_ids else {}

    def _note(self, found: Sequence[Found], asked: Sequence[tuple[Found, Item]], records: Mapping[str, Record]) -> None:
        """Remember what a whole scan saw: by its item, or by the one that it waits as."""
        if self._seen is None:
            return
        for one in found:
            if known := self.settling.get(one.name):
                self._seen.add(known.item_id)
        for one, item in asked:
            self._seen.meet(item, records.get(item.id), one.revision.file)

    def claimed(self, item_id: str) -> bool:
        """Whether a file that waits or was submitted has this object."""
        return item_id in self._claims

    async def _marked(self, asked: Sequence[tuple[Found, Record | None]]) -> frozenset[str]:
        """The names of the files that need no marker, or have it."""
        markers = self._unmarked.markers
        if markers is None:
            return frozenset(one.name for one, _ in asked)
        lacking = [one.name for one, record in asked if not needs_no_marker(record, one.revision.file)]
        standing = await self._ports.listing.standing({marker for name in lacking for marker in markers.of(name)})
        without = set(lacking).difference(markers.marked(lacking, standing))
        return frozenset(one.name for one, _ in asked if one.name not in without)

    async def _judge(self, found: Found, item: Item, record: Record | None, began: float, *, ready: bool) -> None:
        name, file = found.name, found.revision.file
        before = self._submitted.get(name)
        if file is None or mirrored(item, record, file):
            self.forget(name)
            if item.removes_file and self._is_scanning and not item.options.suspend:
                await self._ports.submit(item)  # it should have left: that is tried again by each whole scan
        elif await self.conflicts.is_lost(name, item, record, self._claims.get(item.id)):
            return
        elif before is not None and before.file == file and not _was_missed(record):
            before.scan = self._scan
        elif not self._is_settled(name, item, state_of(record), file, began):
            self._wait(name, item)
        elif ready:
            await self._submit(name, item, file)
        else:
            self._want_marker(name, item, state_of(record), file)

    def _is_settled(self, name: str, item: Item, recorded: State | None, file: FileIdentity, began: float) -> bool:
        """A file that waits for its marker as it is was found settled before."""
        lacking = self._unmarked.get(name)
        if lacking is not None and lacking.file == file:
            return True
        return self.settling.see(name, item.id, file, began, self._ports.clock.monotonic(), item.dated, recorded)

    def _wait(self, name: str, item: Item) -> None:
        self._submitted.pop(name, None)
        self.conflicts.forget(name)
        self._unmarked.forget(name)
        if self.settling.get(name) is not None:  # there was room for it
            self._claims[item.id] = name

    def _want_marker(self, name: str, item: Item, recorded: State | None, file: FileIdentity) -> None:
        self._unclaim(name)
        self._submitted.pop(name, None)
        self.conflicts.forget(name)
        self.settling.forget(name)
        lacking = Lacking(item.id, file, self._ports.clock.now(), self._scan, item.dated, recorded)
        if self._unmarked.wait(name, lacking):
            self._claims[item.id] = name

    async def _submit(self, name: str, item: Item, file: FileIdentity) -> None:
        began = self._ports.clock.monotonic()
        await self._ports.submit(item)
        self.held_up += self._ports.clock.monotonic() - began
        self.forget(name)
        self._submitted[name] = Submitted(item.id, file, self._scan)
        self._claims[item.id] = name
        if item.dated is not None:
            self._dates[name] = item.dated
        self._settled += 1
        self._bytes += file.size

    async def _forget_done(self) -> None:
        """Keep the submitted files few: those at the front came first, and most of them are done."""
        if len(self._submitted) <= MOST_SUBMITTED:
            return
        oldest = list(islice(self._submitted.items(), _ASKED))
        records = await self._records([one.item_id for _, one in oldest])
        for name, one in oldest:
            record = records.get(one.item_id)
            if record and record.state is State.SYNCED and needs_no_marker(record, one.file):
                self.forget(name)
            else:
                self._submitted[name] = self._submitted.pop(name)  # to the end of the order

    # ── what is to be seen ───────────────────────────────────────────────────────────────────────
    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """The names that make no key."""
        first = printable(self._first_refused)
        return (LeftOut("refused name", self._refusals, first),) if self._refusals else ()

    @property
    def problems(self) -> Sequence[str]:
        """What the last whole scan found that a person must mend, beside what could not be listed."""
        problems = self._refused + [f"{self._refusals - 1:,} more names make no key"] * (self._refusals > 1)
        first = next(iter(self.conflicts), None)
        return [*problems, *([] if first is None else [first.message])]

    def held(self) -> Iterator[Held]:
        """The files that are held back: in conflict, or waiting, each kind as it is when it is come to.

        A file in conflict has the id of its object, as the file that holds the object has.
        """
        return held(self._spec, self._ports.clock, self.conflicts, self._unmarked, self.settling)


def _was_missed(record: Record | None) -> bool:
    """Whether the scheduler found no file and gave it up: it was away for a while, and is back."""
    return record is not None and record.reason is Reason.SOURCE_MISSING
