"""The manifests of a running daemon: read, read again when they change, and held to what is in force.

Owns which files there are, what was last read of each, and when a missing one counts as gone. Events wake it, contents
decide: a file is taken once two reads a moment apart agree, so that a half-written one is rarely seen. The rules of
what is in force are `planning.in_force`'s; what to do about a change is `daemon.run`'s.
"""

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256

from mirrord.errors import ManifestError, PathMissing, Problem
from mirrord.events import ManifestLoaded, ManifestRejected, ManifestRemoved
from mirrord.manifest import load
from mirrord.manifest.discover import discover
from mirrord.manifest.manifest import Manifest
from mirrord.planning.in_force import Held, InForce, emptied, settle
from mirrord.ports import Clock, Observer
from mirrord.status import FileStatus

AGREE_AFTER = 0.1
"""Seconds between the two reads that must agree."""
MOST_READS = 10
GONE_AFTER = 10.0
"""Seconds after which a missing file is out of force."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What one file holds now, by digest of its bytes; `content` is None if it cannot be read (see `problems`)."""

    digest: str
    content: bytes | None = field(default=None, repr=False)
    problems: tuple[Problem, ...] = ()


class Manifests:
    """`look()` reads; `current` is what is in force. Use from one task at a time."""

    def __init__(self, paths: Sequence[str], environ: Mapping[str, str], clock: Clock, observer: Observer) -> None:
        self._paths = tuple(paths)
        self._environ = environ
        self._clock = clock
        self._observer = observer
        self._seen: dict[str, str] = {}
        self._missing: dict[str, float] = {}
        self._loaded: dict[str, float] = {}
        self.current: InForce = settle((), environ)

    @property
    def directories(self) -> tuple[str, ...]:
        """Which directories to watch: those named, and those that hold a named file."""
        return tuple({path if os.path.isdir(path) else os.path.dirname(os.path.abspath(path)) for path in self._paths})

    async def look(self, *, again: bool = False) -> bool:
        """Read everything; True if what is in force, or what is wrong, may have changed.

        `again` parses files whose bytes are the same too: what they refer to (`${file:…}`) may have changed.
        """
        seen = await self._agreed()
        changed = [file for file, one in seen.items() if again or self._seen.get(file) != one.digest]
        back = [file for file in self._missing if file in seen]
        gone = self._gone(seen)
        if not (changed or gone):
            for file in back:
                del self._missing[file]
            return bool(back)
        await self._admit(seen, set(changed), gone)
        return True

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
            for one in self.current.held
        )

    # ── reading ───────────────────────────────────────────────────────────────────────────────────
    async def _agreed(self) -> dict[str, Seen]:
        """What the files hold, once two reads agree, or after a second of trying."""
        seen = await asyncio.to_thread(_read_all, self._paths)
        for _ in range(MOST_READS):
            if all(self._seen.get(file) == one.digest for file, one in seen.items()):
                return seen
            await self._clock.sleep(AGREE_AFTER)
            before, seen = seen, await asyncio.to_thread(_read_all, self._paths)
            if {file: one.digest for file, one in before.items()} == {file: one.digest for file, one in seen.items()}:
                return seen
        return seen

    def _gone(self, seen: Mapping[str, Seen]) -> set[str]:
        """Files that have been missing for GONE_AFTER; remembers those that are missing now."""
        now = self._clock.monotonic()
        known = {one.file for one in self.current.held}
        self._missing = {file: self._missing.get(file, now) for file in known - seen.keys()}
        return {file for file, since in self._missing.items() if now - since >= GONE_AFTER}

    # ── admitting ─────────────────────────────────────────────────────────────────────────────────
    async def _admit(self, seen: Mapping[str, Seen], changed: set[str], gone: set[str]) -> None:
        before = {one.file: one for one in self.current.held}
        self.current = await asyncio.to_thread(self._settled, before, seen, changed, gone)
        self._seen = {file: one.digest for file, one in seen.items()}
        self._missing = {file: since for file, since in self._missing.items() if file not in gone}
        self._tell(before, gone)

    def _settled(
        self, before: Mapping[str, Held], seen: Mapping[str, Seen], changed: set[str], gone: set[str]
    ) -> InForce:
        """In a thread: 20,000 entries take a second to read and expand."""
        order = [*seen, *(file for file in before if file not in seen and file not in gone)]
        files = [_next(file, before.get(file), seen.get(file), file in changed, self._environ) for file in order]
        current = settle(files, self._environ)
        if not (current.loaded.problems or current.expansion.problems):
            return current
        stores_only = (replace(one, good=emptied(one.good)) for one in map(before.get, gone) if one and one.good)
        return settle([*files, *stores_only], self._environ)

    def _tell(self, before: Mapping[str, Held], gone: set[str]) -> None:
        items = {share.manifest.file: len(share.items) for share in self.current.expansion.files}
        for one in self.current.held:
            was = before.get(one.file)
            if one.problems and (was is None or was.problems != one.problems):
                self._observer(ManifestRejected(file=one.file, problems=one.problems))
            elif (
                one.good is not None and not one.problems and (was is None or was.good is not one.good or was.problems)
            ):
                self._loaded[one.file] = self._clock.now()
                self._observer(ManifestLoaded(file=one.file, items=items.get(one.file, 0)))
        for file in gone:
            self._observer(ManifestRemoved(file=file))


def _read_all(paths: Sequence[str]) -> dict[str, Seen]:
    """Every file there is now; a PATH that is missing has none."""
    found: dict[str, Seen] = {}
    for path in paths:
        try:
            files = discover([path])
        except (PathMissing, ManifestError):
            continue
        for file in files:
            found.setdefault(file, _read(file))
    return found


def _read(file: str) -> Seen:
    try:
        content = load.read(file)
    except ManifestError as error:
        return Seen(f"unreadable: {error}", problems=error.problems)
    return Seen(sha256(content).hexdigest(), content)


def _next(file: str, held: Held | None, seen: Seen | None, changed: bool, environ: Mapping[str, str]) -> Held:
    """What is held of a file before it is judged beside the others."""
    held = held or Held(file=file)
    if seen is None or not changed:
        return held
    if seen.content is None:
        return replace(held, candidate=None, problems=seen.problems)
    try:
        manifest = Manifest.parse(file, seen.content, environ)
    except ManifestError as error:
        return replace(held, candidate=None, problems=error.problems)
    if held.good is not None and held.good.digest == manifest.digest:
        return replace(held, candidate=None, problems=())
    return replace(held, candidate=manifest)
