"""Typed events of what happened; logs, metrics and progress subscribe through `ports.Observer`.

Owns the event names, which never change, and their fields. An event holds no secret and no time: a subscriber adds the
time. Each `transfer.started` is followed by exactly one of completed, failed, interrupted, and none of these is
reported without it (`reconcile.transfer_attempt`).
"""

from collections.abc import Callable, Iterator
from dataclasses import field
from typing import ClassVar

from mirrord.errors import LeftOut, Problem, Reason
from mirrord.frozen import frozen
from mirrord.model import Copied, Item, State, TransferKind


@frozen(kw_only=True)
class Event:
    """Base of all events; `name` is the event's name in the log."""

    name: ClassVar[str]


# ── manifests ─────────────────────────────────────────────────────────────────────────────────────
@frozen(kw_only=True)
class ManifestLoaded(Event):
    """A valid manifest is in force."""

    name = "manifest.loaded"
    file: str
    items: int


@frozen(kw_only=True)
class ManifestRejected(Event):
    """A manifest is invalid: its last valid version stays in force."""

    name = "manifest.rejected"
    file: str
    problems: tuple[Problem, ...]


@frozen(kw_only=True)
class ManifestRemoved(Event):
    """The file is out of force: its items stop, their objects stay."""

    name = "manifest.removed"
    file: str


# ── transfers ─────────────────────────────────────────────────────────────────────────────────────
@frozen(kw_only=True)
class TransferEvent(Event):
    """Base of the events of one attempt."""

    item: Item
    transfer_id: str
    kind: TransferKind | None = None  # None: the attempt ended before the size was known
    attempt: int = 1


@frozen(kw_only=True)
class TransferStarted(TransferEvent):
    """An attempt to copy an item begins."""

    name = "transfer.started"
    size: int | None = None  # None: the source does not give it


@frozen(kw_only=True)
class TransferResumed(TransferEvent):
    """After started: the store has this many bytes of an earlier attempt, in parts that are not sent again."""

    name = "transfer.resumed"
    parts: int
    bytes: int


@frozen(kw_only=True)
class TransferProgress(TransferEvent):
    """After each part or put that the store confirmed, and after each chunk read. Logs show only some of them.

    Both counts include the resumed bytes.
    """

    name = "transfer.progress"
    bytes_read: int
    bytes_sent: int
    size: int | None = None


@frozen(kw_only=True)
class TransferCompleted(TransferEvent):
    """The store confirmed the copy."""

    name = "transfer.completed"
    copied: Copied
    duration: float  # seconds


@frozen(kw_only=True)
class TransferFailed(TransferEvent):
    """The attempt ended with an error; the former object is unchanged."""

    name = "transfer.failed"
    reason: Reason
    message: str
    duration: float
    retry_in: float | None = None  # None: no retry before `every`


@frozen(kw_only=True)
class TransferInterrupted(TransferEvent):
    """The attempt was stopped: by a shutdown, a changed manifest, or an item that left."""

    name = "transfer.interrupted"
    duration: float
    outcome: str = "parts dropped"  # or "parts kept"


# ── items ─────────────────────────────────────────────────────────────────────────────────────────
@frozen(kw_only=True)
class ItemEvent(Event):
    item: Item


@frozen(kw_only=True)
class ItemUnchanged(ItemEvent):
    """The item was checked and is in sync."""

    name = "item.unchanged"
    store_answered: bool = True
    """Whether the store was asked in this check. Not logged."""


@frozen(kw_only=True)
class ItemsUnchanged(Event):
    """Many `ItemUnchanged`: of some files of a folder that were found unchanged together."""

    name = "item.unchanged"
    count: int
    items: Callable[[], Iterator[Item]] = field(repr=False, compare=False)
    """Each item. To make the items takes longer than to find the files unchanged."""


@frozen(kw_only=True)
class ItemBlocked(ItemEvent):
    """The item needs a change by the operator."""

    name = "item.blocked"
    reason: Reason
    message: str


@frozen(kw_only=True)
class ItemRetrying(ItemEvent):
    """A check failed with a transient error before a transfer started."""

    name = "item.retrying"
    reason: Reason
    message: str
    attempt: int = 1
    duration: float = 0.0  # seconds
    retry_in: float | None = None  # None: no retry before `every`


@frozen(kw_only=True)
class ItemDrifted(ItemEvent):
    """Another program deleted or replaced the object."""

    name = "item.drifted"
    message: str


@frozen(kw_only=True)
class ItemStale(ItemEvent):
    """The item is out of sync for longer than its `stale_after`."""

    name = "item.stale"
    since: float
    """When it was last known to be in sync: seconds since the epoch."""
    message: str


@frozen(kw_only=True)
class ItemPruned(ItemEvent):
    """The object was deleted: its source is gone and the manifest asks for the deletion. `message`: why, and whether
    its versions stay behind a delete marker."""

    name = "item.pruned"
    message: str


@frozen(kw_only=True)
class ItemChanged(ItemEvent):
    """An item's state changed; for the status page and metrics, not logged by itself."""

    name = "item.changed"
    state: State
    reason: Reason | None = None
    message: str = field(default="")


# ── folders and uploads ───────────────────────────────────────────────────────────────────────────
@frozen(kw_only=True)
class FolderRescanned(Event):
    """A whole scan of a folder ended."""

    name = "folder.rescanned"
    folder: str
    cause: str  # start, timer, event, retry, sync
    files: int
    complete: bool
    duration: float
    problem: str = ""  # the first name that could not be listed
    left_out: tuple[LeftOut, ...] = ()  # names that were left out, by kind


@frozen(kw_only=True)
class FolderSettled(Event):
    """Files of a folder settled and were queued; `waiting` others have not settled yet."""

    name = "folder.settled"
    folder: str
    files: int
    bytes: int
    waiting: int


@frozen(kw_only=True)
class FolderOverflowed(Event):
    """Events of a folder were lost, or were more than are kept. The folder is scanned instead."""

    name = "folder.overflowed"
    folder: str
    message: str


@frozen(kw_only=True)
class UploadAborted(Event):
    """An unfinished multipart upload of ours was aborted."""

    name = "upload.aborted"
    item: Item | None
    bucket: str
    key: str
    upload_id: str


# ── the daemon ────────────────────────────────────────────────────────────────────────────────────
@frozen(kw_only=True)
class DaemonReady(Event):
    """The daemon has read its manifests and works."""

    name = "daemon.ready"
    url: str  # empty: no HTTP server
    pid: int


@frozen(kw_only=True)
class DaemonStandby(Event):
    """Another process has the state in PostgreSQL: the daemon waits until it stops, is killed or is cut off."""

    name = "daemon.standby"
    url: str  # empty: no HTTP server
    pid: int
    holder: str  # who has the state


@frozen(kw_only=True)
class DaemonStopping(Event):
    """The daemon got a signal to stop: no new work begins."""

    name = "daemon.stopping"
    grace: float  # seconds


@frozen(kw_only=True)
class DaemonStopped(Event):
    """The daemon ended its work."""

    name = "daemon.stopped"
