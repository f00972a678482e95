"""When a folder is scanned: whole, or at names that were hinted at. Pure.

Owns the due times and the bound on hinted names. `folders.loop` reads the clock and scans.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import takewhile

MOST_HINTED = 10_000
"""Most names that are checked one by one; more hints lead to a whole scan."""
SCAN_EVERY = 0.02
"""Seconds per scan on average: many short ones also cost the steps before and after them."""
SCANS_AT_ONCE = 5
"""Scans that may follow each other at once after a quiet time, so that no file that arrives alone waits."""
PAUSE_OF_DURATION = 4.0
"""The pause after a scan of names, and the time from a whole scan to the next, as a multiple of the scan's duration."""
AGAIN = 1.0
"""Least seconds until a hinted name is checked once more: files may be created in a new directory before the kernel's
watch on it is set."""


def pause_after_names(took: float, names: int, new: int) -> float:
    """Seconds from a scan of some names, which took so many seconds and found so many new files, to the next scan. Only
    the share of the names without a new file counts: else 20,000 new files wait most of the time. A file that is
    written again and again counts: it may be found in each scan."""
    return PAUSE_OF_DURATION * took * max(0.0, 1.0 - new / names) if names else 0.0


@dataclass(slots=True)
class HintedNames:
    """Names that were hinted at. `settle` in seconds."""

    settle: float
    _wanted: set[str] = field(default_factory=set)
    _again: dict[str, float] = field(default_factory=dict)  # names to check once more -> when (monotonic)

    def add(self, name: str) -> None:
        """This name was hinted at."""
        self._wanted.add(name)

    def take_due(self, now: float) -> set[str]:
        """The names to check now. Each hinted name is due once more after a while, because more may be created
        there."""
        again = set(takewhile(lambda name: self._again[name] <= now, self._again))
        for name in again:
            del self._again[name]
        for name in self._wanted - again:
            self._again.setdefault(name, now + max(AGAIN, self.settle))
        names = self._wanted | again
        self._wanted = set()
        return names

    def found(self, names: Iterable[str]) -> None:
        """There are files of these names: they are not checked once more."""
        for name in names:
            self._again.pop(name, None)

    def forget_wanted(self) -> None:
        """A whole scan begins, which checks them."""
        self._wanted.clear()

    def clear(self) -> None:
        """Events were lost; the folder is scanned instead."""
        self._wanted.clear()
        self._again.clear()

    @property
    def is_full(self) -> bool:
        return max(len(self._wanted), len(self._again)) > MOST_HINTED

    @property
    def next_due(self) -> float | None:
        """When the next name is due once more (monotonic); None if none is."""
        return next(iter(self._again.values()), None)


@dataclass(slots=True)
class ScanTimes:
    """When the whole folder is scanned. Times are monotonic seconds."""

    cause: str | None = "start"
    """Of the scan that is wanted as soon as possible; None: none is."""
    next: float = 0.0
    """Of the next regular scan."""
    not_before: float = 0.0

    def want(self, cause: str) -> None:
        """Scan as soon as possible. The first cause is kept."""
        self.cause = self.cause or cause

    def due(self, *, now_if_possible: bool) -> float:
        """When the next scan is due. `now_if_possible`: there is a further reason to scan as soon as possible."""
        return self.not_before if self.cause or now_if_possible else max(self.not_before, self.next)


@dataclass(slots=True)
class ScanPace:
    """How many scans there may be, whatever they cost."""

    _due: float = 0.0

    def pause(self, now: float) -> float:
        """Seconds from `now` (monotonic), the end of a scan, until the next one may begin."""
        self._due = max(self._due, now - SCANS_AT_ONCE * SCAN_EVERY) + SCAN_EVERY
        return max(0.0, self._due - now)
