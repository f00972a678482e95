"""When a file of a folder is ready by its marker: `ready: "*.done"`, `ready: _SUCCESS`. Pure.

Owns which names are markers, and the possible names of a file's marker. A pattern with a star marks the file, or all
files below the directory, beside it. A name without a star marks all files below its own directory. The listing of a
folder shows whether a marker exists.
"""

import os
from collections.abc import Iterable, Iterator

from mirrord.frozen import frozen

MOST_NAMED = 2
"""Marker names that a message shows."""


@frozen
class Markers:
    """The markers of one folder. Names are relative to it, `/` between segments."""

    pattern: str  # one segment, with at most one star

    def is_marker(self, name: str) -> bool:
        """Whether a file of this name is a marker of any file."""
        base = name.rpartition("/")[2]
        before, star, after = self.pattern.partition("*")
        if not star:
            return base == self.pattern
        return len(base) > len(before) + len(after) and base.startswith(before) and base.endswith(after)

    def of(self, name: str) -> tuple[str, ...]:
        """The names of possible markers of this file, the nearest first. One of them is enough."""
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
        """The message about a file whose marker is missing."""
        return f"no marker: waits for {' or '.join(self.of(name)[:MOST_NAMED])}"

    def marked(self, names: Iterable[str], markers: frozenset[str]) -> Iterator[str]:
        """Those of `names` that have one of `markers`."""
        return (name for name in names if not markers.isdisjoint(self.of(name)))
