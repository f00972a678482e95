"""The parameters of a transfer (`TransferSpec`) and its context (store, buffers, retries, ledger): plain values.

Owns no decision: `planning` and the caller decide them before the first byte is read.
"""

from collections.abc import Callable
from dataclasses import field, replace

from mirrord.frozen import frozen
from mirrord.model import META_TRANSFER, Checksum, ChecksumKind, Destination, ObjectOptions, Revision, StoredObject
from mirrord.planning.transfers.parts import PartLayout
from mirrord.ports import ObjectStore
from mirrord.transfer.budget import Budget
from mirrord.transfer.ledger import NULL_LEDGER, Ledger, ResumedUpload
from mirrord.transfer.retry import PART_RETRY, RetryPolicy
from mirrord.transfer.writes import ETagAgreement

ProgressCallback = Callable[[int, int], None]
"""Called after each step with (bytes read, bytes that the store confirmed), both since the start of the transfer. Bytes
of resumed parts count in both."""


@frozen(kw_only=True)
class NewObject:
    """The object to write: destination, metadata and headers, and the kind of checksum that is sent with it.

    `options` are complete (see `planning.decisions.describe`). With `if_none_match` the write fails if the key exists.
    """

    at: Destination
    options: ObjectOptions
    checksum: ChecksumKind
    if_none_match: bool = False

    @property
    def transfer_id(self) -> str | None:
        """The transfer's id in the object's metadata. None: no id, so a HEAD cannot show which write made it."""
        return self.options.metadata.get(META_TRANSFER)


@frozen(kw_only=True)
class SourceDemands:
    """The manifest's demands on the source. None: no demand. `max_size` is in bytes."""

    max_size: int | None = None
    content_type: str | None = None
    size: int | None = None
    """The declared length in bytes."""
    sha256: str | None = None
    """64 lower-case hexadecimal digits. SHA-256 values of ranges cannot be combined, so the source is read as one
    stream from the first byte: no parallel ranges, no resuming."""
    md5: str | None = None
    """32 lower-case hexadecimal digits; the same holds."""

    @property
    def in_order(self) -> bool:
        """Whether the source must be read as one stream from the first byte to the last."""
        return self.sha256 is not None or self.md5 is not None

    @property
    def digest(self) -> str | None:
        """The strongest declared digest in the form of `Revision.digest`."""
        if self.sha256 is not None:
            return f"sha256:{self.sha256}"
        return f"md5:{self.md5}" if self.md5 is not None else None


NO_DEMANDS = SourceDemands()


@frozen(kw_only=True)
class Original:
    """An object of the same store that the store itself copies: another one, or the object itself, for other options.
    `layout`: in one copy, or in parts."""

    at: Destination
    stored: StoredObject
    layout: PartLayout
    checksum: ChecksumKind
    """The kind that the store is asked to compute, so that it can be compared with that of the original."""
    recorded: Checksum | None = None
    """Of its bytes, as the journal knows it. A copy of which the store shows nothing is read back and compared with it;
    None: the bytes are sent."""
    storage_class: str | None = None
    """The class that the copy gets instead of that of its options."""

    @property
    def known(self) -> Checksum | None:
        """The checksum of its bytes: the one that the store shows, else the recorded one."""
        return self.stored.checksum or self.recorded


@frozen(kw_only=True)
class TransferSpec:
    """One planned transfer. `layout` fits the limits of store and memory."""

    transfer_id: str
    new: NewObject
    layout: PartLayout
    demands: SourceDemands = NO_DEMANDS
    readers: int = 1
    """How many pinned ranges of the source may be read at the same time."""
    resumed: ResumedUpload | None = None
    """The upload that an earlier attempt left. `layout.sizes` and `transfer_id` are then those of that attempt."""
    original: Original | None = None
    """What the store copies, so that no byte is read or sent; None: the source is read."""

    def with_digest(self, revision: Revision) -> Revision:
        """`revision` with the declared digest. Call it only after the bytes were compared with that digest."""
        digest = self.demands.digest
        return replace(revision, digest=digest) if digest else revision


def ignore(_: object) -> None:
    """The default of callbacks: does nothing."""


@frozen(kw_only=True)
class TransferContext:
    """The objects that a transfer uses. `aborted` is called with the id of each upload that was aborted."""

    store: ObjectStore
    budget: Budget
    retry: RetryPolicy = PART_RETRY
    ledger: Ledger = NULL_LEDGER
    etags: ETagAgreement = field(default_factory=ETagAgreement)
    aborted: Callable[[str], None] = ignore
    patient: bool = True
    """A source that is too slow is asked again. False: another source is asked instead."""


def no_progress(_read: int, _sent: int) -> None:
    """The default ProgressCallback: does nothing."""


class ByteCounter:
    """Counts the bytes that one transfer read and sent, and calls `progress` with both. Both start at `resumed`."""

    def __init__(self, progress: ProgressCallback, resumed: int = 0) -> None:
        self._progress = progress
        self._read = self._sent = resumed

    def read(self, count: int) -> None:
        self._read += count
        self._progress(self._read, self._sent)

    def sent(self, count: int) -> None:
        self._sent += count
        self._progress(self._read, self._sent)
