"""Answers that took long are reused for a time that is proportional to their cost."""

import asyncio

from mirrord.daemon.slow_answers import FRESH_FOR, LONGEST_FRESH, SLOW, SlowAnswers
from mirrord.testing import ManualClock


class Slow:
    """Takes so many seconds, and counts its answers."""

    def __init__(self, seconds: float) -> None:
        self.clock = ManualClock()
        self.answers = SlowAnswers[int](self.clock)
        self.seconds, self.count = seconds, 0

    async def answer(self) -> int:
        self.count += 1
        count = self.count
        await self.clock.sleep(self.seconds)
        return count

    async def asked(self, *things: str) -> list[int]:
        """Ask for these things at once."""
        asked = asyncio.gather(*(self.answers.get(one, self.answer) for one in things))
        await self.clock.run_ready()
        await self.clock.advance(self.seconds)
        for _ in range(5):
            await self.clock.run_ready()
        return await asked


async def test_a_quick_answer_is_made_each_time() -> None:
    quick = Slow(SLOW / 2)
    assert await quick.asked("a") == [1]
    assert await quick.asked("a") == [2]


async def test_a_slow_answer_is_shared_and_reused_for_five_times_its_duration() -> None:
    slow = Slow(1.0)
    assert await slow.asked("a", "a", "b") == [1, 1, 2]
    await slow.clock.advance(FRESH_FOR * 1.0 - 1.1)  # `asked` took a second, too
    assert await slow.asked("a") == [1]
    await slow.clock.advance(0.2)
    assert await slow.asked("a") == [3]


async def test_no_answer_is_older_than_half_a_minute() -> None:
    slow = Slow(20.0)
    assert await slow.asked("a") == [1]
    await slow.clock.advance(LONGEST_FRESH + 0.1)
    assert await slow.asked("a") == [2]


async def test_an_error_is_not_kept() -> None:
    slow = Slow(1.0)

    async def fails() -> int:
        await slow.clock.sleep(1.0)
        raise OSError

    asked = asyncio.gather(slow.answers.get("a", fails), return_exceptions=True)
    await slow.clock.run_ready()
    await slow.clock.advance(1.0)
    (error,) = await asked
    assert isinstance(error, OSError)
    assert await slow.asked("a") == [1]
