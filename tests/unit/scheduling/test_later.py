"""Items that are not due soon: in the order of their times, each once, and the queue holds few of them."""

import asyncio
from hashlib import sha256
from math import inf

import pytest

from mirrord.aio import drain
from mirrord.scheduling import later as scheduling_later
from mirrord.scheduling.later import SPAN, Later
from mirrord.scheduling.waiting import MOST_QUEUED, Waiting
from mirrord.testing import ManualClock


def item_id(number: int) -> str:
    return sha256(b"%d" % number).hexdigest()[:16]


def taken(later: Later, until: float) -> list[tuple[str, float]]:
    found = []
    while (one := later.take(until)) is not None:
        found.append(one)
    return found


def test_items_are_taken_in_the_order_of_their_times() -> None:
    later = Later()
    for number in (5, 3, 9, 1, 700):
        later.put(item_id(number), float(number))
    assert later.next_due() == 0.0
    assert taken(later, 10.0) == [(item_id(number), float(number)) for number in (1, 3, 5, 9)]
    assert (later.next_due(), len(later)) == (700 // SPAN * SPAN, 1)
    assert later.overdue(10_000.0) == 1
    assert taken(later, 10_000.0) == [(item_id(700), 700.0)]
    assert later.next_due() == inf


def test_an_item_has_one_time_the_earliest_since_it_was_discarded() -> None:
    later = Later()
    later.put(item_id(1), 500.0)
    later.put(item_id(1), 100.0)
    later.put(item_id(1), 900.0)
    assert taken(later, 10_000.0) == [(item_id(1), 100.0)]
    later.put(item_id(1), 100.0)
    later.discard(item_id(1))
    later.put(item_id(1), 900.0)
    assert taken(later, 800.0) == []
    assert taken(later, 900.0) == [(item_id(1), 900.0)]


def test_more_items_of_one_minute_than_are_sorted_at_a_time_come_in_the_order_of_their_arrival(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scheduling_later, "_SORTED", 10)
    later = Later()
    for number in range(25):
        later.put(item_id(number), float(25 - number))
    later.put(item_id(100), 2 * SPAN)
    first = [later.take(SPAN) for _ in range(10)]
    assert first == [(item_id(number), float(25 - number)) for number in range(9, -1, -1)]
    later.put(item_id(3), 22.0)  # checked, and due again at once: after all that wait
    later.discard(item_id(20))
    rest = taken(later, SPAN - 1)
    assert [one for one, _ in rest][-1] == item_id(3)
    assert {one for one, _ in rest} == {item_id(number) for number in (*range(10, 20), *range(21, 25), 3)}
    assert taken(later, 2 * SPAN) == [(item_id(100), 2 * SPAN)]


class Counting:
    """A queue that keeps its tickets."""

    def __init__(self) -> None:
        self.tickets: dict[str, float] = {}

    async def enqueue(self, item_id: str, delay: float = 0.0, lane: str = "") -> None:
        self.tickets[item_id] = delay

    async def cancel(self, item_id: str) -> None:
        self.tickets.pop(item_id, None)


async def test_the_queue_holds_few_items_although_all_are_due() -> None:
    clock, queue = ManualClock(), Counting()
    waiting = Waiting(queue, clock, lambda _: "")  # type: ignore[arg-type]
    for number in range(MOST_QUEUED + 10):
        await waiting.enqueue(item_id(number))
    assert len(queue.tickets) == MOST_QUEUED
    moving = asyncio.create_task(waiting.run())
    for number in range(MOST_QUEUED):
        waiting.begun(item_id(number))
    await clock.run_ready()
    assert set(queue.tickets) == {item_id(number) for number in range(MOST_QUEUED + 10)}
    await waiting.enqueue(item_id(-1), 3600.0)
    await clock.advance(3600.0 - 2 * SPAN)
    assert item_id(-1) not in queue.tickets
    await clock.advance(2 * SPAN)
    assert item_id(-1) in queue.tickets
    await drain([moving])


async def test_a_lane_with_very_many_due_items_leaves_the_others_their_share() -> None:
    clock, queue = ManualClock(), Counting()
    few = [item_id(-1), item_id(-2)]
    waiting = Waiting(queue, clock, lambda one: "few" if one in few else "many")  # type: ignore[arg-type]
    for number in range(2 * MOST_QUEUED):
        await waiting.enqueue(item_id(number))
    await waiting.enqueue(few[0], 3600.0)
    await waiting.enqueue(few[1], 1.0)
    assert few[1] in queue.tickets
    moving = asyncio.create_task(waiting.run())
    await clock.advance(3600.0)
    assert few[0] in queue.tickets
    assert waiting.overdue() == MOST_QUEUED
    for number in range(MOST_QUEUED):
        waiting.begun(item_id(number))
    await clock.run_ready()
    assert len(queue.tickets) > MOST_QUEUED * 1.4
    await waiting.cancel(item_id(2 * MOST_QUEUED - 1))
    assert item_id(2 * MOST_QUEUED - 1) not in queue.tickets
    await drain([moving])
