"""What a transfer is told and what it works with: plain values, decided before the first byte moves."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from mirrord.model import META_TRANSFER, ChecksumKind, Destination, ObjectOptions, Revision
from mirrord.planning.transfers.parts import PartLayout
from mirrord.ports import ObjectStore
from mirrord.transfer.budget import Budget
from mirrord.transfer.ledger import NULL_LEDGER, Ledger, ResumedUpload
from mirrord.transfer.retry import PART_RETRY, RetryPolicy
from mirrord.transfer.writes import ETagAgreement

ProgressCallback = Callable[[int, int], None]
"""Called after each step with (bytes read, bytes that the store confirmed), both since the start of the transfer. What
an earlier attempt left at the store counts as both."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewObject:
    """The object to write: where, with what metadata and headers, and the kind of checksum that is sent with it.

    `options` are whole (see `planning.decisions.describe`). `if_none_match`: the write fails if an object stands there.
    """

    at: Destination
    options: ObjectOptions
    checksum: ChecksumKind
    if_none_match: bool = False

    @property
    def transfer_id(self) -> str | None:
        """The transfer's id in the object's metadata; None: it carries none, so a HEAD cannot tell whose it is."""
        return self.options.metadata.get(META_TRANSFER)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceDemands:
    """What the manifest demands of the source; None: nothing."""

    max_size: int | None = None
    content_type: str | None = None
    sha256: str | None = None
    """64 hex digits, lower case. It has no combination of pieces, so the bytes must be read in one stream, in order,
    from the first: no parallel ranges, no resuming."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferSpec:
    """One transfer, decided: `layout` fits store and memory."""

    transfer_id: str
    new: NewObject
    layout: PartLayout
    demands: SourceDemands = SourceDemands()
    readers: int = 1
    """How many pinned ranges of the source may be read at the same time."""
    resumed: ResumedUpload | None = None
    """What an earlier attempt left: `layout.part_size` and `transfer_id` are then that one's."""

    @property
    def in_order(self) -> bool:
        """Whether only one stream from the first byte to the last will do."""
        return self.demands.sha256 is not None

    def with_digest(self, revision: Revision) -> Revision:
        """What stands once all is proven: the revision, with the digest that its bytes were shown to have."""
        sha256 = self.demands.sha256
        return replace(revision, digest=f"sha256:{sha256}") if sha256 else revision


def ignore(_: object) -> None:
    """For callbacks that nobody wants."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferContext:
    """What a transfer works with. `aborted` is called with the id of an upload that was aborted."""

    store: ObjectStore
    budget: Budget
    retry: RetryPolicy = PART_RETRY
    ledger: Ledger = NULL_LEDGER
    etags: ETagAgreement = field(default_factory=ETagAgreement)
    aborted: Callable[[str], None] = ignore


def no_progress(_read: int, _sent: int) -> None:
    """Progress that nobody watches."""


class ByteCounter:
    """Adds up what one transfer read and sent, from the `resumed` bytes of an earlier attempt on, and passes it on."""

    def __init__(self, progress: ProgressCallback, resumed: int = 0) -> None:
        self._progress = progress
        self._read = self._sent = resumed

    def read(self, count: int) -> None:
        self._read += count
        self._progress(self._read, self._sent)

    def sent(self, count: int) -> None:
        self._sent += count
        self._progress(self._read, self._sent)
