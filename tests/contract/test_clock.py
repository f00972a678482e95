"""The contract of `ports.Clock`, on every clock, under asyncio's event loop and under uvloop."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop

from mirrord.engine.clock import SystemClock
from mirrord.ports import Clock
from mirrord.testing import AutoAdvancingClock, ManualClock

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}
CLOCKS: dict[str, Callable[[], Clock]] = {"system": SystemClock, "manual": ManualClock, "hurried": AutoAdvancingClock}
SHORT = 0.02


@pytest.fixture(params=CLOCKS)
def clock(request: pytest.FixtureRequest) -> Clock:
    return CLOCKS[request.param]()


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, None]], None]:
    def run(main: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
            runner.run(main)

    return run


Run = Callable[[Coroutine[Any, Any, None]], None]


async def passed(clock: Clock, task: "asyncio.Task[None]", seconds: float) -> None:
    """Wait until `task` ends. A manual clock is first advanced by `seconds`; a real one needs nothing."""
    if isinstance(clock, ManualClock):
        await clock.advance(seconds)
    await task


def test_a_sleep_lasts_as_long_as_it_was_asked_for(clock: Clock, run: Run) -> None:
    async def main() -> None:
        now, monotonic = clock.now(), clock.monotonic()
        await passed(clock, asyncio.create_task(clock.sleep(SHORT)), SHORT)
        assert clock.monotonic() - monotonic >= SHORT * 0.9
        assert clock.now() - now >= SHORT * 0.9

    run(main())


@pytest.mark.parametrize("seconds", [0.0, -1.0])
def test_a_sleep_of_no_time_lets_others_run_and_takes_none(clock: Clock, run: Run, seconds: float) -> None:
    async def main() -> None:
        ran: list[str] = []

        async def other() -> None:
            ran.append("other")

        task = asyncio.create_task(other())
        before = clock.monotonic()
        await clock.sleep(seconds)
        assert ran == ["other"]
        assert before <= clock.monotonic() < before + 1.0
        await task

    run(main())


def test_a_sleep_that_is_cancelled_ends(clock: Clock, run: Run) -> None:
    async def main() -> None:
        task = asyncio.create_task(clock.sleep(3600))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    run(main())


@pytest.mark.parametrize("clock", ["system", "manual"], indirect=True)
def test_the_shorter_sleep_ends_first(clock: Clock, run: Run) -> None:
    async def main() -> None:
        woken: list[float] = []

        async def sleep(seconds: float) -> None:
            await clock.sleep(seconds)
            woken.append(seconds)

        tasks = [asyncio.create_task(sleep(seconds)) for seconds in (3 * SHORT, SHORT)]
        for task in tasks:
            await passed(clock, task, 3 * SHORT)
        assert woken == [SHORT, 3 * SHORT]

    run(main())


def test_sleepers_of_a_manual_clock_wake_at_their_own_times(run: Run) -> None:
    async def main() -> None:
        clock, woken = ManualClock(), list[float]()

        async def every(seconds: float) -> None:
            for _ in range(3):
                await clock.sleep(seconds)
                woken.append(clock.monotonic())

        tasks = [asyncio.create_task(every(seconds)) for seconds in (2.0, 3.0)]
        await clock.run_ready()
        assert clock.sleeping == 2
        await clock.advance(5.0)
        assert woken == [2.0, 3.0, 4.0]
        await clock.advance(100.0)
        assert woken == [2.0, 3.0, 4.0, 6.0, 6.0, 9.0]
        await asyncio.gather(*tasks)

    run(main())
