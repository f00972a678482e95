"""Local files and folders as sources, listings and hints, with one pool of threads for each root.

Owns the choice of the pool. The files of a folder, its scans and other calls about its directory share one pool. A file
outside of folders uses the pool of its mount. The removal of uploaded files has its own pools: a copy to another file
system may take long, and scans and reads need threads meanwhile. Each folder is located by its own threads, so that one
that hangs does not delay another folder.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TypeVar

from mirrord.aio import cooperatively
from mirrord.declared import FolderSpec
from mirrord.errors import SourceTimedOut
from mirrord.model import Checksum, ChecksumKind, File, Item
from mirrord.ports import Hints
from mirrord.settings import OwnPaths
from mirrord.sources.file import FileSource, file_source
from mirrord.sources.file.group import Expected, read_group
from mirrord.sources.folder.directories import Directories, DirectoryKey, FolderLocation
from mirrord.sources.folder.overlap import Overlaps, Survey, directory_of, local_sources, relevant, removes
from mirrord.sources.folder.quarantine import FolderQuarantine
from mirrord.sources.folder.scan import LocalFolder
from mirrord.sources.mounts import Mounts, silence_at
from mirrord.sources.pool import FilePool, FilePools

T = TypeVar("T")


class LocalFiles:
    """`own`: the state directory, of which nothing is uploaded, and the roots of what may be read. `read_ahead`:
    see `FileSource`; for programs that copy."""

    def __init__(self, own: OwnPaths, *, read_ahead: int = 0) -> None:
        self._own = own
        self._read_ahead = read_ahead
        self._pools = FilePools()
        self.overlaps = Overlaps(Mounts.now)
        """Which files are matched by several folders."""

    def source(self, file: File) -> FileSource:
        """The file as a source."""
        return file_source(file, self._own, self._pools, read_ahead=self._read_ahead)

    async def read_group(
        self, root: str, files: Sequence[Expected], view: memoryview, kind: ChecksumKind
    ) -> Sequence[Checksum | None]:
        """Read many small files of the folder at `root`: see `read_group`. Raises SourceTimedOut; a thread may then
        still write into `view`."""
        pool = self._pools.of_root(root)
        return await pool.run(partial(read_group, root, files, view, kind, pool.alive, self._own))

    def listing(self, spec: FolderSpec) -> LocalFolder:
        """The files of a folder."""
        pool = self._pools.of_root(spec.path)
        return LocalFolder(
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
        from mirrord.sources.watch import DirectoryWatch  # here: `sync` watches nothing, and the import takes 7 ms

        try:
            silent = await self.run_in_pool(spec.path, partial(silence_at, spec.path))
        except SourceTimedOut as error:
            raise OSError(str(error)) from error
        if spec.times.watch == "auto" and silent:
            raise OSError(silent)
        async with DirectoryWatch([spec.path], recursive=True) as hints:
            yield hints

    def quarantine(self) -> FolderQuarantine:
        """Moves uploaded files out of their folders."""
        return FolderQuarantine(self._own, self._pools)

    async def rival(self, item: Item) -> str | None:
        """See `Overlaps.rival`. Raises SourceTimedOut if the item's folder does not answer."""
        if item.folder_file is None or item.folder_file.root is None or not self.overlaps.concerns(item):
            return None
        return await self.run_in_pool(item.folder_file.root, partial(self.overlaps.rival, item))

    async def replace(self, folders: Sequence[FolderSpec], mirrors: Iterable[Item]) -> None:
        """See `Overlaps.replace`. Folders whose roots do not answer are located by a later scan of theirs."""
        sources: dict[str, str] = {}
        async for item in cooperatively(mirrors if removes(*folders) else ()):
            sources |= local_sources((item,))
        directories = self.overlaps.directories()
        specs = relevant(folders, sources)
        located = await asyncio.gather(*(self._located(spec, directories) for spec in specs))
        known = {spec.entry: location for spec, location in zip(specs, located, strict=True) if location is not None}
        keys = await self._keys_of({directory_of(path) for path in sources} if specs else set(), directories)
        self.overlaps.replace(folders, sources, Survey(directories, known, keys))

    async def refresh(self, entry: str, linked: Collection[str]) -> None:
        """The folder was scanned: it follows these links to directories. Locate it again if these links are new."""
        spec = self.overlaps.follow(entry, linked)
        if spec is not None:
            directories = self.overlaps.directories()
            location = await self._located(spec, directories)
            if location is not None:
                self.overlaps.update(spec, Survey(directories, {entry: location}))

    async def _located(self, spec: FolderSpec, directories: Directories) -> FolderLocation | None:
        """Where the folder is; None if its root does not answer, at once while it is known to be down."""
        if self._pools.of_root(spec.path).problem:
            return None
        try:
            return await self.run_in_pool(spec.path, partial(self.overlaps.locate, spec, directories))
        except SourceTimedOut:
            return None

    async def _keys_of(self, paths: Collection[str], directories: Directories) -> Mapping[str, DirectoryKey]:
        """The directories at these paths, examined in threads of their mounts; without those that do not answer."""
        by_pool: dict[FilePool, list[str]] = {}
        for path in paths:
            by_pool.setdefault(self._pools.of_file(path), []).append(path)
        found: dict[str, DirectoryKey] = {}
        for pool, some in by_pool.items():
            with suppress(SourceTimedOut):
                found |= await pool.run(partial(directories.keys, some))
        return found

    async def run_in_pool(self, root: str, work: Callable[[], T]) -> T:
        """The result of a blocking call about the folder at `root`. Raises SourceTimedOut if it does not answer."""
        return await self._pools.of_root(root).run(work)
