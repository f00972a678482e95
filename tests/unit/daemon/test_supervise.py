"""Background tasks that fail are restarted with growing pauses, and reported as failing."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from mirrord.daemon import supervise
from mirrord.daemon.supervise import RECOVERED_AFTER, RESTARTS, Supervisor
from mirrord.testing import ManualClock


class Work:
    """A task that lives so long, then dies so."""

    def __init__(self, clock: ManualClock, *lives: tuple[float, BaseException | None]) -> None:
        self.clock = clock
        self.lives = list(lives)
        self.began: list[float] = []
        self.ended = 0

    async def __call__(self) -> None:
        self.began.append(self.clock.monotonic())
        lifetime, death = self.lives.pop(0) if self.lives else (1e9, None)
        try:
            await self.clock.sleep(lifetime)
        finally:
            self.ended += 1
        if death is not None:
            raise death


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def tasks(clock: ManualClock) -> AsyncIterator[Supervisor]:
    async with Supervisor(clock, chance=lambda: 1.0) as tasks:
        yield tasks


async def test_a_failed_task_is_restarted_and_reported(
    tasks: Supervisor, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    work = Work(clock, (5, KeyError("fault")))
    tasks.start("queue", work)
    await clock.advance(4)
    assert tasks.failing == {}
    await clock.advance(1)
    assert tasks.failing == {"queue": "KeyError: 'fault'"}
    await clock.advance(RESTARTS.base)
    assert work.began == [0, 5 + RESTARTS.base]
    assert list(tasks.failing) == ["queue"], "alive, but who knows for how long"
    await clock.advance(RECOVERED_AFTER)
    assert tasks.failing == {}
    (said,) = (one for one in caplog.records if one.name == supervise.__name__)
    assert said.exc_info is not None
    assert "task queue died" in said.getMessage()


async def test_other_tasks_continue(tasks: Supervisor, clock: ManualClock) -> None:
    dies, lives = Work(clock, (5, KeyError("fault"))), Work(clock)
    tasks.start("dies", dies)
    tasks.start("lives", lives)
    await clock.advance(60)
    assert (lives.began, lives.ended) == ([0], 0)


async def test_pauses_grow_with_failures_in_a_row(tasks: Supervisor, clock: ManualClock) -> None:
    work = Work(clock, *[(0.0, KeyError("fault"))] * 20)
    tasks.start("queue", work)
    await clock.advance(200)
    pauses = [round(late - early, 3) for early, late in zip(work.began, work.began[1:], strict=False)]
    assert pauses[:6] == [1, 2, 4, 8, 16, 30]
    assert set(pauses[6:]) == {30}


async def test_a_long_run_resets_the_pauses(tasks: Supervisor, clock: ManualClock) -> None:
    fault = KeyError("fault")
    work = Work(clock, (0, fault), (0, fault), (0, fault), (RECOVERED_AFTER, fault))
    tasks.start("queue", work)
    await clock.advance(100)
    assert work.began == [0, 1, 3, 7, 7 + RECOVERED_AFTER + RESTARTS.base]


@pytest.mark.parametrize(
    ("death", "cause"), [(None, "it returned"), (asyncio.CancelledError(), "it was cancelled by itself")]
)
async def test_returning_and_cancelling_itself_are_failures(
    tasks: Supervisor, clock: ManualClock, death: BaseException | None, cause: str
) -> None:
    work = Work(clock, (5, death))
    tasks.start("queue", work)
    await clock.advance(5)
    assert tasks.failing == {"queue": cause}
    await clock.advance(RESTARTS.base)
    assert len(work.began) == 2


async def test_a_finite_task_may_return_but_not_fail(tasks: Supervisor, clock: ManualClock) -> None:
    work = Work(clock, (5, KeyError("fault")), (5, None))
    tasks.start("sweep", work, finite=True)
    await clock.advance(100)
    assert len(work.began) == 2
    assert tasks.failing == {}
    assert tasks.names == frozenset()
    tasks.start("sweep", Work(clock), finite=True)
    assert tasks.names == {"sweep"}


async def test_one_task_is_stopped_and_its_name_is_free(tasks: Supervisor, clock: ManualClock) -> None:
    work, other = Work(clock), Work(clock)
    tasks.start("folder a", work)
    tasks.start("folder b", other)
    with pytest.raises(ValueError, match="folder a already"):
        tasks.start("folder a", work)
    await clock.advance(5)
    await tasks.stop("folder a")
    await tasks.stop("unknown")
    assert (work.ended, other.ended) == (1, 0)
    tasks.start("folder a", work)
    await clock.run_ready()
    assert work.began == [0, 5]


async def test_a_failed_task_can_be_stopped(tasks: Supervisor, clock: ManualClock) -> None:
    work = Work(clock, (0, KeyError("fault")))
    tasks.start("folder a", work)
    await clock.run_ready()
    await tasks.stop("folder a")
    await clock.advance(100)
    assert len(work.began) == 1
    assert tasks.failing == {}


async def test_leaving_ends_all_and_waits_for_their_end(clock: ManualClock) -> None:
    alive, dead = Work(clock), Work(clock, (0, KeyError("fault")))
    async with Supervisor(clock) as tasks:
        tasks.start("alive", alive)
        tasks.start("dead", dead)
        await clock.run_ready()
    assert alive.ended == 1
    assert tasks.names == frozenset()
    await clock.advance(100)
    assert len(dead.began) == 1
    assert clock.sleeping == 0
