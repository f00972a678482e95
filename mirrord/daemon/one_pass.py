"""Every item that manifests ask for, once: the mirrors' items, then those that the folders hold now.

Owns the scan of each folder and the one wait in which all of them settle, for programs that end: `sync` and `plan`.
"""

from collections.abc import AsyncIterator, Sequence

from mirrord.daemon.desired import Desired, selected
from mirrord.declared import FolderSpec
from mirrord.errors import KeyRefused, Reason
from mirrord.events import FolderRescanned
from mirrord.model import Item, Outcome, State
from mirrord.planning.expand import item_of
from mirrord.ports import Clock, Observer
from mirrord.sources.folder import Folder, FoundFile, SettledFolder

SETTLING = Outcome(state=State.WAITING, reason=Reason.STILL_GROWING, message="settling")
"""What is to be said of an item whose file changed within `settle`."""


class OnePass:
    """One pass for the program called `cause`. `incomplete`: what could not be read wholly, each with why."""

    def __init__(self, desired: Desired, clock: Clock, observer: Observer, only: Sequence[str], cause: str) -> None:
        self._desired = desired
        self._clock = clock
        self._observer = observer
        self._only = only
        self._cause = cause
        self.incomplete: list[str] = []

    async def items(self) -> AsyncIterator[tuple[Item, bool]]:
        """Each item that `only` means, and whether it may be moved: not while its file is settling."""
        specs = self._desired.expansion.folders
        folders = [(spec, self._listing(spec)) for spec in specs if not self._only or self._may_match(spec)]
        for _, listing in folders:
            await listing.look()
        for item in self._desired.expansion.items:
            if selected(item, self._only):
                yield item, True
        for spec, listing in folders:
            async for item, settled in self._found(spec, listing):
                yield item, settled

    def _may_match(self, spec: FolderSpec) -> bool:
        return any(glob == spec.entry or any(sign in glob for sign in "*?[") or "/" in glob for glob in self._only)

    def _listing(self, spec: FolderSpec) -> SettledFolder:
        folder = Folder(spec.path, spec.include, spec.exclude)
        return SettledFolder(folder, spec.settle, self._clock)

    async def _found(self, spec: FolderSpec, listing: SettledFolder) -> AsyncIterator[tuple[Item, bool]]:
        began, files = self._clock.monotonic(), 0
        async for found in listing.enumerate():
            files += 1
            if (item := self._item(spec, found)) is not None and selected(item, self._only):
                yield item, found.settled
        self.incomplete += [f"{problem.path}: {problem.message}" for problem in listing.problems]
        duration = self._clock.monotonic() - began
        rescanned = FolderRescanned(
            folder=spec.entry, cause=self._cause, files=files, complete=listing.complete, duration=duration
        )
        self._observer(rescanned)

    def _item(self, spec: FolderSpec, found: FoundFile) -> Item | None:
        file = found.revision.file
        try:
            return item_of(spec, found.name, 0.0 if file is None else file.mtime_ns / 1e9)
        except KeyRefused as error:
            self.incomplete.append(f"{spec.path}/{found.name}: {error}")
            return None
