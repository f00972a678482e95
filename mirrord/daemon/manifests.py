"""The manifests of a running daemon: their current contents, and which version of each is in force.

Owns the list of files, the last content of each, and when a missing file counts as removed. A content counts once two
reads a moment apart return the same bytes, so that a half-written file is rarely used. `planning.items.in_force`
decides which versions are in force; `daemon.follow` decides when to read, and applies the changes.
"""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace
from hashlib import sha256
from logging import getLogger

from mirrord.errors import ManifestError, PathMissing, Problem
from mirrord.events import ManifestLoaded, ManifestRejected, ManifestRemoved
from mirrord.frozen import frozen
from mirrord.manifest import load
from mirrord.manifest.discover import discover
from mirrord.manifest.manifest import Manifest, may_declare_stores
from mirrord.model import Item
from mirrord.planning.items.expand import Overlap
from mirrord.planning.items.in_force import InForce, ManifestVersions, resolve, without_entries
from mirrord.ports import Clock, Observer
from mirrord.sources.folder.overlap_check import OverlapCheck
from mirrord.sources.mounts import Mounts
from mirrord.status import FileStatus

_log = getLogger(__name__)

AGREE_AFTER = 0.1
"""Seconds between the two reads that must return the same bytes."""
MOST_READS = 10
GONE_AFTER = 10.0
"""Seconds after which a missing file is out of force."""


@frozen
class FileContent:
    """One file as read now, with a digest of its bytes; `content` is None if it cannot be read (see `problems`)."""

    digest: str
    content: bytes | None = field(default=None, repr=False)
    problems: tuple[Problem, ...] = ()


class Manifests:
    """`read()` reads the files; `current` is what is in force. Use from one task at a time."""

    def __init__(self, paths: Sequence[str], environ: Mapping[str, str], clock: Clock, observer: Observer) -> None:
        self._paths = tuple(paths)
        self._environ = environ
        self._clock = clock
        self._observer = observer
        self._seen: dict[str, str] = {}
        self._missing: dict[str, float] = {}
        self._removed: dict[str, ManifestVersions] = {}  # removed files whose stores other files still use
        self._loaded: dict[str, float] = {}
        self._admitted: set[object] = set()  # pairs of folders
        self.current: InForce = resolve((), environ)

    @property
    def directories(self) -> tuple[str, ...]:
        """The directories to watch: the named ones, and those of named files."""
        return tuple({path if os.path.isdir(path) else os.path.dirname(os.path.abspath(path)) for path in self._paths})

    async def read(self, *, again: bool = False) -> bool:
        """Read all files; True if what is in force, or a problem, may have changed.

        `again` also parses files with the same bytes: the files that they refer to (`${file:…}`) may have changed.
        """
        seen = await self._stable_contents()
        changed = {file for file, one in seen.items() if again or self._seen.get(file) != one.digest}
        back = self._missing.keys() & seen.keys()
        gone = self._gone(seen)
        if changed or gone:
            await self._admit(seen, changed, gone)
        return bool(changed or gone or back)

    def statuses(self) -> tuple[FileStatus, ...]:
        """Each file's state, in order."""
        items = {share.manifest.file: len(share.items) for share in self.current.expansion.files}
        return tuple(
            FileStatus(
                file=one.file,
                valid=not one.problems and one.file not in self._missing,
                in_force=one.good is not None,
                loaded=self._loaded.get(one.file),
                items=items.get(one.file, 0),
                problems=one.problems,
            )
            for one in self.current.versions
        )

    # ── reading ───────────────────────────────────────────────────────────────────────────────────
    async def _stable_contents(self) -> dict[str, FileContent]:
        """The contents of the files, once two reads agree, or after a second."""
        seen = await asyncio.to_thread(_read_all, self._paths)
        for _ in range(MOST_READS):
            if all(self._seen.get(file) == one.digest for file, one in seen.items()):
                return seen
            before = _digests(seen)
            seen = {}  # so that no content is in memory twice
            await self._clock.sleep(AGREE_AFTER)
            seen = await asyncio.to_thread(_read_all, self._paths)
            if _digests(seen) == before:
                return seen
        return seen

    def _gone(self, seen: Mapping[str, FileContent]) -> set[str]:
        """Files that have been missing for GONE_AFTER. Updates the set of missing files."""
        now = self._clock.monotonic()
        known = {one.file for one in self.current.versions}
        self._missing = {file: self._missing.get(file, now) for file in known - seen.keys()}
        return {file for file, since in self._missing.items() if now - since >= GONE_AFTER}

    # ── versions in force ─────────────────────────────────────────────────────────────────────────────────
    async def _admit(self, seen: Mapping[str, FileContent], changed: set[str], gone: set[str]) -> None:
        before = {one.file: one for one in self.current.versions}
        leaving = {
            file: ManifestVersions(file=file, good=without_entries(good))
            for file in gone
            if (good := before[file].good)
        }
        removed = {file: one for file, one in {**self._removed, **leaving}.items() if file not in seen}
        order = [*seen, *(file for file in before if file not in seen and file not in gone)]
        self.current, self._removed = await asyncio.to_thread(
            _resolved,
            lambda: [_next(file, before.get(file), seen.get(file), file in changed, self._environ) for file in order],
            removed,
            self._environ,
            lambda: OverlapCheck(Mounts.now(), self._admitted),
            {item.id: item for item in self.current.expansion.items},
        )
        known = {file: digest for file, digest in self._seen.items() if file in before and file not in gone}
        self._seen = {**known, **_digests(seen)}
        self._missing = {file: since for file, since in self._missing.items() if file not in gone}
        self._report(before, gone)

    def _report(self, before: Mapping[str, ManifestVersions], gone: set[str]) -> None:
        items = {share.manifest.file: len(share.items) for share in self.current.expansion.files}
        for one in self.current.versions:
            was = before.get(one.file)
            if one.problems and (was is None or was.problems != one.problems):
                self._observer(ManifestRejected(file=one.file, problems=one.problems))
            elif (
                one.good is not None and not one.problems and (was is None or was.good is not one.good or was.problems)
            ):
                self._loaded[one.file] = self._clock.now()
                self._observer(ManifestLoaded(file=one.file, items=items.get(one.file, 0)))
        for file in sorted(gone):
            self._loaded.pop(file, None)
            self._observer(ManifestRemoved(file=file))
            if file in self._removed:
                _log.warning(
                    "%s is gone; its stores stay in use, because other files need them: declare them elsewhere", file
                )


def _resolved(
    read: Callable[[], Sequence[ManifestVersions]],
    removed: Mapping[str, ManifestVersions],
    environ: Mapping[str, str],
    check: Callable[[], Overlap],
    known: Mapping[str, Item],
) -> tuple[InForce, dict[str, ManifestVersions]]:
    """What is in force now, and the `removed` files that are needed for it. Call it in a thread: reading and expanding
    20,000 entries takes a second."""
    files, overlap = read(), check()
    stores = any(one.good is not None and one.good.document.stores for one in removed.values())
    current = resolve(files, environ, overlap, known, removed_stores=stores)
    if not removed or not (current.loaded.problems or current.expansion.problems):
        return current, {}
    current = resolve([*files, *removed.values()], environ, overlap, known)
    return replace(current, versions=tuple(one for one in current.versions if one.file not in removed)), dict(removed)


def _read_all(paths: Sequence[str]) -> dict[str, FileContent]:
    """Every existing file, once; a missing PATH has none."""
    found: dict[str, str] = {}
    for path in paths:
        try:
            files = discover([path])
        except (PathMissing, ManifestError):
            continue
        for file in files:
            found.setdefault(os.path.realpath(file), file)
    return {file: _read(file) for file in found.values()}


def _digests(seen: Mapping[str, FileContent]) -> dict[str, str]:
    return {file: one.digest for file, one in seen.items()}


def _read(file: str) -> FileContent:
    try:
        content = load.read(file)
    except ManifestError as error:
        return FileContent(f"unreadable: {error}", problems=error.problems)
    return FileContent(sha256(content).hexdigest(), content)


def _next(
    file: str, known: ManifestVersions | None, seen: FileContent | None, changed: bool, environ: Mapping[str, str]
) -> ManifestVersions:
    """The versions of one file, before the check together with the other files."""
    known = known or ManifestVersions(file=file)
    if seen is None or not changed:
        return known
    if seen.content is None:
        hidden = may_declare_stores(file, None)
        return replace(known, proposed=None, problems=seen.problems, hidden_stores=hidden)
    try:
        manifest = Manifest.parse(file, seen.content, environ, former=known.good)
    except ManifestError as error:
        hidden = may_declare_stores(file, seen.content)
        return replace(known, proposed=None, problems=error.problems, hidden_stores=hidden)
    if known.good is not None and known.good.digest == manifest.digest:
        return replace(known, proposed=None, problems=(), hidden_stores=False)
    return replace(known, proposed=manifest, hidden_stores=False)
