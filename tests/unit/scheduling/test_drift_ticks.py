"""An hour of `run` with many unchanged items: one listing of their prefix instead of a HEAD each. The clock is set by
hand. 2,500 items, 100,000 with MIRRORD_SOAK=1 (`make soak`)."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from math import ceil

import pytest

from mirrord.model import Destination, Item, ListedObject, StoredObject, origin_at
from mirrord.reconcile.store_listings import StoreListings
from mirrord.scheduling.queue import LocalQueue
from mirrord.scheduling.scheduler import Scheduler
from mirrord.testing import ManualClock, MemoryStore
from tests.support.item_world import World
from tests.support.measuring import SOAK
from tests.support.options import make_options

ITEMS = 100_000 if SOAK else 2_500
PAGES = ceil(ITEMS / 1_000)
HOUR = 3600.0


class CountingStore(MemoryStore):
    heads = pages = puts = 0

    async def head_object(self, at: Destination) -> StoredObject | None:
        self.heads += 1
        return await super().head_object(at)

    async def list_objects(self, bucket: str, prefix: str) -> AsyncGenerator[Sequence[ListedObject]]:
        async for page in super().list_objects(bucket, prefix):
            self.pages += 1
            yield page

    async def put_object(self, at, body, options, checksum=None, *, if_none_match=False):  # type: ignore[no-untyped-def]
        self.puts += 1
        return await super().put_object(at, body, options, checksum, if_none_match=if_none_match)

    def calls(self) -> tuple[int, int, int]:
        """Pages, HEADs and puts since the last call."""
        counts, self.pages, self.heads, self.puts = (self.pages, self.heads, self.puts), 0, 0, 0
        return counts


def item(number: int) -> Item:
    at = Destination("default", "http://store", "bucket", f"data/{number}")
    options = make_options(every=HOUR)
    return Item(id=at.item_id, entry="many", origin=origin_at("http://s/x"), destination=at, options=options)


@asynccontextmanager
async def running(store: CountingStore, items: Sequence[Item]) -> AsyncIterator[ManualClock]:
    clock, released = ManualClock(), deque[str]()
    world = World(store=store)

    async def store_at(at: Destination) -> MemoryStore:
        return store

    listings = StoreListings(world.journal, store_at, clock, differing=released.extend)
    await listings.replace(items, [])
    transfers = replace(world.reconciler.transfers, clock=clock)  # type: ignore[type-var]
    reconciler = replace(world.reconciler, clock=clock, transfers=transfers, listings=listings)
    scheduler = Scheduler(
        reconcile=reconciler.reconcile, queue=LocalQueue(clock), journal=world.journal, clock=clock, released=released
    )
    task = asyncio.create_task(scheduler.run(8))
    await scheduler.apply({one.id: one for one in items})
    await clock.run_ready()
    try:
        yield clock
    finally:
        task.cancel()
        await asyncio.wait([task])


@pytest.mark.timeout(900 if SOAK else 120)
async def test_an_hour_costs_one_listing() -> None:
    store = CountingStore()
    async with running(store, [item(number) for number in range(ITEMS)]) as clock:
        await clock.advance(HOUR / 2)
        assert store.calls() == (1, 0, ITEMS)
        await clock.advance(HOUR)
        assert store.calls() == (PAGES, 0, 0)

        del store.buckets["bucket"]["data/7"]
        await clock.advance(HOUR)
        pages, heads, puts = store.calls()
        assert (pages, puts) == (PAGES, 1)
        assert heads <= 2
        assert "data/7" in store.buckets["bucket"]
