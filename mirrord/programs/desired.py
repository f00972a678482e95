"""The desired state, read once: items, folders, stores, the `daemon:` block, and problems.

Owns the steps from PATHs to `Desired`. An invalid file is left out and reported; the other files apply.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, replace
from fnmatch import fnmatchcase
from itertools import chain
from typing import Any

from mirrord.engine.daemon_block import daemon_settings
from mirrord.errors import Problem
from mirrord.events import ManifestLoaded, ManifestRejected
from mirrord.frozen import frozen
from mirrord.manifest.discover import discover
from mirrord.manifest.manifest import Loaded, load_all
from mirrord.model import Item
from mirrord.planning.items.expand import Expansion, expand, problems, validate
from mirrord.ports import Observer
from mirrord.programs.lists import ListedItems, ListReader
from mirrord.settings import Settings, resolve
from mirrord.sources.folder.overlap_check import OverlapCheck
from mirrord.sources.mounts import Mounts


@frozen
class Desired:
    """The desired state. `problems` are in the order of `files`; `expansion` has the valid parts only."""

    files: tuple[str, ...]
    loaded: Loaded
    expansion: Expansion
    problems: tuple[Problem, ...]
    listed: ListedItems = field(default_factory=ListedItems)
    """The items of lists, once these were read."""

    async def with_lists(self, reader: ListReader) -> "Desired":
        """The same, with the items of its lists."""
        mirrors = {item.id: item.entry for item in self.expansion.items} if self.expansion.lists else {}
        return replace(self, listed=await reader.read(self.expansion.lists, mirrors))

    def items(self, only: Sequence[str] = ()) -> Iterator[Item]:
        """The items of mirrors and lists that `only` selects: see `selected`."""
        return (item for item in chain(self.expansion.items, self.listed) if selected(item, only))

    def local_items(self) -> Iterator[Item]:
        """All items whose sources may be local files, without making the items of other lists for this."""
        return chain(self.expansion.items, self.listed.of_files())

    @property
    def sound(self) -> bool:
        """Whether any file is valid."""
        return any(not share.problems for share in self.expansion.files)

    @property
    def daemon(self) -> dict[str, Any]:
        """The values of the `daemon:` block, by the field names of `settings.Settings`."""
        return daemon_settings(self.loaded.daemon)

    def settings(self, flags: Mapping[str, str | None], environ: Mapping[str, str]) -> Settings:
        """The settings of a run. Raises ValueError that names the invalid flag or variable."""
        return resolve(flags, environ, self.daemon)


def read(paths: Sequence[str], environ: Mapping[str, str], *, again: bool = False) -> Desired:
    """The desired state of the manifests at `paths`. Raises PathMissing.

    A path may be a pipe, or `-` for standard input, unless the manifests will be read `again`.
    """
    files = discover(paths)
    loaded = load_all(files, environ, pipes=() if again else paths)
    overlap = OverlapCheck(Mounts.now())
    expansion = expand(loaded, overlap)
    return Desired(files, loaded, expansion, problems(loaded, expansion, files, overlap))


def problems_of(paths: Sequence[str], environ: Mapping[str, str], *, allow_unset: bool) -> tuple[Problem, ...]:
    """Every problem of the manifests at `paths` that can be found offline."""
    overlap = OverlapCheck(Mounts.now())
    return validate(discover(paths), environ, allow_unset=allow_unset, overlap=overlap, pipes=paths)


def announce(desired: Desired, observer: Observer) -> None:
    """One event for each file: loaded, or rejected with its problems."""
    bad = {problem.file for problem in desired.problems}
    for share in desired.expansion.files:
        if share.manifest.file not in bad:
            observer(ManifestLoaded(file=share.manifest.file, items=len(share.items)))
    for file in desired.files:
        if file in bad:
            problems = tuple(problem for problem in desired.problems if problem.file == file)
            observer(ManifestRejected(file=file, problems=problems))


def selected(item: Item, only: Sequence[str]) -> bool:
    """Whether `--only` selects this item: a glob on the entry's name or on the key. No glob selects all."""
    return matches(item.entry, item.destination.key, only)


def matches(entry: str, key: str, only: Sequence[str]) -> bool:
    """As `selected`, for an entry's name and a key."""
    return not only or any(fnmatchcase(name, glob) for name in (entry, key) for glob in only)
