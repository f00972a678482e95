"""The parts of one upload in flight: one task each, at most `concurrency` at a time.

Owns the slots, the buffers that the tasks read, and the first failure. Makes no request: `multipart` gives the
coroutines.
"""

import asyncio
from collections.abc import Coroutine
from functools import partial
from typing import Any, TypeVar

from mirrord.aio import drain
from mirrord.errors import OutcomeUnknown
from mirrord.transfer.budget import Buffer

T = TypeVar("T")


class PartTasks:
    """Must be made in a running event loop."""

    def __init__(self, concurrency: int) -> None:
        self.concurrency = concurrency
        self._running: set[asyncio.Task[None]] = set()
        self._failure: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()

    async def wait_for_slot(self) -> None:
        """Wait until one more part may start. Raises the error of any failed part."""
        self._raise_failure()
        while len(self._running) >= self.concurrency:
            await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
            self._raise_failure()

    def start(self, sending: Coroutine[Any, Any, None], buffer: Buffer | None, name: str) -> None:
        """Run `sending`, which reads `buffer`, as a task. Then release the buffer; after a failure discard it.

        None: the store copies the part itself.
        """
        task = asyncio.create_task(sending, name=name)
        task.add_done_callback(partial(self._ended, buffer))  # a task cancelled before its first step runs no `finally`
        self._running.add(task)

    async def wait(self) -> None:
        """Wait until every part has ended. Raises the error of a failed part."""
        while self._running and not self._failure.done():
            await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
        self._raise_failure()

    async def race(self, work: Coroutine[Any, Any, T]) -> T:
        """Await `work` and return its result. If a part fails first, cancel `work` and raise its error."""
        task = asyncio.create_task(work)
        try:
            await asyncio.wait((task, self._failure), return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                self._raise_failure()
            return await task
        finally:
            await drain((task,))

    async def cancel(self, deadline: float) -> None:
        """Cancel all parts and wait at most `deadline` seconds until they have ended."""
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running, timeout=deadline)

    def _ended(self, buffer: Buffer | None, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        error = OutcomeUnknown(f"{task.get_name()} was cut short") if task.cancelled() else task.exception()
        if buffer is not None:
            (buffer.release if error is None else buffer.discard)()
        if error is not None and not self._failure.done():
            self._failure.set_result(error)

    def _raise_failure(self) -> None:
        if self._failure.done():
            raise self._failure.result()
