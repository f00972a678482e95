"""The contents of the journal: running transfers, finished transfers, records of items; and the outcome of one check.

Times are seconds since the epoch (float, UTC); sizes are bytes.
"""

from collections.abc import Mapping
from dataclasses import field
from typing import NamedTuple

from mirrord.errors import Reason
from mirrord.frozen import frozen
from mirrord.model.customer_keys import customer_key_in
from mirrord.model.destinations import Destination
from mirrord.model.kinds import ChecksumKind, Integrity, State, TransferKind
from mirrord.model.observed import Checksum, Revision


@frozen(kw_only=True)
class JournaledProgress:
    """The recorded progress of a transfer."""

    upload_id: str | None = None
    """Of the multipart upload; None: no upload was opened, or the process crashed before its id was known."""
    whole: Checksum | None = None  # of the object, once its completion was requested
    complete_requested: float | None = None
    """Time of the last request to make the object visible, if its outcome is unknown; None: no request, or it was
    refused."""
    given_up: float | None = None
    """When the transfer was given up while a part of it may still exist at the store, which a sweep removes later;
    None: it runs, or can be resumed."""


@frozen
class PartSizes:
    """The sizes in bytes of the parts of one upload, a function of their numbers (`planning.transfers.parts.size_of`).

    Parts 1 to `step` have `first` bytes. The size doubles after each `step` parts, up to `largest`.
    """

    first: int
    largest: int
    step: int = 1

    @classmethod
    def equal(cls, size: int) -> "PartSizes":
        """All parts have `size` bytes; only the last one of an object may be shorter."""
        return cls(size, size)

    @property
    def are_equal(self) -> bool:
        return self.first == self.largest


@frozen(kw_only=True)
class Transfer:
    """The intent of one transfer, recorded before the first request to the store, and its progress."""

    id: str
    item_id: str
    destination: Destination
    revision: Revision
    kind: TransferKind
    started: float
    part_sizes: PartSizes | None = None  # None for a single put
    checksum_kind: ChecksumKind = ChecksumKind.NONE  # of each part
    options_digest: str | None = None
    """Of all options of the object: parts of an upload with other options cannot be used."""
    progress: JournaledProgress = JournaledProgress()


@frozen(kw_only=True)
class Copied:
    """The result of a finished transfer: the object at the store, and the proof of its bytes."""

    transfer_id: str
    revision: Revision
    kind: TransferKind
    size: int
    parts: int
    etag: str
    checksum: Checksum | None
    integrity: Integrity
    etag_from_head: bool = False
    reused: bool = False  # the store copied another object with the same bytes: none were sent


@frozen(kw_only=True)
class Condition:
    """The state of an item: its reason, its start, and the time of the next check."""

    state: State
    reason: Reason | None = None
    message: str = ""
    since: float = 0.0
    next_check: float | None = None


@frozen(kw_only=True)
class RecordedObject:
    """The object of an item when it was last written, adopted or checked. All None: no object is known."""

    transfer_id: str | None = None
    etag: str | None = None
    etag_from_head: bool = False
    """A HEAD returned this ETag; False: the response to the write did. At some stores the two differ."""
    listed_etag: str | None = None
    """The ETag that listings show of this object, if it is another one (encrypted or compressed objects of some
    stores)."""
    size: int | None = None
    checksum: Checksum | None = None
    integrity: Integrity | None = None
    synced_at: float | None = None
    options_digest: str | None = None
    """Of the ObjectOptions that the object was written with. If they change, the object is written again."""
    began: float | None = field(default=None, compare=False)
    """When the transfer that wrote it began, as the journal knows it; it is not written with the record."""


class RecordedETag(NamedTuple):
    """The part of a `RecordedObject` that a listing is compared with."""

    size: int | None
    etag: str | None
    listed_etag: str | None


class EntryCounts(NamedTuple):
    """Some items in force of one entry, in the order of their ids."""

    states: Mapping[State, int]
    size: int
    """Bytes of their objects."""
    last: str | None
    """The last item, if more may follow."""


class RecordedSchedule(NamedTuple):
    """The part of a `Record` that a start needs: on it depends the time of an item's first check."""

    state: State
    next_check: float | None
    removed: float | None
    options_digest: str | None
    address: str | None
    """Of the revision, as are `length` and `etag`; None: no revision is known."""
    length: int | None
    etag: str | None
    entry: str


@frozen(kw_only=True)
class Record:
    """The record of an item in the journal: its state, its object, and the revision that the object holds."""

    item_id: str
    entry: str
    source: str  # shown(), without secrets
    destination: Destination
    condition: Condition
    revision: Revision | None = None
    object: RecordedObject = RecordedObject()
    removed: float | None = None
    """When its item left the manifests; None: it is in the manifests."""
    dated: float | None = None
    """As `Item.dated`; kept for the path of the file."""

    @property
    def object_at(self) -> Destination:
        """The address of the object with the key that it was written with, which need not be that of the manifest."""
        return self.destination.keyed(customer_key_in(self.object.options_digest))

    @property
    def restored(self) -> str | None:
        """The version that was made current again, until the source has another revision."""
        return self.revision.restored if self.revision is not None else None

    @property
    def source_size(self) -> int | None:
        """Bytes of the recorded revision: as many as of the object, unless that was restored."""
        return self.object.size if self.revision is None or self.restored is None else self.revision.length

    @property
    def schedule(self) -> RecordedSchedule:
        """The part that a start needs."""
        condition, revision, digest = self.condition, self.revision, self.object.options_digest
        address, length, etag = (None,) * 3 if revision is None else (revision.address, revision.length, revision.etag)
        return RecordedSchedule(
            condition.state, condition.next_check, self.removed, digest, address, length, etag, self.entry
        )


@frozen(kw_only=True)
class Holder:
    """One version of an entry with `prune`: by its word the objects of its items are deleted when these leave."""

    file: str
    """The manifest, as an absolute path. It is never resolved: a link may lead elsewhere with each version."""
    entry: str
    most: float | None = None
    """The share of the entry's objects, from 0 to 1, that one pass may delete; None: the guard's own."""
    suspended: bool = False


@frozen(kw_only=True)
class Outcome:
    """The outcome of one check of an item. The scheduler derives the time of the next check from it."""

    state: State
    reason: Reason | None = None
    message: str = ""
    retry_in: float | None = None  # seconds; only with Retrying
    copied: Copied | None = None  # None: no bytes were moved
    tried: bool = True
    """False: a breaker stopped the check before any request. It does not count as a failure."""
    counts: bool = True
    """False: its host or store has lately answered with errors only. It does not count as an attempt."""
    pruned: bool = False
    """The object was deleted: its file is gone, or its item left the manifests."""
    adopted: bool = False
    """The object equals the source and was not yet in the journal."""
    rewritten: bool = False
    """Only the options of the object were changed: the bytes are the same, and none were sent."""

    def failures_after(self, failures: int) -> int:
        """The number of failed attempts in a row, including this one. An outage counts as one attempt at most."""
        if not self.tried:
            return failures
        return failures + 1 if self.counts else max(failures, 1)


# ── stores ────────────────────────────────────────────────────────────────────────────────────────
@frozen(kw_only=True)
class LearnedFact:
    """What the answers of a store to real requests showed, for the store at this endpoint.

    `server` is its Server header then (empty: none). `text` is what users must know; empty: all is as asked."""

    endpoint: str
    name: str
    server: str
    text: str
    when: float
