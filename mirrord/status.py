"""The status of a running mirrord as frozen dataclasses, for the status page, the API and `status`.

Owns the types that `ports.Control` returns. Times are seconds since the epoch (UTC), sizes bytes; no secrets.
"""

from collections.abc import Mapping
from dataclasses import field
from typing import NamedTuple

from mirrord.errors import LeftOut, Problem, Reason
from mirrord.frozen import frozen
from mirrord.model import Integrity, ItemPlace, Record, State, TransferKind

MOST_STALE = 100
"""Most stale items that a status names."""
MOST_BREAKERS = 100
"""Most breakers that a status names."""
MOST_EXAMPLES = 3
"""Most examples of one kind of a folder's files."""


@frozen(kw_only=True)
class Progress:
    """A transfer that runs now. `size` is None if the source does not give it; `rate` is the recent rate in bytes per
    second."""

    item_id: str
    transfer_id: str
    entry: str
    destination: str
    kind: TransferKind | None
    attempt: int
    started: float
    bytes_read: int
    bytes_sent: int
    size: int | None
    rate: float
    message: str = ""
    """The current step, if it is not the sending of bytes."""


@frozen(kw_only=True)
class ItemStatus:
    """One item: its record, overlaid with what runs now."""

    id: str
    entry: str
    source: str
    destination: str  # s3://bucket/key
    store: str
    state: State
    reason: Reason | None = None
    message: str = ""
    since: float = 0.0
    next_check: float | None = None
    size: int | None = None
    integrity: Integrity | None = None
    synced_at: float | None = None
    restored: str | None = None
    """The version of the object that was made current again, until the source has another revision."""
    progress: Progress | None = None

    @classmethod
    def of(cls, record: Record) -> "ItemStatus":
        """The item as recorded, while nothing runs for it."""
        restored = record.restored
        told = f"restored to version {restored}, until its source changes" if restored is not None else ""
        return cls(
            id=record.item_id,
            entry=record.entry,
            source=record.source,
            destination=str(record.destination),
            store=record.destination.store,
            state=record.condition.state,
            reason=record.condition.reason,
            message=record.condition.message or told,
            since=record.condition.since,
            next_check=record.condition.next_check,
            size=record.object.size,
            integrity=record.object.integrity,
            synced_at=record.object.synced_at,
            restored=restored,
        )


@frozen(kw_only=True)
class FileStatus:
    """One manifest file: which version is in force, and the problems of its current content."""

    file: str
    valid: bool
    in_force: bool  # its last good version, which may differ from its current content
    loaded: float | None = None
    items: int = 0
    problems: tuple[Problem, ...] = ()


@frozen
class FolderWait:
    """Files of a folder, or names in it, that are not copied now for the same reason: how many, and some of them."""

    kind: str  # settling, no marker, conflict, set aside, unreadable, excluded
    count: int
    examples: tuple[str, ...] = ()
    """At most `MOST_EXAMPLES`, printable."""


@frozen(kw_only=True)
class FolderStatus:
    """One watched folder."""

    name: str
    path: str
    watching: str  # events, poll
    last_scan: float | None = None
    files: int = 0
    complete: bool = True
    problem: str = ""
    left_out: tuple[LeftOut, ...] = ()
    """Names that the last scan left out, by kind: links, special files, names that make no allowed key."""
    waits: tuple[FolderWait, ...] = ()
    """What is not copied now, by kind; without kinds that have none. Unreadable and excluded: by the last scan."""
    scan_began: float | None = None
    """When the whole scan that runs now began; None: none runs."""
    scan_files: int = 0
    """Files that it found so far."""


@frozen(kw_only=True)
class ListStatus:
    """One list of sources. Not `complete`: rows may be missing or bad, so nothing leaves because of it."""

    name: str
    source: str  # the path or URL of the list, without secrets
    read_at: float | None = None
    items: int = 0
    complete: bool = True
    faults: tuple[str, ...] = ()
    """The first bad rows, each with its line, and why the list could not be read."""


@frozen(kw_only=True)
class ReceiverStatus:
    """One webhook or heartbeat."""

    id: str
    name: str  # the URL without its path, without secrets
    kind: str  # webhook, heartbeat
    waiting: int = 0
    dead: int = 0
    """Notifications that were given up since the webhook is in the manifest."""
    dropped: int = 0
    """Notifications that were dropped because the outbox was full."""
    problem: str = ""
    """Why the last request failed, or else why the last dead notification was given up."""


@frozen(kw_only=True)
class ProxyStatus:
    """One HTTP proxy in use."""

    proxy: str  # its URL, without secrets
    used_by: str  # sources, webhooks, or store and its name
    network_policy: str = ""
    """`by proxy`: it decides which addresses are connected to; empty: the policy is not for stores."""
    problem: str = ""
    """Why the last connection through it failed."""


@frozen(kw_only=True)
class WorkerStatus:
    """Another process on the same state in PostgreSQL, which checks items for this one."""

    owner: str  # the name of its lease
    host: str
    pid: int
    slots: int  # items that it checks at a time


@frozen(kw_only=True)
class BreakerStatus:
    """The circuit breaker of one store, or of one host of sources, that failed since its last good answer."""

    name: str  # store 'default', source store 'default', host example.org
    state: str
    """`closed`: items pass. `open`: nothing answers, no item passes. `half-open`: one item at a time tries.
    `slowed`: it answers 429 or 5xx; items that failed wait, others pass one at a time."""
    since: float | None = None
    """When it left `closed`; None: it is closed."""
    next_try: float | None = None
    """When the pause ends; None: there is none."""
    error: str = ""
    """The last one."""
    waiting: int = 0
    """Items that wait for it."""


@frozen(kw_only=True)
class Status:
    """The whole status at one moment. `not_ready` is the reason, empty when ready."""

    version: str
    pid: int
    started: float
    not_ready: str = ""
    totals: Mapping[State, int] = field(default_factory=dict)
    running: tuple[Progress, ...] = ()
    sent_by_minute: tuple[int, ...] = ()
    """Bytes that were sent to stores in each of the last 60 minutes, the current one last; since the start."""
    files: tuple[FileStatus, ...] = ()
    folders: tuple[FolderStatus, ...] = ()
    lists: tuple[ListStatus, ...] = ()
    receivers: tuple[ReceiverStatus, ...] = ()
    stale: tuple[str, ...] = ()
    """Objects of the first stale items: out of sync for longer than `stale_after`."""
    stale_items: int = 0
    """How many items are stale."""
    stores: Mapping[str, bool] = field(default_factory=dict)
    """Whether the last call to each store was answered."""
    calls_at_once: Mapping[str, int] = field(default_factory=dict)
    """Of stores and hosts that refused calls: how many calls at once each of them gets now."""
    breakers: tuple[BreakerStatus, ...] = ()
    """Of stores and hosts that failed since their last good answer, at most `MOST_BREAKERS`: first those that are not
    closed, and of these those for which most items wait. All others are closed."""
    proxies: tuple[ProxyStatus, ...] = ()
    workers: tuple[WorkerStatus, ...] = ()
    differences: tuple[str, ...] = ()
    """How existing buckets differ from their declaration."""
    learned: tuple[str, ...] = ()
    """What stores did otherwise than asked, of the last 30 days."""
    not_enforced: tuple[str, ...] = ()
    """Accepted defaults that this version does not enforce yet."""


@frozen(kw_only=True)
class ItemPage:
    """Items in the order that was asked for. `cursor` gets the next page; None at the end."""

    items: tuple[ItemStatus, ...]
    cursor: str | None = None


class SortedPage(NamedTuple):
    """Items in an order. The next page begins behind the place `last`; None at the end."""

    items: tuple[ItemStatus, ...]
    last: ItemPlace | None


@frozen(kw_only=True)
class EntryStatus:
    """One entry of the manifests in force."""

    name: str
    kind: str  # mirror, list, folder
    items: int
    states: Mapping[State, int] = field(default_factory=dict)
    """How many items are in each state; without states that have none."""
    size: int = 0
    """Bytes of the objects of its items, as recorded. Of many thousand items this and `states` may be 30 s old."""
    last_pass: float | None = None
    """When the list was read, or the folder scanned, last."""
    staleness: float | None = None
    """Seconds since its stalest item was last equal to its source; None: not known."""
    problems: tuple[str, ...] = ()
    """Of its list or folder."""


@frozen(kw_only=True)
class EntryPage:
    """Entries in the order of their names. `cursor` gets the next page; None at the end."""

    entries: tuple[EntryStatus, ...]
    cursor: str | None = None


@frozen(kw_only=True)
class HistoryEntry:
    """One object that the item had, one failed attempt, or one version that only the store knows."""

    outcome: str  # current, replaced, failed, other version, delete marker
    when: float | None = None
    began: float | None = None
    """When the transfer of the object began, also if it was resumed; None: not known."""
    duration: float | None = None
    """Seconds from then to `when`."""
    until: float | None = None
    entry: str = ""
    source: str = ""
    revision: Mapping[str, str | int] = field(default_factory=dict)
    """Of the source: etag, last_modified, length, digest."""
    size: int | None = None
    etag: str | None = None
    checksum: str | None = None
    integrity: Integrity | None = None
    transfer_id: str | None = None
    version_id: str | None = None
    restored: str | None = None
    """The version that this object is a copy of."""
    state: State | None = None
    reason: Reason | None = None
    message: str = ""


@frozen(kw_only=True)
class ItemHistory:
    """The history of one item, the newest first."""

    id: str
    destination: str
    entries: tuple[HistoryEntry, ...]
    problem: str = ""
    """Why the versions of the store are not in it."""


@frozen(kw_only=True)
class Restored:
    """The version that is the item's object now."""

    id: str
    destination: str
    version: str
    size: int | None
