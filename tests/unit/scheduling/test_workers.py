"""The order of steps that run side by side."""

import asyncio

from mirrord.scheduling.workers import LastOf


async def test_what_comes_last_waits_for_all_others_and_they_for_nobody() -> None:
    order, said, go = LastOf(), [], asyncio.Event()

    async def step(name: str, *, last: bool) -> None:
        async with order.turn(last=last):
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
