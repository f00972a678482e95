"""A reconciler of one item, with a source, a store and a journal in memory."""

from dataclasses import dataclass, field, replace

from mirrord.events import Event, ItemChanged, TransferProgress
from mirrord.model import (
    Checksum,
    ChecksumKind,
    Destination,
    Item,
    ObjectOptions,
    Outcome,
    ProviderName,
    StoredObject,
    origin_at,
)
from mirrord.providers import profile
from mirrord.reconcile.reconciler import Reconciler
from mirrord.reconcile.transfer_slots import TransferSlots
from mirrord.reconcile.transfers import Transfers
from mirrord.testing import ManualClock, MemoryJournal, MemoryObject, MemorySource, MemoryStore
from mirrord.transfer.budget import Budget
from mirrord.units import MiB
from tests.support.options import make_options

AT = Destination("default", "http://store", "bucket", "a/key.txt")


@dataclass
class World:
    """A reconciler with its source, store, journal and the events that it reports."""

    origin: MemorySource = field(default_factory=lambda: MemorySource(ranges=False))
    store: MemoryStore = field(default_factory=MemoryStore)
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    events: list[Event] = field(default_factory=list)
    tries: int = 3

    def __post_init__(self) -> None:
        self.store.buckets["bucket"] = {}
        self.item = Item(id=AT.item_id, entry="e", origin=origin_at("http://s/x?token=secret"), destination=AT)

        async def store_of(item: Item) -> MemoryStore:
            return self.store

        clock = ManualClock(1000.0)
        transfers = Transfers(
            journal=self.journal,
            observer=self.events.append,
            clock=clock,
            budget=Budget(64 * MiB),
            slots=TransferSlots(4),
        )
        self.reconciler = Reconciler(
            journal=self.journal,
            store_of=store_of,
            source_of=lambda item: self.origin,
            transfers=transfers,
            observer=self.events.append,
            clock=clock,
            retry=lambda failures, after: None if failures >= self.tries else 7.0,
        )

    async def check(self, failures: int = 0, **options: object) -> Outcome:
        self.events.clear()
        item = replace(self.item, options=make_options(**options))
        return await self.reconciler.reconcile(item, failures)

    def event_types(self) -> list[type[Event]]:
        return [type(event) for event in self.events if not isinstance(event, TransferProgress | ItemChanged)]

    @property
    def content(self) -> bytes | None:
        kept = self.store.buckets["bucket"].get(AT.key)
        return kept.content if kept else None

    async def unfinished(self) -> int:
        return len([transfer async for transfer in self.journal.unfinished()])


class UnverifyingStore(MemoryStore):
    """Ignores and returns no checksums, has random ETags, and damages the last byte of the first `flips` objects."""

    flips = 0
    reads = 0

    async def put_object(
        self,
        at: Destination,
        body: memoryview,
        options: ObjectOptions,
        checksum: Checksum | None = None,
        *,
        if_none_match: bool = False,
    ) -> StoredObject:
        stored = await super().put_object(at, body, options, None, if_none_match=if_none_match)
        return self._damaged(at, stored)

    async def complete_upload(self, at, upload_id, parts, checksum=None, *, if_none_match=False):  # type: ignore[no-untyped-def]
        stored = await super().complete_upload(at, upload_id, parts, None, if_none_match=if_none_match)
        return self._damaged(at, stored)

    async def upload_part(self, at, upload_id, number, body, checksum=None):  # type: ignore[no-untyped-def]
        return await super().upload_part(at, upload_id, number, body, None)

    def get_object(self, at: Destination, start: int = 0, end: int | None = None):  # type: ignore[no-untyped-def]
        self.reads += 1
        return super().get_object(at, start, end)

    def _damaged(self, at: Destination, stored: StoredObject) -> StoredObject:
        kept = self.buckets[at.bucket][at.key]
        content = kept.content
        if self.flips:
            self.flips -= 1
            content = content[:-1] + bytes([content[-1] ^ 1])
        random_etag = f'"{len(self.buckets)}-{id(stored)}"'
        kept_as = replace(kept.stored, etag=random_etag, checksum=None)
        self.buckets[at.bucket][at.key] = MemoryObject(content, kept_as, kept.options)
        return replace(stored, etag=random_etag, checksum=None)


def careless(provider: ProviderName, kind: ChecksumKind | None = None, flips: int = 0) -> World:
    """A world with an `UnverifyingStore` of this provider and kind of checksum."""
    made = profile(provider)
    store = UnverifyingStore(made if kind is None else replace(made, checksum=kind))
    store.flips = flips
    return World(store=store)
