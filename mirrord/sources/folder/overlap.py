"""Which folders match the same file, by where their directories stand on this machine.

Owns the comparison through symbolic links, `..` and bind mounts: directories are compared by device and inode, by all
paths at which mounts show them. Owns both questions: whether two entries of a manifest may stand beside each other
(`OverlapCheck`), and which other folder matches a file that is about to be copied (`Overlaps`). Only pairs of which
one takes files away (`after_upload`) count. What two hard links name are two files here: one goes, the other stays.
"""

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Protocol

from mirrord.declared import FolderSpec
from mirrord.model import File, Item
from mirrord.planning.decisions.markers import Markers
from mirrord.sources.folder.patterns import Patterns
from mirrord.sources.folder.walk import Walk

Mark = tuple[int, int] | str
"""A directory: device and inode; its path without links where it does not exist (yet)."""
_MOST_CACHED = 10_000


class Mounted(Protocol):
    """What is mounted; see `sources.mounts.Mounts`. Paths are absolute, without links."""

    def below(self, path: str) -> Sequence[str]: ...

    def aliases(self, path: str) -> Sequence[str]: ...


class NoMounts(Mounted):
    """Where the system does not tell of mounts."""

    def below(self, path: str) -> Sequence[str]:  # noqa: ARG002
        return ()

    def aliases(self, path: str) -> Sequence[str]:  # noqa: ARG002
        return ()


class Directories:
    """Where directories stand; each is asked about once, so that an instance is of one moment. For several threads."""

    def __init__(self, mounts: Mounted) -> None:
        self._mounts = mounts
        self._marks: dict[str, Mark] = {}
        self._above: dict[str, Sequence[tuple[Mark, str]]] = {}
        self._reached: dict[str, frozenset[Mark]] = {}

    def mark(self, path: str) -> Mark:
        """The directory at this path."""
        mark = self._marks.get(path)
        if mark is None:
            try:
                found = os.stat(path)
                mark = found.st_dev, found.st_ino
            except OSError:
                mark = os.path.realpath(path)
            self._marks[path] = mark
        return mark

    def above(self, directory: str) -> Sequence[tuple[Mark, str]]:
        """Each directory that this one is in, by any of its paths, with the way down: `""` for itself, else `a/b/`."""
        real = os.path.realpath(directory)
        above = self._above.get(real)
        if above is None:
            if len(self._above) >= _MOST_CACHED:
                self._above.clear()
                self._marks.clear()
            above = [step for path in (real, *self._mounts.aliases(real)) for step in self._steps(path)]
            self._above[real] = above
        return above

    def reached(self, directory: str) -> frozenset[Mark]:
        """Each directory that some of what is below this one is in: itself, or what is mounted in it."""
        if directory not in self._reached:
            real = os.path.realpath(directory)
            places = (real, *self._mounts.below(real))
            self._reached[directory] = frozenset(mark for one in places for mark, _ in self.above(one))
        return self._reached[directory]

    def meet(self, one: str, other: str) -> bool:
        """Whether anything may be below both."""
        return self.mark(one) in self.reached(other) or self.mark(other) in self.reached(one)

    def _steps(self, path: str) -> Iterator[tuple[Mark, str]]:
        way = ""
        while True:
            yield self.mark(path), way
            if path == "/":
                return
            path, _, name = path.rpartition("/")
            path, way = path or "/", f"{name}/{way}"


class _Matching:
    """Which names a folder matches, by its patterns alone."""

    def __init__(self, spec: FolderSpec) -> None:
        self.spec = spec
        files = spec.selection
        markers = None if files.ready is None else Markers(files.ready)
        self.patterns = Patterns(files.include, files.exclude, markers)

    def __call__(self, name: str) -> bool:
        cuts = (at for at, sign in enumerate(name) if sign == "/")
        return all(self.patterns.enters(name[:at]) for at in cuts) and self.patterns.takes(name)

    def walk(self) -> Walk:
        return Walk(self.spec.path, self.patterns, follow=self.spec.selection.follow_symlinks)


def _places(spec: FolderSpec, linked: Collection[str]) -> list[str]:
    """The directories that a folder reads: its root, and those behind links."""
    return [spec.path, *(f"{spec.path.rstrip('/')}/{name}" for name in linked)]


# ── two entries ───────────────────────────────────────────────────────────────────────────────────
class OverlapCheck:
    """Called with two folders: why they cannot be beside each other, None if they can. Blocking.

    A pair that was `admitted` is not judged again while the definitions stay: a file that came since is held back at
    run time, and must not make a later, unrelated change of a manifest an error.
    """

    def __init__(self, mounts: Mounted, admitted: set[object] | None = None) -> None:
        self._directories = Directories(mounts)
        self._admitted: set[object] = set() if admitted is None else admitted
        self._linked: dict[object, Collection[str]] = {}

    def __call__(self, one: FolderSpec, other: FolderSpec) -> str | None:
        if not _takes(one, other):
            return None
        pair = frozenset((_definition(one), _definition(other)))
        if pair in self._admitted:
            return None
        fault = self._fault(one, other)
        if not fault:
            self._admitted.add(pair)
        return fault

    def _fault(self, one: FolderSpec, other: FolderSpec) -> str | None:
        if not self._overlap(one, other):
            return None
        if not (one.selection.include and other.selection.include):
            return "their directories overlap: give each an `include` of its own"
        found = self._first_shared(one, other)
        return f"{found} matches both: change an `include`, or move the file" if found else None

    def _overlap(self, one: FolderSpec, other: FolderSpec) -> bool:
        places = product(_places(one, self._links(one)), _places(other, self._links(other)))
        return any(self._directories.meet(*pair) for pair in places)

    def _links(self, spec: FolderSpec) -> Collection[str]:
        """The links to directories that the folder follows now."""
        if not spec.selection.follow_symlinks:
            return ()
        definition = _definition(spec)
        if definition not in self._linked:
            walk = _Matching(spec).walk()
            for _ in walk.entries():
                pass
            self._linked[definition] = walk.linked
        return self._linked[definition]

    def _first_shared(self, one: FolderSpec, other: FolderSpec) -> str:
        """The path of a file that matches both now."""
        inner, outer = (
            (one, other)
            if self._directories.mark(other.path) in self._directories.reached(one.path)
            else (
                other,
                one,
            )
        )
        rival = _Index([outer], self._directories, {outer.entry: self._links(outer)})
        for found in _Matching(inner).walk().entries():
            path = "" if found is None else f"{inner.path.rstrip('/')}/{found.name}"
            if path and next(rival.matching(path, follow=inner.selection.follow_symlinks), None):
                return path
        return ""


def _definition(spec: FolderSpec) -> object:
    return spec.path, spec.selection, spec.removes_files


# ── one file ──────────────────────────────────────────────────────────────────────────────────────
class _Index:
    """Folders by the directories that they read: their roots, and those behind links that they follow."""

    def __init__(
        self, folders: Sequence[FolderSpec], directories: Directories, linked: Mapping[str, Collection[str]]
    ) -> None:
        self.directories = directories
        self._readers: dict[Mark, list[tuple[str, _Matching]]] = {}
        for spec in folders:
            matching, names = _Matching(spec), ("", *linked.get(spec.entry, ()))
            for name, path in zip(names, _places(spec, names[1:]), strict=True):
                prefix = f"{name}/" if name else ""
                self._readers.setdefault(directories.mark(path), []).append((prefix, matching))

    def matching(self, path: str, *, follow: bool) -> Iterator[FolderSpec]:
        """The folders that match the file at this path."""
        if follow and os.path.islink(path):
            path = os.path.realpath(path)
        directory, _, base = path.rpartition("/")
        for mark, way in self.directories.above(directory or "/"):
            for prefix, matching in self._readers.get(mark, ()):
                if matching(f"{prefix}{way}{base}"):
                    yield matching.spec


class Overlaps:
    """The folders of this process: whether another one matches a file, too.

    `replace`, `refresh` and `rival` look at the machine, and may wait for it: call them in a thread. `rival` costs a
    few system calls for each directory of files, and is not needed where `concerns` says no.
    """

    def __init__(self, mounts: Callable[[], Mounted] = NoMounts) -> None:
        self._mounts = mounts
        self._folders: Mapping[str, FolderSpec] = {}
        self._linked: dict[str, Collection[str]] = {}
        self._sources: Mapping[str, str] = {}  # paths of mirrors' local files -> the mirror's entry
        self._mirrored: Mapping[tuple[Mark, str], str] = {}
        self._index = _Index((), Directories(NoMounts()), {})
        self._pairs: Mapping[str, frozenset[str]] = {}
        self._unknown = ""

    def replace(self, folders: Sequence[FolderSpec], mirrors: Iterable[Item] = ()) -> None:
        """From now on these are the folders, and the mirrors, whose local files must not be taken away either."""
        self._sources = {one.origin.path: one.entry for one in mirrors if isinstance(one.origin, File)}
        self._folders = {spec.entry: spec for spec in folders}
        self._linked = {entry: names for entry, names in self._linked.items() if entry in self._folders}
        self.refresh()

    def refresh(self, entry: str = "", linked: Collection[str] = ()) -> None:
        """Look again where the folders stand. `linked`: the links to directories that the folder `entry` follows."""
        if entry:
            self._linked[entry] = linked
        folders = self._relevant()
        directories = Directories(self._mounts() if folders else NoMounts())
        self._index = _Index(folders, directories, self._linked)
        self._pairs = _pairs(folders, directories, self._linked)
        self._mirrored = self._places_of_mirrors(directories)
        self._unknown = ""

    def lose(self, why: str) -> None:
        """`replace` has not come to its end: until it, or `refresh`, has, no file of these folders may be touched."""
        self._unknown = f"it is not known whether another folder matches it: {why}"

    def concerns(self, item: Item) -> bool:
        """Whether `rival` must be asked: it is a folder's file, and some folder takes files away."""
        file = item.folder_file
        return file is not None and not item.gone and item.entry in self._folders and bool(self._relevant())

    def of(self, entry: str) -> frozenset[str]:
        """The entries of the folders that overlap with this one, where one of the two takes files away."""
        return self._pairs.get(entry, frozenset())

    def rival(self, item: Item) -> str:
        """Why the file of this item must stay as it is, since another folder matches it too; empty if none does."""
        own, file = self._folders.get(item.entry), item.folder_file
        if own is None or file is None or item.gone:
            return ""
        if self._unknown:
            return self._unknown
        path = file.path
        if own.removes_files and (mirror := self._mirror_of(path)):
            return f"{path} is also the source of the mirror {mirror}, so it is not taken away: exclude it here"
        for other in self._index.matching(path, follow=file.follow):
            if other.entry != own.entry and _takes(own, other):
                taker = own if own.removes_files else other
                return (
                    f"{path} also matches the folder {other.entry}, and {taker.entry} takes files away "
                    "(after_upload): change the `include` of one, or move the file"
                )
        return ""

    def _relevant(self) -> Sequence[FolderSpec]:
        folders = tuple(self._folders.values())
        return folders if len(folders) + len(self._sources) > 1 and _takes(*folders) else ()

    def _places_of_mirrors(self, directories: Directories) -> Mapping[tuple[Mark, str], str]:
        if not _takes(*self._folders.values()):
            return {}
        steps = ((path.rpartition("/"), entry) for path, entry in self._sources.items())
        return {(directories.mark(directory or "/"), base): entry for (directory, _, base), entry in steps}

    def _mirror_of(self, path: str) -> str:
        directory, _, base = path.rpartition("/")
        return self._mirrored.get((self._index.directories.mark(directory or "/"), base), "") if self._mirrored else ""


def _pairs(
    folders: Sequence[FolderSpec], directories: Directories, linked: Mapping[str, Collection[str]]
) -> Mapping[str, frozenset[str]]:
    readers: dict[Mark, list[FolderSpec]] = {}
    for spec in folders:
        for path in _places(spec, linked.get(spec.entry, ())):
            readers.setdefault(directories.mark(path), []).append(spec)
    pairs: dict[str, set[str]] = {}
    for one in folders:
        reached = {mark for path in _places(one, linked.get(one.entry, ())) for mark in directories.reached(path)}
        for other in (other for mark in reached for other in readers.get(mark, ())):
            if other is not one and _takes(one, other):
                pairs.setdefault(one.entry, set()).add(other.entry)
                pairs.setdefault(other.entry, set()).add(one.entry)
    return {entry: frozenset(others) for entry, others in pairs.items()}


def _takes(*folders: FolderSpec) -> bool:
    return any(one.removes_files for one in folders)
