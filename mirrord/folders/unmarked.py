"""Which files of a folder are settled and wait for their ready markers. Pure.

Owns what is known of such files, so that a marker which comes later finds its file settled already. Refuses more than
`MOST_UNMARKED` at a time: the others are not shown, and are found with their markers by a later scan.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mirrord.model import FileIdentity, State
from mirrord.planning.decisions.markers import Markers

MOST_UNMARKED = 50_000
"""About 300 bytes each, so 15 MB at the most."""


@dataclass(slots=True)
class Lacking:
    """A settled file without its marker. `since`: seconds since the epoch; `scan`: the last that saw it so."""

    item_id: str
    file: FileIdentity
    since: float
    scan: int
    dated: float | None = None
    """As `Item.dated`."""
    recorded: State | None = None
    """As `Unsettled.recorded`."""


class Unmarked:
    """The files of one folder that lack their markers, by name."""

    def __init__(self, ready: str | None) -> None:
        self.markers = Markers(ready) if ready is not None else None
        self._files: dict[str, Lacking] = {}

    def __len__(self) -> int:
        return len(self._files)

    def get(self, name: str) -> Lacking | None:
        return self._files.get(name)

    def items(self) -> Iterator[tuple[str, Lacking]]:
        """Each with its name. Nothing may change meanwhile."""
        yield from self._files.items()

    def wait(self, name: str, lacking: Lacking) -> bool:
        """Keep it, since when it was first known so; False: there is no room."""
        before = self._files.get(name)
        if before is None and len(self._files) >= MOST_UNMARKED:
            return False
        if before is not None and before.file == lacking.file:
            lacking.since = before.since
        self._files[name] = lacking
        return True

    def forget(self, name: str) -> None:
        self._files.pop(name, None)

    def unseen(self, scan: int) -> list[str]:
        """Those that this scan did not see."""
        return [name for name, one in self._files.items() if one.scan != scan]

    def message(self, name: str) -> str:
        """What the file waits for, in a person's words."""
        return self.markers.missing(name) if self.markers else ""

    def marked(self, hinted: Iterable[str]) -> set[str]:
        """The files that wait for a marker among the hinted names."""
        if self.markers is None or not self._files:
            return set()
        come = frozenset(filter(self.markers.is_marker, hinted))
        return set(self.markers.marked(self._files, come)) if come else set()
