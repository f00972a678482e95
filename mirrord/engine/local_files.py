"""Local files and folders as sources, listings and hints, with one pool of threads for each root.

Owns the choice of the pool. The files of a folder, its scans and other calls about its directory share one pool. A file
outside of folders uses the pool of its mount. The removal of uploaded files has its own pools: a copy to another file
system may take long, and scans and reads need threads meanwhile. The comparison of the directories of all folders also
has its own pool, so that a directory that hangs does not count as a fault of another folder.
"""

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TypeVar

from mirrord.declared import FolderSpec
from mirrord.errors import SourceTimedOut
from mirrord.model import File, Item
from mirrord.ports import Hints
from mirrord.settings import OwnPaths
from mirrord.sources.file import FileSource, file_source
from mirrord.sources.folder import Folder, FolderQuarantine, Overlaps
from mirrord.sources.mounts import Mounts, silence_at
from mirrord.sources.pool import FilePool, FilePools
from mirrord.sources.watch import Watch

T = TypeVar("T")


class LocalFiles:
    """`own`: the state directory; nothing of it is uploaded."""

    def __init__(self, own: OwnPaths) -> None:
        self._own = own
        self._pools = FilePools()
        self._directories = FilePool("the directory of a folder")
        self.overlaps = Overlaps(Mounts.now)
        """Which files are matched by several folders."""

    def source(self, file: File) -> FileSource:
        """The file as a source."""
        return file_source(file, self._own, self._pools)

    def listing(self, spec: FolderSpec) -> Folder:
        """The files of a folder."""
        pool = self._pools.of_root(spec.path)
        return Folder(
            spec.path,
            spec.selection.include,
            spec.selection.exclude,
            spec.selection.ready,
            follow=spec.selection.follow_symlinks,
            own=self._own,
            pool=pool,
        )

    @asynccontextmanager
    async def hints(self, spec: FolderSpec) -> AsyncIterator[Hints]:
        """Hints of changes in the folder. Raises OSError where it does not answer, and, for `watch: auto`, where some
        changes come without events."""
        try:
            silent = await self.run_in_pool(spec.path, partial(silence_at, spec.path))
        except SourceTimedOut as error:
            raise OSError(str(error)) from error
        if spec.times.watch == "auto" and silent:
            raise OSError(silent)
        async with Watch([spec.path], recursive=True) as hints:
            yield hints

    def quarantine(self) -> FolderQuarantine:
        """Moves uploaded files out of their folders."""
        return FolderQuarantine(self._own, self._pools)

    async def rival(self, item: Item) -> str:
        """See `Overlaps.rival`. Raises SourceTimedOut if the item's folder does not answer."""
        if item.folder_file is None or item.folder_file.root is None or not self.overlaps.concerns(item):
            return ""
        return await self.run_in_pool(item.folder_file.root, partial(self.overlaps.rival, item))

    async def replace(self, folders: Sequence[FolderSpec], mirrors: Iterable[Item]) -> None:
        """See `Overlaps.replace`. While a folder's directory does not answer, no file is removed."""
        try:
            await self._directories.run(partial(self.overlaps.replace, folders, mirrors))
        except SourceTimedOut as error:
            self.overlaps.lose(str(error))

    async def refresh(self, entry: str, linked: Collection[str]) -> None:
        """See `Overlaps.refresh`. Changes nothing while a directory does not answer."""
        with suppress(SourceTimedOut):
            await self._directories.run(partial(self.overlaps.refresh, entry, linked))

    async def run_in_pool(self, root: str, work: Callable[[], T]) -> T:
        """The result of a blocking call about the folder at `root`. Raises SourceTimedOut if it does not answer."""
        return await self._pools.of_root(root).run(work)
