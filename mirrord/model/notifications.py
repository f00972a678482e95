"""What is sent to webhooks: one notification of one event, and its row in the journal's outbox.

A *receiver* is the URL of a webhook. The journal knows it by a digest only, because a URL may contain secrets.
"""

from enum import StrEnum
from typing import NamedTuple

from mirrord.frozen import frozen


class Notice(StrEnum):
    """The events that a webhook can get, by their names in the log and in `notify[].events`."""

    ITEM_SYNCED = "item.synced"
    ITEM_BLOCKED = "item.blocked"
    ITEM_DRIFTED = "item.drifted"
    ITEM_PRUNED = "item.pruned"
    ITEM_STALE = "item.stale"
    ITEM_RECOVERED = "item.recovered"
    TRANSFER_COMPLETED = "transfer.completed"
    TRANSFER_FAILED = "transfer.failed"
    MANIFEST_REJECTED = "manifest.rejected"


DEFAULT_NOTICES = (Notice.ITEM_BLOCKED, Notice.ITEM_STALE, Notice.ITEM_RECOVERED)
"""The events of a webhook without `events`."""


@frozen(kw_only=True)
class Notification:
    """One event for receivers. Contains no secrets."""

    id: str
    """The same for each attempt and each receiver, so that a receiver can ignore a repeated one."""
    name: Notice
    about: str
    """The item's id, or the manifest's file. Notifications about one thing are delivered in order."""
    subject: str
    """s3://bucket/key, or the manifest's file."""
    time: float
    """When it happened: seconds since the epoch."""
    data: str
    """A JSON object."""


class OutboxRow(NamedTuple):
    """One notification that waits for one receiver."""

    number: int
    """Increases from row to row; never used twice."""
    receiver: str
    attempts: int
    """Failed ones."""
    notification: Notification


@frozen
class OutboxCounts:
    """What the outbox holds for one receiver, and what was lost."""

    waiting: int = 0
    dead: int = 0
    """Notifications that were given up since the receiver is in the manifest."""
    dropped: int = 0
    """Notifications that were dropped because the outbox was full."""
    error: str = ""
    """Why the last dead one was given up."""
