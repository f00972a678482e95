"""When a file counts as settled: two equal stats, a settle apart, and nothing less."""

import pytest

from mirrord.folders.settling import Settling
from mirrord.model import FileIdentity
from mirrord.units import MiB

A, B = FileIdentity(1, 2, 10, 100, 100), FileIdentity(1, 2, 20, 200, 200)


@pytest.mark.parametrize(
    ("settle", "looks", "settled"),
    [
        (0.0, [(A, 0.0, 0.0)], [True]),
        (2.0, [(A, 0.0, 0.0), (A, 2.0, 2.0)], [False, True]),
        (2.0, [(A, 0.0, 0.0), (A, 1.9, 2.5)], [False, False]),  # the second stat may have been taken at 1.9
        (2.0, [(A, 0.0, 0.5), (A, 2.0, 2.0), (A, 2.5, 2.5)], [False, False, True]),  # and the first at 0.5
        (2.0, [(A, 0.0, 0.0), (B, 2.0, 2.0), (B, 3.0, 3.0), (B, 4.0, 4.0)], [False, False, False, True]),
        (2.0, [(A, 0.0, 0.0), (B, 1.0, 1.0), (A, 2.0, 2.0), (A, 4.0, 4.0)], [False, False, False, True]),
    ],
)
def test_two_equal_stats_a_settle_apart(
    settle: float, looks: list[tuple[FileIdentity, float, float]], settled: list[bool]
) -> None:
    settling = Settling(settle)
    assert [settling.see("f", "id", file, began, now) for file, began, now in looks] == settled


def test_the_first_to_settle_is_at_the_front() -> None:
    settling = Settling(2.0)
    settling.see("a", "1", A, 0.0, 0.0)
    settling.see("b", "2", A, 1.0, 1.0)
    settling.see("a", "1", B, 1.5, 1.5)
    assert settling.next_due == 3.0
    assert settling.due(2.9) == []
    assert settling.due(3.0) == ["b"]
    assert settling.due(9.0) == ["b", "a"]
    settling.forget("b")
    assert settling.next_due == 3.5
    settling.forget("a")
    assert settling.next_due is None
    settling.forget("a")


def test_no_more_are_due_at_once_than_a_look_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mirrord.folders.settling.MOST_DUE", 2)
    settling = Settling(2.0)
    for name in "abc":
        settling.see(name, name, A, 0.0, 0.0)
    assert settling.due(2.0) == ["a", "b"]
    settling.forget("a")
    assert settling.due(2.0) == ["b", "c"]


def test_no_more_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mirrord.folders.settling.MOST_UNSETTLED", 2)
    settling = Settling(2.0)
    for name in "abc":
        settling.see(name, name, A, 0.0, 0.0)
    assert len(settling) == 2
    assert settling.full
    assert settling.get("c") is None
    assert settling.see("a", "a", B, 2.0, 2.0) is False, "what is known may change"
    assert [name for name, _ in settling.items()] == ["b", "a"]


def test_what_a_waiting_file_says_of_itself() -> None:
    settling = Settling(60.0)

    def said(file: FileIdentity, at: float, now: float) -> str:
        settling.see("f", "id", file, at, at)
        known = settling.get("f")
        assert known is not None
        return known.message(now)

    small, large = FileIdentity(1, 2, 5 * MiB, 1, 1), FileIdentity(1, 2, 12 * MiB, 2, 2)
    assert said(small, 0.0, 1.0) == "settling, 5.0 MiB, first seen 1s ago"
    assert said(large, 4.0, 7.0) == "still growing, 12.0 MiB, changed 3s ago"
    assert said(small, 9.0, 9.25) == "still changing, 5.0 MiB, changed 250ms ago"
