"""Steps that several rooms need: what is long gives others their turns."""

import asyncio
import gc
from typing import Any

from mirrord.aio import cooperatively, drain


async def test_going_through_many_leaves_others_their_turns() -> None:
    seen: list[int] = []
    others: list[int] = []

    async def go_through() -> None:
        async for one in cooperatively(range(10), size=3):
            seen.append(one)  # noqa: PERF401 - one at a time is what is looked at

    async def look() -> None:
        while len(seen) < 10:
            others.append(len(seen))
            await asyncio.sleep(0)

    await asyncio.gather(go_through(), look())
    assert seen == list(range(10))
    assert {3, 6, 9} <= set(others)


async def test_an_error_at_the_end_of_a_drained_task_is_dropped_without_a_word() -> None:
    async def fails_when_cancelled() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise ValueError("dropped") from None

    said: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context))
    task = asyncio.create_task(fails_when_cancelled())
    await asyncio.sleep(0)
    await drain([task])
    assert task.done()
    del task
    gc.collect()
    assert said == []
