"""The desired state, applied to what runs: items to the scheduler, folders to their loops, stores to their pool.

Owns the way from a changed manifest to changed work. Nothing of an item that stays the same is touched; a folder whose
definition changed is followed anew. Items that left keep their objects, and are no longer shown.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from mirrord.daemon.health import Health
from mirrord.daemon.manifests import Manifests
from mirrord.daemon.supervise import Supervisor
from mirrord.declared import FolderSpec
from mirrord.engine.local_files import LocalFiles
from mirrord.engine.stores import Stores
from mirrord.errors import JournalError, Reason, SourceTimedOut
from mirrord.folders.after_upload import AfterUpload
from mirrord.folders.loop import FolderLoop
from mirrord.folders.ports import FolderPorts
from mirrord.folders.waiting import WaitingFile
from mirrord.model import Item, Record, State
from mirrord.planning.items.bind import item_of, name_of
from mirrord.ports import Clock, JournalRecords, Observer
from mirrord.scheduling.scheduler import Scheduler
from mirrord.sources.folder import Folder
from mirrord.status import FolderStatus

_PAGE = 1000
_REFUSALS = frozenset({Reason.STORE_DENIED, Reason.STORE_REFUSED, Reason.STORE_UNAVAILABLE})
"""Reasons that other keys or certificates may take away."""


@dataclass(slots=True, kw_only=True)
class AppliedState:
    """What runs for the manifests in force. `apply` after each change of them; one at a time."""

    manifests: Manifests
    scheduler: Scheduler
    stores: Stores
    after_upload: AfterUpload
    files: LocalFiles
    journal: JournalRecords
    supervisor: Supervisor
    health: Health
    observer: Observer
    clock: Clock
    _folders: dict[str, FolderLoop] = field(default_factory=dict, init=False)
    _rivals: dict[str, frozenset[str]] = field(default_factory=dict, init=False)  # of each folder, when it was begun
    _applying: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)
    _retire_all: bool = field(default=True, init=False)  # what left while we did not run

    async def apply(self) -> None:
        """Make what runs equal to the manifests in force."""
        async with self._applying:
            current = self.manifests.current
            changed_stores = await self.stores.replace(current.loaded.stores)
            items = {item.id: item for item in current.expansion.items}
            self.health.keep(items)
            await self.files.replace(current.expansion.folders, tuple(items.values()))
            gone_folders = await self._stop_folders({one.entry: one for one in current.expansion.folders})
            difference = await self.scheduler.apply(items, changed_stores)
            await self._retire(difference.removed, gone_folders, items)
            for spec in current.expansion.folders:
                if spec.entry not in self._folders:
                    self._start_folder(spec)

    async def renew_stores(self, *, again: bool = False) -> None:
        """Use keys and certificates that were replaced, and look now at what their stores had refused."""
        names = await self.stores.renewed(again=again)
        if names:
            async for item_id in self._refused_by(names):
                await self.trigger(item_id)

    async def _refused_by(self, stores: Collection[str]) -> AsyncIterator[str]:
        for state in (State.BLOCKED, State.RETRYING):
            after = ""
            while records := await self.journal.page(state=state, after=after, limit=_PAGE):
                for record in records:
                    if record.destination.store in stores and record.condition.reason in _REFUSALS:
                        yield record.item_id
                after = records[-1].item_id

    async def trigger(self, item_id: str) -> bool:
        """Look at an item now. A settled file of a folder comes back to the scheduler for it."""
        if await self.scheduler.trigger(item_id):
            return True
        record = await self.journal.record(item_id)
        loop = self._folders.get(record.entry) if record is not None and record.removed is None else None
        if loop is None or record is None:
            return False
        name = name_of(loop.spec, record.source)
        if name is not None:
            await self.scheduler.submit(_file_of(loop.spec, record, name))
        return name is not None

    def folder_statuses(self) -> tuple[FolderStatus, ...]:
        """Each folder in force, by name."""
        return tuple(loop.status() for _, loop in sorted(self._folders.items()))

    def folders(self) -> Mapping[str, FolderSpec]:
        """The folders that are followed, by entry."""
        return {name: loop.spec for name, loop in self._folders.items()}

    def held(self, entry: str | None = None) -> Iterator[WaitingFile]:
        """Files that wait in folders and are not recorded: of all, or of one."""
        for name, loop in tuple(self._folders.items()):
            if entry in (None, name):
                yield from loop.waiting()

    def unhealthy(self) -> str | None:
        """Which background work keeps failing; None if all of it works."""
        return ", ".join(f"{name}: {why}" for name, why in sorted(self.supervisor.unwell.items())) or None

    # ── folders ───────────────────────────────────────────────────────────────────────────────────
    async def _stop_folders(self, wanted: Mapping[str, FolderSpec]) -> list[str]:
        """End the loops of folders that left or changed, or whose files another folder began or ceased to match; the
        names of those that left."""
        stale = [
            entry
            for entry, loop in self._folders.items()
            if loop.spec != wanted.get(entry) or self._rivals[entry] != self.files.overlaps.of(entry)
        ]
        for entry in stale:
            del self._folders[entry]
            await self.supervisor.stop(_task(entry))
            await self.scheduler.withdraw(entry)
        return [entry for entry in stale if entry not in wanted]

    def _start_folder(self, spec: FolderSpec) -> None:
        listing = self.files.listing(spec)
        ports = FolderPorts(
            listing=listing,
            watch=partial(self.files.hints, spec),
            journal=self.journal,
            submit=self.scheduler.submit,
            observer=self.observer,
            clock=self.clock,
            taken=partial(self._taken, spec.entry),
            resume=partial(self._scanned, spec, listing),
        )
        self._rivals[spec.entry] = self.files.overlaps.of(spec.entry)
        loop = self._folders[spec.entry] = FolderLoop(spec, ports)
        self.supervisor.start(_task(spec.entry), loop.run)

    async def _scanned(self, spec: FolderSpec, listing: Folder) -> None:
        """What follows each whole scan."""
        await self.files.refresh(spec.entry, listing.linked)
        await self.after_upload.resume(spec, listing.asides)

    async def _taken(self, entry: str, item: Item, record: Record | None) -> str:
        """Who else in force has this item's object."""
        mirror = self.scheduler.item(item.id)
        if mirror is not None and mirror.folder_file is None:
            return f"the mirror {mirror.entry}"
        other = self._folders.get(record.entry) if record is not None and record.entry != entry else None
        if other is not None and record is not None and await _may_have(other, record.source, item.id):
            return f"{record.source} in the folder {record.entry}"
        return ""

    # ── what left ─────────────────────────────────────────────────────────────────────────────────
    async def _retire(self, removed: list[str], folders: list[str], items: Mapping[str, Item]) -> None:
        """Items that left are no longer shown. A file that is bad from the start hides what it would yield: then
        nothing is taken to have left while we did not run."""
        sound = all(file.valid for file in self.manifests.statuses())
        if folders or (self._retire_all and sound):
            kept = {one.entry for one in self.manifests.current.expansion.folders}
            removed += [item_id async for item_id in self.journal.item_ids_outside(kept) if item_id not in items]
            self._retire_all = False
        if removed:
            await self._retired(removed)

    async def _retired(self, removed: list[str]) -> None:
        try:
            await self.journal.retire(removed, self.clock.now())
        except JournalError:
            self._retire_all = True  # with the next change


async def _may_have(folder: FolderLoop, source: str, item_id: str) -> bool:
    """Whether a file of this folder has the object; so it may while the folder does not answer."""
    try:
        return await folder.has(source, item_id)
    except SourceTimedOut:
        return True


def _task(entry: str) -> str:
    return f"folder {entry}"


def _file_of(spec: FolderSpec, record: Record, name: str) -> Item:
    """The item of the recorded file of that name, as the folder's listing would find it."""
    item = item_of(spec, name, record.dated or 0.0)
    return replace(item, id=record.item_id, destination=replace(record.destination, store=spec.target.store))
