"""What the journal holds: transfers under way, copies, records of items; and the outcome of one check.

Times are seconds since the epoch (float, UTC); sizes are bytes.
"""

from dataclasses import dataclass

from mirrord.errors import Reason
from mirrord.model.items import Destination
from mirrord.model.kinds import ChecksumKind, Integrity, State, TransferKind
from mirrord.model.observed import Checksum, Revision


@dataclass(frozen=True, slots=True, kw_only=True)
class JournaledProgress:
    """How far a transfer got, as the journal knows it."""

    upload_id: str | None = None
    """Of the multipart upload; None: none was opened, or a crash came before its id was known."""
    whole: Checksum | None = None  # of the object, once its completion was requested
    complete_requested: float | None = None
    """When the store was last asked to make the object visible without a known outcome; None: never, or it refused."""
    given_up: float | None = None
    """When the transfer was given up although something of it may be left at the store, for a sweep to remove; None: it
    runs, or may go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """The intent of one transfer, journaled before the store is asked for anything, and how far it got."""

    id: str
    item_id: str
    destination: Destination
    revision: Revision
    kind: TransferKind
    started: float
    part_size: int | None = None  # None for a single put
    checksum_kind: ChecksumKind = ChecksumKind.NONE  # of each part
    options_digest: str | None = None
    """Of all that the object is written with: parts of an upload that was created with other options are of no use."""
    progress: JournaledProgress = JournaledProgress()


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """The end of a transfer: what stands at the store, and what proved it."""

    transfer_id: str
    revision: Revision
    kind: TransferKind
    size: int
    parts: int
    etag: str
    checksum: Checksum | None
    integrity: Integrity
    etag_from_head: bool = False
    reused: bool = False  # the store made it of an object that held these bytes: none was sent


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """The state of an item: why, since when, and when it is checked next."""

    state: State
    reason: Reason | None = None
    message: str = ""
    since: float = 0.0
    next_check: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedObject:
    """The object of an item, as it was last written, adopted or checked; all None: no object is known."""

    transfer_id: str | None = None
    etag: str | None = None
    etag_from_head: bool = False
    """A HEAD showed this ETag. Otherwise the answer to the write said it, and stores exist where the two differ."""
    size: int | None = None
    checksum: Checksum | None = None
    integrity: Integrity | None = None
    synced_at: float | None = None
    options_digest: str | None = None
    """Of the ObjectOptions that the object was written with: a change of them writes again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What the journal knows of an item: its state, its object, and the revision that the object holds."""

    item_id: str
    entry: str
    source: str  # shown(), without secrets
    destination: Destination
    condition: Condition
    revision: Revision | None = None
    object: RecordedObject = RecordedObject()
    removed: float | None = None
    """When its item left the manifests; None: it is in force."""
    dated: float | None = None
    """As `Item.dated`: kept for the file's path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one look at an item; whoever schedules decides from it when to look again."""

    state: State
    reason: Reason | None = None
    message: str = ""
    retry_in: float | None = None  # seconds; only with Retrying
    copied: Copied | None = None  # None: no bytes were moved
    tried: bool = True
    """False: held back by a breaker. Nothing was asked, and it counts as no failure."""
    counts: bool = True
    """False: everything that its host or store answered lately was an error, so that this is no attempt."""
    pruned: bool = False
    """The object was deleted, as its file was."""
    adopted: bool = False
    """The object equals the source, and the journal did not know it."""

    def failures_after(self, failures: int) -> int:
        """The attempts in a row that failed, with this one; an outage counts as one of them at most."""
        if not self.tried:
            return failures
        return failures + 1 if self.counts else max(failures, 1)
