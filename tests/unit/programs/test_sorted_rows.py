"""Rows of a plan in order, packed: the same rows come out, many take little memory."""

import random
import tracemalloc
from dataclasses import replace

import pytest

from mirrord.errors import Reason
from mirrord.model import (
    DeclaredBytes,
    DeleteFile,
    Destination,
    File,
    Item,
    ListedRevision,
    MoveFile,
    Options,
    Origin,
    Outcome,
    S3Object,
    Schedule,
    State,
    TransferKind,
    Url,
)
from mirrord.programs import sorted_rows
from mirrord.programs.plan import PlannedCopy
from mirrord.programs.report import Left
from mirrord.programs.sorted_rows import SortedRows, position

OPTIONS = Options(schedule=Schedule(every=60.0))
BELOW = Destination("main", "http://store", "bucket", "from/x")
ORIGINS: tuple[Origin, ...] = (
    Url("https://me:pw@h/a?b"),
    File(None, "/srv/\udcff"),
    File("/srv", "a", True, DeleteFile()),
    File("/srv", "a", False, MoveFile("/done")),
    S3Object(BELOW),
    S3Object(BELOW, ListedRevision("from/", 3, '"1"')),
)


def item(number: int) -> Item:
    at = Destination("main", "http://store", "bucket", f"data/{number:06}é")
    origin = ORIGINS[number % len(ORIGINS)]
    return Item(
        id=at.item_id,
        entry="rows",
        origin=origin,
        destination=at,
        options=OPTIONS,
        dated=1.5 if number % 2 else None,
        declared=DeclaredBytes(number, b"\0" * 16, None) if number % 3 else None,
        urls=(origin, Url("https://h/second")) if number % 5 == 0 else (),
    )


def copy(number: int) -> PlannedCopy:
    size = number if number % 7 else None
    original = BELOW if number % 4 == 0 else None
    return PlannedCopy(item(number), "missing", TransferKind.PUT, size, original, ("tags",) if number % 2 else None)


@pytest.mark.parametrize("count", [0, 7, 10, 35])
def test_rows_come_back_in_order_and_unchanged(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sorted_rows, "_RUN", 10)
    monkeypatch.setattr(sorted_rows, "_BLOCK", 3)
    rows, wanted = SortedRows(PlannedCopy), [copy(number) for number in range(count)]
    for one in random.Random(1).sample(wanted, count):
        rows.add(one)
    assert len(rows) == count
    assert list(rows) == wanted
    assert list(rows) == wanted, "it is read as often as wanted"
    assert [position(one) for one in rows] == sorted(map(position, wanted))
    assert rows == wanted
    assert rows != [*wanted[1:], copy(99)]
    assert rows[2:5] == wanted[2:5]
    assert all(one in rows for one in wanted[:2])
    assert copy(99) not in rows
    assert all(one.item.options is OPTIONS for one in rows), "what all rows share is kept once"


def test_outcomes_are_kept_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sorted_rows, "_RUN", 2)
    rows = SortedRows(Left)
    blocked = Outcome(state=State.BLOCKED, reason=Reason.SOURCE_MISSING, message="404 \udcff", tried=False)
    wanted = [Left(item(number), blocked) for number in range(2)]
    for one in wanted:
        rows.add(one)
    assert list(rows) == wanted
    assert next(iter(rows)).outcome.reason is Reason.SOURCE_MISSING


def test_what_is_known_only_at_the_end_is_applied_when_rows_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sorted_rows, "_RUN", 2)
    read = set[str]()
    rows = SortedRows(PlannedCopy, lambda one: replace(one, readback=one.item.id in read))
    for number in range(3):
        rows.add(copy(number))
    read.update(copy(number).item.id for number in (0, 2))
    assert [one.readback for one in rows] == [True, False, True]


def test_many_rows_take_a_tenth_of_the_memory() -> None:
    rows = SortedRows(PlannedCopy)
    tracemalloc.start()
    try:
        for number in range(10_000):
            at = Destination("main", "http://store", "bucket", f"data/{number % 1000:04}/file-{number:07}.bin")
            url = Url(f"https://host.example/data/{number % 1000:04}/file-{number:07}.bin")
            found = Item(id=at.item_id, entry="rows", origin=url, destination=at, options=OPTIONS)
            rows.add(PlannedCopy(found, "missing", TransferKind.PUT, 4))
        assert tracemalloc.get_traced_memory()[0] < 10_000 * 100
    finally:
        tracemalloc.stop()
