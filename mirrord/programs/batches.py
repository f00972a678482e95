"""The batches of new small files that `sync` sends beside its checks.

Owns how many run at a time, and the items that need a check of their own after all. `reconcile.file_batch` sends one
batch.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from mirrord.model import Item, Outcome
from mirrord.programs.planned import PlannedItem
from mirrord.programs.report import Report
from mirrord.reconcile.batch_pace import BatchPace
from mirrord.reconcile.file_batch import FileBatches, NewFile

AT_A_TIME = 3
"""One is read while one is put and one is recorded."""
ALONE = 0.1
"""Seconds for which the next batch waits for the others, at most, where `BatchPace` says so."""


@dataclass(slots=True, kw_only=True)
class RunningBatches:
    """Sends batches while the context is open."""

    batches: FileBatches
    report: Report
    _left: deque[PlannedItem] = field(default_factory=deque, init=False)
    _free: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_A_TIME), init=False)
    _pace: BatchPace = field(default_factory=BatchPace, init=False)
    _running: int = field(default=0, init=False)
    _changed: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _group: asyncio.TaskGroup = field(default_factory=asyncio.TaskGroup, init=False)

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for the batches; after an error they are cancelled. The first error is raised as itself."""
        try:
            await self._group.__aexit__(kind, error, trace)
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def add(self, files: Sequence[NewFile]) -> None:
        """Send the files of one folder, as soon as fewer than `AT_A_TIME` batches run. If the process is busy, returns
        when they are sent: to find the next files is work for the interpreter, too."""
        for batch in _by_size(files, self.batches.most_bytes):
            await self._free.acquire()
            if not self._running:
                self._pace.begin()
            self._running += 1
            self._group.create_task(self.batches.send(batch, self)).add_done_callback(self._done)
            if self._pace.one_by_one and len(batch) > self.batches.workers:
                with suppress(TimeoutError):
                    async with asyncio.timeout(ALONE):
                        await self._all_ended()

    async def _all_ended(self) -> None:
        while self._running:
            self._changed.clear()
            await self._changed.wait()

    def _done(self, _: asyncio.Task[None]) -> None:
        self._pace.end()
        self._free.release()
        self._running -= 1
        self._changed.set()

    def synced(self, item: Item, outcome: Outcome) -> None:
        """See `Ended`."""
        self.report.add(item, outcome)

    def left(self, item: Item, failed: Outcome | None) -> None:
        """See `Ended`."""
        self._left.append(PlannedItem(item, failed=failed))
        self._changed.set()

    def taken_left(self) -> Iterator[PlannedItem]:
        """The items that need a check of their own, so far."""
        while self._left:
            yield self._left.popleft()

    async def rest(self) -> AsyncIterator[PlannedItem]:
        """The items that need a check of their own, until all batches have ended."""
        while self._running or self._left:
            self._changed.clear()
            for planned in self.taken_left():
                yield planned
            if self._running:
                await self._changed.wait()


def _by_size(files: Iterable[NewFile], most: int) -> Iterator[list[NewFile]]:
    """The files in lists of at most `most` bytes each; a larger file has its own."""
    batch: list[NewFile] = []
    size = 0
    for one in files:
        if batch and size + one.file.size > most:
            yield batch
            batch, size = [], 0
        batch.append(one)
        size += one.file.size
    if batch:
        yield batch
