"""A local folder as a Listing: one scan of the tree, or of some places in it, streamed.

Owns the way between the loop and the threads that scan (the folder's `FilePool`), and which recorded names are gone.
What there is, `walk` tells: links and special files are counted and left, what cannot be read stops nothing else. Hands
on `FoundFile`s; whether a file is settled is `settle`'s word. In memory: one batch, and the directories still to be
read. A folder that does not answer makes a scan incomplete; nothing of it counts as gone.
"""

import os
import stat
from collections.abc import AsyncGenerator, Callable, Collection, Generator, Iterable, Mapping
from contextlib import aclosing, suppress
from functools import partial
from itertools import islice
from logging import getLogger
from typing import TypeVar

from mirrord.errors import LeftOut, SourceTimedOut, printable
from mirrord.planning.decisions.markers import Markers
from mirrord.ports import FolderListing
from mirrord.settings import OwnPaths
from mirrord.sources.folder.patterns import Patterns
from mirrord.sources.folder.walk import STATE, STATE_FILE, FolderProblem, FoundFile, Walk
from mirrord.sources.pool import FilePool

_log = getLogger(__name__)

Names = TypeVar("Names", bound=Collection[str])

BATCH = 64
"""Entries of one call to the scanning thread: a millisecond of work, so that the loop gets its turn at the
interpreter."""


class Folder(FolderListing):
    """The tree at `path` (absolute; itself it may be a link). Patterns are gitignore's, see `Patterns`.

    `ready` names the markers of its files, which are left out. `own`, the state's directory, is left
    wherever it is met, which is logged once. With `follow`, symbolic links stand for what they lead
    to, be it outside the folder. Without a `pool` it has one of its own.
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
        self._said = False
        self._problems: tuple[FolderProblem, ...] = ()
        self._left_out: tuple[LeftOut, ...] = ()
        self._asides: tuple[FoundFile, ...] = ()
        self._linked: tuple[str, ...] = ()
        self._root: tuple[int, int] | None = None
        self._complete = False

    @property
    def complete(self) -> bool:
        """The last scan went to its end, and nothing that counts was unreadable."""
        return self._complete

    @property
    def problems(self) -> tuple[FolderProblem, ...]:
        """What the last scan could not list."""
        return self._problems

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """What the last scan came across and left, by kind."""
        return self._left_out

    @property
    def asides(self) -> tuple[FoundFile, ...]:
        """Files that the last scan found set aside on their way out (`aside`), by the names that they had."""
        return self._asides

    @property
    def root(self) -> tuple[int, int] | None:
        """See `ports.FolderListing`."""
        return self._root

    @property
    def linked(self) -> tuple[str, ...]:
        """The links to directories that the last scan followed."""
        return self._linked

    @property
    def down(self) -> str:
        """See `ports.FolderListing`."""
        return self._pool.problem

    async def enumerate(self) -> AsyncGenerator[FoundFile]:
        """See `ports.Listing`. The scan runs in a thread, one batch at a time as the caller asks for more."""
        self._complete, self._problems, self._left_out, self._asides, self._root = False, (), (), (), None
        try:
            walk = await self._pool.run(self._walk)
            try:
                async with aclosing(self._batched(walk.entries())) as files:
                    async for found in files:
                        yield found
                self._complete = walk.complete
            finally:
                self._keep(walk)
        except SourceTimedOut as error:
            self._problems = (FolderProblem(printable(self.path), str(error)), *self._problems)

    def _keep(self, walk: Walk) -> None:
        """What the walk saw, besides the files."""
        self._problems, self._left_out = tuple(walk.problems), walk.tally.left_out()
        self._tell_of_state()
        self._root = walk.root
        self._asides, self._linked = tuple(walk.asides), tuple(walk.linked)

    def _tell_of_state(self) -> None:
        left = next((one for one in self._left_out if one.kind in (STATE, STATE_FILE)), None)
        if left is not None and not self._said:
            self._said = True
            _log.warning("the folder %s holds mirrord's own state (%s), which is not uploaded", self.path, left.first)

    async def scan(self, names: Iterable[str]) -> AsyncGenerator[FoundFile]:
        """See `ports.FolderListing`."""
        walk = await self._pool.run(self._walk)
        async with aclosing(self._batched(walk.named(names))) as files:
            async for found in files:
                yield found

    async def existing(self, names: Collection[str]) -> frozenset[str]:
        """See `ports.FolderListing`. What cannot be asked about does not stand."""
        return await self._chosen(self._standing, names)

    async def absent(self, files: Mapping[str, int | None]) -> frozenset[str]:
        """See `ports.FolderListing`."""
        return await self._chosen(self._gone, files)

    async def _chosen(self, choose: Callable[[Names], frozenset[str]], names: Names) -> frozenset[str]:
        """Those of the names that `choose` takes; none while the folder does not answer."""
        try:
            return await self._pool.run(partial(choose, names)) if names else frozenset()
        except SourceTimedOut:
            return frozenset()

    async def _batched(self, looked_at: Generator[FoundFile | None, None, None]) -> AsyncGenerator[FoundFile]:
        try:
            batch: list[FoundFile | None] = [None] * BATCH
            while len(batch) == BATCH:
                batch = await self._pool.run(lambda: list(islice(looked_at, BATCH)), lambda _: looked_at.close())
                for found in batch:
                    if found is not None:
                        yield found
        finally:
            with suppress(ValueError):  # a thread is still in it, and closes it
                looked_at.close()

    def _walk(self) -> Walk:
        return Walk(self.path, self._patterns, follow=self._follow, own=self._own)

    def _gone(self, files: Mapping[str, int | None]) -> frozenset[str]:
        return frozenset(name for name, device in files.items() if self._is_gone(name, device))

    def _is_gone(self, name: str, device: int | None) -> bool:
        """By what stands on the way: nothing where the file was, or a directory, and on the device that it was on.

        A link or a special file on the way is left, and so is the object: something stands there.
        """
        try:
            place, above = self.path, os.stat(self.path)
            if not stat.S_ISDIR(above.st_mode):
                return False
            for step in name.split("/"):
                place = f"{place}/{step}"
                found = self._at(place)
                if found is None or (stat.S_ISREG(found.st_mode) and place != f"{self.path}/{name}"):
                    break
                if not stat.S_ISDIR(found.st_mode):
                    return False
                above = found
        except OSError:
            return False
        return device in (None, above.st_dev)

    def _at(self, place: str) -> os.stat_result | None:
        """What stands there, None if nothing does; a link itself where it is not followed, or leads nowhere."""
        try:
            found = os.lstat(place)
        except FileNotFoundError:
            return None
        if self._follow and stat.S_ISLNK(found.st_mode):
            with suppress(FileNotFoundError):
                return os.stat(place)
        return found

    def _standing(self, names: Collection[str]) -> frozenset[str]:
        return frozenset(filter(self._stands, names))

    def _stands(self, name: str) -> bool:
        try:
            return stat.S_ISREG((os.stat if self._follow else os.lstat)(f"{self.path}/{name}").st_mode)
        except OSError:
            return False
