"""A local folder as a Listing: a scan of the tree, or of some names in it, as a stream.

Owns the exchange between the event loop and the scanning threads (the folder's `FilePool`), and which recorded names
are gone. `walk` reads the tree; `settle` decides whether a file is settled. Yields `FoundFile`s. Memory: one batch, and
the directories that are not read yet. If the folder does not answer, the scan is incomplete; no file counts as gone.
"""

import os
import stat
from collections.abc import AsyncGenerator, Callable, Collection, Generator, Iterable, Mapping
from contextlib import aclosing, suppress
from dataclasses import replace
from functools import partial
from itertools import islice
from logging import getLogger
from typing import TypeVar

from mirrord.errors import LeftOut, SourceTimedOut, printable
from mirrord.frozen import frozen
from mirrord.model import FileIdentity
from mirrord.planning.decisions.markers import Markers
from mirrord.ports import FolderListing
from mirrord.settings import OwnPaths
from mirrord.sources.folder.patterns import Patterns
from mirrord.sources.folder.walk import (
    STATE,
    STATE_FILE,
    FolderProblem,
    FoundFile,
    Identity,
    TakeFile,
    Walk,
    WalkResult,
)
from mirrord.sources.pool import FilePool

_log = getLogger(__name__)

Names = TypeVar("Names", bound=Collection[str])

BATCH = 256
"""Entries of one call in the scanning thread: some milliseconds of work."""
_STEP = 64
"""Entries after which a call reports progress: a slow file system has `SILENCE` for so many."""


@frozen
class LastScan:
    """What the last scan found, besides the files."""

    complete: bool
    problems: tuple[FolderProblem, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    excluded: tuple[LeftOut, ...] = ()
    quarantined: tuple[FoundFile, ...] = ()
    linked: tuple[str, ...] = ()
    root: Identity | None = None


_NO_SCAN = LastScan(complete=False)


class LocalFolder(FolderListing):
    """The tree at `path` (absolute; the path itself may be a link). Patterns are gitignore's, see `Patterns`.

    `ready` is the template of its files' markers, which are left out. `own`, the paths of mirrord's state, is left out
    wherever it is found; that is logged once. With `follow`, symbolic links count as their targets, also outside the
    folder. Without `pool` the folder creates its own pool.
    """

    def __init__(
        self,
        path: str,
        include: Iterable[str] = (),
        exclude: Iterable[str] = (),
        ready: str | None = None,
        *,
        follow: bool = False,
        own: OwnPaths | None = None,
        pool: FilePool | None = None,
    ) -> None:
        self.path = path.rstrip("/") or "/"
        self._pool = pool or FilePool(self.path)
        self._patterns = Patterns(include, exclude, None if ready is None else Markers(ready))
        self._follow = follow
        self._own = own
        self._warned = False
        self._scan = _NO_SCAN

    @property
    def complete(self) -> bool:
        """The last scan was finished, and everything that counts was readable."""
        return self._scan.complete

    @property
    def problems(self) -> tuple[FolderProblem, ...]:
        """What the last scan could not list."""
        return self._scan.problems

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """What the last scan left out, by kind."""
        return self._scan.left_out

    @property
    def excluded(self) -> tuple[LeftOut, ...]:
        """See `ports.FolderListing`."""
        return self._scan.excluded

    @property
    def quarantined(self) -> tuple[FoundFile, ...]:
        """Files that the last scan found set aside (`quarantine`), by the names that they had."""
        return self._scan.quarantined

    @property
    def root(self) -> Identity | None:
        """See `ports.FolderListing`."""
        return self._scan.root

    @property
    def linked(self) -> tuple[str, ...]:
        """The links to directories that the last scan followed."""
        return self._scan.linked

    @property
    def down(self) -> str | None:
        """See `ports.FolderListing`."""
        return self._pool.problem

    async def enumerate(self) -> AsyncGenerator[FoundFile]:
        """See `ports.Listing`."""
        async with aclosing(self.batches()) as batches:
            async for batch in batches:
                for found in batch:
                    yield found

    def batches(self) -> AsyncGenerator[list[FoundFile]]:
        """As `enumerate`, at most `BATCH` files at a time: a step of an async generator for each file takes 0.5 us. The
        scan runs in a thread, one batch each time that the caller needs more."""
        return self._scanned(self._walk)

    async def note(self, add: Callable[[str, FileIdentity], None]) -> None:
        """A scan as `enumerate`, which calls `add` for each file, in a thread, and makes nothing else of it."""

        def taken(name: str, seen: os.stat_result) -> None:
            add(name, FileIdentity.of(seen))

        async with aclosing(self._scanned(partial(self._walk, taken))) as batches:
            async for _ in batches:
                pass

    async def _scanned(self, begin: Callable[[], Walk]) -> AsyncGenerator[list[FoundFile]]:
        self._scan = replace(_NO_SCAN, linked=self._scan.linked)
        try:
            walk = await self._pool.run(begin)
            is_finished = False
            try:
                async with aclosing(self._batched(walk.entries())) as batches:
                    async for batch in batches:
                        yield batch
                is_finished = True
            finally:
                self._keep(walk.result, is_finished=is_finished)
        except SourceTimedOut as error:
            problem = FolderProblem(printable(self.path), str(error))
            self._scan = replace(self._scan, problems=(problem, *self._scan.problems))

    def _keep(self, result: WalkResult, *, is_finished: bool) -> None:
        self._scan = LastScan(
            complete=is_finished and result.complete,
            problems=tuple(result.problems),
            left_out=result.left_out.left_out(),
            excluded=result.excluded.left_out(),
            quarantined=tuple(result.quarantined),
            linked=tuple(result.linked),
            root=result.root,
        )
        self._warn_of_state()

    def _warn_of_state(self) -> None:
        left = next((one for one in self._scan.left_out if one.kind in (STATE, STATE_FILE)), None)
        if left is not None and not self._warned:
            self._warned = True
            _log.warning("the folder %s holds mirrord's own state (%s), which is not uploaded", self.path, left.first)

    async def scan(self, names: Iterable[str]) -> AsyncGenerator[FoundFile]:
        """See `ports.FolderListing`. Few names are one call in a thread."""
        async with aclosing(self._batched(self._named(names))) as batches:
            async for batch in batches:
                for found in batch:
                    yield found

    async def existing(self, names: Collection[str]) -> frozenset[str]:
        """See `ports.FolderListing`. A name that cannot be read does not exist."""
        return await self._selected(self._existing, names)

    async def absent(self, files: Mapping[str, int | None]) -> frozenset[str]:
        """See `ports.FolderListing`."""
        return await self._selected(self._gone, files)

    async def _selected(self, select: Callable[[Names], frozenset[str]], names: Names) -> frozenset[str]:
        """The names that `select` returns; none while the folder does not answer."""
        try:
            return await self._pool.run(partial(select, names)) if names else frozenset()
        except SourceTimedOut:
            return frozenset()

    async def _batched(self, entries: Generator[FoundFile | None, None, None]) -> AsyncGenerator[list[FoundFile]]:
        try:
            batch: list[FoundFile | None] = [None] * BATCH
            while len(batch) == BATCH:
                batch = await self._pool.run(partial(self._some, entries), lambda _: entries.close())
                yield [found for found in batch if found is not None]
        finally:
            with suppress(ValueError):  # a thread still runs it, and closes it later
                entries.close()

    def _some(self, entries: Generator[FoundFile | None, None, None]) -> list[FoundFile | None]:
        """The next `BATCH` entries; fewer are the last ones."""
        batch: list[FoundFile | None] = []
        for _ in range(BATCH // _STEP):
            batch += islice(entries, _STEP)
            self._pool.alive()
        return batch

    def _named(self, names: Iterable[str]) -> Generator[FoundFile | None, None, None]:
        yield from self._walk().named(names)

    def _walk(self, taken: TakeFile | None = None) -> Walk:
        return Walk(self.path, self._patterns, follow=self._follow, own=self._own, taken=taken)

    def _gone(self, files: Mapping[str, int | None]) -> frozenset[str]:
        return frozenset(name for name, device in files.items() if self._is_gone(name, device))

    def _is_gone(self, name: str, device: int | None) -> bool:
        """Whether the file does not exist, or is a directory now, on the device that it was on.

        If a link or a special file is in its path, the file does not count as gone: something else is there.
        """
        try:
            path, above = self.path, os.stat(self.path)
            if not stat.S_ISDIR(above.st_mode):
                return False
            for step in name.split("/"):
                path = f"{path}/{step}"
                found = self._at(path)
                if found is None or (stat.S_ISREG(found.st_mode) and path != f"{self.path}/{name}"):
                    break
                if not stat.S_ISDIR(found.st_mode):
                    return False
                above = found
        except OSError:
            return False
        return device in (None, above.st_dev)

    def _at(self, path: str) -> os.stat_result | None:
        """Stat of this path; None if nothing is there. Of the link itself if it is not followed or leads to nothing."""
        try:
            found = os.lstat(path)
        except FileNotFoundError:
            return None
        if self._follow and stat.S_ISLNK(found.st_mode):
            with suppress(FileNotFoundError):
                return os.stat(path)
        return found

    def _existing(self, names: Collection[str]) -> frozenset[str]:
        return frozenset(filter(self._exists, names))

    def _exists(self, name: str) -> bool:
        try:
            return stat.S_ISREG((os.stat if self._follow else os.lstat)(f"{self.path}/{name}").st_mode)
        except OSError:
            return False
