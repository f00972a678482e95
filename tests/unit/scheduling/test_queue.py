"""The queue in one process: the order of time, no overlap, bounds, cancelling and stopping, without any waiting."""

import asyncio
import gc
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirrord.ports import CheckItem
from mirrord.scheduling.queue import AFTER_FAULT, LocalQueue
from mirrord.testing import ManualClock


class Bench:
    """A queue at work whose checks take as long as the test says, and what happened when."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.queue = LocalQueue(self.clock)
        self.began: list[tuple[str, float]] = []
        self.ended: list[tuple[str, float]] = []
        self.cancelled: list[str] = []
        self.takes = 0.0
        self.running: list[str] = []
        self.most = 0

    async def check(self, item_id: str) -> None:
        self.began.append((item_id, self.clock.monotonic()))
        self.running.append(item_id)
        self.most = max(self.most, len(self.running))
        try:
            if self.takes:
                await self.clock.sleep(self.takes)
        except asyncio.CancelledError:
            self.cancelled.append(item_id)
            raise
        finally:
            self.running.remove(item_id)
        self.ended.append((item_id, self.clock.monotonic()))

    @asynccontextmanager
    async def working(self, concurrency: int = 4, work: CheckItem | None = None) -> AsyncIterator["Bench"]:
        running = asyncio.create_task(self.queue.run(work or self.check, concurrency))
        await self.clock.run_ready()
        try:
            yield self
        finally:
            running.cancel()
            await asyncio.wait([running])

    @property
    def order(self) -> list[str]:
        return [item_id for item_id, _ in self.began]


@pytest.fixture
async def bench() -> Bench:
    return Bench()


async def test_each_item_is_checked_when_its_time_comes(bench: Bench) -> None:
    async with bench.working():
        await bench.queue.enqueue("late", 30)
        await bench.queue.enqueue("soon", 10)
        await bench.queue.enqueue("now")
        assert await bench.queue.due() == 1
        await bench.clock.advance(60)
    assert bench.began == [("now", 0.0), ("soon", 10.0), ("late", 30.0)]
    assert await bench.queue.due() == 0


async def test_wishes_made_before_it_runs_are_kept(bench: Bench) -> None:
    await bench.queue.enqueue("a")
    await bench.clock.advance(5)
    assert bench.began == []
    assert await bench.queue.due() == 1
    async with bench.working():
        assert bench.order == ["a"]


async def test_of_two_wishes_the_sooner_wins(bench: Bench) -> None:
    async with bench.working():
        await bench.queue.enqueue("a", 30)
        await bench.queue.enqueue("a", 10)
        await bench.queue.enqueue("a", 20)
        await bench.clock.advance(60)
    assert bench.began == [("a", 10.0)]


async def test_a_wish_made_during_the_check_is_honoured_afterwards(bench: Bench) -> None:
    bench.takes = 10
    async with bench.working():
        await bench.queue.enqueue("a")
        await bench.clock.advance(5)
        assert bench.running == ["a"]
        await bench.queue.enqueue("a", 60)
        await bench.queue.enqueue("a")
        await bench.clock.advance(100)
    assert bench.began == [("a", 0.0), ("a", 10.0)]


async def test_a_check_that_waits_apart_makes_room_for_another(bench: Bench) -> None:
    async def apart(item_id: str) -> None:
        with bench.queue.apart():
            await bench.check(item_id)
        await bench.clock.sleep(10)

    bench.takes = 10
    async with bench.working(1, apart):
        for name in "abc":
            await bench.queue.enqueue(name)
        await bench.clock.advance(5)
        assert bench.running == ["a", "b", "c"]
        await bench.clock.advance(10)
        await bench.queue.enqueue("d")
        await bench.clock.advance(1)
        assert bench.order == ["a", "b", "c"], "they count again"
        await bench.clock.advance(10)
        assert bench.running == ["d"]


async def test_a_check_may_wish_for_the_next(bench: Bench) -> None:
    async def again(item_id: str) -> None:
        await bench.check(item_id)
        await bench.queue.enqueue(item_id, 10)

    async with bench.working(work=again):
        await bench.queue.enqueue("a")
        await bench.clock.advance(35)
    assert bench.began == [("a", 0.0), ("a", 10.0), ("a", 20.0), ("a", 30.0)]


async def test_no_more_run_than_are_allowed_and_the_rest_come_by_their_time(bench: Bench) -> None:
    bench.takes = 1
    async with bench.working(concurrency=3):
        for number in range(9):
            await bench.queue.enqueue(str(number), number / 100)
        await bench.clock.advance(0.5)
        assert bench.most == len(bench.running) == 3
        assert await bench.queue.due() == 6
        await bench.queue.enqueue("first", -1)
        await bench.clock.advance(10)
    assert bench.most == 3
    assert bench.order == ["0", "1", "2", "first", "3", "4", "5", "6", "7", "8"]


async def test_cancel_drops_the_wish(bench: Bench) -> None:
    async with bench.working():
        await bench.queue.enqueue("a", 10)
        await bench.queue.enqueue("b", 10)
        await bench.queue.cancel("a")
        await bench.queue.cancel("unknown")
        await bench.clock.advance(60)
    assert bench.order == ["b"]


async def test_cancel_requests_the_end_of_the_check_and_returns_before_it(bench: Bench) -> None:
    undone = asyncio.Event()

    async def undoing(item_id: str) -> None:
        try:
            await bench.check(item_id)
        finally:
            await asyncio.sleep(0)
            undone.set()

    bench.takes = 10
    async with bench.working(work=undoing):
        await bench.queue.enqueue("a")
        await bench.clock.advance(5)
        await bench.queue.cancel("a")
        assert bench.running == ["a"]
        await bench.clock.run_ready()
        assert undone.is_set()
        assert not bench.running
        await bench.clock.advance(60)
    assert bench.order == bench.cancelled == ["a"]


async def test_a_wish_made_while_a_check_is_being_cancelled_stands(bench: Bench) -> None:
    bench.takes = 10
    async with bench.working():
        await bench.queue.enqueue("a")
        await bench.clock.advance(5)
        await bench.queue.cancel("a")
        assert bench.running == ["a"]
        await bench.queue.enqueue("a", 1)
        await bench.clock.advance(60)
    assert bench.began == [("a", 0.0), ("a", 6.0)]


async def test_stop_starts_nothing_more_and_lets_what_runs_end(bench: Bench) -> None:
    bench.takes = 10
    running = asyncio.create_task(bench.queue.run(bench.check, 1))
    await bench.queue.enqueue("a")
    await bench.queue.enqueue("b", 1)
    await bench.clock.advance(5)
    stopping = asyncio.create_task(bench.queue.stop(20))
    await bench.clock.advance(20)
    await stopping
    await running
    assert (bench.ended, bench.order, bench.cancelled) == ([("a", 10.0)], ["a"], [])
    assert bench.clock.sleeping == 0, "no timer is left"


async def test_stop_cancels_after_its_grace(bench: Bench) -> None:
    bench.takes = 100
    running = asyncio.create_task(bench.queue.run(bench.check, 2))
    await bench.queue.enqueue("a")
    await bench.queue.enqueue("b")
    await bench.clock.advance(5)
    stopping = asyncio.create_task(bench.queue.stop(20))
    await bench.clock.advance(19)
    assert not stopping.done()
    await bench.clock.advance(1)
    await stopping
    await running
    assert sorted(bench.cancelled) == ["a", "b"]
    await bench.queue.run(bench.check, 2)
    assert len(bench.began) == 2, "a queue that was stopped stays so"


async def test_a_stop_that_is_itself_cancelled_cancels_what_runs_at_once(bench: Bench) -> None:
    bench.takes = 100
    running = asyncio.create_task(bench.queue.run(bench.check, 2))
    await bench.queue.enqueue("a")
    await bench.clock.run_ready()
    stopping = asyncio.create_task(bench.queue.stop(20))
    await bench.clock.run_ready()
    stopping.cancel()
    await asyncio.wait([stopping, running])
    assert bench.cancelled == ["a"]


async def test_what_a_cancelled_run_cut_short_comes_first_in_the_next(bench: Bench) -> None:
    bench.takes = 10
    async with bench.working():
        await bench.queue.enqueue("a")
        await bench.clock.advance(5)
    assert bench.cancelled == ["a"]
    async with bench.working():
        await bench.clock.advance(60)
    assert bench.ended == [("a", 15.0)]


async def test_work_that_raises_ends_nobody_and_comes_again(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    async def faulty(item_id: str) -> None:
        await bench.check(item_id)
        if item_id == "bad" and len(bench.began) < 3:
            raise KeyError("fault")

    async with bench.working(work=faulty):
        await bench.queue.enqueue("bad")
        await bench.queue.enqueue("good", 1)
        await bench.clock.advance(AFTER_FAULT + 1)
    assert bench.began == [("bad", 0.0), ("good", 1.0), ("bad", AFTER_FAULT)]
    assert "the check of an item raised" in caplog.text


async def test_it_runs_once_at_a_time(bench: Bench) -> None:
    async with bench.working():
        with pytest.raises(RuntimeError, match="runs already"):
            await bench.queue.run(bench.check, 1)


async def test_without_anything_due_nothing_wakes(bench: Bench) -> None:
    async with bench.working():
        for number in range(20):
            await bench.queue.enqueue(str(number), 1000 - number)
            await bench.clock.run_ready()
        assert bench.clock.sleeping == 1, "one timer, of the soonest"


@given(
    st.lists(
        st.tuples(st.sampled_from("abcdef"), st.floats(-5, 50), st.sampled_from(["wish", "wish", "cancel", "wait"])),
        max_size=60,
    ),
    st.integers(1, 4),
    st.floats(0, 7),
)
@settings(max_examples=60, deadline=None)
def test_whatever_is_asked_no_wish_is_lost_and_no_item_overlaps(
    steps: list[tuple[str, float, str]], concurrency: int, takes: float
) -> None:
    async def play() -> None:
        bench = Bench()
        bench.takes = takes
        wished: dict[str, float] = {}  # the last wish that nothing dropped: no check before it was made counts
        inside: set[str] = set()

        async def alone(item_id: str) -> None:
            assert item_id not in inside
            inside.add(item_id)
            wished.pop(item_id, None)
            try:
                await bench.check(item_id)
            finally:
                inside.remove(item_id)

        async with bench.working(concurrency, alone):
            for item_id, seconds, step in steps:
                if step == "wish":
                    wished[item_id] = bench.clock.monotonic()
                    await bench.queue.enqueue(item_id, seconds)
                elif step == "cancel":
                    await bench.queue.cancel(item_id)
                    wished.pop(item_id, None)
                else:
                    await bench.clock.advance(abs(seconds) / 5)
                assert len(bench.running) <= concurrency
            await bench.clock.advance(50 + len(steps) * 8)
            assert not wished
            assert not bench.running
            assert await bench.queue.due() == 0

    asyncio.run(play())


async def test_a_hundred_thousand_waiting_items_are_cheap(bench: Bench) -> None:
    names = [f"{number:016x}" for number in range(100_000)]
    async with bench.working():
        gc.collect()
        tracemalloc.start()
        try:
            for number, name in enumerate(names):
                await bench.queue.enqueue(name, 1_000_000 - number)
            await bench.clock.run_ready()
            held = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
        assert held < 30_000_000, "under 300 bytes each"
        assert bench.clock.sleeping == 1
        assert await bench.queue.due() == 0


async def test_replaced_wishes_are_swept(bench: Bench) -> None:
    async with bench.working():
        for number in range(5000):
            await bench.queue.enqueue(str(number % 10), 10_000 - number)
        assert len(bench.queue._tickets._heap) < 200
        await bench.clock.advance(20_000)
    assert sorted(bench.order) == [str(number) for number in range(10)]


async def test_lanes_take_turns_and_a_users_wish_comes_first(bench: Bench) -> None:
    bench.takes = 1
    async with bench.working(concurrency=1):
        for number in range(4):
            await bench.queue.enqueue(f"a{number}", lane="a")
        await bench.clock.run_ready()
        await bench.queue.enqueue("b0", lane="b")
        await bench.queue.enqueue("b1", lane="b")
        await bench.queue.enqueue("c0", 1, lane="c")
        await bench.queue.enqueue("a3", -1)
        await bench.clock.advance(20)
    assert bench.order == ["a0", "a3", "a1", "b0", "c0", "a2", "b1"]


async def test_a_check_that_is_repeated_stays_in_its_lane(bench: Bench) -> None:
    bench.takes = 1
    async with bench.working(concurrency=1):
        await bench.queue.enqueue("b0", lane="b")
        await bench.clock.run_ready()
        await bench.queue.enqueue("b0", lane="b")
        for number in range(3):
            await bench.queue.enqueue(f"a{number}", lane="a")
        await bench.clock.advance(20)
    assert bench.order == ["b0", "a0", "b0", "a1", "a2"]
