"""`sync`: every item looked at once, now; folders scanned once; then the end.

Owns which items there are, the waiting for folders to settle, and the report. `every` and cron are not asked.
"""

from collections.abc import AsyncIterator, Sequence

from mirrord.daemon.desired import Desired, announce, selected
from mirrord.daemon.report import Report
from mirrord.daemon.wiring import Engine, engine
from mirrord.declared import FolderSpec
from mirrord.errors import KeyRefused, Reason
from mirrord.events import FolderRescanned
from mirrord.model import Item, Outcome, State
from mirrord.planning.expand import item_of
from mirrord.ports import Observer
from mirrord.reconcile.workers import settle, work_through
from mirrord.settings import Settings
from mirrord.sources.folder import Folder, FoundFile, SettledFolder

_WAITING = Outcome(
    state=State.WAITING, reason=Reason.STILL_GROWING, message="it changed within `settle`; the next pass looks again"
)


async def sync(desired: Desired, settings: Settings, observer: Observer, only: Sequence[str] = ()) -> Report:
    """Make every item of `desired` in sync, or say why it is not. Raises JournalError and its children only."""
    announce(desired, observer)
    report = Report(problems=desired.problems)
    async with engine(settings, desired.loaded.stores, observer) as opened:
        began = opened.clock.monotonic()
        program = _Sync(opened, desired, report, observer, only)
        await work_through(program.items(), program.settle, settings.transfers)
        report.duration = opened.clock.monotonic() - began
    return report


class _Sync:
    """One run over one engine."""

    def __init__(
        self, opened: Engine, desired: Desired, report: Report, observer: Observer, only: Sequence[str]
    ) -> None:
        self._engine = opened
        self._desired = desired
        self._report = report
        self._observer = observer
        self._only = only

    async def settle(self, item: Item) -> None:
        self._report.add(item, await settle(self._engine.reconciler, item, self._engine.clock))

    async def items(self) -> AsyncIterator[Item]:
        """The mirrors' items, then those that the folders hold. All folders settle during one wait."""
        specs = self._desired.expansion.folders
        folders = [(spec, self._listing(spec)) for spec in specs if not self._only or self._may_match(spec)]
        for _, listing in folders:
            await listing.look()
        for item in self._desired.expansion.items:
            if selected(item, self._only):
                yield item
        for spec, listing in folders:
            async for item in self._found(spec, listing):
                yield item

    def _may_match(self, spec: FolderSpec) -> bool:
        return any(glob == spec.entry or any(sign in glob for sign in "*?[") or "/" in glob for glob in self._only)

    def _listing(self, spec: FolderSpec) -> SettledFolder:
        folder = Folder(spec.path, spec.include, spec.exclude)
        return SettledFolder(folder, spec.settle, self._engine.clock)

    async def _found(self, spec: FolderSpec, listing: SettledFolder) -> AsyncIterator[Item]:
        began, files = self._engine.clock.monotonic(), 0
        async for found in listing.enumerate():
            files += 1
            if (item := self._item(spec, found)) is not None and selected(item, self._only):
                if found.settled:
                    yield item
                else:
                    self._report.add(
                        item, Outcome(state=State.WAITING, reason=Reason.STILL_GROWING, message="settling")
                    )
        self._report.incomplete += [f"{problem.path}: {problem.message}" for problem in listing.problems]
        duration = self._engine.clock.monotonic() - began
        self._observer(
            FolderRescanned(folder=spec.entry, cause="sync", files=files, complete=listing.complete, duration=duration)
        )

    def _item(self, spec: FolderSpec, found: FoundFile) -> Item | None:
        file = found.revision.file
        try:
            return item_of(spec, found.name, 0.0 if file is None else file.mtime_ns / 1e9)
        except KeyRefused as error:
            self._report.incomplete.append(f"{spec.path}/{found.name}: {error}")
            return None
