"""A reconciler in one process, with a store and a journal in memory, over an origin that misbehaves."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from mirrord.events import Event
from mirrord.model import (
    Destination,
    HttpOptions,
    Item,
    Options,
    Outcome,
    ProviderName,
    State,
    UploadOptions,
    origin_at,
)
from mirrord.providers import profile
from mirrord.reconcile.reconciler import Reconciler
from mirrord.reconcile.transfer_slots import TransferSlots
from mirrord.reconcile.transfers import Transfers
from mirrord.sources.http import HttpSources
from mirrord.testing import ManualClock, MemoryJournal, MemoryStore
from mirrord.transfer.budget import Budget
from mirrord.units import MiB
from tests.support.origin import Generated, Origin

PART = MiB


SIZE = 6 * PART + 77


AT = Destination("default", "http://store", "bucket", "key")


@dataclass
class World:
    """A reconciler over the origin, a store that takes parts of 1 MiB, and all events."""

    sources: HttpSources
    item: Item
    store: MemoryStore = field(
        default_factory=lambda: MemoryStore(replace(profile(ProviderName.SEAWEEDFS), min_part=PART))
    )
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store.buckets["bucket"] = {}

        async def store_of(item: Item) -> MemoryStore:
            return self.store

        clock, note = ManualClock(0.0), self.events.append
        self.reconciler = Reconciler(
            journal=self.journal,
            store_of=store_of,
            source_of=self.sources.source,
            transfers=Transfers(
                journal=self.journal, observer=note, clock=clock, budget=Budget(64 * MiB), slots=TransferSlots(16)
            ),
            observer=note,
            clock=clock,
            retry=lambda failures, after: 0.0,
        )

    async def reconcile(self, tries: int = 8) -> Outcome:
        for failures in range(tries):
            outcome = await self.reconciler.reconcile(self.item, failures)
            if outcome.state is State.SYNCED:
                break
        return outcome

    def events_of(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def content(self) -> bytes:
        return self.store.buckets["bucket"]["key"].content

    async def unfinished(self) -> int:
        return len([one async for one in self.journal.unfinished()])


@asynccontextmanager
async def world(origin: Origin, connections: int = 4, path: str = "/x") -> AsyncIterator[World]:
    options = Options(
        http=HttpOptions(connections=connections, idle_timeout=0.5, min_rate=0),
        upload=UploadOptions(multipart_threshold=PART, part_size=PART),
    )
    async with HttpSources() as sources:
        yield World(
            sources, Item(id=AT.item_id, entry="e", origin=origin_at(origin.url(path)), destination=AT, options=options)
        )


def whole(content: Generated) -> bytes:
    return b"".join(content.pieces())


def ranges_asked(origin: Origin) -> list[str]:
    return [asked.headers["range"] for asked in origin.asked("/x") if "range" in asked.headers]
