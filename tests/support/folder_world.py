"""A folder loop over a scripted listing, manual change hints and a manual clock."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from mirrord.declared import FolderSpec, FolderTarget
from mirrord.errors import JournalUnavailable, LeftOut
from mirrord.events import Event, FolderRescanned
from mirrord.folders.loop import FolderLoop
from mirrord.folders.ports import FolderPorts, Rival
from mirrord.model import FileIdentity, Item, Outcome, Record, Revision, State, fingerprint
from mirrord.planning.decisions.claims import Claim
from mirrord.planning.decisions.decide import options_digest
from mirrord.reconcile.records import with_outcome
from mirrord.status import ItemStatus
from mirrord.testing import ManualClock, MemoryJournal
from tests.support.records import with_fields

ROOT = "/srv/inbox"
SPEC = FolderSpec(
    entry="inbox",
    path=ROOT,
    target=FolderTarget(store="default", endpoint="http://store", bucket="bucket", key="in/{path}"),
)


@dataclass
class Tree:
    """ports.FolderListing over files by name; each scan takes `takes` seconds."""

    clock: ManualClock
    files: dict[str, FileIdentity] = field(default_factory=dict)
    markers: set[str] = field(default_factory=set)
    device: int = 1
    root: tuple[int, int] = (1, 1_000)
    unread: bool = False
    down: str = ""
    problems: tuple[SimpleNamespace, ...] = ()
    unlisted: tuple[SimpleNamespace, ...] = ()
    """Problems of each complete scan."""
    left_out: tuple[LeftOut, ...] = ()
    excluded: tuple[LeftOut, ...] = ()
    quarantined: tuple[SimpleNamespace, ...] = ()
    missing: bool = False
    complete: bool = False
    takes: float = 0.0
    scans: int = 0
    scanned: list[tuple[float, tuple[str, ...]]] = field(default_factory=list)
    open: int = 0
    inodes: int = 0

    def write(self, name: str, size: int = 1) -> None:
        self.inodes += 1
        self.files[name] = FileIdentity(1, self.inodes, size, self.inodes, self.inodes)

    async def enumerate(self) -> AsyncGenerator[SimpleNamespace]:
        self.scans += 1
        self.complete = False
        async for found in self._yielded(() if self.missing else tuple(self.files)):
            yield found
        self.complete = not self.missing and not self.unread
        self.problems = (SimpleNamespace(path=ROOT, message="cannot be read"),) if self.missing else self.unlisted

    async def scan(self, names: Iterable[str]) -> AsyncGenerator[SimpleNamespace]:
        wanted = tuple(sorted(names))
        self.scanned.append((self.clock.monotonic(), wanted))
        at = [name for name in self.files for one in wanted if name == one or name.startswith(f"{one}/")]
        async for found in self._yielded(() if self.missing else tuple(at)):
            yield found

    async def existing(self, names: Collection[str]) -> frozenset[str]:
        return frozenset(names).intersection((*self.files, *self.markers))

    async def absent(self, files: Mapping[str, int | None]) -> frozenset[str]:
        return frozenset(name for name, at in files.items() if name not in self.files and at == self.device)

    async def _yielded(self, names: tuple[str, ...]) -> AsyncIterator[SimpleNamespace]:
        assert self.open == 0, "one scan at a time"
        self.open += 1
        try:
            if self.takes:
                await self.clock.sleep(self.takes)
        finally:
            self.open -= 1
        for name in names:
            file = self.files[name]
            revision = Revision(address=fingerprint(f"file://{ROOT}/{name}"), length=file.size, file=file)
            yield SimpleNamespace(name=name, revision=revision)


class Kernel:
    """ports.Hints, and the function that opens them."""

    def __init__(self) -> None:
        self.paths: asyncio.Queue[frozenset[str] | OSError] = asyncio.Queue()
        self.refuses: OSError | None = None
        self.opened = self.closed = 0
        self.watching, self.problem = "events", None

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Kernel"]:
        if self.refuses:
            raise self.refuses
        self.opened += 1
        try:
            yield self
        finally:
            self.closed += 1

    async def changed(self) -> frozenset[str]:
        got = await self.paths.get()
        if isinstance(got, OSError):
            raise got
        return got

    def hint(self, *names: str) -> None:
        self.paths.put_nowait(frozenset(f"{ROOT}/{name}".rstrip("/") for name in names))


class FailingJournal(MemoryJournal):
    broken = False

    async def recorded(self, item_ids: Collection[str]) -> dict[str, Record]:
        if self.broken:
            raise JournalUnavailable("disk full")
        return await super().recorded(item_ids)


class World:
    """A folder loop with its listing, hints, journal and clock; records events and submitted items."""

    def __init__(self, **spec: Any) -> None:
        self.clock = ManualClock()
        self.tree = Tree(self.clock)
        self.kernel = Kernel()
        self.journal = FailingJournal()
        self.events: list[Event] = []
        self.submitted: list[tuple[float, str]] = []
        self.gone: list[str] = []
        self.arrived: dict[str, bool] = {}
        """The files that arrived without a record; whether they had just appeared."""
        self.items: dict[str, Item] = {}
        self.owners: dict[str, Rival] = {}  # item id -> who has precedence for it
        self.spec = with_fields(SPEC, **spec)
        self.loop = self.new_loop()
        self.task: asyncio.Task[None] | None = None

    def new_loop(self) -> FolderLoop:
        ports = FolderPorts(
            listing=self.tree,  # type: ignore[arg-type]  # it yields plain namespaces
            watch=self.kernel.open,
            journal=self.journal,
            submit=self.submit,
            observer=self.events.append,
            clock=self.clock,
            taken=self.taken,
            arrive=self.arrive,
        )
        return FolderLoop(self.spec, ports)

    def arrive(self, item: Item, _revision: Revision, *, just_appeared: bool) -> None:
        file = item.folder_file
        assert file is not None
        self.arrived[file.name] = just_appeared

    async def submit(self, item: Item) -> None:
        file = item.folder_file
        assert file is not None
        name = file.name
        if item.gone:
            self.gone.append(name)
            return
        self.items[name] = item
        self.submitted.append((round(self.clock.monotonic(), 6), name))

    async def taken(self, item: Item, claim: Claim | None, record: Record | None) -> Rival | None:
        return self.owners.get(item.id)

    async def mirror(self, *names: str) -> None:
        """Record the submitted items of these names as Synced, as the scheduler does after their transfers."""
        for name in names:
            item, file = self.items[name], self.tree.files[name]
            done = with_outcome(item, None, Outcome(state=State.SYNCED), 0.0)
            revision = Revision(address=fingerprint(item.origin.address), length=file.size, file=file)
            digest = options_digest(item.options.object)
            await self.journal.save(with_fields(done, revision=revision, options_digest=digest, etag='"e"'))

    async def live(self, seconds: float = 0.0) -> None:
        if self.task is None:
            self.task = asyncio.create_task(self.loop.run())
        for _ in range(20):
            await self.clock.run_ready()
        left = seconds
        while left > 1e-9:
            await self.clock.advance(min(0.25, left))
            left -= 0.25
            for _ in range(3):
                await self.clock.run_ready()
        if self.task.done():
            await self.task

    async def stop(self) -> None:
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)
            self.task = None

    @property
    def names(self) -> list[str]:
        return [name for _, name in self.submitted]

    def events_of(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def causes(self) -> list[str]:
        return [event.cause for event in self.events_of(FolderRescanned)]

    def waiting(self) -> dict[str, ItemStatus]:
        return {
            one.source.removeprefix(f"file://{ROOT}/"): one for one in (file.status() for file in self.loop.waiting())
        }
