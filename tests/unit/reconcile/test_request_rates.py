"""The limit on requests to a host: who is sent when, who may begin, and what a reload changes."""

import asyncio
from typing import Any

import pytest

from mirrord.errors import Reason
from mirrord.model import Destination, Item, State, origin_at
from mirrord.reconcile.breakers import Breakers
from mirrord.reconcile.request_rates import RequestRates
from mirrord.testing import ManualClock

URL = "http://a.example/x"
OTHER = "http://b.example/x"


def rates(clock: ManualClock, rate: float | None, **more: Any) -> RequestRates:
    return RequestRates(rate, monotonic=clock.monotonic, sleep=clock.sleep, chance=lambda: 0.0, **more)


async def send(limit: RequestRates, clock: ManualClock, sent: list[float], address: str = URL) -> None:
    await limit.next_request(address)
    sent.append(clock.monotonic())


async def test_requests_are_spread_evenly_and_each_host_has_its_own_rate() -> None:
    clock, one, other = ManualClock(), list[float](), list[float]()
    limit = rates(clock, 10.0)
    async with asyncio.TaskGroup() as group:
        for _ in range(31):
            group.create_task(send(limit, clock, one))
        group.create_task(send(limit, clock, other, OTHER))
        await clock.advance(10.0)
    assert one == [pytest.approx(number / 10) for number in range(31)]
    assert other == [0.0]


@pytest.mark.parametrize("address", ["HTTP://A.example:80/y?z", "http://u:p@a.example/"])
async def test_a_host_is_a_name_and_a_port(address: str) -> None:
    clock, sent = ManualClock(), list[float]()
    limit = rates(clock, 1.0)
    await limit.next_request(URL)
    task = asyncio.create_task(send(limit, clock, sent, address))
    await limit.next_request("https://a.example/")
    await clock.advance(1.0)
    await task
    assert sent == [1.0]


async def test_a_reload_changes_the_rate_of_requests_that_wait() -> None:
    clock, sent = ManualClock(), list[float]()
    limit = rates(clock, 0.01)
    async with asyncio.TaskGroup() as group:
        for _ in range(12):
            group.create_task(send(limit, clock, sent))
        await clock.advance(5.5)
        limit.use(10.0)
        await clock.advance(2.0)
        assert len(sent) == 12
        limit.use(None)
    assert sent[1] == pytest.approx(6.0, abs=0.11), "the rate is looked up each second"


async def test_a_request_that_is_cancelled_takes_no_token() -> None:
    clock, sent = ManualClock(), list[float]()
    limit = rates(clock, 1.0)
    await limit.next_request(URL)
    task = asyncio.create_task(limit.next_request(URL))
    await clock.run_ready()
    task.cancel()
    await asyncio.wait([task])
    other = asyncio.create_task(send(limit, clock, sent))
    await clock.advance(1.0)
    await other
    assert sent == [1.0]


# ── items ─────────────────────────────────────────────────────────────────────────────────────────
async def test_an_item_begins_only_if_its_request_can_be_sent() -> None:
    clock = ManualClock()
    limit = rates(clock, 10.0)
    assert limit.begin("1", URL) == 0.0
    assert limit.begin("2", URL) == pytest.approx(0.1), "the token of the first one is spoken for"
    assert limit.begin("3", URL) == pytest.approx(0.2)
    assert limit.begin("other", OTHER) == 0.0
    await limit.next_request(URL)
    assert limit.begin("4", URL) == pytest.approx(0.3), "not before those that wait"
    await clock.advance(0.1)
    assert limit.begin("3", URL) == pytest.approx(0.1), "its turn stays"
    assert limit.begin("2", URL) == 0.0


async def test_an_item_that_sends_no_request_gives_its_token_back() -> None:
    limit = rates(ManualClock(), 10.0)
    assert limit.begin("1", URL) == 0.0
    limit.left("1", URL)
    assert limit.begin("2", URL) == 0.0


async def test_items_are_checked_at_the_rate_and_in_their_order() -> None:
    clock, begun = ManualClock(), list[tuple[float, int]]()
    limit = rates(clock, 10.0)

    async def check(number: int) -> None:
        while wait := limit.begin(str(number), URL):
            await clock.sleep(wait)
        await limit.next_request(URL)
        begun.append((clock.monotonic(), number))
        limit.left(str(number), URL)

    async with asyncio.TaskGroup() as group:
        for number in range(200):
            group.create_task(check(number))
        await clock.advance(60.0)
    times = [at for at, _ in begun]
    assert all(later - earlier >= 1.0 - 1e-6 for earlier, later in zip(times, times[10:], strict=False))
    assert times[-1] < 1.5 * 20.0, "little of the rate is lost"
    assert [number for _, number in begun[:50]] == list(range(50))


async def test_ranges_of_a_large_transfer_do_not_keep_items_from_their_turn() -> None:
    clock, began = ManualClock(), list[float]()
    limit = rates(clock, 1.0)

    async def ranges() -> None:
        while True:
            await limit.next_request(URL)

    async def check() -> None:
        while wait := limit.begin("small", URL):
            await clock.sleep(wait)
        await limit.next_request(URL)
        began.append(clock.monotonic())

    readers = [asyncio.create_task(ranges()) for _ in range(4)]
    await clock.advance(3.5)
    item = asyncio.create_task(check())
    await clock.advance(30.0)
    await item
    for one in readers:
        one.cancel()
    await asyncio.wait(readers)
    assert began[0] < 20.0


async def test_an_item_that_waits_for_its_turn_is_no_failure() -> None:
    clock = ManualClock()
    breakers = Breakers(requests=rates(clock, 10.0))
    at = Destination("one", "http://one", "bucket", "key")
    item = Item(id=at.item_id, entry="e", origin=origin_at(URL), destination=at)
    assert breakers.admit(item, clock.monotonic()) is None
    breakers.leave(item)
    assert breakers.admit(item, clock.monotonic()) is None
    waits = breakers.admit(item, clock.monotonic())
    assert waits is not None
    assert (waits.state, waits.reason, waits.tried, waits.counts) == (State.RETRYING, Reason.SCHEDULE, False, False)
    assert waits.retry_in == pytest.approx(0.1)
    assert waits.failures_after(0) == 0


async def test_many_hosts_that_are_idle_are_forgotten() -> None:
    clock = ManualClock()
    limit = rates(clock, 10.0)
    for number in range(3_000):
        await limit.next_request(f"http://h{number}.example/")
        await clock.advance(0.01)
    assert len(limit._hosts) <= 1_200
