"""The files of one folder that are not done: a table with one entry for each file. Pure.

Owns when a file counts as settled (two equal stats, at least `settle` seconds apart: guarantee 7), which file claims
which object, and the bounds of memory. A file is unsettled, waits for its marker, was submitted, or is in conflict. A
new entry replaces the old one of any kind. A file that is done has no entry. `folders.intake` and `folders.conflicts`
decide which entry a file gets. Names are relative to the folder. A full table takes no new files of that kind; a later
scan finds them again.
"""

from dataclasses import dataclass, field, replace
from itertools import islice
from math import inf
from typing import TypeVar

from mirrord.frozen import frozen
from mirrord.model import FileIdentity, Item, State
from mirrord.units import format_duration, format_size

MOST_UNSETTLED = 50_000
"""About 400 bytes each, so at most 20 MB."""
MOST_UNMARKED = 50_000
"""About 300 bytes each, so at most 15 MB."""
MOST_CONFLICTS = 1_000
"""Conflicts that are kept to be shown. The other files in conflict are not submitted either."""
MOST_SUBMITTED = 10_000
"""Above this number, the records of the oldest submitted files are read, and those that are done are removed."""
MOST_DUE = 2_000
"""Most names of one check: sorting 50,000 names at once would block the loop for 0.14 s."""
_ASKED = 256


@frozen
class Unsettled:
    """A file that may still change. Times are monotonic seconds."""

    item_id: str
    file: FileIdentity
    first: float
    """When it was first seen unsettled."""
    since: float
    """When it was first seen in its present state."""
    changes: int = 0
    grew: bool = False
    dated: float | None = None
    """As `Item.dated`."""
    recorded: State | None = None
    """The recorded state of the item, which Waiting replaces when shown; None: there is no record."""

    def changed(self, file: FileIdentity, now: float) -> "Unsettled":
        """The same file after a change that was seen at `now`."""
        return replace(self, file=file, since=now, changes=self.changes + 1, grew=file.size > self.file.size)

    def message(self, now: float) -> str:
        """What the file waits for, for status and page."""
        ago = format_duration(now - self.since)
        size = format_size(self.file.size)
        if not self.changes:
            return f"settling, {size}, first seen {ago} ago"
        return f"still {'growing' if self.grew else 'changing'}, {size}, changed {ago} ago"


@dataclass(slots=True)
class AwaitingMarker:
    """A settled file without its marker. `since`: seconds since the epoch; `scan`: the last scan that saw it so."""

    item_id: str
    file: FileIdentity
    since: float
    scan: int
    dated: float | None = None
    """As `Item.dated`."""
    recorded: State | None = None
    """As `Unsettled.recorded`."""


@dataclass(slots=True)
class Submitted:
    """A file that was submitted in this state; `scan` is the last whole scan that saw it so."""

    item_id: str
    file: FileIdentity
    scan: int


@frozen
class Conflict:
    """A file whose object another source has. `since`: seconds since the epoch; `recorded`: as in `Unsettled`."""

    item: Item
    message: str
    since: float
    scan: int
    recorded: State | None = None

    @property
    def item_id(self) -> str:
        return self.item.id


Candidate = Unsettled | AwaitingMarker | Submitted | Conflict
C = TypeVar("C", bound=Candidate)


@dataclass(slots=True)
class Candidates:
    """The table. `settle` is the folder's setting, in seconds. Only this class changes the four dicts, all by name."""

    settle: float
    unsettled: dict[str, Unsettled] = field(default_factory=dict)
    """In the order in which they settle."""
    unmarked: dict[str, AwaitingMarker] = field(default_factory=dict)
    submitted: dict[str, Submitted] = field(default_factory=dict)
    """The oldest first."""
    conflicts: dict[str, Conflict] = field(default_factory=dict)
    dates: dict[str, float] = field(default_factory=dict)
    """`Item.dated` of submitted files, until they are recorded."""
    scan: int = 0
    """Number of the current or last whole scan."""
    full: bool = False
    """An unsettled file was not added since the last whole scan began, because the table was full."""
    _claims: dict[str, str] = field(default_factory=dict)  # item id -> name, of files that wait or were submitted

    # ── one file ─────────────────────────────────────────────────────────────────────────────────
    def put(self, name: str, entry: Candidate) -> bool:
        """Make this the file's entry. An entry of the same kind keeps its position. False: the table is full."""
        match entry:
            case Unsettled():
                return self._put(self.unsettled, name, entry, MOST_UNSETTLED)
            case AwaitingMarker():
                return self._put(self.unmarked, name, entry, MOST_UNMARKED)
            case Submitted():
                return self._put(self.submitted, name, entry, inf)
            case Conflict():
                self.dates.pop(name, None)
                return self._put(self.conflicts, name, entry, MOST_CONFLICTS)

    def submit(self, name: str, item: Item, file: FileIdentity) -> None:
        """The item of this file was submitted in this state."""
        self.forget(name)
        self.put(name, Submitted(item.id, file, self.scan))
        self.claim(name)
        if item.dated is not None:
            self.dates[name] = item.dated

    def forget(self, name: str) -> None:
        """The file is done or gone: remove its entry, its claim and its date."""
        self._drop(name)
        self.dates.pop(name, None)

    def see(self, name: str, seen: Unsettled, began: float) -> bool:
        """Whether the file is settled, by a stat made between `began` and `seen.since`. If not, it gets an entry."""
        known = self.unsettled.get(name)
        if self.settle <= 0 or (known is not None and known.file == seen.file and began >= self._due(known)):
            return True
        if known is None:
            self.full |= not self.put(name, seen)
        elif known.file != seen.file:
            del self.unsettled[name]  # it moves to the end of the order
            self.unsettled[name] = known.changed(seen.file, seen.since)
        return False

    def _put(self, table: dict[str, C], name: str, entry: C, most: float) -> bool:
        known = table.get(name)
        if known is None:
            self._drop(name)
            if len(table) >= most:
                return False
        elif known.item_id != entry.item_id:  # the date in its key has changed
            self._release(name, known)
        table[name] = entry
        return True

    def _drop(self, name: str) -> None:
        entry = (
            self.unsettled.pop(name, None)
            or self.unmarked.pop(name, None)
            or self.submitted.pop(name, None)
            or self.conflicts.pop(name, None)
        )
        if entry is not None:
            self._release(name, entry)

    def _release(self, name: str, entry: Candidate) -> None:
        if self._claims.get(entry.item_id) == name:
            del self._claims[entry.item_id]

    # ── claims ───────────────────────────────────────────────────────────────────────────────────
    def claim(self, name: str) -> None:
        """From now on this file claims its object, in place of any other file. No effect if it has no entry."""
        entry = self.unsettled.get(name) or self.unmarked.get(name) or self.submitted.get(name)
        if entry is not None:
            self._claims[entry.item_id] = name

    def is_claimed(self, item_id: str) -> bool:
        """Whether a file that waits or was submitted claims this object."""
        return item_id in self._claims

    def wants(self, item_id: str) -> bool:
        """The same, or whether a file in conflict would have this object if its rival were gone."""
        return item_id in self._claims or any(one.item_id == item_id for one in self.conflicts.values())

    def claimant(self, item_id: str) -> str | None:
        """The file that waits or was submitted and claims this object."""
        return self._claims.get(item_id)

    # ── whole scans ──────────────────────────────────────────────────────────────────────────────
    def begin_scan(self) -> None:
        """A scan of the whole folder begins."""
        self.scan += 1
        self.full = False

    def forget_unseen(self) -> None:
        """The scan was complete: forget what it did not see. Unsettled files are checked one by one instead."""
        tables: tuple[dict[str, AwaitingMarker] | dict[str, Submitted] | dict[str, Conflict], ...]
        tables = (self.submitted, self.unmarked, self.conflicts)
        for name in [name for table in tables for name, one in table.items() if one.scan != self.scan]:
            self.forget(name)

    # ── orders ───────────────────────────────────────────────────────────────────────────────────
    def due(self, now: float) -> list[str]:
        """The unsettled files whose second stat is due now; the first `MOST_DUE` of them."""
        names: list[str] = []
        for name, one in self.unsettled.items():
            if self._due(one) > now or len(names) >= MOST_DUE:
                break
            names.append(name)
        return names

    @property
    def next_due(self) -> float | None:
        """When the next file may be settled; None if there is none."""
        first = next(iter(self.unsettled.values()), None)
        return None if first is None else self._due(first)

    def _due(self, one: Unsettled) -> float:
        return one.since + self.settle

    def oldest_submitted(self) -> list[tuple[str, Submitted]]:
        """Some of the oldest submitted files if there are more than `MOST_SUBMITTED`, else none."""
        return list(islice(self.submitted.items(), _ASKED)) if len(self.submitted) > MOST_SUBMITTED else []

    def still_submitted(self, name: str) -> None:
        """The item is not done: move it to the end of the order."""
        self.submitted[name] = self.submitted.pop(name)
