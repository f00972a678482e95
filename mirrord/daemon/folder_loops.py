"""The loops of the folders in force: one background task for each folder.

Owns the start and the end of each loop as folders are added, changed and removed. `folders.loop` is the loop itself.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

from mirrord.daemon.rivals import rival_of
from mirrord.daemon.supervise import Supervisor
from mirrord.declared import FolderSpec
from mirrord.engine.local_files import LocalFiles
from mirrord.errors import Reason
from mirrord.folders.after_upload import AfterUpload
from mirrord.folders.loop import FolderLoop
from mirrord.folders.ports import FolderPorts
from mirrord.folders.waiting import WaitingFile
from mirrord.model import Item, Record, Revision
from mirrord.planning.items.bind import item_of, name_of
from mirrord.ports import Clock, JournalRecords, Observer
from mirrord.scheduling.scheduler import Scheduler
from mirrord.sources.folder.scan import LocalFolder
from mirrord.status import FolderStatus


class Arrivals(Protocol):
    """Files without a record that will be checked now: see `BatchedChecks`."""

    def arrive(self, folder: FolderSpec, item: Item, revision: Revision, *, just_appeared: bool) -> None: ...

    def forget(self, entry: str) -> None:
        """The folder is not in force any more."""


@dataclass(slots=True, kw_only=True)
class FolderLoops:
    """`stop_outdated`, then `start_missing`, after each change of the folders in force."""

    scheduler: Scheduler
    after_upload: AfterUpload
    files: LocalFiles
    arrivals: Arrivals
    journal: JournalRecords
    supervisor: Supervisor
    observer: Observer
    clock: Clock
    _loops: dict[str, FolderLoop] = field(default_factory=dict, init=False)
    _overlaps: dict[str, frozenset[str]] = field(default_factory=dict, init=False)
    """By folder: the other folders that matched its files when its loop started."""
    _ranks: dict[str, int] = field(default_factory=dict, init=False)

    async def stop_outdated(self, wanted: Mapping[str, FolderSpec]) -> list[str]:
        """End the loops of folders that were removed or changed, and of those whose files another folder began or
        ceased to match. Returns the names of the removed ones."""
        outdated = [
            entry
            for entry, loop in self._loops.items()
            if loop.spec != wanted.get(entry) or self._overlaps[entry] != self.files.overlaps.of(entry)
        ]
        for entry in outdated:
            del self._loops[entry]
            await self.supervisor.stop(_task(entry))
            await self.scheduler.withdraw(entry)
            self.arrivals.forget(entry)
        return [entry for entry in outdated if entry not in wanted]

    def start_missing(self, wanted: Mapping[str, FolderSpec]) -> None:
        """Start a loop for each folder that has none. `wanted`: in the order of the manifests."""
        self._ranks.clear()
        self._ranks.update((entry, rank) for rank, entry in enumerate(wanted))
        for entry, spec in wanted.items():
            if entry not in self._loops:
                self._start(spec)

    async def submit(self, record: Record) -> bool:
        """Have the recorded file checked now. False if no folder in force has it."""
        loop = self._loops.get(record.entry) if record.removed is None else None
        name = name_of(loop.spec, record.source) if loop is not None else None
        if loop is None or name is None:
            return False
        if record.condition.reason is Reason.PRUNE_GUARD:
            loop.rescan()  # a scan decides again
            return True
        await self.scheduler.submit(_item_of(loop.spec, record, name))
        return True

    def rescan(self, entry: str) -> bool:
        """Scan this folder now. False if no folder in force has this name."""
        loop = self._loops.get(entry)
        if loop is not None:
            loop.rescan()
        return loop is not None

    def statuses(self) -> tuple[FolderStatus, ...]:
        """Each folder in force, by name."""
        return tuple(loop.status() for _, loop in sorted(self._loops.items()))

    def specs(self) -> Mapping[str, FolderSpec]:
        """The folders in force, by entry."""
        return {name: loop.spec for name, loop in self._loops.items()}

    def waiting(self, entry: str | None = None) -> Iterator[WaitingFile]:
        """Files that wait and are not recorded: of every folder, or of one."""
        for name, loop in tuple(self._loops.items()):
            if entry in (None, name):
                yield from loop.waiting()

    def _start(self, spec: FolderSpec) -> None:
        listing = self.files.listing(spec)
        ports = FolderPorts(
            listing=listing,
            watch=partial(self.files.hints, spec),
            journal=self.journal,
            submit=self.scheduler.submit,
            observer=self.observer,
            clock=self.clock,
            taken=partial(rival_of, self._loops, self._ranks, self.scheduler.item, spec.entry),
            arrive=partial(self.arrivals.arrive, spec),
            resume=partial(self._scanned, spec, listing),
        )
        self._overlaps[spec.entry] = self.files.overlaps.of(spec.entry)
        loop = self._loops[spec.entry] = FolderLoop(spec, ports)
        self.supervisor.start(_task(spec.entry), loop.run)

    async def _scanned(self, spec: FolderSpec, listing: LocalFolder) -> None:
        """Runs after each complete scan."""
        await self.files.refresh(spec.entry, listing.linked)
        await self.after_upload.resume(spec, listing.quarantined)


def _task(entry: str) -> str:
    return f"folder {entry}"


def _item_of(spec: FolderSpec, record: Record, name: str) -> Item:
    """The item of the recorded file of that name, as the folder's listing would find it."""
    item = item_of(spec, name, record.dated or 0.0)
    at = replace(record.destination, store=spec.target.store, customer_key=item.destination.customer_key)
    return replace(item, id=record.item_id, destination=at)
