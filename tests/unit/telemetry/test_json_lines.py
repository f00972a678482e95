"""A line of the log as JSON: the same text as the standard encoder's."""

import json

import pytest

from mirrord.model import TransferKind
from mirrord.telemetry.json_lines import json_line

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
    assert json_line(None, "info", line) == json.dumps(line)


def test_other_objects_are_written_as_text() -> None:
    assert json.loads(json_line(None, "info", {"error": OSError("x")})) == {"error": "OSError('x')"}
