"""Which events follow from two versions of a record."""

import json
from dataclasses import replace

import pytest

from mirrord.errors import Reason
from mirrord.model import Checksum, ChecksumKind, Destination, Integrity, Notice, Record, State
from mirrord.planning.notifications.announced import Announced
from mirrord.planning.notifications.changes import RecordChange, changes_of, notification_of
from tests.support.records import make_record, with_fields

AT = Destination(store="default", endpoint="http://127.0.0.1:9000", bucket="b", key="k")


def record(state: State, **fields: object) -> Record:
    made = {"item_id": "i", "entry": "e", "source": "https://example.org/k", "destination": AT, **fields}
    return make_record(state=state, **made)


PENDING, RETRYING = record(State.PENDING), record(State.RETRYING, reason=Reason.STORE_UNAVAILABLE)
DENIED, TOO_LARGE = record(State.BLOCKED, reason=Reason.STORE_DENIED), record(State.BLOCKED, reason=Reason.TOO_LARGE)
SYNCED = record(State.SYNCED, transfer_id="t-1", etag='"e"', integrity=Integrity.MD5)
NEWER = record(State.SYNCED, transfer_id="t-2", etag='"f"', integrity=Integrity.MD5)
OTHER_BYTES = record(State.RETRYING, transfer_id="t-2", etag='"f"')
LEFT = replace(SYNCED, removed=5.0)
PRUNED = with_fields(LEFT, etag=None, transfer_id=None, integrity=None)
REPAIRED_LATER = with_fields(RETRYING, transfer_id="t-1", etag='"e"', integrity=Integrity.MD5)

CASES = [
    (None, PENDING, None, False, ""),
    (PENDING, RETRYING, None, False, ""),
    (PENDING, DENIED, None, False, "item.blocked"),
    (None, DENIED, None, False, "item.blocked"),
    (DENIED, replace(DENIED, source="https://example.org/other"), None, True, ""),
    (DENIED, TOO_LARGE, None, True, "item.blocked"),
    (DENIED, RETRYING, None, True, ""),
    (RETRYING, DENIED, None, True, "item.blocked"),
    (PENDING, SYNCED, None, False, "item.synced"),
    (PENDING, SYNCED, "t-1", False, "transfer.completed item.synced"),
    (None, SYNCED, "t-1", False, "transfer.completed item.synced"),
    (SYNCED, SYNCED, None, False, ""),
    (SYNCED, NEWER, "t-2", False, "transfer.completed item.synced"),
    (RETRYING, SYNCED, None, True, "item.synced item.recovered"),
    (DENIED, SYNCED, None, False, "item.synced item.recovered"),
    (SYNCED, OTHER_BYTES, "t-2", False, ""),
    (RETRYING, REPAIRED_LATER, "t-1", False, "transfer.completed"),
    (SYNCED, LEFT, None, False, ""),
    (SYNCED, PRUNED, None, False, "item.pruned"),
    (LEFT, PRUNED, None, False, "item.pruned"),
    (PRUNED, PRUNED, None, False, ""),
    (DENIED, replace(DENIED, removed=5.0), None, True, ""),
    (LEFT, SYNCED, None, False, ""),
    (PRUNED, SYNCED, "t-1", False, "transfer.completed item.synced"),
    (replace(DENIED, removed=5.0), DENIED, None, False, "item.blocked"),
]


@pytest.mark.parametrize(("before", "after", "finished", "alarmed", "names"), CASES)
def test_the_events_of_a_change(
    before: Record | None, after: Record, finished: str | None, alarmed: bool, names: str
) -> None:
    assert " ".join(RecordChange(before, after, finished, alarmed).notices()) == names


@pytest.mark.parametrize(
    ("after", "alarmed", "still"),
    [
        (DENIED, False, True),
        (RETRYING, True, True),
        (RETRYING, False, False),
        (SYNCED, True, False),
        (replace(DENIED, removed=5.0), True, False),
    ],
)
def test_a_recovery_is_due_until_the_item_is_synced_or_leaves(after: Record, alarmed: bool, still: bool) -> None:
    assert RecordChange(PENDING, after, None, alarmed).alarms_after() is still


def test_two_records_of_one_item_in_one_commit_are_two_changes() -> None:
    first, second = changes_of([DENIED, SYNCED], (), {"i": PENDING}, ())
    assert (first.before, first.alarmed) == (PENDING, False)
    assert (second.before, second.alarmed) == (DENIED, True)


def test_the_data_has_what_the_record_shows_and_always_is_text() -> None:
    made = with_fields(DENIED, message="no\udcff", checksum=Checksum(ChecksumKind.CRC32C, "abcd=="), size=0)
    notification = notification_of(made, Notice.ITEM_BLOCKED, "n", 9.0)
    assert (notification.id, notification.time, notification.subject) == ("n", 9.0, "s3://b/k")
    data = json.loads(notification.data)
    assert data["state"] == "Blocked"
    assert data["message"] == "no?"
    assert data["checksum"] == "crc32c:abcd=="
    assert data["bytes"] == 0
    assert "etag" not in data


def test_only_wanted_announcements_wait_and_each_is_taken_once() -> None:
    announced = Announced()
    notification = notification_of(DENIED, Notice.ITEM_BLOCKED, "n", 9.0)
    announced.add(notification)
    assert not announced
    announced.receivers = {"a": frozenset({Notice.ITEM_BLOCKED}), "b": frozenset({Notice.ITEM_SYNCED})}
    announced.add(notification)
    assert announced.take("another") == []
    assert announced.take("i") == [notification]
    assert announced.take() == []
    assert announced.receivers_of(Notice.ITEM_SYNCED) == ["b"]
