"""What a running mirrord says of itself, as frozen dataclasses: the nouns of the status page, the API and `status`.

Owns the shapes that `ports.Control` answers with. Times are seconds since the epoch (UTC), sizes bytes; no secrets.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mirrord.errors import LeftOut, Problem, Reason
from mirrord.model import Integrity, Record, State, TransferKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A transfer that runs now. `size` is None where the source does not say; `rate` is bytes a second, lately."""

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
    """What it does where that is not to send bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemStatus:
    """One item, as recorded, with what is going on right now laid over it."""

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
    progress: Progress | None = None

    @classmethod
    def of(cls, record: Record) -> "ItemStatus":
        """The item as it is recorded, with nothing going on."""
        return cls(
            id=record.item_id,
            entry=record.entry,
            source=record.source,
            destination=str(record.destination),
            store=record.destination.store,
            state=record.state,
            reason=record.reason,
            message=record.message,
            since=record.since,
            next_check=record.next_check,
            size=record.size,
            integrity=record.integrity,
            synced_at=record.synced_at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FileStatus:
    """One manifest file: what is in force of it, and what is wrong with what it says now."""

    file: str
    valid: bool
    in_force: bool  # its last good version, maybe not what it says now
    loaded: float | None = None
    items: int = 0
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
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
    """What the last scan came across and left, by kind: links, special files, names that can be no key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The whole at one moment. `not_ready` is empty when ready, else why not."""

    version: str
    pid: int
    started: float
    not_ready: str = ""
    totals: Mapping[State, int] = field(default_factory=dict)
    running: tuple[Progress, ...] = ()
    files: tuple[FileStatus, ...] = ()
    folders: tuple[FolderStatus, ...] = ()
    stores: Mapping[str, bool] = field(default_factory=dict)
    """Whether the last call to each store was answered."""
    differences: tuple[str, ...] = ()
    """How buckets that exist differ from what is declared."""
    not_enforced: tuple[str, ...] = ()
    """Defaults that promise something this version does not do yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemPage:
    """Items in the order of their ids; `cursor` is given back for the next page, None at the end."""

    items: tuple[ItemStatus, ...]
    cursor: str | None = None
