"""Whether the files of a folder are at rest: two equal stats, one settle apart (guarantee 7).

Owns the comparison for a folder that is scanned once, as `sync` does. The first look keeps eight bytes a file, so that
a million new files need no more than 8 MiB; the second is the listing itself.
"""

from array import array
from bisect import bisect_left
from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import aclosing
from dataclasses import replace

from mirrord.errors import LeftOut
from mirrord.model import FileIdentity
from mirrord.ports import Clock, Listing
from mirrord.sources.folder.scan import Folder
from mirrord.sources.folder.walk import FolderProblem, FoundFile

_SHARDS = 1024  # each is sorted by itself: sorting a million at once would hold the interpreter for half a second


class Stats:
    """The stats of one look at many files, to be recognised in a later one. Pure.

    Keeps a 64-bit hash a file: among a million files that changed, one is mistaken with probability 1e-13 each.
    """

    def __init__(self) -> None:
        self._shards = [array("q") for _ in range(_SHARDS)]
        self._sorted = [True] * _SHARDS

    def add(self, name: str, file: FileIdentity) -> None:
        """Remember this file as it is."""
        mark = hash((name, file))
        self._shards[mark % _SHARDS].append(mark)
        self._sorted[mark % _SHARDS] = False

    def holds(self, name: str, file: FileIdentity) -> bool:
        """Whether this file was remembered exactly as it is now."""
        mark = hash((name, file))
        shard = self._shard(mark % _SHARDS)
        place = bisect_left(shard, mark)
        return place < len(shard) and shard[place] == mark

    def _shard(self, number: int) -> "array[int]":
        if not self._sorted[number]:
            self._shards[number] = array("q", sorted(self._shards[number]))
            self._sorted[number] = True
        return self._shards[number]


class SettledFolder(Listing):
    """A folder whose files say whether they are settled. `settle` in seconds; 0 takes each file as it is.

    Several folders share one wait: `look` at each, then enumerate each.
    """

    def __init__(self, folder: Folder, settle: float, clock: Clock) -> None:
        self._folder = folder
        self._settle = settle
        self._clock = clock
        self._first: Stats | None = None
        self._since = 0.0

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
    def asides(self) -> tuple[FoundFile, ...]:
        """Of the last scan, by `look` or `enumerate`."""
        return self._folder.asides

    @property
    def root(self) -> tuple[int, int] | None:
        """Of the last scan, by `look` or `enumerate`."""
        return self._folder.root

    @property
    def linked(self) -> tuple[str, ...]:
        """Of the last scan, by `look` or `enumerate`."""
        return self._folder.linked

    @property
    def down(self) -> str:
        """See `ports.FolderListing`."""
        return self._folder.down

    async def look(self) -> None:
        """The first stat of each file, from whose end the settle is counted."""
        first = Stats()
        if self._settle > 0:
            async with aclosing(self._folder.enumerate()) as files:
                async for found in files:
                    if found.revision.file is not None:
                        first.add(found.name, found.revision.file)
        self._first, self._since = first, self._clock.monotonic()

    async def existing(self, names: Collection[str]) -> frozenset[str]:
        """See `ports.FolderListing`."""
        return await self._folder.existing(names)

    async def absent(self, files: Mapping[str, int | None]) -> frozenset[str]:
        """See `ports.FolderListing`."""
        return await self._folder.absent(files)

    async def enumerate(self) -> AsyncGenerator[FoundFile]:
        """See `ports.Listing`. Waits until a settle after `look` (which it does first if nobody did)."""
        if self._first is None:
            await self.look()
        first, self._first = self._first or Stats(), None
        left = self._since + self._settle - self._clock.monotonic()
        if left > 0:
            await self._clock.sleep(left)
        async with aclosing(self._folder.enumerate()) as files:
            async for found in files:
                yield found if self._at_rest(first, found) else replace(found, settled=False)

    def _at_rest(self, first: Stats, found: FoundFile) -> bool:
        file = found.revision.file
        return self._settle <= 0 or (file is not None and first.holds(found.name, file))
