"""Log lines as JSON: any line, and directly the line of each object that was sent.

The same text as `json.dumps`, which is slower for a line that is flat: 10 us. Only the problems of a manifest are not.
"""

import json
from json.encoder import encode_basestring_ascii

from mirrord.events import TransferCompleted
from mirrord.telemetry.event_logger import utc_now
from mirrord.telemetry.redaction import Line, redact


def json_line(line: Line) -> str:
    """The line as one JSON object, in ASCII."""
    return "{" + ", ".join([f"{encode_basestring_ascii(name)}: {_value(value)}" for name, value in line.items()]) + "}"


def _value(value: object) -> str:
    if type(value) is str:
        return encode_basestring_ascii(value)
    if type(value) is int:
        return str(value)
    return json.dumps(value, default=repr)


def completed_line(event: TransferCompleted, moved: int, milliseconds: int, rate: int) -> str:
    """The line of a transfer that completed: as `EventLogger` writes it through `redacted` and `json_line`, which take
    20 us for it. Each text that is not a constant is redacted here. `moved` in bytes, `rate` in bytes a second."""
    item, copied = event.item, event.copied
    at, kind = item.destination, "" if event.kind is None else f'"kind": "{event.kind.value}", '
    others = f"{item.id} {at.store} {at.bucket} {at.key} {event.transfer_id}"
    text = encode_basestring_ascii if redact(others) == others else _text  # one look at five texts
    return (
        f'{{"item": {text(item.id)}, "source": {_text(item.shown_source)}, "store": {text(at.store)}, '
        f'"bucket": {text(at.bucket)}, "key": {text(at.key)}, {kind}"attempt": {event.attempt}, '
        f'"transfer_id": {text(event.transfer_id)}, "bytes": {moved}, "parts": {copied.parts}, '
        f'"duration_ms": {milliseconds}, "bytes_per_s": {rate}, "integrity": "{copied.integrity.value}", '
        f'"outcome": "completed", "event": "{event.name}", "level": "info", "timestamp": "{utc_now()}"}}'
    )


def _text(text: str) -> str:
    return encode_basestring_ascii(redact(text))
