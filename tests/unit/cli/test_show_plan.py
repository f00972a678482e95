"""A plan as text and as JSON, without any store."""

import json

from mirrord.cli.plan import exit_code_of
from mirrord.cli.show.plan import json_text, lines
from mirrord.errors import Problem, Reason
from mirrord.model import Destination, Item, Outcome, State, TransferKind, origin_at
from mirrord.programs.plan import NewBucket, Plan, PlannedAdoption, PlannedCopy
from mirrord.programs.report import Left
from mirrord.units import GiB


def item(key: str) -> Item:
    at = Destination("main", "http://store", "bucket", key)
    return Item(id=at.item_id, entry="logs", origin=origin_at(f"https://me:pw@h/{key}?sig=secret"), destination=at)


FULL = Plan(
    problems=(Problem("m.yaml", 2, 5, "mirrors[0].to", "is missing"),),
    buckets=[NewBucket("main", "fresh")],
    copies=[
        PlannedCopy(item("a"), "the object is missing", TransferKind.PUT, 5),
        PlannedCopy(item("b"), "the source changed", TransferKind.MULTIPART, None),
    ],
    left=[
        Left(item("c"), Outcome(state=State.BLOCKED, reason=Reason.SOURCE_MISSING, message="404")),
        Left(item("d"), Outcome(state=State.RETRYING, reason=Reason.SOURCE_UNAVAILABLE, message="refused")),
        Left(item("e"), Outcome(state=State.WAITING, reason=Reason.STILL_GROWING, message="settling")),
        Left(item("f"), Outcome(state=State.SUSPENDED)),
    ],
    adoptions=[PlannedAdoption(item("g"), "the object already holds these bytes")],
    unchanged=7,
    adopted=2,
    incomplete=["/srv/in: denied"],
    duration=1.23456,
)


def test_each_change_is_a_line_and_unchanged_items_are_counted() -> None:
    assert list(lines(FULL)) == [
        "+ create bucket s3://fresh  (declared by store main, does not exist)",
        "+ copy s3://bucket/a  <- https://h/a?…  (the object is missing; 5 B, put)",
        "+ copy s3://bucket/b  <- https://h/b?…  (the source changed; size unknown, multipart)",
        "= adopt s3://bucket/g  <- https://h/g?…  (the object already holds these bytes: nothing is written)",
        "! blocked s3://bucket/c  <- https://h/c?…  (SourceMissing: 404)",
        "! retrying s3://bucket/d  <- https://h/d?…  (SourceUnavailable: refused)",
        ". waiting s3://bucket/e  <- https://h/e?…  (StillGrowing: settling)",
        ". suspended s3://bucket/f  <- https://h/f?…",
        "! incomplete /srv/in: denied",
        "! invalid m.yaml:2:5: mirrors[0].to: is missing",
        "2 to copy (5 B and 1 of unknown size), 1 bucket to create, 7 unchanged (2 new to the journal), "
        "1 Blocked, 1 Retrying, 1 Suspended, 1 Waiting; looked at in 1s",
    ]
    assert list(lines(Plan(unchanged=3, duration=0.25))) == ["0 to copy (0 B), 3 unchanged; looked at in 250ms"]


def test_read_back_copies_are_marked_and_summed() -> None:
    copies = [
        PlannedCopy(item("a"), "the source changed", TransferKind.MULTIPART, 5 * GiB, readback=True),
        PlannedCopy(item("b"), "the source changed", TransferKind.PUT, 5),
        PlannedCopy(item("c"), "the source changed", TransferKind.MULTIPART, None, readback=True),
    ]
    found = Plan(copies=copies)
    said = list(lines(found))
    assert said[0].endswith("(the source changed; 5.0 GiB, then read back, multipart)")
    assert said[3].startswith("3 to copy (5.0 GiB and 1 of unknown size), 5.0 GiB to read back, 0 unchanged")
    changes = json.loads("".join(json_text(found)))["changes"]
    assert [change.get("readback", "no") for change in changes] == [5 * GiB, "no", None]


def test_its_json_has_the_documented_keys_and_no_secret() -> None:
    text = "".join(json_text(FULL))
    assert "secret" not in text
    assert "pw@" not in text
    found = json.loads(text)
    assert list(found) == [
        "changes",
        "rewrites",
        "left",
        "unchanged",
        "adopted",
        "differences",
        "incomplete",
        "problems",
        "duration",
    ]
    assert found["changes"][0]["action"] == "create-bucket"
    assert found["changes"][2] == {
        "action": "copy",
        "id": item("b").id,
        "entry": "logs",
        "source": "https://h/b?…",
        "store": "main",
        "destination": "s3://bucket/b",
        "why": "the source changed",
        "kind": "multipart",
        "size": None,
    }
    assert found["left"][3]["state"] == "Suspended"
    assert found["left"][3]["reason"] is None
    assert found["problems"] == [
        {"file": "m.yaml", "line": 2, "column": 5, "path": "mirrors[0].to", "message": "is missing"}
    ]
    assert found["duration"] == 1.235


def test_exit_codes_by_rank() -> None:
    quiet = [left for left in FULL.left if left.outcome.state in (State.WAITING, State.SUSPENDED)]
    cases = [
        (Plan(), False, 0),
        (Plan(), True, 0),
        (Plan(left=quiet), True, 0),
        (Plan(copies=FULL.copies), False, 0),
        (Plan(copies=FULL.copies), True, 3),
        (Plan(buckets=FULL.buckets), True, 3),
        (Plan(adoptions=FULL.adoptions), True, 0),
        (Plan(left=FULL.left), True, 1),
        (Plan(incomplete=FULL.incomplete), False, 1),
        (Plan(left=FULL.left, copies=FULL.copies), True, 3),
        (Plan(left=FULL.left, copies=FULL.copies), False, 1),
        (FULL, True, 78),
        (FULL, False, 78),
    ]
    assert [exit_code_of(plan, flag) for plan, flag, _ in cases] == [code for *_, code in cases]
