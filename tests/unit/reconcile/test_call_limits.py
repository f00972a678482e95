"""Permits of calls: who waits, what refused calls cost, which items are not begun, and what ends the limit."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field

import pytest

from mirrord.errors import Reason, SourceUnavailable, StoreUnavailable
from mirrord.model import Destination, Item, Outcome, State, origin_at
from mirrord.planning.timing.breaker import SUSPECTS
from mirrord.planning.timing.concurrency import FORGOTTEN_AFTER
from mirrord.reconcile.breakers import Breakers
from mirrord.reconcile.call_limits import MOST_EXCUSED, CallLimit, CallLimits
from mirrord.testing import ManualClock

SLOW_DOWN = StoreUnavailable("503 SlowDown", answered=True, throttled=True)


@dataclass
class Server:
    """Takes `most` calls at once, each for a tenth of a second, and refuses more at once."""

    limit: CallLimit
    clock: ManualClock
    most: int = 4
    running: int = 0
    refusals: int = 0
    highest: list[int] = field(default_factory=list)
    """How many ran, at each call that was taken."""
    last: float = 0.0
    """When the last one was taken."""

    async def call(self) -> bool:
        generation = await self.limit.take()
        try:
            await self.clock.sleep(0.01)
            if self.running >= self.most:
                self.refusals += 1
                self.limit.refused(generation)
                return False
            self.running += 1
            self.highest.append(self.running)
            self.last = self.clock.monotonic()
            try:
                await self.clock.sleep(0.1)
            finally:
                self.running -= 1
            self.limit.answered()
            return True
        finally:
            self.limit.give()

    async def until_taken(self) -> None:
        while not await self.call():
            await self.clock.sleep(0.3)


def made(clock: ManualClock, **more: int) -> tuple[CallLimits, Server]:
    limits = CallLimits(monotonic=clock.monotonic)
    return limits, Server(limits.store("one"), clock, **more)


async def work(server: Server, clock: ManualClock, calls: int, workers: int, seconds: float) -> None:
    """So many calls by so many workers."""
    left = iter(range(calls))

    async def one() -> None:
        for _ in left:
            await server.until_taken()

    async with asyncio.TaskGroup() as group:
        for _ in range(workers):
            group.create_task(one())
        for _ in range(int(seconds * 20)):
            await clock.advance(0.05)


async def test_as_many_calls_run_as_the_server_takes_and_few_are_refused() -> None:
    clock = ManualClock()
    limits, server = made(clock)
    await work(server, clock, calls=1_600, workers=16, seconds=80.0)
    assert len(server.highest) == 1_600
    assert server.last < 1.4 * 1_600 * 0.11 / server.most, "it settles near what the server takes"
    assert server.refusals <= 12 + 4 + 80 // 2, "the first burst, and one call in two seconds to try more"
    assert 1 <= limits.limits["store 'one'"] <= server.most + 1


async def test_it_grows_back_after_the_server_recovers() -> None:
    clock = ManualClock()
    limits, server = made(clock)
    await work(server, clock, calls=160, workers=16, seconds=10.0)
    assert "store 'one'" in limits.limits
    server.most = 100
    await work(server, clock, calls=2_000, workers=16, seconds=40.0)
    assert not limits.limits
    assert max(server.highest[-100:]) == 16


async def test_a_limit_that_is_not_used_does_not_grow_and_is_forgotten() -> None:
    clock = ManualClock()
    limits, server = made(clock, most=2)
    await work(server, clock, calls=16, workers=16, seconds=10.0)
    before = limits.limits["store 'one'"]
    for _ in range(5):
        task = asyncio.create_task(server.call())
        await clock.advance(5.0)
        assert await task
    assert limits.limits["store 'one'"] in (before, before + 1)
    await clock.advance(FORGOTTEN_AFTER)
    task = asyncio.create_task(server.call())
    await clock.advance(1.0)
    assert await task
    assert not limits.limits


async def test_calls_wait_first_come_first_served_and_a_cancelled_one_leaves_its_place() -> None:
    limits = CallLimits(monotonic=lambda: 0.0)
    limit, order = limits.store("one"), list[int]()
    generations = [await limit.take() for _ in range(2)]
    limit.refused(generations[0])  # one at a time

    async def call(number: int) -> None:
        await limit.take()
        order.append(number)

    limit.give()
    tasks = [asyncio.create_task(call(number)) for number in range(4)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    await asyncio.sleep(0)
    limit.give()
    await asyncio.sleep(0)
    assert order == [1]
    tasks[2].cancel()
    limit.give()  # in the same moment
    await asyncio.gather(*tasks[:3], return_exceptions=True)
    await asyncio.sleep(0)
    assert order == [1, 3]


async def test_a_call_that_is_cancelled_as_it_gets_its_permit_passes_it_on() -> None:
    limits = CallLimits(monotonic=lambda: 0.0)
    limit = limits.store("one")
    await limit.take()
    limit.refused(await limit.take())
    limit.give()
    first, second = asyncio.create_task(limit.take()), asyncio.create_task(limit.take())
    await asyncio.sleep(0)
    limit.give()
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert await second == 1


def test_hosts_and_stores_have_their_own_limits() -> None:
    limits = CallLimits()
    one = limits.host("http://A.example/x")
    assert one is limits.host("http://a.example:80/y")
    assert one is not limits.host("https://a.example/x")
    assert limits.host("not a URL") is None
    a, b = limits.store("a"), limits.store("b")
    assert a is limits.store("a") is not b


# ── items ─────────────────────────────────────────────────────────────────────────────────────────
def item(n: int, store: str = "one", host: str = "a.example") -> Item:
    at = Destination(store, f"http://{store}", "bucket", f"key {n}")
    return Item(id=at.item_id, entry="e", origin=origin_at(f"http://{host}/{n}"), destination=at)


def world(freed: list[str] | None = None) -> tuple[Breakers, CallLimits]:
    def free(ids: Collection[str]) -> None:
        if freed is not None:
            freed.extend(ids)

    calls = CallLimits(free, lambda: 0.0)
    return Breakers(chance=lambda: 0.0, calls=calls), calls


async def limited(limit: CallLimit, running: int = 4) -> None:
    """Half of `running` calls at once are allowed, and so many run."""
    generations = [await limit.take() for _ in range(running)]
    limit.refused(generations[0])
    for _ in range(running - (running + 1) // 2):
        limit.give()


def fail(breakers: Breakers, n: int, error: StoreUnavailable | SourceUnavailable = SLOW_DOWN) -> Outcome | None:
    assert breakers.admit(item(n), 0.0) is None
    outcome = breakers.failed(item(n), error, 0.0, begun=False, fresh=True)
    breakers.leave(item(n))
    return outcome


async def test_a_refused_call_counts_as_no_attempt_and_is_no_outage() -> None:
    breakers, calls = world()
    store = calls.store("one")
    await limited(store)
    for n in range(3 * SUSPECTS):
        outcome = fail(breakers, n)
        assert outcome is not None
        assert (outcome.state, outcome.reason, outcome.counts, outcome.tried, outcome.retry_in) == (
            State.RETRYING,
            Reason.STORE_UNAVAILABLE,
            False,
            True,
            0.5,
        )
    assert breakers.admit(item(100), 0.0) is None, "nothing holds others back"


async def test_the_same_item_is_excused_some_times_only_and_anew_after_a_success() -> None:
    breakers, calls = world()
    store = calls.store("one")
    await limited(store)
    waits = [outcome.retry_in if (outcome := fail(breakers, 1)) else None for _ in range(MOST_EXCUSED + 1)]
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, None]
    assert breakers.admit(item(1), 0.0) is None
    breakers.leave(item(1))  # without an error
    assert fail(breakers, 1) is not None


async def test_refusals_without_other_calls_are_an_outage() -> None:
    breakers, calls = world()
    store = calls.store("one")
    generation = await store.take()
    store.refused(generation)
    assert [fail(breakers, n) for n in range(SUSPECTS)] == [None] * SUSPECTS
    held = breakers.admit(item(0), 0.0, fresh=False)
    assert held is not None
    assert "answers with errors" in held.message


async def test_refusals_of_one_call_at_a_time_are_an_outage_too_until_one_succeeds() -> None:
    breakers, calls = world()
    store = calls.store("one")
    await limited(store, running=2)
    store.give()
    store.refused(await store.take())
    assert fail(breakers, 1) is None
    store.answered()
    assert fail(breakers, 2) is not None


async def test_retry_after_holds_for_the_whole_store_and_the_attempt_is_excused() -> None:
    breakers, calls = world()
    store = calls.store("one")
    await limited(store)
    outcome = fail(breakers, 1, StoreUnavailable("SlowDown", answered=True, throttled=True, retry_after=7.0))
    assert outcome is not None
    assert (outcome.counts, outcome.retry_in) == (False, 7.5)
    held = breakers.admit(item(2), 0.0)
    assert held is not None
    assert held.retry_in == 7.0


async def test_items_of_a_store_at_which_calls_wait_are_not_begun_until_there_is_room() -> None:
    freed = list[str]()
    breakers, calls = world(freed)
    store = calls.store("one")
    await limited(store)
    waiting = [asyncio.create_task(store.take()) for _ in range(2)]
    await asyncio.sleep(0)
    outcome = breakers.admit(item(1), 0.0)
    assert outcome is not None
    assert (outcome.tried, outcome.counts, outcome.retry_in) == (False, False, 10.0)
    assert outcome.reason is Reason.SCHEDULE, "no fault of the store: a fallback is not asked instead"
    assert "few calls at once" in outcome.message
    assert breakers.admit(item(2, store="two"), 0.0) is None, "another store goes on"
    store.give()
    assert not freed, "a call waits"
    store.give()
    assert freed == [item(1).id]
    await asyncio.gather(*waiting)


async def test_an_item_that_begins_by_itself_is_not_told_again() -> None:
    freed = list[str]()
    breakers, calls = world(freed)
    store = calls.store("one")
    await limited(store)
    waiting = [asyncio.create_task(store.take()) for _ in range(2)]
    await asyncio.sleep(0)
    assert [breakers.admit(item(n), 0.0) is None for n in (1, 2)] == [False, False]
    waiting.pop().cancel()
    await asyncio.sleep(0)
    assert breakers.admit(item(1), 10.0) is None, "it asks again: fewer calls wait"
    store.give()
    await asyncio.gather(*waiting)
    for _ in range(2):
        store.give()
    assert freed == [item(2).id]


async def test_batches_of_files_end_while_calls_are_limited() -> None:
    breakers, calls = world()
    assert breakers.closed(item(1))
    await limited(calls.store("one"))
    assert not breakers.closed(item(1))
    assert breakers.closed(item(1, store="two"))


@pytest.mark.parametrize("error", [StoreUnavailable("500", answered=True), StoreUnavailable("refused")])
async def test_other_errors_count_as_before(error: StoreUnavailable) -> None:
    breakers, calls = world()
    await limited(calls.store("one"))
    assert fail(breakers, 1, error) is None


async def test_without_breakers_each_item_is_tried_and_refusals_are_excused() -> None:
    limits = CallLimits(monotonic=lambda: 0.0)
    breakers = Breakers(chance=lambda: 0.0, calls=limits, opens=False)
    for n in range(3 * SUSPECTS):
        assert fail(breakers, n, StoreUnavailable("refused")) is None
    store = limits.store("one")
    await limited(store)
    assert fail(breakers, 1) is not None
