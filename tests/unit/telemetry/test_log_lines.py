"""Events as lines: names, fields and levels of SPEC section 6, progress thinned, failures said once."""

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from io import StringIO
from typing import get_args

import pytest

from mirrord.errors import LeftOut, Problem, Reason
from mirrord.events import (
    Event,
    FolderOverflowed,
    FolderRescanned,
    FolderSettled,
    ItemBlocked,
    ItemChanged,
    ItemDrifted,
    ItemEvent,
    ItemUnchanged,
    ManifestLoaded,
    ManifestRejected,
    TransferCompleted,
    TransferFailed,
    TransferInterrupted,
    TransferProgress,
    TransferResumed,
    TransferStarted,
    UploadAborted,
)
from mirrord.model import Copied, Destination, File, Integrity, Item, Revision, State, TransferKind, origin_at
from mirrord.telemetry.log_observer import LogObserver
from mirrord.telemetry.logs import Level, configure
from mirrord.units import MiB

AT = Destination(store="default", endpoint="http://127.0.0.1:9000", bucket="datasets", key="geo/city.mmdb")
ITEM = Item(
    id=AT.item_id,
    entry="city",
    origin=origin_at("https://user:hunter2@example.org/city.mmdb?sig=hunter2"),
    destination=AT,
)
COPIED = Copied(
    transfer_id="t-1",
    revision=Revision(address="a"),
    kind=TransferKind.MULTIPART,
    size=64 * MiB,
    parts=8,
    etag='"e-8"',
    checksum=None,
    integrity=Integrity.FULL_OBJECT,
)
WHO = {
    "item": ITEM.id,
    "source": "https://example.org/city.mmdb?…",
    "store": "default",
    "bucket": "datasets",
    "key": "geo/city.mmdb",
}
ATTEMPT = WHO | {"transfer_id": "t-1", "attempt": 2, "kind": "multipart"}

attempt = {"item": ITEM, "transfer_id": "t-1", "attempt": 2, "kind": TransferKind.MULTIPART}
FAILED = TransferFailed(**attempt, reason=Reason.STORE_UNAVAILABLE, message="503", duration=1.5, retry_in=2.0)
DENIED = TransferFailed(**attempt, reason=Reason.STORE_DENIED, message="403", duration=1.5)
BLOCKED = ItemBlocked(item=ITEM, reason=Reason.STORE_DENIED, message="403")


@dataclass
class Log:
    """A log in memory, its clock and its observer."""

    out: StringIO
    time: float = 0.0

    def open(self, level: Level = "debug") -> LogObserver:
        return LogObserver(configure("json", level, self.out), clock=lambda: self.time, progress_every=5.0)

    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.out.getvalue().splitlines()]

    def levels(self) -> list[tuple[object, object]]:
        return [(line["event"], line["level"]) for line in self.lines()]


@pytest.fixture
def log() -> Iterator[Log]:
    handlers = logging.getLogger().handlers[:]
    yield Log(StringIO())
    logging.getLogger().handlers[:] = handlers


@pytest.mark.parametrize(
    ("event", "level", "fields"),
    [
        (ManifestLoaded(file="a.yaml", items=3), "info", {"file": "a.yaml", "items": 3}),
        (
            ManifestRejected(file="a.yaml", problems=(Problem("a.yaml", 3, 5, "mirrors[0].to", "no bucket"),)),
            "error",
            {"file": "a.yaml", "problems": ["a.yaml:3:5: mirrors[0].to: no bucket"]},
        ),
        (TransferStarted(**attempt, size=64 * MiB), "info", ATTEMPT | {"size": 64 * MiB}),
        (
            TransferCompleted(**attempt, copied=COPIED, duration=2.0),
            "info",
            ATTEMPT
            | {
                "bytes": 64 * MiB,
                "parts": 8,
                "duration_ms": 2000,
                "bytes_per_s": 32 * MiB,
                "integrity": "full-object checksum",
                "outcome": "completed",
            },
        ),
        (
            FAILED,
            "warning",
            ATTEMPT
            | {
                "reason": "StoreUnavailable",
                "message": "503",
                "duration_ms": 1500,
                "retry_in_s": 2.0,
                "outcome": "failed",
            },
        ),
        (
            DENIED,
            "error",
            ATTEMPT | {"reason": "StoreDenied", "message": "403", "duration_ms": 1500, "outcome": "failed"},
        ),
        (
            TransferInterrupted(**attempt, duration=0.25),
            "info",
            ATTEMPT | {"duration_ms": 250, "outcome": "parts dropped"},
        ),
        (ItemUnchanged(item=ITEM), "debug", WHO | {"outcome": "unchanged"}),
        (BLOCKED, "error", WHO | {"reason": "StoreDenied", "message": "403"}),
        (ItemDrifted(item=ITEM, message="replaced"), "warning", WHO | {"message": "replaced"}),
        (
            FolderRescanned(folder="/srv/inbox", cause="start", files=7, complete=True, duration=0.5),
            "info",
            {"folder": "/srv/inbox", "cause": "start", "files": 7, "complete": True, "duration_ms": 500},
        ),
        (
            FolderRescanned(folder="/srv/inbox", cause="timer", files=7, complete=False, duration=0.5),
            "warning",
            {"folder": "/srv/inbox", "cause": "timer", "files": 7, "complete": False, "duration_ms": 500},
        ),
        (
            FolderRescanned(folder="in", cause="retry", files=0, complete=False, duration=0.5, problem="/in: gone"),
            "warning",
            {"folder": "in", "cause": "retry", "files": 0, "complete": False, "duration_ms": 500}
            | {"problem": "/in: gone"},
        ),
        (
            FolderSettled(folder="in", files=3, bytes=7, waiting=1),
            "info",
            {"folder": "in", "files": 3, "bytes": 7, "waiting": 1},
        ),
        (FolderOverflowed(folder="in", message="lost"), "warning", {"folder": "in", "message": "lost"}),
        (
            UploadAborted(item=None, bucket="b", key="k", upload_id="u"),
            "info",
            {"bucket": "b", "key": "k", "upload_id": "u"},
        ),
        (UploadAborted(item=ITEM, bucket="datasets", key=AT.key, upload_id="u"), "info", WHO | {"upload_id": "u"}),
    ],
    ids=lambda value: value.name if isinstance(value, Event) else "",
)
def test_an_event_is_one_line(log: Log, event: Event, level: str, fields: dict[str, object]) -> None:
    log.open()(event)
    (line,) = log.lines()
    stamp = datetime.fromisoformat(str(line.pop("timestamp")))
    assert stamp.utcoffset() == timedelta(0)
    assert line == {"event": event.name, "level": level} | fields


def test_a_change_of_state_is_for_others(log: Log) -> None:
    log.open()(ItemChanged(item=ITEM, state=State.SYNCED))
    assert log.lines() == []


def test_an_event_that_the_log_has_never_heard_of_is_a_line_without_secrets(log: Log) -> None:
    @dataclass(frozen=True, kw_only=True)
    class FolderSettled(ItemEvent):
        name = "folder.settled"
        path: str
        waited: float
        revision: Revision

    log.open()(FolderSettled(item=ITEM, path="a/b", waited=2.5, revision=COPIED.revision))
    (line,) = log.lines()
    assert line.pop("timestamp")
    assert line == {"event": "folder.settled", "level": "info"} | WHO | {"path": "a/b", "waited": 2.5}


def test_what_is_not_known_is_left_out(log: Log) -> None:
    log.open()(TransferStarted(item=ITEM, transfer_id="t-1"))
    (line,) = log.lines()
    assert not {"kind", "size"} & line.keys()


def test_no_time_at_all_gives_a_rate_of_zero(log: Log) -> None:
    log.open()(TransferCompleted(**attempt, copied=COPIED, duration=0.0))
    assert log.lines()[0]["bytes_per_s"] == 0


@pytest.mark.parametrize(("level", "expected"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_lines_below_the_level_are_left_out(log: Log, level: Level, expected: int) -> None:
    assert level in get_args(Level)
    tell = log.open(level)
    for event in (ItemUnchanged(item=ITEM), TransferStarted(**attempt), FAILED, DENIED):
        tell(event)
    assert len(log.lines()) == expected


# ── progress ──────────────────────────────────────────────────────────────────────────────────────
def moved(sent: int, transfer_id: str = "t-1") -> TransferProgress:
    event = TransferProgress(**attempt, bytes_read=sent, bytes_sent=sent, size=1_000)
    return replace(event, transfer_id=transfer_id)


def test_progress_is_a_line_every_few_seconds_of_a_transfer_that_lasts(log: Log) -> None:
    tell = log.open()
    tell(TransferStarted(**attempt, size=1_000))
    for tenth in range(1, 120):
        log.time = tenth / 10
        tell(moved(tenth))
    tell(TransferCompleted(**attempt, copied=COPIED, duration=12.0))
    progress = [line for line in log.lines() if line["event"] == "transfer.progress"]
    assert [(line["bytes"], line["duration_ms"], line["bytes_per_s"]) for line in progress] == [
        (50, 5000, 10),
        (100, 10000, 10),
    ]
    assert progress[0].items() >= (ATTEMPT | {"size": 1_000}).items()


def test_what_was_resumed_is_said_and_is_no_speed(log: Log) -> None:
    tell = log.open()
    tell(TransferStarted(**attempt, size=COPIED.size))
    tell(TransferResumed(**attempt, parts=3, bytes=COPIED.size - 100))
    log.time = 5.0
    tell(replace(moved(COPIED.size - 50), size=COPIED.size))
    tell(TransferCompleted(**attempt, copied=COPIED, duration=10.0))
    _, resumed, progress, completed = log.lines()
    assert resumed.items() >= (ATTEMPT | {"event": "transfer.resumed", "parts": 3, "bytes": COPIED.size - 100}).items()
    assert (progress["bytes"], progress["bytes_per_s"]) == (COPIED.size - 50, 10)
    assert (completed["bytes"], completed["bytes_per_s"]) == (COPIED.size, 10)


def test_a_short_transfer_has_no_progress(log: Log) -> None:
    tell = log.open()
    tell(TransferStarted(**attempt))
    log.time = 4.9
    tell(moved(10))
    assert log.levels() == [("transfer.started", "info")]


def test_a_single_put_has_one_line_at_info(log: Log) -> None:
    put = {**attempt, "kind": TransferKind.PUT}
    for level in ("info", "debug"):
        tell = log.open(level)
        tell(TransferStarted(**put))
        tell(TransferCompleted(**put, copied=replace(COPIED, kind=TransferKind.PUT), duration=1.0))
    assert log.levels() == [
        ("transfer.completed", "info"),
        ("transfer.started", "debug"),
        ("transfer.completed", "info"),
    ]


def test_each_transfer_has_its_own_pace(log: Log) -> None:
    tell = log.open()
    tell(moved(1, "t-1"))
    log.time = 3
    tell(moved(1, "t-2"))
    log.time = 6
    tell(moved(2, "t-1"))
    tell(moved(2, "t-2"))
    assert [line["transfer_id"] for line in log.lines()] == ["t-1"]


@pytest.mark.parametrize(
    "end",
    [
        FAILED,
        DENIED,
        TransferInterrupted(**attempt, duration=1.0),
        TransferCompleted(**attempt, copied=COPIED, duration=1),
    ],
    ids=lambda event: event.name,
)
def test_an_attempt_that_ended_is_forgotten(log: Log, end: Event) -> None:
    tell = log.open()
    tell(TransferStarted(**attempt))
    tell(end)
    assert tell._running == {}


# ── failures ──────────────────────────────────────────────────────────────────────────────────────
def test_a_permanent_failure_is_said_once_until_the_item_is_well(log: Log) -> None:
    tell = log.open("info")
    for _ in range(3):
        tell(BLOCKED)
    assert log.levels() == [("item.blocked", "error")]
    tell(ItemUnchanged(item=ITEM))
    tell(BLOCKED)
    assert log.levels() == [("item.blocked", "error")] * 2


def test_another_reason_is_news(log: Log) -> None:
    tell = log.open("info")
    tell(BLOCKED)
    tell(replace(BLOCKED, reason=Reason.BUCKET_MISSING))
    tell(replace(BLOCKED, item=replace(ITEM, id="another")))
    assert log.levels() == [("item.blocked", "error")] * 3


def test_an_attempt_that_failed_for_good_and_its_blocked_item_are_one_error(log: Log) -> None:
    tell = log.open("info")
    tell(TransferStarted(**attempt))
    tell(DENIED)
    tell(BLOCKED)
    assert log.levels() == [("transfer.started", "info"), ("transfer.failed", "error")]
    tell(DENIED)
    assert log.levels()[-1] == ("transfer.failed", "info"), "each attempt ends in a line, but the error is old"


def test_every_attempt_that_is_tried_again_says_so(log: Log) -> None:
    tell = log.open("info")
    for _ in range(3):
        tell(FAILED)
    assert log.levels() == [("transfer.failed", "warning")] * 3


def test_only_scans_that_find_something_else_are_more_than_debug(log: Log) -> None:
    tell = log.open("debug")
    for folder, files, complete in (("a", 7, True), ("a", 7, True), ("b", 7, True), ("a", 0, False), ("a", 0, False)):
        tell(FolderRescanned(folder=folder, cause="timer", files=files, complete=complete, duration=0.1))
    assert [line["level"] for line in log.lines()] == ["info", "debug", "info", "warning", "debug"]


def test_what_a_folder_leaves_is_said_once_for_each_change(log: Log) -> None:
    tell = log.open("info")
    two, three = LeftOut("symbolic link", 2, "a/b"), LeftOut("symbolic link", 3, "a/b")
    for left_out in ((two,), (two,), (three,), (three, LeftOut("FIFO", 1, "x")), ()):
        tell(
            FolderRescanned(folder="in", cause="timer", files=7, complete=True, duration=0.1, left_out=tuple(left_out))
        )
    assert [line.get("left") for line in log.lines()] == [
        "2 symbolic links (first: a/b)",
        "3 symbolic links (first: a/b)",
        "3 symbolic links (first: a/b), 1 FIFO (x)",
        None,
    ]


def test_after_a_success_a_failure_is_news(log: Log) -> None:
    tell = log.open("error")
    tell(DENIED)
    tell(TransferCompleted(**attempt, copied=COPIED, duration=1))
    tell(DENIED)
    assert len(log.lines()) == 2


# ── secrets ───────────────────────────────────────────────────────────────────────────────────────
def test_no_line_holds_the_secrets_of_its_source(log: Log) -> None:
    tell = log.open()
    leak = f"GET {ITEM.origin.address} failed"
    tell(TransferStarted(**attempt))
    tell(replace(FAILED, message=leak))
    tell(ItemBlocked(item=ITEM, reason=Reason.SOURCE_DENIED, message=leak))
    tell(ItemDrifted(item=ITEM, message=leak))
    tell(ManifestRejected(file="a", problems=(Problem("a", 1, 1, "", leak),)))
    assert len(log.lines()) == 5
    assert "hunter2" not in log.out.getvalue()
    assert log.out.getvalue().count(r"https://example.org/city.mmdb?\u2026 failed") == 4


def test_each_file_in_conflict_about_one_object_is_said_once(log: Log) -> None:
    tell = log.open("info")
    conflicts = [
        replace(BLOCKED, item=replace(ITEM, origin=File("/in", name)), reason=Reason.CONFLICT) for name in "ab"
    ]
    for one in (*conflicts, conflicts[1]):
        tell(one)
    assert log.levels() == [("item.blocked", "error")] * 2
