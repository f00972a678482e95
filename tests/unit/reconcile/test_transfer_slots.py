"""Slots of transfers: turns of entries, and slots that large transfers leave to small ones."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from mirrord.reconcile.transfer_slots import LARGE, MOST_APART, TransferSlots, most_large


class Bench:
    """Transfers by name that run until `end`, in the order in which they began."""

    def __init__(self, slots: TransferSlots) -> None:
        self.slots = slots
        self.began: list[str] = []
        self.ends: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def begin(self, *names: str, size: int | None = 0) -> None:
        for name in names:
            self.ends[name] = asyncio.Event()
            self.tasks[name] = asyncio.create_task(self._run(name, size))
        await settle()

    async def end(self, name: str) -> None:
        self.ends[name].set()
        await settle()

    async def _run(self, name: str, size: int | None) -> None:
        async with self.slots.taken(name[0], size):
            self.began.append(name)
            await self.ends[name].wait()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.parametrize(("slots", "large"), [(0, 0), (1, 1), (2, 1), (3, 2), (4, 3), (16, 12), (64, 48)])
def test_a_quarter_is_left_to_small_transfers(slots: int, large: int) -> None:
    assert most_large(slots) == large


async def test_entries_take_turns() -> None:
    bench = Bench(TransferSlots(1))
    await bench.begin("a1", "a2", "a3", "a4", "b1", "b2", "c1")
    for name in ("a1", "a2", "b1", "c1", "a3", "b2", "a4"):
        assert bench.began[-1] == name
        await bench.end(name)


@pytest.mark.parametrize("size", [LARGE, None])
async def test_large_transfers_leave_slots_to_small_ones(size: int | None) -> None:
    bench = Bench(TransferSlots(4))
    await bench.begin("a1", "a2", "a3", "a4", size=size)
    assert bench.began == ["a1", "a2", "a3"]
    assert bench.slots.full(size)
    assert not bench.slots.full(LARGE - 1)
    await bench.begin("a5", size=LARGE - 1)
    assert bench.began[-1] == "a5"
    await bench.end("a5")
    assert "a4" not in bench.began
    await bench.end("a1")
    assert bench.began[-1] == "a4"


async def test_small_and_large_ones_take_turns_where_both_wait() -> None:
    bench = Bench(TransferSlots(2))
    await bench.begin("s1", "s2", "s3", "s4", "s5")
    await bench.begin("l1", "l2", size=LARGE)
    for name, size in (("s1", "s3"), ("s2", "l1"), ("s3", "s4")):
        await bench.end(name)
        assert bench.began[-1] == size


async def test_a_cancelled_wait_loses_no_slot() -> None:
    bench = Bench(TransferSlots(1))
    await bench.begin("a1", "a2", "a3")
    bench.tasks["a2"].cancel()  # it has not run yet when a1 gives its slot
    bench.ends["a1"].set()
    await asyncio.sleep(0)  # a1 gives its slot to a3, which has not run yet
    bench.tasks["a3"].cancel()
    await settle()
    await bench.begin("b1")
    assert bench.began == ["a1", "b1"]


async def test_large_ones_wait_apart_up_to_a_bound() -> None:
    apart = 0

    @contextmanager
    def count() -> Iterator[None]:
        nonlocal apart
        apart += 1
        try:
            yield
        finally:
            apart -= 1

    bench = Bench(TransferSlots(1, count))
    await bench.begin("s1")
    await bench.begin("s2")
    assert apart == 0
    await bench.begin(*(f"l{number}" for number in range(MOST_APART + 5)), size=LARGE)
    assert apart == MOST_APART
    for task in bench.tasks.values():
        task.cancel()
    await settle()
    assert apart == 0
