"""A local folder as a Listing: one scan of the tree, or of some places in it, streamed.

Owns which names exist and what stat(2) says of them. Symbolic links are not followed, what is no regular file is
passed over; a directory that cannot be read, a name that is not UTF-8, a missing root are problems that stop nothing
else. Hands on `FoundFile`s; whether a file is settled is `settle`'s word. In memory: one batch, and the directories
still to be read.
"""

import asyncio
import os
import stat
from collections.abc import AsyncGenerator, Collection, Generator, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from itertools import islice

from mirrord.aio import finish
from mirrord.model import FileIdentity, Revision, file_address, fingerprint
from mirrord.planning.markers import Markers
from mirrord.ports import FolderListing
from mirrord.sources.folder.patterns import Patterns

BATCH = 64
"""Entries a hop to the scanning thread: a millisecond of work, so that the loop gets its turn at the interpreter."""

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file in a folder; see `ports.Found`. `revision.file` holds its times."""

    name: str
    revision: Revision
    settled: bool = True
    """False: it changed less than a settle ago, so it may still be growing."""


@dataclass(frozen=True, slots=True)
class FolderProblem:
    """Something in a folder that could not be listed. `path` is printable: bytes that are no text show as escapes."""

    path: str
    message: str


class Folder(FolderListing):
    """The tree at `path` (absolute; itself it may be a link). Patterns are gitignore's, see `Patterns`.

    `ready` names the markers of its files, which are left out.
    """

    def __init__(
        self, path: str, include: Iterable[str] = (), exclude: Iterable[str] = (), ready: str | None = None
    ) -> None:
        self.path = path.rstrip("/") or "/"
        self._patterns = Patterns(include, exclude, None if ready is None else Markers(ready))
        self._problems: tuple[FolderProblem, ...] = ()
        self._complete = False

    @property
    def complete(self) -> bool:
        """The last scan went to its end, and nothing that counts was unreadable."""
        return self._complete

    @property
    def problems(self) -> tuple[FolderProblem, ...]:
        """What the last scan could not list."""
        return self._problems

    async def enumerate(self) -> AsyncGenerator[FoundFile]:
        """See `ports.Listing`. The scan runs in a thread, one batch at a time as the caller asks for more."""
        self._complete, self._problems = False, ()
        walk = _Walk(self.path, self._patterns)
        try:
            async with aclosing(_batched(walk.entries(("",)))) as files:
                async for found in files:
                    yield found
            self._complete = walk.complete
        finally:
            self._problems = tuple(walk.problems)

    async def look(self, names: Iterable[str]) -> AsyncGenerator[FoundFile]:
        """See `ports.FolderListing`."""
        async with aclosing(_batched(_Walk(self.path, self._patterns).named(names))) as files:
            async for found in files:
                yield found

    async def standing(self, names: Collection[str]) -> frozenset[str]:
        """See `ports.FolderListing`. What cannot be asked about does not stand."""
        return await finish(asyncio.to_thread(lambda: frozenset(filter(self._stands, names)))) if names else frozenset()

    async def gone(self, files: Mapping[str, int | None]) -> frozenset[str]:
        """See `ports.FolderListing`."""
        return await finish(asyncio.to_thread(self._gone, files)) if files else frozenset()

    def _gone(self, files: Mapping[str, int | None]) -> frozenset[str]:
        return frozenset(name for name, device in files.items() if self._is_gone(name, device))

    def _is_gone(self, name: str, device: int | None) -> bool:
        try:
            if stat.S_ISREG(os.lstat(f"{self.path}/{name}").st_mode):
                return False
        except (FileNotFoundError, NotADirectoryError):
            pass
        except OSError:
            return False
        return self._is_mounted(name, device)

    def _is_mounted(self, name: str, device: int | None) -> bool:
        """Whether what is left of the way to the file is on the device that the file was on."""
        while name:
            name = name.rpartition("/")[0]
            try:
                found = os.stat(f"{self.path}/{name}")
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError:
                return False
            return device in (None, found.st_dev)
        return False

    def _stands(self, name: str) -> bool:
        try:
            return stat.S_ISREG(os.lstat(f"{self.path}/{name}").st_mode)
        except OSError:
            return False


async def _batched(looked_at: Generator[FoundFile | None, None, None]) -> AsyncGenerator[FoundFile]:
    try:
        while batch := await finish(asyncio.to_thread(list, islice(looked_at, BATCH))):
            for found in batch:
                if found is not None:
                    yield found
    finally:
        looked_at.close()


class _Walk:
    """One pass over the tree, made in the scanning thread."""

    def __init__(self, root: str, patterns: Patterns) -> None:
        self._root = root
        self._patterns = patterns
        self._ahead: list[str] = []  # directories still to be read, relative
        self.problems: list[FolderProblem] = []
        self.complete = True

    def named(self, names: Iterable[str]) -> Generator[FoundFile | None, None, None]:
        """As `entries`, of what stands at these names."""
        for name in names:
            seen = self._reached(name)
            if seen is None:
                yield None
            elif stat.S_ISDIR(seen.st_mode):
                yield from self.entries((name,) if self._patterns.enters(name) and self._is_text(name) else ())
            else:
                yield self._found(name, seen) if self._patterns.takes(name) and self._is_text(name) else None

    def _reached(self, name: str) -> os.stat_result | None:
        """Stat of a name whose directories count and are no links; None if there is no such, or nothing there."""
        steps = name.split("/")
        if not {"", ".", ".."}.isdisjoint(steps):
            return None
        try:
            for depth in range(1, len(steps)):
                above = "/".join(steps[:depth])
                if not self._patterns.enters(above) or not stat.S_ISDIR(os.lstat(f"{self._root}/{above}").st_mode):
                    return None
            return os.lstat(f"{self._root}/{name}")
        except (OSError, ValueError):  # ValueError: a NUL; what cannot be reached is the next scan's to tell
            return None

    def entries(self, directories: Iterable[str]) -> Generator[FoundFile | None, None, None]:
        """All below these. One step an entry, None for what does not count: a tree of such must not seem stuck."""
        self._ahead.extend(directories)
        while self._ahead:
            directory = self._ahead.pop()
            try:
                yield from self._read(directory)
            except OSError as error:
                self._unread(directory, error)

    def _read(self, directory: str) -> Generator[FoundFile | None, None, None]:
        flags = _DIRECTORY | os.O_NOFOLLOW if directory else _DIRECTORY
        place = os.open(f"{self._root}/{directory}", flags)
        prefix = f"{directory}/" if directory else ""
        try:
            with os.scandir(place) as entries:
                for entry in entries:
                    yield self._look(entry, f"{prefix}{entry.name}")
        finally:
            os.close(place)

    def _look(self, entry: os.DirEntry[str], name: str) -> FoundFile | None:
        try:
            if entry.is_dir(follow_symlinks=False):
                if self._patterns.enters(name) and self._is_text(name):
                    self._ahead.append(name)
            elif entry.is_file(follow_symlinks=False) and self._patterns.takes(name) and self._is_text(name):
                return self._found(name, entry.stat(follow_symlinks=False))
        except FileNotFoundError:
            return None  # it went away since the directory was read
        except OSError as error:
            self._unread(name, error)
        return None

    def _found(self, name: str, seen: os.stat_result) -> FoundFile | None:
        if not stat.S_ISREG(seen.st_mode):
            return None
        address = fingerprint(file_address(f"{self._root.rstrip('/')}/{name}"))
        return FoundFile(name, Revision(address=address, length=seen.st_size, file=FileIdentity.of(seen)))

    def _is_text(self, name: str) -> bool:
        """A key is UTF-8; a name that is not never had an object, so the listing is complete without it."""
        try:
            name.encode()
        except UnicodeEncodeError:
            self._problem(name, "the name is not UTF-8, so it cannot be a key: rename it")
            return False
        return True

    def _unread(self, name: str, error: OSError) -> None:
        self.complete = False
        self._problem(name, f"cannot be read: {error.strerror or error}")

    def _problem(self, name: str, message: str) -> None:
        path = f"{self._root.rstrip('/')}/{name}".rstrip("/")
        printable = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        self.problems.append(FolderProblem(printable or "/", message))
