"""Whether the files of a folder are settled: two equal stats, `settle` seconds apart (guarantee 7).

Owns the comparison for a folder that is scanned once, as `sync` does. The first scan keeps eight bytes for each file,
so a million new files need at most 8 MiB. The second scan is the listing itself.
"""

from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from contextlib import aclosing
from dataclasses import replace

from mirrord.errors import LeftOut
from mirrord.model import FileIdentity, Marks
from mirrord.ports import Clock, Listing
from mirrord.sources.folder.scan import LocalFolder
from mirrord.sources.folder.walk import FolderProblem, FoundFile


class Stats:
    """The stats of many files from one scan, to compare with a later scan (`Marks`). Pure."""

    def __init__(self) -> None:
        self._marks = Marks()
        self.count = 0
        """The files that were added."""

    def add(self, name: str, file: FileIdentity) -> None:
        """Add this file in its present state."""
        self._marks.add(hash((name, file)))
        self.count += 1

    def contains(self, name: str, file: FileIdentity) -> bool:
        """Whether this file was added in the same state as now."""
        return hash((name, file)) in self._marks


NoteFile = Callable[[str, FileIdentity], None]
"""Takes the name and the state of a file."""


class SettledFolder(Listing):
    """A folder whose files have `settled` set. `settle` in seconds; with 0 every file is settled.

    Several folders share one wait: call `first_scan` for each, then enumerate each.
    """

    def __init__(self, folder: LocalFolder, settle: float, clock: Clock) -> None:
        self._folder = folder
        self._settle = settle
        self._clock = clock
        self._first: Stats | None = None
        self._since = 0.0
        self.counted: int | None = None
        """The files that `first_scan` found; None: it did not look, because every file is settled."""

    @property
    def complete(self) -> bool:
        """Of the scan that `enumerate` made."""
        return self._folder.complete

    @property
    def problems(self) -> tuple[FolderProblem, ...]:
        """Of the scan that `enumerate` made."""
        return self._folder.problems

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """Of the scan that `enumerate` made."""
        return self._folder.left_out

    @property
    def quarantined(self) -> tuple[FoundFile, ...]:
        """Of the last scan, by `first_scan` or `enumerate`."""
        return self._folder.quarantined

    @property
    def root(self) -> tuple[int, int] | None:
        """Of the last scan, by `first_scan` or `enumerate`."""
        return self._folder.root

    @property
    def linked(self) -> tuple[str, ...]:
        """Of the last scan, by `first_scan` or `enumerate`."""
        return self._folder.linked

    @property
    def down(self) -> str | None:
        """See `ports.FolderListing`."""
        return self._folder.down

    async def first_scan(self, also: NoteFile | None = None) -> None:
        """Make the first stat of each file. `settle` is counted from its end. `also`: called with each file, in a
        thread. With `settle` 0 there is no such scan."""
        first = Stats()
        if self._settle > 0:
            await self._folder.note(first.add if also is None else _both(first.add, also))
            self.counted = first.count
        self._first, self._since = first, self._clock.monotonic()

    async def existing(self, names: Collection[str]) -> frozenset[str]:
        """See `ports.FolderListing`."""
        return await self._folder.existing(names)

    async def absent(self, files: Mapping[str, int | None]) -> frozenset[str]:
        """See `ports.FolderListing`."""
        return await self._folder.absent(files)

    async def enumerate(self) -> AsyncGenerator[FoundFile]:
        """See `ports.Listing`. Waits until `settle` seconds after `first_scan`, which it calls if it was not called."""
        if self._first is None:
            await self.first_scan()
        first, self._first = self._first or Stats(), None
        left = self._since + self._settle - self._clock.monotonic()
        if left > 0:
            await self._clock.sleep(left)
        async with aclosing(self._folder.batches()) as batches:
            async for batch in batches:
                for found in batch:
                    yield found if self._is_settled(first, found) else replace(found, settled=False)

    def _is_settled(self, first: Stats, found: FoundFile) -> bool:
        file = found.revision.file
        return self._settle <= 0 or (file is not None and first.contains(found.name, file))


def _both(one: NoteFile, other: NoteFile) -> NoteFile:
    def note(name: str, file: FileIdentity) -> None:
        one(name, file)
        other(name, file)

    return note
