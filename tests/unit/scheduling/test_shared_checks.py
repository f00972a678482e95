"""Which checks run here, and which by workers; and that no fault loses a check, or makes two of one item at a time."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from mirrord.errors import JournalTakenOver, JournalUnavailable
from mirrord.model import Destination, File, Item, Outcome, State, Url
from mirrord.ports.tickets import Ticket, TicketReport
from mirrord.scheduling.shared_checks import SWEEP_EVERY, SharedChecks
from mirrord.scheduling.ticket_worker import TicketWorker
from mirrord.testing import ManualClock
from mirrord.testing.tickets import MemoryTickets, MemoryWorker

SYNCED = Outcome(state=State.SYNCED)
PATIENCE = 60.0


def item_of(name: str, entry: str = "rows") -> Item:
    at = Destination("default", "http://127.0.0.1:9000", "bkt", name)
    return Item(id=at.item_id, entry=entry, origin=Url(f"https://example.org/{name}"), destination=at)


ITEMS = [item_of(f"n{number}", f"entry {number % 3}") for number in range(40)]


@dataclass
class Place:
    """Where checks run. Each takes `seconds`; `running`: of all places, with how many at a time."""

    clock: ManualClock
    name: str
    running: Counter[str]
    alive: bool = True
    done: list[str] = field(default_factory=list)
    most: int = 0
    now: int = 0
    seconds: float = 1.0

    async def reconcile(self, item: Item, failures: int) -> Outcome:
        self.running[item.id] += 1
        self.now += 1
        self.most = max(self.most, self.now)
        assert self.running[item.id] == 1, f"two checks of {item.destination.key} at a time"
        try:
            await self.clock.sleep(self.seconds)
        finally:
            self.now -= 1
            if self.alive:
                self.running[item.id] -= 1
        self.done.append(item.id)
        return replace(SYNCED, message=f"{self.name} {failures}")


class Fleet:
    """The process that has the state, and workers, by one clock and with tickets in memory."""

    def __init__(self, slots: int = 2, tickets: Any = None) -> None:
        self.clock = ManualClock()
        self.memory = MemoryTickets()
        self.running: Counter[str] = Counter()
        self.here = Place(self.clock, "here", self.running)
        self.shared = self.owner(slots, tickets or self.memory)
        self.tasks: list[asyncio.Task[Any]] = []
        self.workers: dict[str, tuple[Place, MemoryWorker, asyncio.Task[None]]] = {}

    def owner(self, slots: int, tickets: Any) -> SharedChecks:
        return SharedChecks(checks=self.here.reconcile, tickets=tickets, clock=self.clock, slots=slots)

    def begin(self, work: Awaitable[Any]) -> asyncio.Task[Any]:
        self.tasks.append(asyncio.ensure_future(work))
        return self.tasks[-1]

    def worker(self, name: str, items: list[Item] = ITEMS, wrap: Callable[[Any], Any] = lambda one: one) -> Place:
        known = {item.id: item for item in items}
        place, tickets = Place(self.clock, name, self.running), self.memory.worker(name, slots=4)
        worker = TicketWorker(
            tickets=wrap(tickets), reconcile=place.reconcile, item=known.get, clock=self.clock, slots=4
        )
        self.workers[name] = place, tickets, self.begin(worker.run())
        return place

    async def kill(self, name: str) -> None:
        """As kill -9: its checks never end, and its lease runs out."""
        place, tickets, task = self.workers.pop(name)
        place.alive = False
        tickets.ended = True
        await self.stopped(task)
        self.running -= Counter({one.item_id: 1 for ticket in tickets.taken.values() for one in ticket.works})

    async def stopped(self, task: asyncio.Task[Any]) -> None:
        task.cancel()
        await asyncio.wait([task])

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.wait(self.tasks)


@pytest.fixture
async def fleet() -> Any:
    made = Fleet()
    made.begin(made.shared.run())
    yield made
    await made.close()


async def all_of(fleet: Fleet, checks: list[asyncio.Task[Outcome]]) -> list[str]:
    """The place of each check, once all have ended."""
    for _ in range(int(PATIENCE)):
        if all(one.done() for one in checks):
            return [one.result().message.split()[0] for one in checks]
        await fleet.clock.advance(1.0)
    raise AssertionError(f"{sum(not one.done() for one in checks)} checks never end")


def checks(fleet: Fleet, items: list[Item], failures: int = 0) -> list[asyncio.Task[Outcome]]:
    return [fleet.begin(fleet.shared.reconcile(item, failures)) for item in items]


async def test_without_workers_all_run_here_in_the_slots(fleet: Fleet) -> None:
    assert set(await all_of(fleet, checks(fleet, ITEMS))) == {"here"}
    assert fleet.here.most == 2


async def test_workers_take_their_share(fleet: Fleet) -> None:
    first, second = fleet.worker("first"), fleet.worker("second")
    await fleet.clock.advance(SWEEP_EVERY)
    places = Counter(await all_of(fleet, checks(fleet, ITEMS, 7)))
    assert sorted(fleet.here.done + first.done + second.done) == sorted(item.id for item in ITEMS), "each once"
    assert all(count >= 4 for count in places.values()), places
    assert len(places) == 3
    assert fleet.begin(fleet.shared.reconcile(ITEMS[0], 3))


async def test_files_and_other_items_take_turns_here(fleet: Fleet) -> None:
    files = [replace(one, origin=File(None, "/a")) for one in ITEMS[:20]]
    begun = checks(fleet, [*files, *ITEMS[20:]])
    await fleet.clock.advance(5.5)
    ended = [number < 20 for number, one in enumerate(begun) if one.done()]
    assert 4 <= sum(ended) <= 6, "of ten"
    assert len(ended) == 10


async def test_the_daemon_is_told_of_checks_elsewhere_only(fleet: Fleet) -> None:
    told: list[tuple[str, str]] = []
    fleet.shared.ended = lambda item, outcome: told.append((item.id, outcome.message))
    worker = fleet.worker("first")
    await fleet.clock.advance(SWEEP_EVERY)
    await all_of(fleet, checks(fleet, ITEMS))
    assert sorted(told) == sorted((item_id, "first 0") for item_id in worker.done)


async def test_failures_reach_the_worker(fleet: Fleet) -> None:
    fleet.worker("first")
    await fleet.clock.advance(SWEEP_EVERY)
    ended = checks(fleet, ITEMS, 7)
    await all_of(fleet, ended)
    assert {one.result().message for one in ended} == {"here 7", "first 7"}


async def test_what_stays_on_this_host_runs_here(fleet: Fleet) -> None:
    worker = fleet.worker("first")
    await fleet.clock.advance(SWEEP_EVERY)
    files = [replace(one, origin=File(None, "/a")) for one in ITEMS[:20]]
    fleet.shared.only_here = lambda item: item.id == ITEMS[20].id
    assert set(await all_of(fleet, checks(fleet, [*files, ITEMS[20]]))) == {"here"}
    assert worker.done == []


async def test_what_a_worker_does_not_know_runs_here(fleet: Fleet) -> None:
    other = replace(ITEMS[1], entry="renamed")
    worker = fleet.worker("first", [ITEMS[0], other])
    await fleet.clock.advance(SWEEP_EVERY)
    offered = Counter[str]()
    offer = fleet.memory.offer

    async def counted(tickets: list[Ticket]) -> None:
        offered.update(work.item_id for one in tickets for work in one.works)
        await offer(tickets)

    fleet.shared.tickets = Replaced(fleet.memory, offer=counted)
    await all_of(fleet, checks(fleet, ITEMS))
    assert set(worker.done) <= {ITEMS[0].id}
    assert set(offered.values()) == {1}, "what was declined is not offered again"


async def test_a_slot_that_comes_with_a_cancellation_is_free_again(fleet: Fleet) -> None:
    begun = checks(fleet, ITEMS[:3])  # two slots
    await fleet.clock.run_ready()
    fleet.shared.slots = 3
    fleet.shared._assign()
    begun[2].cancel()
    await fleet.clock.advance(1.5)
    more = checks(fleet, ITEMS[3:6])
    await fleet.clock.advance(1.5)
    assert all(one.done() for one in [*begun, *more]), "three at a time"


async def test_a_stop_that_failed_is_repeated(fleet: Fleet) -> None:
    worker = fleet.worker("first")
    worker.seconds = 1000.0
    failures = 1
    await fleet.clock.advance(SWEEP_EVERY)

    async def stop(tickets: Mapping[int, Collection[str]]) -> None:
        nonlocal failures
        if failures:
            failures -= 1
            raise JournalUnavailable("away")
        await fleet.memory.stop(tickets)

    fleet.shared.tickets = Replaced(fleet.memory, stop=stop)
    begun = checks(fleet, ITEMS[:12])
    await fleet.clock.advance(5.0)
    waiting = [one for one in begun if not one.done()]
    assert waiting
    for one in waiting:
        one.cancel()
    await fleet.clock.advance(3.0)
    assert all(one.done() for one in waiting)


async def test_the_work_of_a_dead_worker_is_done_by_others(fleet: Fleet) -> None:
    fleet.worker("dies")
    await fleet.clock.advance(SWEEP_EVERY)
    begun = checks(fleet, ITEMS)
    await fleet.clock.advance(0.9)
    assert any(fleet.workers["dies"][1].taken.values())
    await fleet.kill("dies")
    fleet.worker("lives")
    await all_of(fleet, begun)


@pytest.mark.parametrize("after", [0.0, 0.1, 0.5, 0.95, 1.0, 1.1, 2.0])
async def test_a_cancelled_check_ends_where_it_runs(fleet: Fleet, after: float) -> None:
    """And the others of its ticket go on."""
    fleet.worker("first")
    await fleet.clock.advance(SWEEP_EVERY)
    begun = checks(fleet, ITEMS)
    await fleet.clock.advance(after)
    cancelled, still_running = begun[::4], list[int]()
    for item, one in zip(ITEMS[::4], cancelled, strict=True):
        one.add_done_callback(lambda _, item=item: still_running.append(fleet.running[item.id]))
        one.cancel()
    await fleet.clock.advance(5.0)
    assert all(one.done() for one in cancelled)
    assert not any(still_running), "it waits for the end of the check"
    assert all(not fleet.running[item.id] for item, one in zip(ITEMS[::4], cancelled, strict=True) if one.cancelled())
    again = checks(fleet, [item for item, one in zip(ITEMS[::4], cancelled, strict=True) if one.cancelled()])
    await all_of(fleet, [*again, *(one for one in begun if one not in cancelled)])


async def test_a_check_that_is_cancelled_while_it_gets_a_slot_keeps_none(fleet: Fleet) -> None:
    """The cancelled check is still in the queue when another one ends."""
    for _ in range(3):
        begun = checks(fleet, ITEMS[:3])
        await fleet.clock.advance(0.5)
        for one in begun:
            one.cancel()
        await fleet.clock.advance(0.5)
    assert set(await all_of(fleet, checks(fleet, ITEMS))) == {"here"}


async def test_a_second_stop_of_a_ticket_hides_none_that_its_worker_has_not_read(fleet: Fleet) -> None:
    worker = fleet.memory.worker("slow")
    await fleet.clock.advance(SWEEP_EVERY)
    begun = checks(fleet, ITEMS[:30:3])
    await fleet.clock.advance(0.5)
    assert await worker.take(5, [])
    number, works = next((one.number, one.works) for one in worker.taken.values() if len(one.works) > 1)
    taken = [one for one, item in zip(begun, ITEMS[:30:3], strict=True) if item.id in {w.item_id for w in works}]
    for one in taken:
        one.cancel()
        await fleet.clock.advance(0.5)
    stopped = set((await worker.stopped())[number])
    await worker.report([TicketReport(one, {}, last=True) for one in list(worker.taken)])
    await fleet.clock.advance(SWEEP_EVERY)
    fleet.shared.close()
    assert stopped == {one.item_id for one in works}


async def test_a_ticket_that_ended_is_not_offered_again(fleet: Fleet) -> None:
    """Its offer had no answer, so it is repeated."""
    failing = fleet.shared.tickets = Failing(fleet.memory, random.Random(0), 0.0)
    failing.lost = {"offer"}
    worker = fleet.memory.worker("fast")
    await fleet.clock.advance(SWEEP_EVERY)
    begun = checks(fleet, ITEMS)
    await fleet.clock.advance(0.2)
    for one in await worker.take(100, []):
        outcomes = {work.item_id: replace(SYNCED, message="fast") for work in one.works}
        await worker.report([TicketReport(one.number, outcomes, last=True)])
    failing.lost = set()
    await fleet.clock.advance(0.5)
    fleet.shared.close()
    ended = {one.result().message for one in begun if one.done()}
    assert ended == {"fast"}
    offered = {work.item_id for one in fleet.memory.take(100).values() for work in one.works}
    assert not offered & {item.id for item, one in zip(ITEMS, begun, strict=True) if one.done()}


async def test_the_next_owner_takes_the_outcomes_of_running_tickets(fleet: Fleet) -> None:
    worker = fleet.worker("first")
    await fleet.clock.advance(SWEEP_EVERY)
    before = checks(fleet, ITEMS)
    await fleet.clock.advance(0.5)
    taken = {work.item_id for one in await fleet.memory.taken() for work in one.works}
    assert taken
    assert fleet.memory.take(0) == {}
    unclaimed = set(await fleet.memory.unfinished()) - {one.number for one in await fleet.memory.taken()}
    assert unclaimed, "a worker could take it while the next owner begins"
    fleet.shared.close()
    for one in [*before, fleet.tasks[0]]:
        one.cancel()
    await fleet.clock.run_ready()
    assert all(one.done() for one in before), "at once"
    fleet.memory.first = 1 << 32
    fleet.shared = fleet.owner(2, fleet.memory)
    await fleet.shared.begin()
    await fleet.clock.advance(1.2)  # the worker looks for tickets
    fleet.begin(fleet.shared.run())
    changed = next(item for item in ITEMS if item.id in taken)
    triggered = next(item for item in ITEMS if item.id in taken and item is not changed)
    fleet.shared.only_here = lambda item: item.id == triggered.id
    wanted = [replace(item, entry="other") if item is changed else item for item in ITEMS]
    places = dict(zip([item.id for item in ITEMS], await all_of(fleet, checks(fleet, wanted)), strict=True))
    assert {places[item_id] for item_id in taken - {changed.id, triggered.id}} == {"first"}
    assert (places[changed.id], places[triggered.id]) == ("here", "here")
    assert all(count == 1 for item_id, count in Counter(worker.done).items() if item_id in taken)


class Replaced:
    """Tickets of which one call is replaced."""

    def __init__(self, inner: Any, **calls: Any) -> None:
        self._inner = inner
        vars(self).update(calls)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


@dataclass
class Failing:
    """Tickets whose calls fail now and then, before they had their effect or after it."""

    inner: Any
    chance: random.Random
    share: float = 0.2
    lost: Collection[str] = ()
    """Calls whose answers are lost."""

    def __getattr__(self, name: str) -> Any:
        call = getattr(self.inner, name)
        if not callable(call):
            return call

        async def failing(*arguments: Any) -> Any:
            fails = self.chance.random() < self.share
            if fails and (name == "reports" or self.chance.random() < 0.5):
                raise JournalUnavailable("before")
            done = await call(*arguments)
            if fails or name in self.lost:
                raise JournalUnavailable("after")
            return done

        return failing


@pytest.mark.parametrize("seed", range(12))
async def test_no_fault_loses_a_check_or_makes_two_at_a_time(seed: int) -> None:
    print(f"seed {seed}")
    chance = random.Random(seed)
    fleet = Fleet(slots=3)
    fleet.shared.tickets = Failing(fleet.memory, chance)
    fleet.begin(fleet.shared.run())
    running: dict[str, asyncio.Task[Outcome]] = {}
    ended = number = 0
    for _ in range(150):
        if len(fleet.workers) < 3 and chance.random() < 0.3:
            number += 1
            fleet.worker(f"w{number}", wrap=lambda one: Failing(one, chance))
        if fleet.workers and chance.random() < 0.08:
            await fleet.kill(chance.choice(list(fleet.workers)))
        for item in chance.sample(ITEMS, 6):
            if item.id not in running:
                running[item.id] = fleet.begin(fleet.shared.reconcile(item))
            elif chance.random() < 0.1:
                running[item.id].cancel()
        await fleet.clock.advance(chance.choice([0.0, 0.03, 0.3, 1.0]))
        for item_id, one in list(running.items()):
            if one.done():
                ended += not one.cancelled() and one.result().state is State.SYNCED
                del running[item_id]
    for _ in range(int(PATIENCE)):
        await fleet.clock.advance(1.0)
    with suppress(JournalTakenOver):
        assert all(one.done() for one in running.values())
    assert ended > 100
    await fleet.close()
