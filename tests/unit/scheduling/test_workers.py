"""Workers for a stream of items: how far they read ahead, what a pause frees, and the order of steps side by side."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from mirrord.scheduling import workers
from mirrord.scheduling.workers import LastOf, Slots, work_through


async def test_what_comes_last_waits_for_all_others_and_they_for_nobody() -> None:
    order, said, go = LastOf(), [], asyncio.Event()

    async def step(name: str, *, last: bool) -> None:
        async with order.one_step(last=last):
            if not last:
                await go.wait()
            said.append(name)

    async with asyncio.TaskGroup() as group:
        group.create_task(step("copy", last=False))
        await asyncio.sleep(0)
        group.create_task(step("deletion", last=True))
        group.create_task(step("another copy", last=False))
        for _ in range(10):
            await asyncio.sleep(0)
        assert said == []
        go.set()
    assert said == ["copy", "another copy", "deletion"]


class Numbers:
    """The items 0 to 19; counts how many were read."""

    def __init__(self) -> None:
        self.read = 0

    async def all(self) -> AsyncIterator[int]:
        for number in range(20):
            self.read += 1
            yield number


async def turns() -> None:
    for _ in range(100):
        await asyncio.sleep(0)


async def test_an_item_is_read_when_a_slot_is_free() -> None:
    numbers, go, running = Numbers(), asyncio.Semaphore(0), list[int]()

    async def handle(number: int) -> None:
        running.append(number)
        await go.acquire()
        running.remove(number)

    working = asyncio.create_task(work_through(numbers.all(), handle, 3))
    await turns()
    assert (running, numbers.read) == ([0, 1, 2], 3)
    go.release()
    await turns()
    assert (running, numbers.read) == ([1, 2, 3], 4)
    for _ in range(20):
        go.release()
    await working
    assert (running, numbers.read) == ([], 20)


async def test_a_call_that_waits_without_its_slot_lets_others_run_and_their_number_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(workers, "MOST_WAITING", 5)
    numbers, slots, go, done = Numbers(), Slots(2), asyncio.Event(), list[int]()

    async def handle(number: int) -> None:
        await slots.pause(str(number), go.wait())
        done.append(number)

    working = asyncio.create_task(work_through(numbers.all(), handle, slots))
    await turns()
    assert (done, numbers.read) == ([], 2 + 5 + 1), "slots, those that wait, and the next one"
    slots.wake(["0"])
    await turns()
    assert done == [0]
    go.set()
    await working
    assert sorted(done) == list(range(20))


async def test_the_first_error_ends_the_others_and_is_raised_as_itself() -> None:
    cancelled = list[int]()

    async def handle(number: int) -> None:
        if number == 2:
            raise ValueError("an error")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(number)
            raise

    with pytest.raises(ValueError, match="an error"):
        await work_through(Numbers().all(), handle, 3)
    assert sorted(cancelled) == [0, 1]


async def test_an_error_ends_a_call_that_waits_without_its_slot_although_the_slot_was_just_taken() -> None:
    slots, go = Slots(1), asyncio.Event()

    async def handle(number: int) -> None:
        if number == 0:
            async with slots.left():
                await asyncio.Event().wait()
        await go.wait()
        raise ValueError(str(number))

    working = asyncio.create_task(work_through(Numbers().all(), handle, slots))
    await turns()
    go.set()
    await turns()
    assert working.done(), "the task of the next call was cancelled before its first step, and kept the slot"
    with pytest.raises(ValueError, match="1"):
        await working
