"""Whether two folders of manifests may be declared together, if one of them removes files (`after_upload`).

Owns the comparison when a manifest is loaded. Files that are new since then are `overlap`'s.
"""

from collections.abc import Collection
from itertools import product

from mirrord.declared import FolderSpec
from mirrord.sources.folder.directories import Directories, FolderLocation, MountTable, directories_of
from mirrord.sources.folder.overlap import FolderIndex, Survey, removes
from mirrord.sources.folder.patterns import Patterns
from mirrord.sources.folder.walk import Walk


class OverlapCheck:
    """Called with two folders: why they cannot be declared together, None if they can. Blocks.

    A pair that was `admitted` is not judged again while the definitions are the same: a file that is new since is
    blocked at run time, and must not make a later, unrelated change of a manifest an error.
    """

    def __init__(self, mounts: MountTable, admitted: set[object] | None = None) -> None:
        self._directories = Directories(mounts)
        self._admitted: set[object] = set() if admitted is None else admitted
        self._linked: dict[object, Collection[str]] = {}

    def __call__(self, one: FolderSpec, other: FolderSpec) -> str | None:
        if not removes(one, other):
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
        pairs = product(directories_of(one, self._links(one)), directories_of(other, self._links(other)))
        return any(self._directories.intersect(*pair) for pair in pairs)

    def _links(self, spec: FolderSpec) -> Collection[str]:
        """The links to directories that the folder follows now."""
        if not spec.selection.follow_symlinks:
            return ()
        definition = _definition(spec)
        if definition not in self._linked:
            walk = _walk(spec)
            for _ in walk.entries():
                pass
            self._linked[definition] = walk.result.linked
        return self._linked[definition]

    def _first_shared(self, one: FolderSpec, other: FolderSpec) -> str | None:
        """The path of a file that matches both now."""
        is_inner = self._directories.key(other.path) in self._directories.reached(one.path)
        inner, outer = (one, other) if is_inner else (other, one)
        location = FolderLocation.of(outer, self._links(outer), self._directories)
        index = FolderIndex((outer,), {}, Survey(self._directories, {outer.entry: location}))
        for found in _walk(inner).entries():
            if found is None:
                continue
            path = f"{inner.path.rstrip('/')}/{found.name}"
            if next(index.matching(path, follow=inner.selection.follow_symlinks), None):
                return path
        return None


def _definition(spec: FolderSpec) -> object:
    return spec.path, spec.selection, spec.removes_files


def _walk(spec: FolderSpec) -> Walk:
    return Walk(spec.path, Patterns.of(spec.selection), follow=spec.selection.follow_symlinks)
