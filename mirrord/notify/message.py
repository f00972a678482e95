"""The request of one notification: a CloudEvent in JSON, signed. Pure.

Owns the forms: CloudEvents 1.0 in structured mode (JSON event format 1.0.2), and the headers and the symmetric
signature `v1` of Standard Webhooks 1.0.0 over `id.timestamp.body`.
"""

import hashlib
import hmac
import json
from base64 import b64encode
from datetime import UTC, datetime
from typing import NamedTuple

from mirrord._version import __version__
from mirrord.model import OutboxRow

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
USER_AGENT = f"mirrord/{__version__}"


class Message(NamedTuple):
    """The headers and the body of a POST request."""

    headers: dict[str, str]
    body: bytes


def message(row: OutboxRow, source: str, key: bytes | None, now: float) -> Message:
    """The request for a row, sent now. `source`: the URI of this mirrord. Without a `key` it is not signed."""
    body = cloud_event(row, source)
    return Message(_signed(row.notification.id, body, key, now), body)


def cloud_event(row: OutboxRow, source: str) -> bytes:
    """The event in JSON. The same for each attempt. `sequence` increases from event to event of a receiver."""
    one = row.notification
    event = {
        "specversion": "1.0",
        "id": one.id,
        "source": source,
        "type": one.name.value,
        "subject": one.subject.encode("utf-8", "replace").decode(),
        "time": datetime.fromtimestamp(one.time, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "sequence": f"{row.number:020d}",
        "datacontenttype": "application/json",
        "data": json.loads(one.data),
    }
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()


def _signed(notification_id: str, body: bytes, key: bytes | None, now: float) -> dict[str, str]:
    timestamp = str(int(now))
    headers = {
        "Content-Type": CONTENT_TYPE,
        "User-Agent": USER_AGENT,
        "webhook-id": notification_id,
        "webhook-timestamp": timestamp,
    }
    if key is None:
        return headers
    digest = hmac.digest(key, b".".join((notification_id.encode(), timestamp.encode(), body)), hashlib.sha256)
    return {**headers, "webhook-signature": f"v1,{b64encode(digest).decode()}"}
