"""The pool of buffers: its limit, its order, and its counters under cancellation."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirrord.errors import MemoryLimitTooSmall
from mirrord.transfer.budget import Budget, Buffer
from mirrord.units import KiB, MiB


async def asked(budget: Budget, size: int) -> asyncio.Task[Buffer]:
    """A request, after the pool had a chance to grant it."""
    task = asyncio.create_task(budget.acquire(size))
    for _ in range(3):
        await asyncio.sleep(0)
    return task


async def test_a_view_has_the_requested_size_and_is_writable() -> None:
    budget = Budget(4 * MiB)
    async with budget.buffer(1_000_001) as view:
        view[:] = b"a" * 1_000_001
        assert len(view) == 1_000_001
        assert budget.in_use == MiB
    assert budget.in_use == 0
    with pytest.raises(ValueError, match="released"):
        view[0] = 1


async def test_a_buffer_may_have_no_bytes() -> None:
    async with Budget(MiB).buffer(0) as view:
        assert len(view) == 0


async def test_a_request_over_the_limit_fails_at_once() -> None:
    with pytest.raises(MemoryLimitTooSmall, match="raise memory_limit"):
        await Budget(MiB).acquire(MiB + 1)


async def test_a_limit_that_is_not_a_capacity_can_be_used_completely() -> None:
    budget = Budget(3 * MiB + 5)
    async with budget.buffer(3 * MiB + 5):
        assert budget.mapped == 3 * MiB + 5


async def test_released_buffers_of_a_size_are_reused() -> None:
    budget = Budget(8 * MiB)
    async with budget.buffer(2 * MiB) as view:
        view[:5] = b"first"
    async with budget.buffer(2 * MiB - 9) as view:
        assert bytes(view[:5]) == b"first"
    assert budget.mapped == 2 * MiB


async def test_idle_buffers_are_dropped_for_other_sizes() -> None:
    budget = Budget(8 * MiB)
    buffers = [await budget.acquire(2 * MiB) for _ in range(4)]
    for buffer in buffers:
        buffer.release()
    assert budget.mapped == 8 * MiB
    async with budget.buffer(5 * MiB):
        assert budget.mapped <= 8 * MiB
    budget.clear()
    assert budget.mapped == 0


async def test_releasing_twice_counts_once() -> None:
    budget = Budget(MiB)
    buffer = await budget.acquire(MiB)
    buffer.release()
    buffer.release()
    assert budget.in_use == 0


async def test_memory_of_a_failed_use_is_not_reused() -> None:
    """A thread or a broken connection may still use a view of it: another part must not get this memory."""
    budget = Budget(MiB)
    views: list[memoryview] = []

    async def use() -> None:
        async with budget.buffer(MiB) as view:
            views.append(view[10:20])
            view[10:20] = b"0123456789"
            await asyncio.Event().wait()

    task = asyncio.create_task(use())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (budget.in_use, budget.mapped) == (0, 0)
    async with budget.buffer(MiB) as view:
        view[:] = b"z" * MiB
        assert bytes(views[0]) == b"0123456789"


async def test_discarded_memory_is_neither_in_use_nor_mapped() -> None:
    budget = Budget(MiB)
    buffer = await budget.acquire(MiB)
    buffer.discard()
    buffer.release()
    assert (budget.in_use, budget.mapped) == (0, 0)


async def test_first_in_first_out_so_that_large_requests_are_not_starved() -> None:
    budget = Budget(4 * MiB)
    held = [await budget.acquire(MiB) for _ in range(4)]
    large = await asked(budget, 4 * MiB)
    small = await asked(budget, 64 * KiB)
    for buffer in held[:3]:
        buffer.release()
    await asyncio.sleep(0)
    assert not large.done()
    assert not small.done(), "a small request must not overtake a waiting large one"
    held[3].release()
    (await large).release()
    (await small).release()
    assert budget.in_use == 0


async def test_a_cancelled_request_leaves_the_queue() -> None:
    budget = Budget(4 * MiB)
    held = await budget.acquire(2 * MiB)
    large = await asked(budget, 4 * MiB)
    small = await asked(budget, MiB)
    assert not small.done()
    large.cancel()
    (await small).release()
    held.release()
    assert large.cancelled()
    assert budget.in_use == 0


async def test_a_cancellation_after_the_grant_loses_no_bytes() -> None:
    budget = Budget(MiB)
    held = await budget.acquire(MiB)
    waiting = await asked(budget, MiB)
    behind = await asked(budget, MiB)
    held.release()  # grants `waiting`, which has not run yet
    waiting.cancel()
    (await behind).release()
    assert waiting.cancelled()
    assert budget.in_use == 0


async def test_a_grant_skips_a_request_that_was_just_cancelled() -> None:
    budget = Budget(MiB)
    held = await budget.acquire(MiB)
    waiting = await asked(budget, MiB)
    behind = await asked(budget, MiB)
    waiting.cancel()  # has not run yet: its request is still in the queue
    held.release()
    (await behind).release()
    assert budget.in_use == 0


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4 * MiB), st.integers(0, 4), st.booleans()), min_size=1, max_size=40),
)
async def test_the_limit_holds_and_no_bytes_are_lost(users: list[tuple[int, int, bool]]) -> None:
    budget = Budget(5 * MiB + 123)

    async def use(size: int, turns: int) -> None:
        async with budget.buffer(size):
            assert budget.in_use <= budget.limit
            assert budget.mapped <= budget.limit
            for _ in range(turns):
                await asyncio.sleep(0)

    tasks = []
    for size, turns, cancelled in users:
        tasks.append(asyncio.create_task(use(size, turns)))
        if turns % 2:
            await asyncio.sleep(0)
        if cancelled:
            tasks[len(tasks) // 2].cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(end is None or isinstance(end, asyncio.CancelledError) for end in ended)
    assert budget.in_use == 0
    assert budget.mapped <= budget.limit
