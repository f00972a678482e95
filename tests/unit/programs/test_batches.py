"""How many batches of new small files `sync` sends at a time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import cast

import pytest

from mirrord import aio
from mirrord.aio import UsedCores
from mirrord.model import Destination, File, FileIdentity, Item, Options, Revision
from mirrord.programs import batches
from mirrord.programs.batches import AT_A_TIME, RunningBatches
from mirrord.programs.report import Report
from mirrord.reconcile.file_batch import Ended, FileBatches, NewFile

WORKERS = 2
FILES = 4


class Held:
    """`FileBatches` whose batches run until `end`. With `open` they end at once."""

    most_bytes = 1_000
    workers = WORKERS

    def __init__(self) -> None:
        self.running: list[asyncio.Event] = []
        self.open = False

    async def send(self, _files: Sequence[NewFile], _ended: Ended) -> None:
        if not self.open:
            self.running.append(asyncio.Event())
            await self.running[-1].wait()

    def end(self) -> None:
        while self.running:
            self.running.pop().set()


def files(count: int) -> list[NewFile]:
    found = []
    for number in range(count):
        at, file = Destination("default", "http://store", "bucket", f"f{number}"), FileIdentity(1, number, 10, 4, 5)
        item = Item(id=at.item_id, entry="e", origin=File("/srv", f"f{number}"), destination=at, options=Options())
        found.append(NewFile(item, Revision(address=f"f{number}", length=10, file=file), file))
    return found


@asynccontextmanager
async def adding(held: Held) -> AsyncIterator[Callable[[int], Awaitable[bool]]]:
    """A call that adds so many files, and returns whether that returned at once."""
    added: list[asyncio.Task[None]] = []
    async with RunningBatches(batches=cast("FileBatches", held), report=Report()) as running:

        async def add(count: int) -> bool:
            await settled()
            added.append(asyncio.create_task(running.add(files(count))))
            await settled()
            return added[-1].done()

        yield add
        held.open = True
        held.end()
        await asyncio.gather(*added)


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def uses(monkeypatch: pytest.MonkeyPatch, cores: float, alone: float = 60.0) -> None:
    monkeypatch.setattr(UsedCores, "since_last", lambda _: cores)
    monkeypatch.setattr(batches, "ALONE", alone)


async def test_batches_follow_each_other_where_the_process_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    uses(monkeypatch, cores=1.0)
    held = Held()
    async with adding(held) as add:
        for _ in range(3):
            assert not await add(FILES)
            assert len(held.running) == 1
            held.end()


async def test_some_run_at_a_time_where_it_waits_for_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    uses(monkeypatch, cores=0.1)
    held = Held()
    async with adding(held) as add:
        assert not await add(FILES)
        held.end()
        assert [await add(FILES) for _ in range(AT_A_TIME + 1)] == [True] * AT_A_TIME + [False]
        assert len(held.running) == AT_A_TIME


async def test_a_batch_that_takes_long_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    uses(monkeypatch, cores=1.0, alone=0.0)
    async with adding(Held()) as add:
        assert await add(FILES)


async def test_a_batch_with_fewer_files_than_workers_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    uses(monkeypatch, cores=1.0)
    async with adding(Held()) as add:
        assert await add(WORKERS)


def test_used_cores_are_those_since_the_last_call(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0, 0.0]
    monkeypatch.setattr(aio, "process_time", lambda: now[0])
    monkeypatch.setattr(aio, "monotonic", lambda: now[1])
    cores = UsedCores()
    now[:] = 3.0, 2.0
    assert cores.since_last() == 1.5
    now[:] = 3.5, 4.0
    assert cores.since_last() == 0.25
