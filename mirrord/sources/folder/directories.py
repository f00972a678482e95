"""Where directories are on this machine: compared by device and inode, through symbolic links, `..` and bind mounts.

Owns the comparison of two directories, and the list of all directories that one is in. An instance examines each
directory once, so an instance describes one moment. Which folders are compared, and why, is `intersect`'s.
"""

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from mirrord.declared import FolderSpec
from mirrord.frozen import frozen

DirectoryKey = tuple[int, int] | str
"""A directory: device and inode, or its path without links. A path also matches a directory that did not exist yet when
it was examined."""
_MOST_CACHED = 10_000


class MountTable(Protocol):
    """The mounts of this machine; see `sources.mounts.Mounts`. Paths are absolute, without links."""

    def below(self, path: str) -> Sequence[str]: ...

    def aliases(self, path: str) -> Sequence[str]: ...


class NoMounts(MountTable):
    """The table where the system has no list of mounts."""

    def below(self, path: str) -> Sequence[str]:  # noqa: ARG002 - the signature of `MountTable`
        return ()

    def aliases(self, path: str) -> Sequence[str]:  # noqa: ARG002 - the signature of `MountTable`
        return ()


class Directories:
    """Answers about directories, each kept after the first query. Methods block; several threads may call them."""

    def __init__(self, mounts: MountTable) -> None:
        self._mounts = mounts
        self._keys: dict[str, DirectoryKey] = {}
        self._above: dict[str, Sequence[tuple[DirectoryKey, str]]] = {}
        self._reached: dict[str, frozenset[DirectoryKey]] = {}

    def key(self, path: str) -> DirectoryKey:
        """The directory at this path."""
        key = self._keys.get(path)
        if key is None:
            try:
                found = os.stat(path)
                key = found.st_dev, found.st_ino
            except OSError:
                key = os.path.realpath(path)
            self._keys[path] = key
        return key

    def keys(self, paths: Iterable[str]) -> Mapping[str, DirectoryKey]:
        """The directories at these paths."""
        return {path: self.key(path) for path in paths}

    def above(self, directory: str) -> Sequence[tuple[DirectoryKey, str]]:
        """Each directory that contains this one, by any of its paths, with the rest of the path: `""` for itself, else
        `a/b/`. Each has two keys: its identity and its path."""
        real = os.path.realpath(directory)
        above = self._above.get(real)
        if above is None:
            if len(self._above) >= _MOST_CACHED:
                self._above.clear()
                self._keys.clear()
            above = [step for path in (real, *self._mounts.aliases(real)) for step in self._steps(path)]
            self._above[real] = above
        return above

    def reached(self, directory: str) -> frozenset[DirectoryKey]:
        """The directories that contain this one, or contain what is mounted below it."""
        if directory not in self._reached:
            real = os.path.realpath(directory)
            tops = (real, *self._mounts.below(real))
            self._reached[directory] = frozenset(key for top in tops for key, _ in self.above(top))
        return self._reached[directory]

    def intersect(self, one: str, other: str) -> bool:
        """Whether anything may be below both."""
        return self.key(one) in self.reached(other) or self.key(other) in self.reached(one)

    def _steps(self, path: str) -> Iterator[tuple[DirectoryKey, str]]:
        rest = ""
        while True:
            key = self.key(path)
            yield key, rest
            if key != path:
                yield path, rest
            if path == "/":
                return
            path, _, name = path.rpartition("/")
            path, rest = path or "/", f"{name}/{rest}"


@frozen
class FolderLocation:
    """Where the directories of one folder are: its root, and those behind links that it follows."""

    tops: Sequence[tuple[str, DirectoryKey]]
    """Each directory, with the prefix that its files have in the folder: `""`, or `link/`."""
    reached: frozenset[DirectoryKey]
    """The directories that contain a part of the folder."""

    @classmethod
    def of(cls, spec: FolderSpec, linked: Collection[str], directories: Directories) -> "FolderLocation":
        """Blocks. `linked`: the names of the links to directories that the folder follows."""
        paths = directories_of(spec, linked)
        prefixes = ("", *(f"{name}/" for name in linked))
        tops = [(prefix, directories.key(path)) for prefix, path in zip(prefixes, paths, strict=True)]
        return cls(tops, frozenset[DirectoryKey]().union(*map(directories.reached, paths)))


def directories_of(spec: FolderSpec, linked: Collection[str]) -> list[str]:
    return [spec.path, *(f"{spec.path.rstrip('/')}/{name}" for name in linked)]
