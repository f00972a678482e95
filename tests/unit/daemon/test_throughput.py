"""Bytes by minute: bounded, and each byte once."""

from mirrord.daemon.board import Board
from mirrord.daemon.throughput import MINUTES, Throughput
from mirrord.events import TransferCompleted, TransferProgress, TransferResumed, TransferStarted
from mirrord.model import TransferKind
from mirrord.testing import AutoAdvancingClock
from tests.support.scripted_control import copied, item_of

ITEM = item_of("a.bin")


def test_an_hour_is_kept_by_minutes_and_the_rest_leaves() -> None:
    clock = AutoAdvancingClock(90.0)
    sent = Throughput(clock)
    assert sent.minutes() == (0,) * MINUTES
    sent.add(1)
    clock.move(60)
    sent.add(2)
    sent.add(3)
    clock.move(120)
    assert sent.minutes()[-5:] == (0, 1, 5, 0, 0)
    assert len(sent.minutes()) == MINUTES
    clock.move(60 * 57)
    assert sent.minutes() == (5, *(0,) * (MINUTES - 1))
    clock.move(60 * 1000)
    assert sent.minutes() == (0,) * MINUTES


def test_each_byte_of_a_transfer_counts_once() -> None:
    board = Board(AutoAdvancingClock(90.0))
    board(TransferStarted(item=ITEM, transfer_id="t", kind=TransferKind.MULTIPART, size=10))
    for sent in (4, 4, 7):
        board(TransferProgress(item=ITEM, transfer_id="t", bytes_read=9, bytes_sent=sent, size=10))
    assert board.sent_by_minute()[-1] == 7
    done = TransferCompleted(item=ITEM, transfer_id="t", copied=copied("t", 10), duration=1.0)
    board(done)
    board(done)
    assert board.sent_by_minute()[-1] == 10


def test_what_an_earlier_process_sent_does_not_count() -> None:
    board = Board(AutoAdvancingClock(90.0))
    board(TransferResumed(item=ITEM, transfer_id="t", bytes=6, parts=1))
    board(TransferProgress(item=ITEM, transfer_id="t", bytes_read=9, bytes_sent=8, size=10))
    assert board.sent_by_minute()[-1] == 2
