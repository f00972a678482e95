"""When a file of a folder is ready by its marker: `ready: "*.done"`, `ready: _SUCCESS`. Pure.

Owns which names are markers, and at which names a file's marker may stand. A pattern with a star marks one file, or
all below a directory, from beside it; a name without one marks all below the directory that it stands in. Whether
anything stands there, a listing says.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

MOST_NAMED = 2
"""Marker names that a message shows."""


@dataclass(frozen=True, slots=True)
class Markers:
    """The markers of one folder. Names are relative to it, `/` between segments."""

    pattern: str  # one segment, with one star at the most

    def is_marker(self, name: str) -> bool:
        """Whether a file of this name is a marker, whatever it marks."""
        base = name.rpartition("/")[2]
        before, star, after = self.pattern.partition("*")
        if not star:
            return base == self.pattern
        return len(base) > len(before) + len(after) and base.startswith(before) and base.endswith(after)

    def of(self, name: str) -> tuple[str, ...]:
        """Where a marker of this file may stand, the nearest first; any of them will do."""
        return tuple(dict.fromkeys(self._of(name)))

    def _of(self, name: str) -> Iterator[str]:
        *directories, base = name.split("/")
        if "*" in self.pattern:
            yield self._beside(directories, base)
            yield self._beside(directories, os.path.splitext(base)[0])
        for depth in range(len(directories), 0, -1):
            yield self._above(directories[:depth])
        if "*" not in self.pattern:
            yield self.pattern

    def _above(self, directories: list[str]) -> str:
        """The marker of a directory: in it, or beside it."""
        if "*" not in self.pattern:
            return "/".join((*directories, self.pattern))
        return self._beside(directories[:-1], directories[-1])

    def _beside(self, directories: list[str], marked: str) -> str:
        return "/".join((*directories, self.pattern.replace("*", marked)))

    def missing(self, name: str) -> str:
        """What a file without its marker waits for, in a person's words."""
        return f"no marker: waits for {' or '.join(self.of(name)[:MOST_NAMED])}"

    def marked(self, names: Iterable[str], markers: frozenset[str]) -> Iterator[str]:
        """Those of `names` that one of `markers` may mark."""
        return (name for name in names if not markers.isdisjoint(self.of(name)))
