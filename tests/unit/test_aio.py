"""Steps that several rooms need: what is long gives others their turns."""

import asyncio

from mirrord.aio import in_turns


async def test_going_through_many_leaves_others_their_turns() -> None:
    seen: list[int] = []
    others: list[int] = []

    async def go_through() -> None:
        async for one in in_turns(range(10), size=3):
            seen.append(one)  # noqa: PERF401 - one at a time is what is looked at

    async def look() -> None:
        while len(seen) < 10:
            others.append(len(seen))
            await asyncio.sleep(0)

    await asyncio.gather(go_through(), look())
    assert seen == list(range(10))
    assert {3, 6, 9} <= set(others)
