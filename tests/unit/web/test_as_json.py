"""Dataclasses as JSON: the written fields, and the secret fields that are left out."""

import json

import pytest

from mirrord.declared import Credentials
from mirrord.errors import Reason
from mirrord.events import ItemChanged, TransferCompleted, TransferFailed, UploadAborted
from mirrord.model import HttpOptions, Secret, State
from mirrord.status import ItemPage, ItemStatus, Status
from mirrord.web.as_json import as_json, dumps, event_json
from mirrord.web.stream import message
from tests.support.scripted_control import copied, item_of

SECRET = "https://user:hunter2@example.org/a?signature=hunter2#hunter2"


def test_a_status_in_jsons_own_types() -> None:
    shown = as_json(Status(version="1", pid=7, started=1.5, totals={State.SYNCED: 2}, stores={"default": True}))
    assert shown == {
        "version": "1",
        "pid": 7,
        "started": 1.5,
        "not_ready": "",
        "totals": {"Synced": 2},
        "running": [],
        "sent_by_minute": [],
        "files": [],
        "folders": [],
        "lists": [],
        "receivers": [],
        "stale": [],
        "stale_items": 0,
        "stores": {"default": True},
        "calls_at_once": {},
        "breakers": [],
        "proxies": [],
        "workers": [],
        "differences": [],
        "learned": [],
        "not_enforced": [],
    }


def test_enums_become_plain_text() -> None:
    item = ItemStatus(
        id="1", entry="e", source="s", destination="d", store="x", state=State.BLOCKED, reason=Reason.TOO_LARGE
    )
    text = dumps(as_json(ItemPage(items=(item,))))
    assert json.loads(text)["items"][0]["reason"] == "TooLarge"


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_numbers_outside_json_are_null(number: float) -> None:
    assert dumps(as_json([number])) == "[null]"


def test_a_name_that_is_not_utf_8_is_valid_json() -> None:
    assert dumps(as_json("a\udcffb")).encode() == b'"a?b"'


def test_secrets_are_left_out() -> None:
    item = item_of("a", SECRET)
    shown = json.dumps(
        [
            event_json(ItemChanged(item=item, state=State.PENDING)),
            as_json(item),
            as_json(HttpOptions(headers={"Authorization": Secret("hunter2")})),
            as_json(Credentials.of("key", "hunter2", "hunter2")),
        ]
    )
    assert "hunter2" not in shown
    assert "https://example.org/a" in shown


def test_an_event_is_flat_as_in_the_log() -> None:
    item = item_of("geo/a.bin")
    event = TransferFailed(
        item=item, transfer_id="t", reason=Reason.STORE_DENIED, message="403", duration=0.5, retry_in=None
    )
    assert event_json(event) == {
        "event": "transfer.failed",
        "item": item.id,
        "entry": "geo/a.bin",
        "source": "https://example.org/file",
        "destination": "s3://mirror/geo/a.bin",
        "store": "default",
        "bucket": "mirror",
        "key": "geo/a.bin",
        "transfer_id": "t",
        "kind": None,
        "attempt": 1,
        "reason": "StoreDenied",
        "message": "403",
        "duration": 0.5,
        "retry_in": None,
    }


def test_a_copy_is_written_without_the_validators_of_the_source() -> None:
    shown = event_json(TransferCompleted(item=item_of("a"), transfer_id="t", copied=copied("t", 9), duration=1))
    assert isinstance(shown, dict)
    assert shown["copied"] == {"kind": "put", "size": 9, "parts": 1, "integrity": "full-object checksum"}


def test_an_event_without_an_item() -> None:
    shown = event_json(UploadAborted(item=None, bucket="b", key="k", upload_id="u"))
    assert shown == {"event": "upload.aborted", "item": None, "bucket": "b", "key": "k", "upload_id": "u"}


def test_a_value_without_a_json_form_is_an_error() -> None:
    with pytest.raises(TypeError, match="object has no form in JSON"):
        as_json(object())


def test_one_event_is_one_message() -> None:
    event = ItemChanged(item=item_of("a\nb\r\n\ndata: x"), state=State.BLOCKED, message="line\nline\u2028\x85")
    text = message(event)
    assert text.startswith("event: item.changed\ndata: {")
    assert text.endswith("}\n\n")
    assert len(text.splitlines()) == 3, "event, data, and the empty line that ends it"
    assert json.loads(text.splitlines()[1].removeprefix("data: "))["key"] == "a\nb\r\n\ndata: x"
