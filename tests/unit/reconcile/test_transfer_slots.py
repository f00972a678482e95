"""Slots of transfers: turns of entries, and slots that large transfers leave to small ones."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from mirrord.reconcile.transfer_slots import LARGE, MOST_APART, TakenSlot, TransferSlots, most_large
from mirrord.transfer.spec import ProgressCallback, no_progress


class Bench:
    """Transfers by name that run until `end`, in the order in which they began."""

    def __init__(self, slots: TransferSlots) -> None:
        self.slots = slots
        self.began: list[str] = []
        self.ends: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.progress: dict[str, ProgressCallback] = {}

    async def begin(self, *names: str, size: int | None = 0) -> None:
        for name in names:
            self.ends[name] = asyncio.Event()
            self.tasks[name] = asyncio.create_task(self._run(name, size))
        await settle()

    async def end(self, name: str) -> None:
        self.ends[name].set()
        await settle()

    async def _run(self, name: str, size: int | None) -> None:
        async with self.slots.taken(name[0], size) as slot:
            self.began.append(name)
            self.progress[name] = slot.counted(no_progress)
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


async def test_large_transfers_leave_slots_to_small_ones() -> None:
    bench = Bench(TransferSlots(4))
    await bench.begin("a1", "a2", "a3", "a4", size=LARGE)
    assert bench.began == ["a1", "a2", "a3"]
    assert bench.slots.full(LARGE)
    assert not bench.slots.full(LARGE - 1)
    await bench.begin("a5", size=LARGE - 1)
    assert bench.began[-1] == "a5"
    await bench.end("a5")
    assert "a4" not in bench.began
    await bench.end("a1")
    assert bench.began[-1] == "a4"


async def test_one_of_unknown_length_takes_a_slot_that_large_ones_may_not_have() -> None:
    bench = Bench(TransferSlots(4))
    await bench.begin("a1", "a2", "a3", "a4", size=LARGE)
    await bench.begin("b1", size=None)
    assert bench.began[-1] == "b1"


async def test_one_of_unknown_length_counts_as_large_once_it_has_read_so_much() -> None:
    bench = Bench(TransferSlots(4))
    await bench.begin("u1", "u2", "u3", "u4", size=None)
    for name in ("u1", "u2", "u3", "u4"):
        bench.progress[name](LARGE - 1, 0)
    assert len(bench.began) == 4
    for name in ("u1", "u2", "u3", "u4"):
        bench.progress[name](LARGE, 0)
        bench.progress[name](2 * LARGE, LARGE)
    await bench.begin("l1", size=LARGE)
    await bench.begin("s1")
    await bench.end("u1")
    assert bench.began[-1] == "s1", "three large ones run: the free slot is for a small one"
    await bench.end("u2")
    assert bench.began[-1] == "l1"
    for name in ("u3", "u4", "l1", "s1"):
        await bench.end(name)
    await bench.begin("l2", "l3", "l4", "l5", size=LARGE)
    assert bench.began[-3:] == ["l2", "l3", "l4"], "all slots were given back as what they were"


def test_a_slot_of_known_length_counts_nothing() -> None:
    assert TakenSlot(LARGE, lambda: None).counted(no_progress) is no_progress


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
