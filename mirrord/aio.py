"""Small asyncio functions for all packages: finish work despite cancellation, cancel and drain tasks, batches."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Iterable
from contextlib import aclosing
from time import monotonic
from typing import Any, TypeVar

T = TypeVar("T")


async def finish(work: Awaitable[T]) -> T:
    """Await `work` to its end even if the caller is cancelled meanwhile; the cancellation is raised afterwards.

    For undo steps (drain, abort, close). `work` must have its own deadline.
    """
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = None if task.cancelled() else error
        except Exception:  # noqa: BLE001 - the error of `task`, which is raised below
            break
    if cancelled is None:
        return task.result()
    if not task.cancelled():
        task.exception()  # marks the error as retrieved: the cancellation is raised instead
    raise cancelled


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
