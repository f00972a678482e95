"""The pool of threads of one root: what is bounded, what fails when a root hangs, and what becomes of late answers."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from mirrord.errors import SourceTimedOut
from mirrord.sources import pool as pools
from mirrord.sources.pool import THREADS, FilePool, FilePools

SILENCE = 0.05
"""Seconds; the calls that hang in these tests hang until they are let go."""


class Gate:
    """Calls that hang until `open`. `entered` counts those that began."""

    def __init__(self) -> None:
        self.entered = 0
        self._go_on = threading.Event()
        self._changed = threading.Condition()

    def __call__(self) -> str:
        with self._changed:
            self.entered += 1
            self._changed.notify_all()
        assert self._go_on.wait(20)
        return "late"

    def open(self) -> None:
        self._go_on.set()

    async def reached(self, count: int) -> None:
        def wait() -> bool:
            with self._changed:
                return self._changed.wait_for(lambda: self.entered >= count, 20)

        assert await asyncio.to_thread(wait)


@pytest.fixture
def gate() -> Iterator[Gate]:
    hanging = Gate()
    yield hanging
    hanging.open()


async def up_again(pool: FilePool) -> None:
    async with asyncio.timeout(20):
        while pool.problem:  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.001)


async def test_a_call_runs_in_a_daemon_thread_and_returns_its_result_or_error() -> None:
    pool = FilePool("/root")
    thread = await pool.run(threading.current_thread)
    assert thread.daemon
    assert thread is not threading.main_thread()
    with pytest.raises(ZeroDivisionError):
        await pool.run(lambda: 1 // 0)
    assert pool.problem is None


async def test_there_are_two_threads_at_most(gate: Gate) -> None:
    pool = FilePool("/root")
    calls = [asyncio.ensure_future(pool.run(gate)) for _ in range(5)]
    await gate.reached(THREADS)
    await asyncio.sleep(0)
    assert gate.entered == THREADS
    gate.open()
    assert await asyncio.gather(*calls) == ["late"] * 5
    assert gate.entered == 5


async def test_many_calls_wake_the_loop_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    pool, loop, woken = FilePool("/root"), asyncio.get_running_loop(), 0
    wake = loop.call_soon_threadsafe

    def counted(*about: object, **more: object) -> asyncio.Handle:
        nonlocal woken
        woken += 1
        return wake(*about, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "call_soon_threadsafe", counted)
    calls = [asyncio.ensure_future(pool.run(partial(int, number))) for number in range(500)]
    await asyncio.sleep(0)  # all are submitted
    while len(pool._threads._done) < 500:
        time.sleep(0.001)  # noqa: ASYNC251 - the loop is busy, the threads are not
    assert await asyncio.gather(*calls) == list(range(500))
    assert woken == 1


async def test_a_call_without_an_answer_fails_and_the_root_is_down_until_it_answers(gate: Gate) -> None:
    pool = FilePool("/root", silence=SILENCE)
    with pytest.raises(SourceTimedOut, match=r"^/root has not answered for 0\.05 s$"):
        await pool.run(gate)
    assert pool.problem == "/root has not answered for 0.05 s"
    gate.open()
    await up_again(pool)
    assert await pool.run(partial(int, 1)) == 1


async def test_a_free_thread_still_asks_and_its_answer_brings_the_root_up(gate: Gate) -> None:
    pool = FilePool("/root", silence=SILENCE)
    with pytest.raises(SourceTimedOut):
        await pool.run(gate)
    assert pool.problem
    assert await pool.run(partial(int, 1)) == 1
    assert pool.problem is None


async def test_one_call_that_hangs_while_others_are_answered_fails_alone(gate: Gate) -> None:
    pool = FilePool("/root", silence=SILENCE)
    hanging = asyncio.ensure_future(pool.run(gate))
    await gate.reached(1)
    while not hanging.done():
        await pool.run(partial(time.sleep, 0.001))
    with pytest.raises(SourceTimedOut, match="a call has not been answered"):
        await hanging
    assert pool.problem is None


async def test_with_all_threads_blocked_waiting_calls_fail_and_new_ones_are_refused(gate: Gate) -> None:
    pool, made = FilePool("/root", silence=SILENCE), list[int]()
    calls: list[asyncio.Future[Any]] = [asyncio.ensure_future(pool.run(gate)) for _ in range(THREADS)]
    calls += [asyncio.ensure_future(pool.run(partial(made.append, 1))) for _ in range(3)]
    for failed in await asyncio.gather(*calls, return_exceptions=True):
        assert isinstance(failed, SourceTimedOut)
    refused = pool.run(gate)
    with pytest.raises(SourceTimedOut):
        refused.send(None)  # at its first step
    assert gate.entered == THREADS
    gate.open()
    await up_again(pool)
    assert await pool.run(partial(int, 1)) == 1
    assert made == []  # who waited for it was told that it failed


async def test_what_must_be_closed_is_closed_once_a_thread_is_free(gate: Gate) -> None:
    pool, closed = FilePool("/root", silence=SILENCE), list[int]()
    calls: list[asyncio.Future[Any]] = [asyncio.ensure_future(pool.run(gate)) for _ in range(THREADS)]
    calls.append(asyncio.ensure_future(pool.run(partial(closed.append, 1), surely=True)))
    await asyncio.gather(*calls, return_exceptions=True)
    with pytest.raises(SourceTimedOut):
        await pool.run(partial(closed.append, 2), surely=True)
    assert closed == []
    gate.open()
    async with asyncio.timeout(20):
        while sorted(closed) != [1, 2]:  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.001)


async def test_a_late_answer_is_dropped(gate: Gate) -> None:
    pool, dropped = FilePool("/root", silence=SILENCE), asyncio.Event()
    loop, results = asyncio.get_running_loop(), list[object]()

    def drop(result: str) -> None:
        results.append((result, threading.current_thread() is threading.main_thread()))
        loop.call_soon_threadsafe(dropped.set)

    with pytest.raises(SourceTimedOut):
        await pool.run(gate, drop)
    gate.open()
    async with asyncio.timeout(20):
        await dropped.wait()
    assert results == [("late", False)]


async def test_a_cancelled_call_is_left_at_once_and_its_late_answer_dropped(gate: Gate) -> None:
    pool, results = FilePool("/root"), list[str]()
    call = asyncio.ensure_future(pool.run(gate, results.append))
    await gate.reached(1)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert results == []
    gate.open()
    async with asyncio.timeout(20):
        while not results:  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.001)
    assert results == ["late"]


async def test_a_call_that_is_cancelled_while_it_waits_is_not_made(gate: Gate) -> None:
    pool, made = FilePool("/root"), list[int]()
    calls = [asyncio.ensure_future(pool.run(gate)) for _ in range(THREADS)]
    await gate.reached(THREADS)
    waiting = asyncio.ensure_future(pool.run(partial(made.append, 1)))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    gate.open()
    await asyncio.gather(*calls)
    await pool.run(partial(int, 1))
    assert made == []


async def test_a_patient_pool_waits_for_what_was_begun_and_for_nothing_behind_it(gate: Gate) -> None:
    pool = FilePool("/root", silence=SILENCE, patient=True)
    calls = [asyncio.ensure_future(pool.run(gate)) for _ in range(THREADS)]
    await gate.reached(THREADS)
    with pytest.raises(SourceTimedOut):
        await pool.run(partial(int, 1))
    assert pool.problem
    gate.open()
    assert await asyncio.gather(*calls) == ["late"] * THREADS
    assert pool.problem is None


async def test_a_long_call_that_makes_progress_is_not_silent(gate: Gate) -> None:
    pool = FilePool("/root", silence=0.2)

    def copy() -> str:
        for _ in range(5):
            time.sleep(0.1)
            pool.alive()
        return "copied"

    assert await pool.run(copy) == "copied"
    assert pool.problem is None


async def test_nothing_of_a_call_is_kept_by_a_thread() -> None:
    pool, view = FilePool("/root"), memoryview(bytearray(1))
    await pool.run(partial(bytes, view))
    view.release()  # BufferError while anybody has it


async def test_threads_end_when_there_is_no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "IDLE", 0.01)
    pool = FilePool("/root")
    thread = await pool.run(threading.current_thread)
    await asyncio.to_thread(thread.join, 20)
    assert not thread.is_alive()
    assert await pool.run(threading.current_thread) is not thread


async def test_rest_ends_the_threads_and_later_calls_start_others() -> None:
    pool = FilePool("/root")
    thread = await pool.run(threading.current_thread)
    pool.rest()
    await asyncio.to_thread(thread.join, 2)  # sooner than when it was idle
    assert not thread.is_alive()
    assert await pool.run(threading.current_thread) is not thread


async def test_the_loop_may_end_while_a_call_hangs(gate: Gate) -> None:
    def other_loop() -> None:
        async def leave() -> None:
            call = asyncio.ensure_future(FilePool("/root").run(gate))
            await gate.reached(1)
            call.cancel()

        asyncio.run(leave())

    await asyncio.to_thread(other_loop)  # asyncio.run joins its executor; here is none of it
    gate.open()


@pytest.fixture
def mounted(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    table = tmp_path_factory.mktemp("proc") / "mountinfo"
    monkeypatch.setattr("mirrord.sources.mounts.MOUNTINFO", str(table))

    def mount(*points: str) -> None:
        table.write_text("".join(f"3{n} 1 0:3{n} / {point} rw - ext4 disk rw\n" for n, point in enumerate(points)))

    return mount


def test_a_folder_has_a_pool_of_its_own_and_a_file_that_of_its_mount(mounted: Callable[..., None]) -> None:
    mounted("/", "/srv/nas")
    roots = FilePools()
    assert roots.of_root("/srv/nas/inbox") is roots.of_root("/srv/nas/inbox")
    assert roots.of_file("/srv/nas/a/b") is roots.of_file("/srv/nas/c")
    assert roots.of_file("/srv/nasty") is roots.of_file("/etc/passwd")
    four = {
        roots.of_root("/srv/nas/inbox"),
        roots.of_root("/srv/other"),
        roots.of_file("/srv/nas/c"),
        roots.of_file("/x"),
    }
    assert len(four) == 4
