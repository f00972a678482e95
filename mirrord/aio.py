"""Small asyncio tools for all packages: finish work despite cancellation, drain tasks, limit times, batches."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Generator, Iterable
from contextlib import aclosing
from functools import partial
from math import inf
from time import monotonic, process_time
from types import TracebackType
from typing import Any, TypeVar

T = TypeVar("T")


async def finish(work: Awaitable[T]) -> T:
    """Await `work` to its end even if the caller is cancelled meanwhile; the cancellation is raised afterwards.

    For undo steps (drain, abort, close). `work` must have its own deadline.
    """
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        ended = asyncio.get_running_loop().create_future()
        task.add_done_callback(partial(_end, ended))  # asyncio.shield would cost twice as much
        try:
            await ended
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is None:
        return task.result()
    if not task.cancelled():
        task.exception()  # marks the error as retrieved: the cancellation is raised instead
    raise cancelled


def _end(ended: asyncio.Future[None], _: object) -> None:
    if not ended.done():
        ended.set_result(None)


async def drain(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel the tasks and wait until each has ended, even under a cancellation of the caller.

    Their results and errors are dropped: the caller already has the error to raise.
    """
    pending = [task for task in tasks if not task.done()]
    for task in pending:
        task.cancel()
        task.add_done_callback(_dropped)
    if pending:
        await finish(asyncio.wait(pending))


def _dropped(task: asyncio.Task[Any]) -> None:
    """Mark the task's error as retrieved; else asyncio logs it with a traceback when the task is collected."""
    if not task.cancelled():
        task.exception()


class UsedCores:
    """The CPU that this process takes, of all its threads, in cores."""

    def __init__(self) -> None:
        self._last = process_time(), monotonic()

    def since_last(self) -> float:
        """The mean since the last call, or since the object was made."""
        (cpu, at), self._last = self._last, (process_time(), monotonic())
        return (self._last[0] - cpu) / max(self._last[1] - at, 1e-9)


async def cooperatively(many: Iterable[T], size: int = 500) -> AsyncIterator[T]:
    """Yield each of many, and let other tasks run after every `size`. `many` must allow changes in between."""
    for number, one in enumerate(many, 1):
        yield one
        if number % size == 0:
            await asyncio.sleep(0)


async def batches(found: AsyncGenerator[T], size: int) -> AsyncGenerator[list[T]]:
    """The items of `found` in lists of `size`. Closing this iterator closes `found`."""
    batch: list[T] = []
    async with aclosing(found) as stream:
        async for one in stream:
            batch.append(one)
            if len(batch) >= size:
                yield batch
                batch = []
    if batch:
        yield batch


class CooperativePause:
    """Lets other tasks run, for loops whose awaits may never suspend (reads of data that is buffered already)."""

    LONGEST = 0.005
    """Seconds after which other tasks get to run."""

    def __init__(self) -> None:
        self._began = monotonic()

    async def when_due(self) -> None:
        """Let other tasks run, if `LONGEST` seconds have passed since they last could."""
        if monotonic() - self._began >= self.LONGEST:
            await asyncio.sleep(0)
            self._began = monotonic()


async def in_steps(work: Generator[object, None, T]) -> T:
    """Run `work` to its end, and return its value. Other tasks may run where it yields."""
    pause = CooperativePause()
    while True:
        try:
            next(work)
        except StopIteration as ended:
            value: T = ended.value
            return value
        await pause.when_due()


class TimeLimits:
    """Time limits that share one timer of the event loop. A limit costs 1.5 us of CPU, `asyncio.timeout` 7 us.

    Belongs to one event loop at a time.
    """

    def __init__(self) -> None:
        self._ends: dict[TimeLimit, float] = {}  # by the loop's time
        self._next = inf
        self._loop: asyncio.AbstractEventLoop | None = None

    def begin(self, limit: "TimeLimit", seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._ends[limit] = end = loop.time() + seconds
        if end < self._next or loop is not self._loop:
            self._wake(loop, end)

    def end(self, limit: "TimeLimit") -> None:
        self._ends.pop(limit, None)

    def _wake(self, loop: asyncio.AbstractEventLoop, at: float) -> None:
        self._loop, self._next = loop, at
        loop.call_at(at, self._expire, at)

    def _expire(self, at: float) -> None:
        if at != self._next:
            return  # another timer was set for a sooner end
        due = [limit for limit, end in self._ends.items() if end <= at]
        for limit in due:
            del self._ends[limit]
            limit.expire()
        self._next = inf
        if self._ends:
            self._wake(asyncio.get_running_loop(), min(self._ends.values()))


class TimeLimit:
    """`with TimeLimit(limits, seconds):` cancels the task's code in the block after this time, and raises TimeoutError.

    Its rules are those of `asyncio.timeout`: a cancellation from elsewhere passes through.
    """

    __slots__ = ("_before", "_limits", "_task", "expired", "seconds")

    def __init__(self, limits: TimeLimits, seconds: float) -> None:
        self.expired = False
        self._limits = limits
        self.seconds = seconds
        self._task: asyncio.Task[Any] | None = None
        self._before = 0  # cancellations of the task that are not yet handled

    def __enter__(self) -> None:
        self._task = task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a time limit needs a task")
        self._before = task.cancelling()
        self._limits.begin(self, self.seconds)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        task, self._task = self._task, None
        if not self.expired:
            self._limits.end(self)
        elif task is not None and task.uncancel() <= self._before and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def pause(self) -> None:
        """Within the block: count no time until `restart`."""
        self._limits.end(self)

    def restart(self) -> None:
        """Within the block: begin again with all `seconds`."""
        if not self.expired:
            self._limits.begin(self, self.seconds)

    def expire(self) -> None:
        if self._task is not None:
            self.expired = True
            self._task.cancel()
