"""What a transfer is told and what it works with: plain values, decided before the first byte moves."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from mirrord.model import ChecksumKind, Destination, ObjectOptions, Revision
from mirrord.planning.transfers.parts import Cut
from mirrord.ports import ObjectStore
from mirrord.transfer.answers import Answers
from mirrord.transfer.budget import Budget
from mirrord.transfer.ledger import NO_LEDGER, Kept, Ledger
from mirrord.transfer.multipart import ignore
from mirrord.transfer.retry import PART_RETRY, RetryPolicy

Progress = Callable[[int, int], None]
"""Told (bytes read, bytes that the store confirmed), both since the start of the transfer, after each step. What an
earlier attempt left at the store counts as both."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One transfer, decided: `options` are whole (see `planning.decisions.describe`), `cut` fits store and memory."""

    transfer_id: str
    at: Destination
    options: ObjectOptions
    cut: Cut
    checksum: ChecksumKind
    max_size: int | None = None
    expect_content_type: str | None = None
    sha256: str | None = None
    """Declared: 64 hex digits, lower case. It has no combination of pieces, so the bytes must be read in one stream, in
    order, from the first: no parallel ranges, no resuming."""
    if_none_match: bool = False
    readers: int = 1
    """How many pinned ranges of the source may be read at the same time."""
    kept: Kept | None = None
    """What an earlier attempt left: `cut.part_size` and `transfer_id` are then that one's."""

    @property
    def in_order(self) -> bool:
        """Whether only one stream from the first byte to the last will do."""
        return self.sha256 is not None

    def copied(self, revision: Revision) -> Revision:
        """What stands once all is proven: the revision, with the digest that its bytes were shown to have."""
        return replace(revision, digest=f"sha256:{self.sha256}") if self.sha256 else revision


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What a transfer works with. `aborted` is told the id of an upload that came to nothing."""

    store: ObjectStore
    budget: Budget
    retry: RetryPolicy = PART_RETRY
    ledger: Ledger = NO_LEDGER
    answers: Answers = field(default_factory=Answers)
    aborted: Callable[[str], None] = ignore


def unseen(_read: int, _sent: int) -> None:
    """Progress that nobody watches."""


class Tally:
    """Adds up what one transfer read and sent, from the `kept` bytes of an earlier attempt on, and passes it on."""

    def __init__(self, progress: Progress, kept: int = 0) -> None:
        self._progress = progress
        self._read = self._sent = kept

    def read(self, count: int) -> None:
        self._read += count
        self._progress(self._read, self._sent)

    def sent(self, count: int) -> None:
        self._sent += count
        self._progress(self._read, self._sent)
