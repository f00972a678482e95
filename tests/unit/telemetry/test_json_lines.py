"""A line of the log as JSON, the same text as the standard encoder's; the line of a completed transfer, which is
written directly: the same, and without secrets."""

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from io import StringIO

import pytest

from mirrord.events import TransferCompleted
from mirrord.model import Copied, Destination, File, Integrity, Item, Revision, TransferKind, Url
from mirrord.telemetry.json_lines import json_line
from mirrord.telemetry.log_observer import LogObserver
from mirrord.telemetry.logs import Format, Level, Log, configure

VALUES = [
    "plain",
    'quoted " and \\ and \n and \x00',
    "ключ-\udcff-\U0001f600",
    "",
    0,
    -(2**70),
    1.5,
    float("nan"),
    True,
    None,
    ["problem: a", {"deep": (1, "x")}],
    TransferKind.PUT,
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_each_value_is_written_as_json_writes_it(value: object) -> None:
    line = {"event": "transfer.completed", 'na"me': value, "level": "info"}
    assert json_line(line) == json.dumps(line)


def test_other_objects_are_written_as_text() -> None:
    assert json.loads(json_line({"error": OSError("x")})) == {"error": "OSError('x')"}


# ── a completed transfer ──────────────────────────────────────────────────────────────────────────────
AT = Destination(store="default", endpoint="http://127.0.0.1:9000", bucket="datasets", key="geo/city.mmdb")
ITEM = Item(id="0123456789abcdef", entry="city", origin=Url("https://example.org/city.mmdb"), destination=AT)
COPIED = Copied(
    transfer_id="t-1",
    revision=Revision(address="a"),
    kind=TransferKind.PUT,
    size=4096,
    parts=1,
    etag='"e"',
    checksum=None,
    integrity=Integrity.FULL_OBJECT,
)
EVENT = TransferCompleted(item=ITEM, transfer_id="t-1", kind=TransferKind.PUT, copied=COPIED, duration=0.5)
SECRET = "https://u:hunter2@h/p?sig=hunter2 \x1b[2J"
LEAKS = {
    "item": replace(EVENT, item=replace(ITEM, id=SECRET)),
    "source": replace(EVENT, item=replace(ITEM, origin=Url(SECRET))),
    "store": replace(EVENT, item=replace(ITEM, destination=replace(AT, store=SECRET))),
    "bucket": replace(EVENT, item=replace(ITEM, destination=replace(AT, bucket=SECRET))),
    "key": replace(EVENT, item=replace(ITEM, destination=replace(AT, key=SECRET))),
    "transfer_id": replace(EVENT, transfer_id=SECRET),
}
NAMES = {"plain": "a/b", "not ASCII": "ключ", "quoted": 'a"b\\c', "query": "what?.csv", "surrogate": "bad-\udcff"}


@pytest.fixture
def out() -> Iterator[StringIO]:
    handlers = logging.getLogger().handlers[:]
    yield StringIO()
    logging.getLogger().handlers[:] = handlers


@pytest.mark.parametrize("field", LEAKS)
def test_no_field_of_a_completed_transfer_holds_a_secret(out: StringIO, field: str) -> None:
    LogObserver(configure("json", "info", out))(LEAKS[field])
    line = json.loads(out.getvalue())
    assert line["event"] == "transfer.completed"
    assert "https://h/p" in line[field]
    assert "hunter2" not in out.getvalue()
    assert "\x1b" not in line[field]


@pytest.mark.parametrize("kind", [TransferKind.PUT, None])
@pytest.mark.parametrize("name", [*NAMES.values(), SECRET], ids=[*NAMES, "secret"])
def test_a_completed_transfer_has_the_line_of_any_event(out: StringIO, name: str, kind: TransferKind | None) -> None:
    item = replace(ITEM, origin=File("/srv", name), destination=replace(AT, key=name))
    log = configure("json", "info", out)
    for each in (log, Log(log.logger, None)):
        LogObserver(each)(replace(EVENT, item=item, kind=kind))
    direct, as_any_event = map(json.loads, out.getvalue().splitlines())
    assert direct.pop("timestamp") <= as_any_event.pop("timestamp")
    assert list(direct.items()) == list(as_any_event.items())


@pytest.mark.parametrize(("format", "level", "lines"), [("json", "warning", 0), ("console", "info", 1)])
def test_format_and_level_hold_for_it(out: StringIO, format: Format, level: Level, lines: int) -> None:
    LogObserver(configure(format, level, out))(EVENT)
    assert len(out.getvalue().splitlines()) == lines
    assert "{" not in out.getvalue()
