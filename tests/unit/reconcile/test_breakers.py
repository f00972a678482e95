"""Outages through the reconciler: who is held back, what is asked meanwhile, what ends it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from mirrord.errors import MirrordError, Reason, SourceMissing, SourceUnavailable, StoreUnavailable
from mirrord.events import Event
from mirrord.model import Destination, Item, Outcome, State, StoredObject, origin_at
from mirrord.planning.timing.breaker import SUSPECTS
from mirrord.reconcile.breakers import Breakers
from mirrord.reconcile.reconciler import Reconciler
from mirrord.reconcile.transfer_slots import TransferSlots
from mirrord.reconcile.transfers import Transfers
from mirrord.scheduling.workers import Pauses, Slots, reconcile_with_retries, work_through
from mirrord.status import MOST_BREAKERS
from mirrord.testing import ManualClock, MemoryJournal, MemorySource, MemoryStore, SourceHooks
from mirrord.transfer.budget import Budget
from mirrord.units import MiB


def answer(status: int, retry_after: float | None = None) -> SourceUnavailable:
    return SourceUnavailable(f"answered {status}", retry_after=retry_after, answered=True)


class Store(MemoryStore):
    """Fails each call while `down`; counts what it is asked."""

    down: MirrordError | None = None
    refuses: MirrordError | None = None
    """Each write."""
    asked = 0

    async def head_object(self, at: Destination) -> StoredObject | None:
        self.asked += 1
        if self.down is not None:
            raise self.down
        return await super().head_object(at)

    async def put_object(self, *given: Any, **more: Any) -> StoredObject:
        if self.refuses is not None:
            raise self.refuses
        return await super().put_object(*given, **more)


def item_of(n: int, store: str = "one", host: str = "a.example") -> Item:
    at = Destination(store, f"http://{store}", "bucket", f"key {n}")
    return Item(id=at.item_id, entry="e", origin=origin_at(f"http://{host}/{n}"), destination=at)


@dataclass
class World:
    """Items of two hosts and two stores, on a clock that the test turns."""

    host_says: MirrordError | None = None
    bad: frozenset[int] = frozenset()
    """Items to which the host answers 500, whatever it says to others."""
    body_breaks: MirrordError | None = None
    sources: list[MemorySource] = field(default_factory=list)
    stores: dict[str, Store] = field(default_factory=lambda: {"one": Store(), "two": Store()})
    clock: ManualClock = field(default_factory=ManualClock)
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    events: list[Event] = field(default_factory=list)
    tries: float = 1e9

    def __post_init__(self) -> None:
        for store in self.stores.values():
            store.buckets["bucket"] = {}

        async def store_of(item: Item) -> Store:
            return self.stores[item.destination.store]

        self.reconciler = Reconciler(
            journal=self.journal,
            store_of=store_of,
            source_of=self.source_of,
            transfers=Transfers(
                journal=self.journal,
                observer=self.events.append,
                clock=self.clock,
                budget=Budget(64 * MiB),
                slots=TransferSlots(4),
            ),
            observer=self.events.append,
            clock=self.clock,
            retry=lambda failures, after: None if failures >= 3 else 1.0,
            breakers=Breakers(tries=self.tries, chance=lambda: 0.0),
        )

    @property
    def asked(self) -> int:
        """How often a source was asked."""
        return sum(len(one.log.known) for one in self.sources)

    def source_of(self, item: Item) -> MemorySource:
        """What the item's host says: an error, or one byte, unless the body breaks off."""
        bad = int(item.origin.address.rpartition("/")[2] or 0) in self.bad
        fails = self.host_says or (answer(500) if bad else None)

        async def opened(_start: int, _end: int) -> None:
            if self.body_breaks is not None:
                raise self.body_breaks

        self.sources.append(MemorySource(b"x", ranges=False, fails=fails, hooks=SourceHooks(on_open=opened)))
        return self.sources[-1]

    async def check(self, n: int, store: str = "one", host: str = "a.example", failures: int = 0) -> Outcome:
        return await self.reconciler.reconcile(item_of(n, store, host), failures)


@pytest.fixture
def world() -> World:
    return World()


async def outage(world: World, store: str = "one", host: str = "a.example") -> None:
    for n in range(SUSPECTS):
        assert (await world.check(n, store, host)).tried


async def test_while_a_store_is_down_it_is_asked_by_one_probe_at_a_time(world: World) -> None:
    store = world.stores["one"]
    store.down = StoreUnavailable("connection refused")
    await outage(world)
    assert store.asked == SUSPECTS
    said, asked = len(world.events), world.asked

    outcomes = [await world.check(n) for n in range(100)]
    assert {(one.state, one.reason, one.tried) for one in outcomes} == {
        (State.RETRYING, Reason.STORE_UNAVAILABLE, False)
    }
    assert outcomes[0].retry_in == 0.5
    assert outcomes[0].message == "held back while store 'one' does not answer: connection refused"
    assert (store.asked, len(world.events), world.asked) == (SUSPECTS, said, asked)
    assert len([one async for one in world.journal.records()]) == SUSPECTS

    await world.clock.advance(0.5)
    outcomes = await asyncio.gather(*(world.check(n) for n in range(100)))
    assert store.asked == SUSPECTS + 1
    assert [one.tried for one in outcomes].count(True) == 1
    assert (await world.check(200)).retry_in == 1.0  # for longer


async def test_another_store_and_another_host_go_on(world: World) -> None:
    world.stores["one"].down = StoreUnavailable("refused")
    await outage(world)
    assert (await world.check(1, store="two")).state is State.SYNCED


async def test_what_the_probe_finds_working_is_open_to_all(world: World) -> None:
    world.stores["one"].down = StoreUnavailable("refused")
    await outage(world)
    world.stores["one"].down = None
    assert not (await world.check(7)).tried
    await world.clock.advance(0.5)
    for n in range(20):
        assert (await world.check(n)).state is State.SYNCED


async def test_a_host_that_is_down_holds_back_its_items_only(world: World) -> None:
    world.host_says = SourceUnavailable("refused")
    await outage(world)
    held = await world.check(50, store="two")
    assert (held.tried, held.reason) == (False, Reason.SOURCE_UNAVAILABLE)
    assert "host a.example:80" in held.message
    world.host_says = None
    assert (await world.check(51, host="b.example")).state is State.SYNCED


async def test_a_missing_source_is_an_answer(world: World) -> None:
    for n in range(3 * SUSPECTS):
        world.host_says = SourceMissing("404") if n % SUSPECTS == 0 else SourceUnavailable("refused")
        assert (await world.check(n)).tried


async def test_bodies_that_break_off_say_nothing_of_the_host(world: World) -> None:
    world.body_breaks = SourceUnavailable("cut short")
    for n in range(3 * SUSPECTS):
        assert (await world.check(n)).tried


async def test_retry_after_of_a_body_that_breaks_off_counts_for_the_whole_host(world: World) -> None:
    world.body_breaks = SourceUnavailable("answered 503 to a range", retry_after=30.0)
    assert (await world.check(1)).tried
    world.body_breaks = None
    held = await world.check(2)
    assert (held.tried, held.retry_in) == (False, 30.0)
    assert world.asked == 1


async def test_retry_after_counts_for_the_whole_host(world: World) -> None:
    world.host_says = SourceUnavailable("429", retry_after=30.0)
    assert (await world.check(1)).tried
    world.host_says = None
    held = await world.check(2)
    assert (held.tried, held.retry_in) == (False, 30.0)
    assert world.asked == 1
    await world.clock.advance(30.0)
    assert (await world.check(2)).state is State.SYNCED
    assert (await world.check(3)).state is State.SYNCED


async def test_a_probe_that_was_cancelled_lets_another_try(world: World) -> None:
    world.stores["one"].down = StoreUnavailable("refused")
    await outage(world)
    world.stores["one"].down = None
    await world.clock.advance(0.5)
    probe = asyncio.create_task(world.check(1))
    await asyncio.sleep(0)
    assert not (await world.check(2)).tried
    probe.cancel()
    await asyncio.gather(probe, return_exceptions=True)
    assert (await world.check(2)).state is State.SYNCED


async def test_a_program_that_ends_is_told_when_enough_was_tried() -> None:
    world = World(tries=3)
    world.stores["one"].down = StoreUnavailable("refused")
    await outage(world)
    at = Destination("one", "http://one", "bucket", "key")
    item = Item(id=at.item_id, entry="e", origin=origin_at("http://a.example/"), destination=at)
    ending = asyncio.create_task(reconcile_with_retries(world.reconciler, item, world.clock))
    await world.clock.advance(60.0)
    last = await ending
    assert (last.state, last.retry_in) == (State.RETRYING, None)
    assert world.stores["one"].asked <= SUSPECTS + 3
    before = world.stores["one"].asked
    assert [(await world.check(n)).retry_in for n in range(100, 110)][1:] == [None] * 9
    assert world.stores["one"].asked <= before + 1


async def test_nothing_is_kept_of_those_that_answer(world: World) -> None:
    for n in range(10):
        await world.check(n, host=f"host-{n}.example")
    assert world.reconciler.breakers._states == {}


# ── hosts and stores that answer, and not well ────────────────────────────────────────────────────
async def test_a_host_that_answers_5xx_is_asked_by_one_at_a_time_and_counts_no_attempt(world: World) -> None:
    world.host_says = answer(503)
    await outage(world)
    outcomes = await asyncio.gather(*(world.check(n) for n in range(100, 200)))
    tried = [one for one in outcomes if one.tried]
    assert (len(tried), world.asked) == (1, SUSPECTS + 1)
    assert (tried[0].state, tried[0].failures_after(0), tried[0].failures_after(3)) == (State.RETRYING, 1, 3)
    assert outcomes[-1].message == "held back while host a.example:80 answers with errors: answered 503"


async def test_those_that_never_failed_go_first(world: World) -> None:
    world.host_says = answer(503)
    await outage(world)
    assert not (await world.check(0, failures=1)).tried, "it failed just now"
    probe = asyncio.create_task(world.check(100))
    await asyncio.sleep(0)
    held = await world.check(101)
    assert held.retry_in is not None
    assert (await probe).tried
    assert (await world.check(0, failures=1)).retry_in is not None
    await world.clock.advance(held.retry_in)
    assert not (await world.check(0, failures=1)).tried, "101 is expected"
    assert (await world.check(101)).tried


async def test_bad_items_among_good_ones_of_a_host_hold_nobody_up_for_long(world: World) -> None:
    world.bad = frozenset(range(20))
    await outage(world)
    released: list[str] = []
    world.reconciler.breakers.release = released.extend
    probe = asyncio.create_task(world.check(100))
    await asyncio.sleep(0)
    assert not (await world.check(101)).tried
    assert (await probe).state is State.SYNCED
    assert released == [item_of(101).id], "one good answer ends it"
    for n in range(100, 120):
        assert (await world.check(n)).state is State.SYNCED
    assert (await world.check(0, failures=1)).failures_after(1) == 2, "there were good answers: it is this item's own"


async def test_a_body_that_is_refused_with_a_status_counts(world: World) -> None:
    world.body_breaks = answer(503)
    for n in range(SUSPECTS):
        assert (await world.check(n)).failures_after(0) == 1
    (state,) = world.reconciler.breakers._states.values()
    assert len(state.suspects) == 1, "each check began with a good answer"


@pytest.mark.parametrize("error", [StoreUnavailable("503 SlowDown", answered=True)])
async def test_a_store_that_answers_5xx_is_slowed_too(world: World, error: MirrordError) -> None:
    store = world.stores["one"]
    store.down = error
    await outage(world)
    outcomes = await asyncio.gather(*(world.check(n) for n in range(100, 150)))
    assert [one.tried for one in outcomes].count(True) == 1
    assert store.asked == SUSPECTS + 1
    store.down = None
    await world.clock.advance(1.0)
    assert (await world.check(100)).state is State.SYNCED
    assert (await world.check(101)).state is State.SYNCED


async def test_a_sync_of_many_bad_items_before_good_ones_copies_these_and_ends(world: World) -> None:
    world.bad = frozenset(range(20))
    world.reconciler.breakers.tries = 6
    slots, ended = Slots(4), dict[int, Outcome]()
    world.reconciler.breakers.release = slots.wake

    async def numbers() -> AsyncIterator[int]:
        for n in range(25):
            yield n

    async def handle(n: int) -> None:
        ended[n] = await reconcile_with_retries(world.reconciler, item_of(n), Pauses(slots, item_of(n).id, world.clock))

    syncing = asyncio.create_task(work_through(numbers(), handle, slots))
    await world.clock.advance(10.0)
    assert {n for n, one in ended.items() if one.state is State.SYNCED} == set(range(20, 25))
    await world.clock.advance(80.0)
    assert syncing.done(), "a program that ends must end"
    await syncing
    assert {one.state for n, one in ended.items() if n < 20} == {State.RETRYING}
    assert world.asked < 20 * 6, "not more than all the attempts of each"


async def test_a_sync_of_a_host_that_only_answers_5xx_asks_every_item_once_and_ends() -> None:
    world = World(host_says=answer(503), tries=6)
    slots, ended = Slots(8), list[Outcome]()
    world.reconciler.breakers.release = slots.wake

    async def numbers() -> AsyncIterator[int]:
        for n in range(200):
            yield n

    async def handle(n: int) -> None:
        ended.append(
            await reconcile_with_retries(world.reconciler, item_of(n), Pauses(slots, item_of(n).id, world.clock))
        )

    syncing = asyncio.create_task(work_through(numbers(), handle, slots))
    await world.clock.advance(200.0)
    assert syncing.done()
    assert {one.state for one in ended} == {State.RETRYING}
    assert 200 <= world.asked <= 220


async def test_a_store_that_reads_and_does_not_write_is_slowed_too(world: World) -> None:
    store = world.stores["one"]
    store.refuses = StoreUnavailable("503 SlowDown", retry_after=1.0, answered=True)
    assert (await world.check(0)).tried
    await world.clock.advance(1.0)
    asked = store.asked
    outcomes = await asyncio.gather(*(world.check(n) for n in range(1, 30)))
    assert [one.tried for one in outcomes].count(True) == 1
    assert store.asked == asked + 1
    store.refuses = None
    await world.clock.advance(30.0)
    for n in range(1, 30):
        assert (await world.check(n)).state is State.SYNCED


async def test_after_the_time_that_a_server_asked_for_each_gets_a_moment_of_its_own(world: World) -> None:
    world.host_says = answer(429, 10.0)
    await world.check(0)
    world.host_says = answer(429)
    await world.clock.advance(10.0)
    probe = asyncio.create_task(world.check(1))
    await asyncio.sleep(0)
    waits = [(await world.check(n)).retry_in for n in range(2, 12)]
    assert waits == sorted(set(waits)), "none comes back at the same time as another"
    await probe


# ── status ────────────────────────────────────────────────────────────────────────────────────────
async def test_the_status_of_a_breaker_from_the_first_failure_to_the_good_answer(world: World) -> None:
    breakers, store = world.reconciler.breakers, world.stores["one"]
    assert breakers.statuses(world.clock) == ()
    store.down = StoreUnavailable("connection refused")
    await world.check(0)
    (first,) = breakers.statuses(world.clock)
    assert (first.name, first.state, first.since, first.next_try) == ("store 'one'", "closed", None, None)
    await outage(world)
    opened = world.clock.now()
    await world.clock.advance(0.25)
    (shown,) = breakers.statuses(world.clock)
    assert (shown.state, shown.since, shown.next_try) == ("open", opened, opened + 0.5)
    assert "connection refused" in shown.error
    assert shown.waiting == 0
    await world.check(7)
    assert breakers.statuses(world.clock)[0].waiting == 1
    await world.clock.advance(0.5)
    (shown,) = breakers.statuses(world.clock)
    assert (shown.state, shown.since, shown.next_try) == ("half-open", opened, None)
    await world.check(7)
    (shown,) = breakers.statuses(world.clock)
    assert (shown.state, shown.since) == ("open", opened), "the trial failed"
    store.down = None
    await world.clock.advance(30)
    await world.check(7)
    assert breakers.statuses(world.clock) == ()
    store.down = StoreUnavailable("again")
    await outage(world)
    assert breakers.statuses(world.clock)[0].since == world.clock.now()


async def test_a_host_that_answers_with_errors_is_slowed_and_those_with_most_items_come_first(world: World) -> None:
    world.host_says = answer(503)
    await world.check(0, host="c.example")
    for host in ("b.example", "a.example"):
        await outage(world, host=host)
    await world.check(8, host="a.example", failures=1)
    await world.check(9, host="a.example", failures=1)
    shown = world.reconciler.breakers.statuses(world.clock)
    assert [(one.name, one.state) for one in shown] == [
        ("host a.example:80", "slowed"), ("host b.example:80", "slowed"), ("host c.example:80", "closed")
    ]  # fmt: skip
    assert [one.waiting for one in shown] == [2, 0, 0]


async def test_a_status_names_a_bounded_number_of_breakers(world: World) -> None:
    world.host_says = answer(503)
    for n in range(MOST_BREAKERS + 1):
        await world.check(n, host=f"{n}.example")
    assert len(world.reconciler.breakers.statuses(world.clock)) == MOST_BREAKERS
