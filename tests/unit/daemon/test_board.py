"""The board: running transfers, their rates, and the events for subscribers."""

import asyncio

import pytest

from mirrord.daemon.board import STEP, WINDOW, Board, Subscription
from mirrord.errors import Reason
from mirrord.events import (
    Event,
    ItemChanged,
    ItemUnchanged,
    TransferCompleted,
    TransferFailed,
    TransferInterrupted,
    TransferProgress,
    TransferResumed,
    TransferStarted,
)
from mirrord.model import Item, State, TransferKind
from mirrord.testing import AutoAdvancingClock
from mirrord.units import MiB
from tests.support.scripted_control import copied, item_of

ITEM = item_of("a.bin")


@pytest.fixture
def clock() -> AutoAdvancingClock:
    return AutoAdvancingClock(1_700_001_000.0)


@pytest.fixture
def board(clock: AutoAdvancingClock) -> Board:
    return Board(clock, progress_every=0.5, backlog=3)


def started(item: Item = ITEM, transfer_id: str = "t", size: int | None = 100 * MiB) -> TransferStarted:
    return TransferStarted(item=item, transfer_id=transfer_id, kind=TransferKind.MULTIPART, size=size)


def moved(read: int, sent: int = 0, item: Item = ITEM, transfer_id: str = "t") -> TransferProgress:
    return TransferProgress(item=item, transfer_id=transfer_id, bytes_read=read, bytes_sent=sent, size=100 * MiB)


def ends(item: Item = ITEM) -> list[Event]:
    return [
        TransferCompleted(item=item, transfer_id="t", copied=copied("t", 1), duration=1.0),
        TransferFailed(item=item, transfer_id="t", reason=Reason.STORE_DENIED, message="no", duration=1.0),
        TransferInterrupted(item=item, transfer_id="t", duration=1.0),
        ItemChanged(item=item, state=State.RETRYING),
    ]


def test_a_running_transfer_is_shown_with_its_current_values(board: Board, clock: AutoAdvancingClock) -> None:
    board(started())
    clock.move(2)
    board(moved(8 * MiB, 4 * MiB))
    (shown,) = board.running()
    assert (shown.item_id, shown.entry, shown.destination) == (ITEM.id, "a.bin", "s3://mirror/a.bin")
    assert (shown.bytes_read, shown.bytes_sent, shown.size) == (8 * MiB, 4 * MiB, 100 * MiB)
    assert shown.started == 1_700_001_000
    assert shown.rate == pytest.approx(4 * MiB)
    assert board.progress(ITEM.id) == shown
    assert board.progress("0" * 16) is None


@pytest.mark.parametrize("end", ends(), ids=lambda event: event.name)
def test_every_end_event_removes_the_transfer(board: Board, end: Event) -> None:
    board(started())
    assert board.running()
    board(end)
    assert board.running() == ()


def test_a_change_to_transferring_keeps_the_transfer(board: Board) -> None:
    board(started())
    board(ItemChanged(item=ITEM, state=State.TRANSFERRING))
    assert len(board.running()) == 1


def test_the_step_of_a_transfer_is_shown_until_its_end(board: Board) -> None:
    board(started())
    board(ItemChanged(item=ITEM, state=State.TRANSFERRING, message="read back"))
    board(moved(1))
    (shown,) = board.running()
    assert shown.message == "read back"
    board(started(transfer_id="next"))
    assert board.running()[0].message == ""


def test_an_attempt_that_never_ended_is_replaced_by_the_next(board: Board, clock: AutoAdvancingClock) -> None:
    board(started(transfer_id="lost"))
    clock.move(1)
    board(moved(5, transfer_id="lost"))
    board(started(transfer_id="next"))
    (shown,) = board.running()
    assert (shown.transfer_id, shown.bytes_read) == ("next", 0)


def test_progress_without_a_start_event_counts(board: Board) -> None:
    board(moved(7, 3))
    assert [(one.bytes_read, one.bytes_sent) for one in board.running()] == [(7, 3)]


def test_the_longest_running_comes_first(board: Board) -> None:
    first, second = item_of("first"), item_of("second")
    board(started(first, "1"))
    board(started(second, "2"))
    assert [one.transfer_id for one in board.running()] == ["1", "2"]
    board(started(first, "3"))
    assert [one.transfer_id for one in board.running()] == ["2", "3"]


def test_the_rate_covers_the_last_seconds(board: Board, clock: AutoAdvancingClock) -> None:
    board(started())
    read = 0
    for rate in [MiB] * 40 + [3 * MiB] * 40:  # a quarter of a second each: 10 s, then 10 s at three times the speed
        clock.move(0.25)
        read += rate // 4
        board(moved(read))
    assert board.running()[0].rate == pytest.approx(3 * MiB)


def test_resumed_bytes_are_shown_at_once_and_do_not_count_for_the_rate(board: Board, clock: AutoAdvancingClock) -> None:
    board(started())
    board(TransferResumed(item=ITEM, transfer_id="t", parts=8, bytes=64 * MiB))
    (shown,) = board.running()
    assert (shown.bytes_read, shown.bytes_sent, shown.size) == (64 * MiB, 64 * MiB, 100 * MiB)
    clock.move(2)
    board(moved(68 * MiB, 64 * MiB))
    assert board.running()[0].rate == pytest.approx(2 * MiB)


def test_the_rate_decreases_while_no_bytes_move(board: Board, clock: AutoAdvancingClock) -> None:
    board(started())
    clock.move(1)
    board(moved(10 * MiB))
    assert board.running()[0].rate == pytest.approx(10 * MiB)
    clock.move(9)
    assert board.running()[0].rate == pytest.approx(MiB)
    clock.move(990)
    assert board.running()[0].rate < MiB / 50


def test_rare_large_parts_give_a_steady_rate(board: Board, clock: AutoAdvancingClock) -> None:
    """8 MiB every 8 s, longer than the window: the rate is 1 MiB/s, never 0, never 8."""
    board(started())
    clock.move(7)
    for part in range(1, 5):
        clock.move(1)
        board(moved(part * 8 * MiB, part * 8 * MiB))
        for wait in (0, 2, 3, 2):
            clock.move(wait)
            assert 0.5 * MiB <= board.running()[0].rate <= 1.1 * MiB


def test_the_number_of_samples_is_bounded(board: Board, clock: AutoAdvancingClock) -> None:
    board(started())
    for step in range(20_000):
        clock.move(0.001)
        board(moved(step))
    (run,) = board._runs.values()
    assert len(run.samples) <= WINDOW / STEP + 2


async def test_a_subscriber_gets_events_from_its_start(board: Board) -> None:
    board(started())
    async with board.subscribe() as events:
        board(ItemUnchanged(item=ITEM))
        assert (await anext(events)).name == "item.unchanged"
        waiting = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0)
        assert not waiting.done()
        board(ItemChanged(item=ITEM, state=State.SYNCED))
        assert (await waiting).name == "item.changed"


async def test_a_slow_subscriber_loses_the_oldest_events_and_others_lose_none(board: Board) -> None:
    async with board.subscribe() as slow, board.subscribe() as quick:
        seen = []
        for number in range(5):
            board(ItemChanged(item=ITEM, state=State.PENDING, message=str(number)))
            seen.append(await anext(quick))
        assert [event.message for event in seen if isinstance(event, ItemChanged)] == ["0", "1", "2", "3", "4"]
        rest = [await anext(slow) for _ in range(3)]
        assert [event.message for event in rest if isinstance(event, ItemChanged)] == ["2", "3", "4"]
        assert isinstance(slow, Subscription)
        assert slow.lost == 2


async def test_subscribers_get_only_some_progress_events_and_the_board_all(
    board: Board, clock: AutoAdvancingClock
) -> None:
    async with board.subscribe() as events:
        board(moved(1))
        for read in (2, 3, 4):
            clock.move(0.1)
            board(moved(read))
        clock.move(0.3)
        board(moved(5))
        board(moved(6))
        got = [await anext(events) for _ in range(2)]
        assert [event.bytes_read for event in got if isinstance(event, TransferProgress)] == [1, 5]
        assert board.running()[0].bytes_read == 6


async def test_closing_ends_every_subscription_after_its_backlog(board: Board) -> None:
    async with board.subscribe() as events:
        board(ItemUnchanged(item=ITEM))
        board.close()
        assert [event.name async for event in events] == ["item.unchanged"]
    async with board.subscribe() as late:
        assert [event async for event in late] == []


async def test_a_closed_subscription_is_removed(board: Board) -> None:
    async with board.subscribe():
        assert len(board._subscriptions) == 1
    assert not board._subscriptions
