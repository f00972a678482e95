"""Stale items: found on a timer, reported once, and forgotten when they are in sync again."""

import asyncio
from collections.abc import Collection
from dataclasses import replace

import pytest

from mirrord.daemon import stale_items
from mirrord.daemon.stale_items import StaleItems
from mirrord.events import Event, ItemStale
from mirrord.model import Destination, Item, Notice, Options, Record, Schedule, State, origin_at
from mirrord.testing import ManualClock, MemoryJournal
from tests.support.records import make_record

AT = Destination("default", "http://e", "b", "k")
ITEM = Item(
    id=AT.item_id,
    entry="e",
    origin=origin_at("https://h/k"),
    destination=AT,
    options=Options(schedule=Schedule(every=3600.0)),
)
LIMIT = 3 * 3600.0


class World:
    def __init__(self, *, receivers: bool = True) -> None:
        self.journal, self.clock, self.events = MemoryJournal(), ManualClock(), list[Event]()
        self.fresh: float | None = None
        self.item: Item | None = ITEM
        self.receivers = {"r": set(Notice)} if receivers else {}
        self.stale = self.restarted()

    def restarted(self) -> StaleItems:
        return StaleItems(
            journal=self.journal,
            item_of=lambda item_id: self.item if item_id == ITEM.id else None,
            fresh_at=lambda _: self.fresh,
            observer=self.events.append,
            clock=self.clock,
        )

    async def recorded(self, state: State) -> None:
        await self.journal.outbox.send_to(self.receivers)
        made = make_record(
            state=state,
            since=self.clock.now(),
            item_id=ITEM.id,
            entry="e",
            source="https://h/k",
            destination=AT,
        )
        await self.journal.save(made)

    async def names(self) -> list[str]:
        found = list[str]()
        while rows := await self.journal.outbox.due("r", 2e9, 1):
            found += [str(row.notification.name) for row in rows]
            await self.journal.outbox.delivered(rows)
        return found


async def test_an_item_is_stale_after_its_limit_and_reported_once() -> None:
    world = World()
    await world.recorded(State.RETRYING)
    await world.clock.advance(LIMIT - 1)
    await world.stale.look()
    assert world.events == []
    await world.clock.advance(1)
    await world.stale.look()
    await world.stale.look()
    (event,) = world.events
    assert isinstance(event, ItemStale)
    assert event.message.startswith("not equal to its source for 3h")
    assert world.stale.objects(2) == ("s3://b/k",)
    await world.recorded(State.SYNCED)
    await world.stale.look()
    assert world.stale.objects(2) == ()
    assert await world.names() == ["item.stale", "item.synced", "item.recovered"]


async def test_the_last_time_it_was_equal_counts_also_where_the_state_changed_since() -> None:
    world = World()
    world.fresh = world.clock.now()
    await world.clock.advance(LIMIT - 1)
    await world.recorded(State.BLOCKED)
    await world.clock.advance(1)
    await world.stale.look()
    assert len(world.events) == 1


async def test_a_stale_item_is_not_reported_again_after_a_restart() -> None:
    world = World(receivers=False)
    await world.recorded(State.BLOCKED)
    await world.clock.advance(LIMIT)
    await world.stale.look()
    world.stale = again = world.restarted()
    running = asyncio.create_task(again.run())
    await world.clock.advance(100)
    assert again.objects(2) == ("s3://b/k",)
    assert len(world.events) == 1
    await world.recorded(State.SYNCED)
    await world.clock.advance(60)
    assert again.objects(2) == ()
    assert list(await world.journal.outbox.stale()) == []
    running.cancel()


async def test_an_item_in_sync_or_not_in_force_is_not_stale() -> None:
    world = World()
    await world.recorded(State.SYNCED)
    await world.clock.advance(10 * LIMIT)
    await world.stale.look()
    await world.recorded(State.RETRYING)
    world.item = None
    await world.clock.advance(10 * LIMIT)
    await world.stale.look()
    assert world.events == []


async def test_a_stale_item_that_was_suspended_recovers_when_it_is_synced() -> None:
    world = World()
    await world.recorded(State.RETRYING)
    await world.clock.advance(LIMIT)
    await world.stale.look()
    await world.recorded(State.SUSPENDED)
    await world.stale.look()
    assert world.stale.objects(2) == ()
    await world.recorded(State.SYNCED)
    assert await world.names() == ["item.stale", "item.synced", "item.recovered"]


class CountingJournal(MemoryJournal):
    """Notes how many records are asked for at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []

    async def recorded(self, item_ids: Collection[str]) -> dict[str, Record]:
        self.asked.append(len(item_ids))
        return await super().recorded(item_ids)


async def test_many_stale_items_are_read_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stale_items, "_PAGE", 2)
    world, items = World(), dict[str, Item]()
    world.journal = journal = CountingJournal()
    await journal.outbox.send_to(world.receivers)
    for number in range(5):
        at = Destination("default", "http://e", "b", f"k{number}")
        items[at.item_id] = replace(ITEM, id=at.item_id, destination=at)
        made = make_record(
            state=State.RETRYING, since=0.0, item_id=at.item_id, entry="e", source="https://h/k", destination=at
        )
        await journal.save(made)
    await world.clock.advance(LIMIT)
    stale = replace(world.restarted(), item_of=items.get)
    await stale.look()
    await stale.look()
    assert (stale.count, stale.objects(2)) == (5, ("s3://b/k0", "s3://b/k1"))
    again = replace(world.restarted(), item_of=items.get)
    running = asyncio.create_task(again.run())
    await world.clock.advance(1)
    assert again.count == 5
    running.cancel()
    assert max(journal.asked) == 2
