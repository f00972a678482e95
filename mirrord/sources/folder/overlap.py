"""Which other folder, or mirror, reads a file that is about to be copied, by where their directories are.

Owns the answer for each file while the process runs; `overlap_check` decides which folders may be declared together.
Only pairs of folders count of which one removes files (`after_upload`). Two hard links count as two files: if one is
removed, the other remains.
"""

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from mirrord.declared import FolderSpec
from mirrord.model import File, Item
from mirrord.sources.folder.directories import Directories, DirectoryKey, FolderLocation, MountTable, NoMounts
from mirrord.sources.folder.patterns import Patterns


def removes(*folders: FolderSpec) -> bool:
    """Whether one of these folders removes files."""
    return any(one.removes_files for one in folders)


@dataclass(slots=True)
class Survey:
    """Where the directories of folders and of mirrors' files are at one moment, as far as their roots answered."""

    directories: Directories
    folders: Mapping[str, FolderLocation] = field(default_factory=dict)
    """By entry."""
    mirrors: Mapping[str, DirectoryKey] = field(default_factory=dict)
    """By the path of the directory."""

    def over(self, older: "Survey") -> "Survey":
        """This survey, with the locations from `older` of what did not answer."""
        return Survey(self.directories, {**older.folders, **self.folders}, {**older.mirrors, **self.mirrors})


class FolderIndex:
    """Folders, and local files of mirrors, by their directories; beside them those whose directory is not known."""

    def __init__(self, folders: Iterable[FolderSpec], sources: Mapping[str, str], survey: Survey) -> None:
        self._directories = survey.directories
        self._readers: dict[DirectoryKey, list[tuple[str, FolderSpec, Patterns]]] = {}
        self._unknown: list[tuple[FolderSpec, Patterns]] = []
        self._mirrored: dict[tuple[DirectoryKey | None, str], str] = {}  # None: the directory is not known
        for spec in folders:
            self._add(spec, survey.folders.get(spec.entry))
        for path, entry in sources.items():
            directory, base = _split(path)
            self._mirrored[survey.mirrors.get(directory), base] = entry

    def _add(self, spec: FolderSpec, location: FolderLocation | None) -> None:
        patterns = Patterns.of(spec.selection)
        if location is None:
            self._unknown.append((spec, patterns))
            return
        for prefix, key in location.tops:
            self._readers.setdefault(key, []).append((prefix, spec, patterns))

    @property
    def is_empty(self) -> bool:
        return not self._readers and not self._unknown

    def readers(self, keys: Iterable[DirectoryKey]) -> Iterator[FolderSpec]:
        """The folders that read one of these directories as their root or behind a link."""
        return (spec for key in keys for _, spec, _ in self._readers.get(key, ()))

    def matching(self, path: str, *, follow: bool) -> Iterator[FolderSpec]:
        """The folders that match the file at this path. Blocks."""
        above, base = self._above(path, follow=follow)
        for key, rest in above:
            for prefix, spec, patterns in self._readers.get(key, ()):
                if patterns.match(f"{prefix}{rest}{base}"):
                    yield spec

    def possible(self, path: str, *, follow: bool) -> Iterator[FolderSpec]:
        """The folders of unknown directories that would match the file if they contained it. Blocks."""
        if not self._unknown:
            return
        above, base = self._above(path, follow=follow)
        for spec, patterns in self._unknown:  # a link that is followed may give the file any name in the folder
            if spec.selection.follow_symlinks or any(patterns.match(f"{rest}{base}") for _, rest in above):
                yield spec

    def mirror(self, path: str) -> str | None:
        """The mirror that has this file as its source. Blocks."""
        directory, base = _split(path)
        return self._mirrored.get((self._directories.key(directory), base)) if self._mirrored else None

    def possible_mirror(self, path: str) -> str | None:
        """A mirror of unknown directory whose source has the name of this file."""
        return self._mirrored.get((None, _split(path)[1]))

    def _above(self, path: str, *, follow: bool) -> tuple[Sequence[tuple[DirectoryKey, str]], str]:
        directory, base = _split(os.path.realpath(path) if follow and os.path.islink(path) else path)
        return self._directories.above(directory), base


class Overlaps:
    """The folders of this process: whether another one matches a file, too.

    `locate` and `rival` block: call each in a thread of the root that it examines, which may hang. A folder that does
    not answer keeps the location that it had. If it had none, a file waits if the folder would match it wherever the
    folder is; all other files go on.
    """

    def __init__(self, mounts: Callable[[], MountTable] = NoMounts) -> None:
        self._mounts = mounts
        self._folders: Mapping[str, FolderSpec] = {}
        self._linked: dict[str, Collection[str]] = {}
        self._sources: Mapping[str, str] = {}
        self._survey = Survey(Directories(NoMounts()))
        self._index = FolderIndex((), {}, self._survey)
        self._pairs: Mapping[str, frozenset[str]] = {}

    # ── where the folders are ─────────────────────────────────────────────────────────────────────
    def directories(self) -> Directories:
        """The directories as they are from now on, for a new survey."""
        return Directories(self._mounts())

    def locate(self, spec: FolderSpec, directories: Directories) -> FolderLocation:
        """Where the folder is, with the links to directories that it was last seen to follow. Blocks."""
        return FolderLocation.of(spec, self._linked.get(spec.entry, ()), directories)

    def replace(self, folders: Sequence[FolderSpec], sources: Mapping[str, str], survey: Survey) -> None:
        """From now on these are the folders. `sources`: see `local_sources`; they must not be removed either."""
        kept = {one.entry for one in folders if _same_directories(one, self._folders.get(one.entry))}
        self._folders, self._sources = {spec.entry: spec for spec in folders}, sources
        self._linked = {entry: names for entry, names in self._linked.items() if entry in kept}
        before = {entry: location for entry, location in self._survey.folders.items() if entry in kept}
        self._use(survey.over(Survey(survey.directories, before, self._survey.mirrors)))

    def follow(self, entry: str, linked: Collection[str]) -> FolderSpec | None:
        """The folder follows these links to directories. Returns it if it is to be located again."""
        self._linked[entry] = linked
        folders = relevant(self._folders.values(), self._sources)
        return next((spec for spec in folders if spec.entry == entry), None)

    def update(self, spec: FolderSpec, survey: Survey) -> None:
        """This folder was located again. No effect if it was replaced meanwhile."""
        if _same_directories(spec, self._folders.get(spec.entry)):
            self._use(survey.over(self._survey))

    def _use(self, survey: Survey) -> None:
        folders = relevant(self._folders.values(), self._sources)
        self._survey = survey
        self._index = FolderIndex(folders, self._sources if folders else {}, survey)
        self._pairs = _pairs(folders, self._index, survey)

    # ── one file ──────────────────────────────────────────────────────────────────────────────────
    def concerns(self, item: Item) -> bool:
        """Whether `rival` must be called: it is a folder's file, and some folder removes files."""
        return item.folder_file is not None and not item.gone and self.concern(item.entry)

    def concern(self, entry: str) -> bool:
        """Whether files of this folder may have a rival."""
        return entry in self._folders and not self._index.is_empty

    def of(self, entry: str) -> frozenset[str]:
        """The entries of the folders that overlap with this one, where one of the two removes files."""
        return self._pairs.get(entry, frozenset())

    def rival(self, item: Item) -> str | None:
        """Why the file of this item must remain as it is, since another folder matches it too; None if none does."""
        own, file = self._folders.get(item.entry), item.folder_file
        if own is None or file is None or item.gone:
            return None
        return self._certain_rival(own, file) or self._possible_rival(own, file)

    def _certain_rival(self, own: FolderSpec, file: File) -> str | None:
        if own.removes_files and (mirror := self._index.mirror(file.path)):
            return f"{file.path} is also the source of the mirror {mirror}, so it is not taken away: exclude it here"
        for other in self._index.matching(file.path, follow=file.follow):
            if other.entry != own.entry and removes(own, other):
                taker = own if own.removes_files else other
                return (
                    f"{file.path} also matches the folder {other.entry}, and {taker.entry} takes files away "
                    "(after_upload): change the `include` of one, or move the file"
                )
        return None

    def _possible_rival(self, own: FolderSpec, file: File) -> str | None:
        if own.removes_files and (mirror := self._index.possible_mirror(file.path)):
            return f"it is not known whether it is the source of the mirror {mirror}, whose directory does not answer"
        for other in self._index.possible(file.path, follow=file.follow):
            if other.entry != own.entry and removes(own, other):
                return f"it is not known whether another folder matches it: {other.path} has not answered"
        return None


def local_sources(mirrors: Iterable[Item]) -> Mapping[str, str]:
    """The paths of mirrors' local files, each with the mirror's entry."""
    return {one.origin.path: one.entry for one in mirrors if isinstance(one.origin, File)}


def relevant(folders: Collection[FolderSpec], sources: Mapping[str, str]) -> Sequence[FolderSpec]:
    """The folders to locate: all, or none if no folder can remove a file that another folder or a mirror reads."""
    return tuple(folders) if len(folders) + len(sources) > 1 and removes(*folders) else ()


def directory_of(path: str) -> str:
    """The directory that contains this path (absolute)."""
    return _split(path)[0]


def _split(path: str) -> tuple[str, str]:
    directory, _, base = path.rpartition("/")
    return directory or "/", base


def _same_directories(one: FolderSpec, other: FolderSpec | None) -> bool:
    if other is None:
        return False
    return (one.path, one.selection.follow_symlinks) == (other.path, other.selection.follow_symlinks)


def _pairs(folders: Iterable[FolderSpec], index: FolderIndex, survey: Survey) -> Mapping[str, frozenset[str]]:
    pairs: dict[str, set[str]] = {}
    for one in folders:
        location = survey.folders.get(one.entry)
        for other in () if location is None else index.readers(location.reached):
            if other.entry != one.entry and removes(one, other):
                pairs.setdefault(one.entry, set()).add(other.entry)
                pairs.setdefault(other.entry, set()).add(one.entry)
    return {entry: frozenset(others) for entry, others in pairs.items()}
