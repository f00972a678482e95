"""`TimeLimit` has the rules of `asyncio.timeout`, and all limits share one timer of the loop."""

import asyncio
from contextlib import AbstractContextManager, suppress

import pytest

from mirrord.aio import TimeLimit, TimeLimits
from tests.support.loops import on_both_loops


async def waits() -> None:
    await asyncio.get_running_loop().create_future()


async def within(limit: AbstractContextManager[None]) -> str:
    """The outcome of work that never ends by itself."""
    try:
        with limit:
            await waits()
    except TimeoutError:
        return "too late"
    return "done"


@on_both_loops
async def test_work_that_takes_too_long_is_cancelled() -> None:
    limits = TimeLimits()
    limit = TimeLimit(limits, 0.0)
    assert await within(limit) == "too late"
    assert limit.expired
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()
    await asyncio.sleep(0)  # no cancellation is left


@on_both_loops
async def test_each_limit_ends_at_its_own_time() -> None:
    """The sooner one, which begins later, does not wait for the timer of the first; and the last one still has one."""
    limits, ended = TimeLimits(), list[int]()

    async def one(number: int, seconds: float) -> None:
        await within(TimeLimit(limits, seconds))
        ended.append(number)

    async with asyncio.TaskGroup() as group:
        for number, seconds in enumerate((0.06, 0.0, 0.03)):
            group.create_task(one(number, seconds))
    assert ended == [1, 2, 0]


async def test_work_in_time_is_not_touched() -> None:
    limits = TimeLimits()
    with TimeLimit(limits, 0.0) as _:
        pass
    first = TimeLimit(limits, 30.0)
    with first:
        await within(TimeLimit(limits, 0.0))
    assert not first.expired


async def test_an_error_of_the_work_passes() -> None:
    with pytest.raises(ValueError, match="its own"), TimeLimit(TimeLimits(), 30.0):
        raise ValueError("its own")


@pytest.mark.parametrize("seconds", [0.0, 30.0])
async def test_a_cancellation_from_elsewhere_passes(seconds: float) -> None:
    """Also one that comes together with the end of the time: a stopped task must stop."""
    task = asyncio.create_task(within(TimeLimit(TimeLimits(), seconds)))
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_later(0.0, task.cancel)
    if seconds == 0.0:
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancellation_that_came_before_is_not_taken_for_its_own() -> None:
    """The undo of a cancelled task has limits of its own."""
    outcomes = list[str]()

    async def work() -> None:
        with suppress(asyncio.CancelledError):
            await waits()
        outcomes.append(await within(TimeLimit(TimeLimits(), 0.0)))

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    await task
    assert outcomes == ["too late"]


def test_another_loop_gets_its_own_timer() -> None:
    limits = TimeLimits()

    async def soon() -> None:
        with TimeLimit(limits, 0.01):
            pass

    asyncio.run(soon())
    assert asyncio.run(within(TimeLimit(limits, 0.02))) == "too late"


async def test_a_paused_limit_counts_no_time_until_it_restarts() -> None:
    limits = TimeLimits()
    limit, ended = TimeLimit(limits, 0.01), list[str]()

    async def work() -> None:
        with limit:
            limit.pause()
            ended.append(await within(TimeLimit(limits, 0.03)))
            limit.restart()
            await waits()

    with pytest.raises(TimeoutError):
        await work()
    assert ended == ["too late"]
