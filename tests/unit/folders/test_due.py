"""When hinted names and whole scans are due."""

import pytest

from mirrord.folders import due
from mirrord.folders.due import (
    SCAN_EVERY,
    SCANS_AT_ONCE,
    HintedNames,
    ScanPace,
    ScanTimes,
    pause_after_names,
)


def test_a_hinted_name_is_due_now_and_once_more_after_the_settle() -> None:
    names = HintedNames(settle=2.0)
    names.add("a")
    assert names.take_due(10.0) == {"a"}
    assert names.next_due == 12.0
    assert names.take_due(11.9) == set()
    assert names.take_due(12.0) == {"a"}
    assert names.next_due is None


def test_with_a_short_settle_the_second_check_is_a_second_later() -> None:
    names = HintedNames(settle=0.0)
    names.add("a")
    names.take_due(10.0)
    assert names.next_due == 11.0


def test_a_name_with_a_file_is_not_due_once_more() -> None:
    names = HintedNames(settle=1.0)
    names.add("a")
    names.take_due(0.0)
    names.found(["a", "other"])
    assert names.take_due(9.0) == set()


def test_a_whole_scan_replaces_the_first_check_of_hinted_names_only() -> None:
    names = HintedNames(settle=1.0)
    names.add("a")
    names.take_due(0.0)
    names.add("b")
    names.forget_wanted()
    assert names.take_due(5.0) == {"a"}


def test_more_names_than_the_bound_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(due, "MOST_HINTED", 2)
    names = HintedNames(settle=1.0)
    for name in "ab":
        names.add(name)
    assert not names.is_full
    names.add("c")
    assert names.is_full
    names.take_due(0.0)
    assert names.is_full, "they are still to be checked once more"
    names.clear()
    assert not names.is_full


def test_the_first_cause_of_a_scan_is_kept() -> None:
    times = ScanTimes(cause=None)
    times.want("event")
    times.want("retry")
    assert times.cause == "event"


@pytest.mark.parametrize(
    ("cause", "now_if_possible", "expected"), [(None, False, 60.0), ("event", False, 5.0), (None, True, 5.0)]
)
def test_a_scan_without_a_cause_waits_for_its_regular_time(
    cause: str | None, now_if_possible: bool, expected: float
) -> None:
    assert ScanTimes(cause, next=60.0, not_before=5.0).due(now_if_possible=now_if_possible) == expected
    assert ScanTimes(cause, next=1.0, not_before=5.0).due(now_if_possible=now_if_possible) == 5.0


def test_some_scans_after_a_quiet_time_follow_each_other_at_once() -> None:
    pace = ScanPace()
    assert [pace.pause(100.0) for _ in range(SCANS_AT_ONCE)] == pytest.approx([0.0] * SCANS_AT_ONCE)
    assert pace.pause(100.0) == pytest.approx(SCAN_EVERY)


def test_a_storm_of_short_scans_is_slowed_to_the_average() -> None:
    pace, now = ScanPace(), 100.0
    for _ in range(200):
        now += pace.pause(now)
    assert now - 100.0 == pytest.approx((200 - SCANS_AT_ONCE) * SCAN_EVERY)


def test_a_quiet_time_allows_no_more_scans_at_once_than_that() -> None:
    pace = ScanPace()
    for _ in range(3 * SCANS_AT_ONCE):
        pace.pause(100.0)
    assert [pace.pause(200.0) for _ in range(SCANS_AT_ONCE)] == pytest.approx([0.0] * SCANS_AT_ONCE)
    assert pace.pause(200.0) == pytest.approx(SCAN_EVERY)


@pytest.mark.parametrize(
    ("names", "submitted", "expected"),
    [(10, 0, 8.0), (10, 5, 4.0), (10, 10, 0.0), (1, 500, 0.0), (0, 0, 0.0)],
    ids=["a storm of hints", "half of it is new", "new files", "a new directory", "a whole scan"],
)
def test_only_names_without_a_submitted_file_count_for_the_pause(names: int, submitted: int, expected: float) -> None:
    assert pause_after_names(2.0, names, submitted) == expected
