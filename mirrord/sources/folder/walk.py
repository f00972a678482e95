"""One pass over a folder's tree, or over some places in it, made step by step in a scanning thread.

Owns what stat(2) says of each name, and what becomes of names that are no files: links, FIFOs, sockets, devices and
names that are no text are counted by kind, with an example, and left; what cannot be read is a problem, and makes the
pass incomplete. With `follow`, a link stands for what it leads to: one that leads back to a directory it was reached
through is cut there, one that leads nowhere is left. In memory: the directories still to be read.
"""

import errno
import os
import stat
from collections.abc import Generator, Iterable
from dataclasses import dataclass

from mirrord.errors import LeftOut, printable
from mirrord.model import FileIdentity, Revision, file_address, fingerprint
from mirrord.planning.decisions.file_removal import QUARANTINE, original_name
from mirrord.settings import OwnPaths
from mirrord.sources.folder.patterns import Patterns

MOST_PROBLEMS = 1_000
"""Problems of one pass that are kept to be shown."""

STATE, STATE_FILE = "state directory", "state file"
"""The kinds under which what is the state's own is counted."""

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_SPECIAL = {stat.S_IFIFO: "FIFO", stat.S_IFSOCK: "socket", stat.S_IFCHR: "device", stat.S_IFBLK: "device"}

Way = tuple[tuple[int, int], ...]
"""Device and inode of each directory from the root down, by which a loop is known; empty where no link is followed."""


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


class Tally:
    """What was left, counted by kind. The example of a kind is its first name in order, so that it stays the same."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._first: dict[str, str] = {}

    def add(self, kind: str, name: str) -> None:
        """One more of this kind."""
        self._counts[kind] = self._counts.get(kind, 0) + 1
        self._first[kind] = min(name, self._first.get(kind, name))

    def left_out(self) -> tuple[LeftOut, ...]:
        """All of it, by kind."""
        return tuple(LeftOut(kind, count, printable(self._first[kind])) for kind, count in sorted(self._counts.items()))


class Walk:
    """See the module. `problems`, `tally` and `complete` tell of what was walked so far."""

    def __init__(self, root: str, patterns: Patterns, *, follow: bool = False, own: OwnPaths | None = None) -> None:
        """`own`: the state's directory, which is left wherever it is met."""
        self._root = root
        self._own = own
        self._own_directory = None if own is None else _identity(own.directory)
        self._own_names = own.names if own is not None and _identity(root) == self._own_directory else frozenset[str]()
        self._patterns = patterns
        self._follow = follow
        self._stat = os.stat if follow else os.lstat
        self._ahead: list[tuple[str, Way]] = []  # directories still to be read, relative, and the way to each
        self.problems: list[FolderProblem] = []
        self.asides: list[FoundFile] = []  # files on their way out, by the names that they had
        self.linked: list[str] = []  # links to directories that were followed
        self.tally = Tally()
        self.complete = True
        self.root: tuple[int, int] | None = None  # device and inode of the directory itself, once it was read

    # ── places ───────────────────────────────────────────────────────────────────────────────────
    def named(self, names: Iterable[str]) -> Generator[FoundFile | None, None, None]:
        """As `entries`, of what stands at these names."""
        for name in names:
            seen, way = self._reached(name)
            if seen is None:
                yield None
            elif stat.S_ISDIR(seen.st_mode):
                yield from self.entries(((name, way),) if self._patterns.enters(name) and self._is_text(name) else ())
            else:
                yield self._found(name, seen) if self._patterns.takes(name) and self._is_text(name) else None

    def _reached(self, name: str) -> tuple[os.stat_result | None, Way]:
        """Stat of a name whose directories count, with the way to it; None if there is no such, or nothing there."""
        steps, way = name.split("/"), Way()
        if not {"", ".", ".."}.isdisjoint(steps) or steps[0] in self._own_names:
            return None, way
        if self._follow and self._own is not None and self._own.contain(f"{self._root}/{name}"):
            return None, way
        try:
            if self._follow:
                way = (_key(os.stat(self._root)),)
            for depth in range(1, len(steps)):
                above = "/".join(steps[:depth])
                seen = self._stat(f"{self._root}/{above}") if self._patterns.enters(above) else None
                if seen is None or not stat.S_ISDIR(seen.st_mode) or _key(seen) in (self._own_directory, *way):
                    return None, way
                way = (*way, _key(seen)) if self._follow else way
            return self._stat(f"{self._root}/{name}"), way
        except (OSError, ValueError):  # ValueError: a NUL; what cannot be reached is the next scan's to tell
            return None, way

    # ── directories ──────────────────────────────────────────────────────────────────────────────
    def entries(self, directories: Iterable[tuple[str, Way]] = (("", ()),)) -> Generator[FoundFile | None, None, None]:
        """All below these. One step an entry, None for what does not count: a tree of such must not seem stuck."""
        if self._is_own():
            self._unread(
                "", OSError(0, "it is in mirrord's state directory, which is never uploaded: name another folder")
            )
            return
        self._ahead.extend(directories)
        while self._ahead:
            directory, way = self._ahead.pop()
            try:
                yield from self._read(directory, way)
            except OSError as error:
                self._unread(directory, error)

    def _is_own(self) -> bool:
        """Whether the folder is inside of what is the state's own."""
        return self._own is not None and not self._own_names and self._own.contain(self._root)

    def _read(self, directory: str, way: Way) -> Generator[FoundFile | None, None, None]:
        flags = _DIRECTORY | os.O_NOFOLLOW if directory and not self._follow else _DIRECTORY
        place = os.open(f"{self._root}/{directory}", flags)
        prefix = f"{directory}/" if directory else ""
        try:
            key = _key(os.fstat(place))
            if not directory:
                self.root = key
            elif key == self._own_directory:
                self.tally.add(STATE, directory)
                return
            if self._follow:
                if key in way:
                    self.tally.add("looping link", directory)
                    return
                way = (*way, key)
            with os.scandir(place) as entries:
                for entry in entries:
                    yield self._look(entry, f"{prefix}{entry.name}", way)
        finally:
            os.close(place)

    def _look(self, entry: os.DirEntry[str], name: str, way: Way) -> FoundFile | None:
        try:
            if name in self._own_names:
                self.tally.add(STATE_FILE, name)
            elif entry.name.startswith(QUARANTINE):
                self._note_aside(entry, name)
            elif entry.is_dir(follow_symlinks=False):
                self._enter(name, way)
            elif entry.is_file(follow_symlinks=False):
                if self._patterns.takes(name) and self._is_text(name):
                    return self._found(name, entry.stat(follow_symlinks=False))
            elif entry.is_symlink():
                return self._link(entry, name, way)
            elif self._patterns.takes(name):
                self._leave(name, entry.stat(follow_symlinks=False))
        except FileNotFoundError:
            return None  # it went away since the directory was read
        except OSError as error:
            self._unread(name, error)
        return None

    def _link(self, entry: os.DirEntry[str], name: str, way: Way) -> FoundFile | None:
        """A link counts unless its name is excluded: it may be one to a directory, where `include` chooses below."""
        if not self._patterns.enters(name):
            return None
        if not self._follow:
            self.tally.add("symbolic link", name)
            return None
        try:
            seen = entry.stat()
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                raise
            self.tally.add("looping link" if error.errno == errno.ELOOP else "dangling link", name)
            return None
        if self._own is not None and self._own.contain(f"{self._root}/{name}"):
            self.tally.add(STATE, name)
        elif stat.S_ISDIR(seen.st_mode):
            self.linked.append(name)
            self._enter(name, way)
        elif self._patterns.takes(name) and self._is_text(name):
            self._leave(name, seen)
            return self._found(name, seen)
        return None

    def _enter(self, name: str, way: Way) -> None:
        if self._patterns.enters(name) and self._is_text(name):
            self._ahead.append((name, way))

    def _note_aside(self, entry: os.DirEntry[str], name: str) -> None:
        below = name.removesuffix(entry.name)
        if entry.is_dir(follow_symlinks=False) and entry.name == QUARANTINE:
            with os.scandir(f"{self._root}/{name}") as entries:
                standing = [(one.name, one) for one in entries]
        else:
            own_one = original_name(entry.name)
            standing = [(own_one, entry)] if own_one is not None else []
        for own, one in standing:
            if one.is_file(follow_symlinks=False) and self._is_text(f"{below}{own}"):
                found = self._found(f"{below}{own}", one.stat(follow_symlinks=False))
                self.asides += [found] if found is not None else []

    # ── what was seen ────────────────────────────────────────────────────────────────────────────
    def _found(self, name: str, seen: os.stat_result) -> FoundFile | None:
        if not stat.S_ISREG(seen.st_mode):
            return None
        address = fingerprint(file_address(f"{self._root.rstrip('/')}/{name}"))
        return FoundFile(name, Revision(address=address, length=seen.st_size, file=FileIdentity.of(seen)))

    def _leave(self, name: str, seen: os.stat_result) -> None:
        kind = _SPECIAL.get(stat.S_IFMT(seen.st_mode))
        if kind is not None:  # else it became something else since the directory was read
            self.tally.add(kind, name)

    def _is_text(self, name: str) -> bool:
        """A key is UTF-8; a name that is not never had an object, so the listing is complete without it."""
        try:
            name.encode()
        except UnicodeEncodeError:
            self.tally.add("non-UTF-8 name", name)
            self._problem(name, "the name is not UTF-8, so it cannot be a key: rename it")
            return False
        return True

    def _unread(self, name: str, error: OSError) -> None:
        self.complete = False
        self._problem(name, f"cannot be read: {error.strerror or error}")

    def _problem(self, name: str, message: str) -> None:
        if len(self.problems) < MOST_PROBLEMS:
            path = f"{self._root.rstrip('/')}/{name}".rstrip("/")
            self.problems.append(FolderProblem(printable(path) or "/", message))


def _identity(path: str) -> tuple[int, int] | None:
    try:
        return _key(os.stat(path))
    except OSError:
        return None


def _key(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino
