"""One walk over a folder's tree, or over some names in it, step by step in a scanning thread.

Owns the stat(2) of each name, and the rules for names that are not files: links, FIFOs, sockets, devices and names that
are not UTF-8 are left out and counted by kind, with an example. What cannot be read is a problem and makes the walk
incomplete. With `follow`, a link counts as its target: a link back to a directory above it is not entered, and a link
to nothing is left out. Memory: the directories that are not read yet.
"""

import errno
import os
import stat
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field

from mirrord.errors import LeftOut, SourceDenied, SourceError, printable
from mirrord.frozen import frozen
from mirrord.model import FileIdentity, Revision, directory_prefix, file_address, fingerprint
from mirrord.planning.decisions.file_removal import QUARANTINE, original_name
from mirrord.settings import OwnPaths
from mirrord.sources.file_roots import require_allowed, require_path_allowed
from mirrord.sources.folder.patterns import Patterns

MOST_PROBLEMS = 1_000
"""Most problems of one walk that are kept to be shown."""

STATE, STATE_FILE = "state directory", "state file"
"""The kinds under which mirrord's own state is counted."""

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_SPECIAL = {stat.S_IFIFO: "FIFO", stat.S_IFSOCK: "socket", stat.S_IFCHR: "device", stat.S_IFBLK: "device"}

Identity = tuple[int, int]
"""Device and inode."""
Ancestors = tuple[Identity, ...]
"""Each directory from the root down, to detect a loop of links; empty where no link is followed."""


@frozen
class FoundFile:
    """A file in a folder; see `ports.Found`. `revision.file` has its times."""

    name: str
    revision: Revision
    settled: bool = True
    """False: it changed less than `settle` seconds ago, so it may still be growing."""


TakeFile = Callable[[str, os.stat_result], FoundFile | None]
"""Takes the name and the stat of a file."""


@frozen
class FolderProblem:
    """Something in a folder that could not be listed. `path` is printable: bytes that are not UTF-8 are escaped."""

    path: str
    message: str


class LeftOutCounts:
    """Counts names that were left out, by kind. The example of a kind is its first name in order, so it is stable."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._first: dict[str, str] = {}

    def add(self, kind: str, name: str) -> None:
        """Count one name of this kind."""
        self._counts[kind] = self._counts.get(kind, 0) + 1
        self._first[kind] = min(name, self._first.get(kind, name))

    def left_out(self) -> tuple[LeftOut, ...]:
        """All counts, sorted by kind."""
        return tuple(LeftOut(kind, count, printable(self._first[kind])) for kind, count in sorted(self._counts.items()))


@dataclass(slots=True)
class WalkResult:
    """What a walk found so far, besides the files."""

    problems: list[FolderProblem] = field(default_factory=list)
    quarantined: list[FoundFile] = field(default_factory=list)
    """Files that were set aside (`quarantine`), by the names that they had."""
    linked: list[str] = field(default_factory=list)
    """Links to directories that were followed."""
    left_out: LeftOutCounts = field(default_factory=LeftOutCounts)
    excluded: LeftOutCounts = field(default_factory=LeftOutCounts)
    """Names that the patterns exclude, without markers; a directory that is not entered is one."""
    complete: bool = True
    root: Identity | None = None
    """The folder's directory, once it was read."""


class _OwnState:
    """mirrord's own state, which a walk leaves out wherever it finds it."""

    def __init__(self, root: str, own: OwnPaths | None) -> None:
        self._own = own
        self.directory = None if own is None else _identity(own.directory)
        is_root = own is not None and _identity(root) == self.directory
        self.names = own.names if own is not None and is_root else frozenset[str]()
        """Names of the state's files, if the folder is the state's directory itself."""

    def contains(self, path: str) -> bool:
        """Whether the path, with its links followed, is in the state's directory."""
        return self._own is not None and self._own.contain(path)


class Walk:
    """See the module. `result` has what was found so far, besides the files."""

    def __init__(
        self,
        root: str,
        patterns: Patterns,
        *,
        follow: bool = False,
        own: OwnPaths | None = None,
        taken: TakeFile | None = None,
    ) -> None:
        """`own`: the paths of mirrord's state, and the roots of what may be read. `taken`: makes what is
        yielded for a regular file; None: a FoundFile."""
        self._root = root
        self._address = file_address(directory_prefix(root))
        self._taken = taken or self._found
        self._limits = own
        self._own = _OwnState(root, own)
        self._patterns = patterns
        self._follow = follow
        self._stat = os.stat if follow else os.lstat
        self._ahead: list[tuple[str, Ancestors]] = []  # directories that are not read yet, relative
        self.result = WalkResult()

    # ── names ────────────────────────────────────────────────────────────────────────────────────
    def named(self, names: Iterable[str]) -> Generator[FoundFile | None, None, None]:
        """As `entries`, for what is at these names. Nothing of a folder that may not be read; a scan reports that."""
        try:
            require_path_allowed(self._root, self._limits)
        except SourceDenied:
            return
        for name in names:
            seen, ancestors = self._reached(name)
            if seen is None:
                yield None
            elif stat.S_ISDIR(seen.st_mode):
                yield from self.entries(
                    ((name, ancestors),) if self._patterns.enters(name) and self._is_text(name) else ()
                )
            else:
                yield self._file(name, seen) if self._patterns.takes(name) and self._is_text(name) else None

    def _reached(self, name: str) -> tuple[os.stat_result | None, Ancestors]:
        """Stat of a name whose directories count, with its ancestors. None if it does not count or does not exist."""
        steps, ancestors = name.split("/"), Ancestors()
        if not {"", ".", ".."}.isdisjoint(steps) or steps[0] in self._own.names:
            return None, ancestors
        if self._follow and self._own.contains(f"{self._root}/{name}"):
            return None, ancestors
        try:
            if self._follow:
                ancestors = (_key(os.stat(self._root)),)
            for depth in range(1, len(steps)):
                above = "/".join(steps[:depth])
                seen = self._stat(f"{self._root}/{above}") if self._patterns.enters(above) else None
                if seen is None or not stat.S_ISDIR(seen.st_mode) or _key(seen) in (self._own.directory, *ancestors):
                    return None, ancestors
                ancestors = (*ancestors, _key(seen)) if self._follow else ancestors
            return self._stat(f"{self._root}/{name}"), ancestors
        except (OSError, ValueError):  # ValueError: a NUL. The next scan reports what cannot be reached
            return None, ancestors

    # ── directories ──────────────────────────────────────────────────────────────────────────────
    def entries(
        self, directories: Iterable[tuple[str, Ancestors]] = (("", ()),)
    ) -> Generator[FoundFile | None, None, None]:
        """All files below these directories. Yields None for each entry that does not count, so that a tree of such
        entries shows progress."""
        if self._is_own():
            self._unread(
                "", OSError(0, "it is in mirrord's state directory, which is never uploaded: name another folder")
            )
            return
        self._ahead.extend(directories)
        while self._ahead:
            directory, ancestors = self._ahead.pop()
            try:
                yield from self._read(directory, ancestors)
            except OSError as error:
                self._unread(directory, error)

    def _is_own(self) -> bool:
        """Whether the folder is inside mirrord's state directory."""
        return not self._own.names and self._own.contains(self._root)

    def _read(self, directory: str, ancestors: Ancestors) -> Generator[FoundFile | None, None, None]:
        flags = _DIRECTORY | os.O_NOFOLLOW if directory and not self._follow else _DIRECTORY
        opened = os.open(f"{self._root}/{directory}", flags)
        prefix = f"{directory}/" if directory else ""
        try:
            self._require_allowed(opened, f"{self._root}/{directory}".rstrip("/"))
            key = _key(os.fstat(opened))
            if not directory:
                self.result.root = key
            elif key == self._own.directory:
                self.result.left_out.add(STATE, directory)
                return
            if self._follow:
                if key in ancestors:
                    self.result.left_out.add("looping link", directory)
                    return
                ancestors = (*ancestors, key)
            with os.scandir(opened) as entries:
                for entry in entries:
                    yield self._examined(entry, f"{prefix}{entry.name}", ancestors)
        finally:
            os.close(opened)

    def _require_allowed(self, opened: int, path: str) -> None:
        try:
            require_allowed(opened, path, self._limits)
        except SourceError as error:
            raise OSError(0, str(error).removeprefix(f"{path}: ")) from error

    def _examined(self, entry: os.DirEntry[str], name: str, ancestors: Ancestors) -> FoundFile | None:
        try:
            if name in self._own.names:
                self.result.left_out.add(STATE_FILE, name)
            elif entry.name.startswith(QUARANTINE):
                self._add_quarantined(entry, name)
            elif entry.is_dir(follow_symlinks=False):
                self._enter(name, ancestors)
            elif entry.is_file(follow_symlinks=False):
                if self._takes(name) and self._is_text(name):
                    return self._file(name, entry.stat(follow_symlinks=False))
            elif entry.is_symlink():
                return self._link(entry, name, ancestors)
            elif self._patterns.takes(name):
                self._leave(name, entry.stat(follow_symlinks=False))
        except FileNotFoundError:
            return None  # it was removed after the directory was read
        except OSError as error:
            self._unread(name, error)
        return None

    def _link(self, entry: os.DirEntry[str], name: str, ancestors: Ancestors) -> FoundFile | None:
        """A link counts unless its name is excluded: it may lead to a directory, where `include` selects below it."""
        if not self._patterns.enters(name):
            return None
        if not self._follow:
            self.result.left_out.add("symbolic link", name)
            return None
        try:
            seen = entry.stat()
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                raise
            self.result.left_out.add("looping link" if error.errno == errno.ELOOP else "dangling link", name)
            return None
        if self._own.contains(f"{self._root}/{name}"):
            self.result.left_out.add(STATE, name)
        elif stat.S_ISDIR(seen.st_mode):
            self.result.linked.append(name)
            self._enter(name, ancestors)
        elif self._patterns.takes(name) and self._is_text(name):
            self._leave(name, seen)
            return self._file(name, seen)
        return None

    def _enter(self, name: str, ancestors: Ancestors) -> None:
        if not self._patterns.enters(name):
            self._exclude(name)
        elif self._is_text(name):
            self._ahead.append((name, ancestors))

    def _takes(self, name: str) -> bool:
        """Whether this file counts; else it is counted as excluded, unless it is a marker."""
        if self._patterns.takes(name):
            return True
        if not self._patterns.is_marker(name):
            self._exclude(name)
        return False

    def _exclude(self, name: str) -> None:
        self.result.excluded.add("excluded name", name)

    def _add_quarantined(self, entry: os.DirEntry[str], name: str) -> None:
        below = name.removesuffix(entry.name)
        if entry.is_dir(follow_symlinks=False) and entry.name == QUARANTINE:
            with os.scandir(f"{self._root}/{name}") as entries:
                files = [(one.name, one) for one in entries]
        else:
            own_one = original_name(entry.name)
            files = [(own_one, entry)] if own_one is not None else []
        for own, one in files:
            if one.is_file(follow_symlinks=False) and self._is_text(f"{below}{own}"):
                seen = one.stat(follow_symlinks=False)
                self.result.quarantined += [self._found(f"{below}{own}", seen)] if stat.S_ISREG(seen.st_mode) else []

    # ── what was seen ────────────────────────────────────────────────────────────────────────────
    def _file(self, name: str, seen: os.stat_result) -> FoundFile | None:
        return self._taken(name, seen) if stat.S_ISREG(seen.st_mode) else None

    def _found(self, name: str, seen: os.stat_result) -> FoundFile:
        address = fingerprint(f"{self._address}{name}")
        return FoundFile(name, Revision(address=address, length=seen.st_size, file=FileIdentity.of(seen)))

    def _leave(self, name: str, seen: os.stat_result) -> None:
        kind = _SPECIAL.get(stat.S_IFMT(seen.st_mode))
        if kind is not None:  # else it was replaced after the directory was read
            self.result.left_out.add(kind, name)

    def _is_text(self, name: str) -> bool:
        """A key is UTF-8. Another name never had an object, so the listing is complete without it."""
        if name.isascii():
            return True
        try:
            name.encode()
        except UnicodeEncodeError:
            self.result.left_out.add("non-UTF-8 name", name)
            self._problem(name, "the name is not UTF-8, so it cannot be a key: rename it")
            return False
        return True

    def _unread(self, name: str, error: OSError) -> None:
        self.result.complete = False
        self._problem(name, f"cannot be read: {error.strerror or error}")

    def _problem(self, name: str, message: str) -> None:
        if len(self.result.problems) < MOST_PROBLEMS:
            path = f"{self._root.rstrip('/')}/{name}".rstrip("/")
            self.result.problems.append(FolderProblem(printable(path) or "/", message))


def _identity(path: str) -> Identity | None:
    try:
        return _key(os.stat(path))
    except OSError:
        return None


def _key(found: os.stat_result) -> Identity:
    return found.st_dev, found.st_ino
