"""The items of a list, from its lines: counts the good rows, and reports the bad ones by line.

Owns which lines are bad, and whether the list is complete. A list with a bad row is incomplete: the row that it stands
for may be one that is still wanted. `lines` has the lines, `planning.lists` the meaning of each.
"""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field

from mirrord.declared import ListSpec
from mirrord.model import Item, Revision, shown
from mirrord.planning.lists.binding import RowBinding
from mirrord.planning.lists.formats import format_of
from mirrord.planning.lists.rows import ListRefused, ListRow
from mirrord.sources.list.lines import LONGEST_LINE, Lines, ListCut
from mirrord.units import format_size

MOST_ROWS = 1_000_000
"""As of the combinations of a matrix."""
MOST_SHOWN = 20
"""Bad rows that are shown with their reasons; the others are counted."""
WRITTEN_WITHIN = 2.0
"""Seconds after the last write to a list that is a file: until then its writer may not have ended."""
_STEP = 20
"""Lines without a pause: half a millisecond."""
_BOM = b"\xef\xbb\xbf"

Keep = Callable[[Item, ListRow, int], str | None]
"""Takes each item, its row and the number of its line; or says why its object belongs to another item."""


@dataclass(slots=True)
class ListFaults:
    """What is wrong with one reading of a list. `list_name`: for messages, without secrets."""

    list_name: str
    bad: int = 0
    shown: list[str] = field(default_factory=list)
    """The first bad rows, each with file, line and reason."""
    why: str = ""
    """Why the list could not be read to its end."""

    def __bool__(self) -> bool:
        return bool(self.bad or self.why)

    def add(self, line: int, reason: str) -> None:
        """One bad row."""
        self.bad += 1
        if len(self.shown) < MOST_SHOWN:
            self.shown.append(f"{self.list_name}:{line}: {reason}")

    def cut(self, why: str) -> None:
        """The rest of the list is unknown; only the first reason counts."""
        self.why = self.why or f"{self.list_name} {why}"

    def __iter__(self) -> Iterator[str]:
        """A line for each of the shown faults, and one with the number of the others."""
        yield from self.shown
        if self.bad > len(self.shown):
            yield f"{self.list_name}: {self.bad - len(self.shown):,} more bad rows"
        if self.why:
            yield self.why


def list_name(spec: ListSpec) -> str:
    """The list for messages: its path or URL without secrets."""
    return shown(spec.location) if spec.by_url else spec.location


def may_be_written(read: Revision | None, now: float) -> bool:
    """Whether a program may be writing the file of the list just now. `now`: seconds since the epoch."""
    if read is None or read.file is None:
        return False
    return 0 <= now - read.file.mtime_ns / 1e9 < WRITTEN_WITHIN


class ListIntake:
    """`feed` the bytes of a list in order, then `end`. Neither raises: what is wrong is in `faults`."""

    def __init__(self, spec: ListSpec, keep: Keep) -> None:
        self.rows = 0
        self.faults = ListFaults(list_name(spec))
        self._keep = keep
        self._lines = Lines()
        self._number = 0
        self._format = format_of(spec)
        self._binding = RowBinding(spec)

    def feed(self, chunk: bytes) -> Generator[None]:
        """Take the next bytes, while it is iterated over. Yields for a pause: gunzipped, they may be many rows."""
        return self._take(self._lines.feed(chunk))

    def end(self, *, proven: bool = True) -> None:
        """The list has ended. Not `proven`: its bytes may go on after this end."""
        for _ in self._take(self._lines.end()):
            pass
        if not proven:
            self.faults.cut("is incomplete: nothing proves that it ends here (no Content-Length and no chunks)")
        if self.rows == 0 and not self.faults:
            self.faults.cut("has no rows: nothing leaves because of it")

    def _take(self, lines: Iterator[bytes | None]) -> Generator[None]:
        if self.faults.why:
            return
        try:
            for line in lines:
                self._number += 1
                self._line(line)
                if self._number % _STEP == 0:
                    yield
        except (ListCut, ListRefused) as error:
            self.faults.cut(str(error))

    def _line(self, line: bytes | None) -> None:
        try:
            if line is None:
                raise ValueError(f"it is longer than {format_size(LONGEST_LINE)}")
            if self._lines.unended and self._format.closed:
                raise ValueError("it has no line break, so the list may be cut short here")
            self._row(line)
        except ValueError as error:
            self.faults.add(self._number, _reason(error))

    def _row(self, line: bytes) -> None:
        if self._number == 1:
            line = line.removeprefix(_BOM)
        row = self._format.row(line.decode())
        if row is None:
            return
        if self.rows == MOST_ROWS:
            raise ListCut(f"has more than {MOST_ROWS:,} rows; split it")
        item = self._binding.item(row)
        if why := self._keep(item, row, self._number):
            raise ValueError(why)
        self.rows += 1


def _reason(error: ValueError) -> str:
    return "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
