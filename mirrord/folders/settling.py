"""Which files of a folder are not yet at rest: two equal stats, at least one `settle` apart (guarantee 7). Pure.

Owns what is known of unsettled files, and of them only: who settles, changes hands or goes away is forgotten. Refuses
more than `MOST_UNSETTLED` at a time; what finds no room is noted in `full`, and is found again by a later scan.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from mirrord.model import FileIdentity, State
from mirrord.units import format_duration, format_size

MOST_UNSETTLED = 50_000
"""About 400 bytes each, so 20 MB at the most."""
MOST_DUE = 2_000
"""Names of one look: sorting out 50,000 of them at once would hold the loop for 0.14 s."""


@dataclass(frozen=True, slots=True)
class Unsettled:
    """A file that may still change. Times are monotonic seconds."""

    item_id: str
    file: FileIdentity
    first: float
    """When it was first seen unsettled."""
    since: float
    """When it was first seen as it is now."""
    changes: int = 0
    grew: bool = False
    dated: float | None = None
    """As `Item.dated`."""
    recorded: State | None = None
    """What the journal has of its item, whose place Waiting takes; None: nothing."""

    def message(self, now: float) -> str:
        """What it is waiting for, in a person's words."""
        ago = format_duration(now - self.since)
        size = format_size(self.file.size)
        if not self.changes:
            return f"settling, {size}, first seen {ago} ago"
        return f"still {'growing' if self.grew else 'changing'}, {size}, changed {ago} ago"


class Settling:
    """The unsettled files of one folder, by name, the one that settles first at the front."""

    def __init__(self, settle: float) -> None:
        self._settle = settle
        self._files: dict[str, Unsettled] = {}
        self.full = False
        """Some file found no room since this was last set to False."""

    def __len__(self) -> int:
        return len(self._files)

    def get(self, name: str) -> Unsettled | None:
        return self._files.get(name)

    def items(self) -> Iterator[tuple[str, Unsettled]]:
        """Each with its name, in the order in which they can settle. Nothing may change meanwhile."""
        yield from self._files.items()

    def see(
        self,
        name: str,
        item_id: str,
        file: FileIdentity,
        began: float,
        now: float,
        dated: float | None = None,
        recorded: State | None = None,
    ) -> bool:
        """Whether the file is settled, having been looked at between `began` and `now`. If not, it is remembered."""
        before = self._files.get(name)
        if self._settle <= 0 or (before is not None and before.file == file and began >= self._due(before)):
            return True
        if before is None:
            self._remember(name, Unsettled(item_id, file, first=now, since=now, dated=dated, recorded=recorded))
        elif before.file != file:
            del self._files[name]  # it goes to the end of the order
            grew = file.size > before.file.size
            changes = before.changes + 1
            self._files[name] = Unsettled(item_id, file, before.first, now, changes, grew, dated, recorded)
        return False

    def forget(self, name: str) -> None:
        self._files.pop(name, None)

    def due(self, now: float) -> list[str]:
        """The files whose second look may be taken now; the first `MOST_DUE` of them."""
        names: list[str] = []
        for name, one in self._files.items():
            if self._due(one) > now or len(names) >= MOST_DUE:
                break
            names.append(name)
        return names

    @property
    def next_due(self) -> float | None:
        """When the next file may settle; None if there is none."""
        first = next(iter(self._files.values()), None)
        return None if first is None else self._due(first)

    def _due(self, one: Unsettled) -> float:
        return one.since + self._settle

    def _remember(self, name: str, one: Unsettled) -> None:
        if len(self._files) < MOST_UNSETTLED:
            self._files[name] = one
        else:
            self.full = True
