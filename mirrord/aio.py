"""Small asyncio steps that several rooms need: finishing work that must not be cut short, draining tasks, batches."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Iterable
from contextlib import aclosing
from time import monotonic
from typing import Any, TypeVar

T = TypeVar("T")


async def finish(work: Awaitable[T]) -> T:
    """Await `work` to its end even if the caller is cancelled meanwhile; the cancellation is raised afterwards.

    For undo steps (drain, abort, close), which must be bounded by a deadline of their own.
    """
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])  # never cancels `task`, never raises its error
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is None:
        return task.result()
    if not task.cancelled():
        task.exception()  # marks it as seen: the cancellation matters more
    raise cancelled


async def drain(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel the tasks and wait until each has ended, even under a cancellation of the caller.

    Their results and errors are dropped: the caller already holds the error that matters.
    """
    pending = [task for task in tasks if not task.done()]
    for task in pending:
        task.cancel()
        task.add_done_callback(_dropped)
    if pending:
        await finish(asyncio.wait(pending))


def _dropped(task: asyncio.Task[Any]) -> None:
    """Its error counts as seen; else asyncio prints it with a traceback once the task is collected."""
    if not task.cancelled():
        task.exception()


async def in_turns(many: Iterable[T], size: int = 500) -> AsyncIterator[T]:
    """Each of many, with a turn of the loop for others after every `size`: whatever they come from must allow that."""
    for number, one in enumerate(many, 1):
        yield one
        if number % size == 0:
            await asyncio.sleep(0)


async def batches(found: AsyncGenerator[T], size: int) -> AsyncGenerator[list[T]]:
    """What `found` yields, `size` at a time. Closes `found` when it is closed itself."""
    batch: list[T] = []
    async with aclosing(found) as stream:
        async for one in stream:
            batch.append(one)
            if len(batch) >= size:
                yield batch
                batch = []
    if batch:
        yield batch


class Turns:
    """For loops whose awaits may never suspend, as reads of what is buffered already: lets others have the loop."""

    LONGEST = 0.005
    """Seconds between two turns of the others."""

    def __init__(self) -> None:
        self._began = monotonic()

    async def give(self) -> None:
        """Let the loop run others, if it has not for a while."""
        if monotonic() - self._began >= self.LONGEST:
            await asyncio.sleep(0)
            self._began = monotonic()
