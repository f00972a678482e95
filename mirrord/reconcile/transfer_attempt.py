"""One attempt at one item: its state, and the events of its transfer.

Owns the fields of each event, and that each start has exactly one end. The state is mutable and the events follow from
it, so both are one class; what the attempt writes is a plain value (`due_copy`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from logging import getLogger
from typing import Self

from mirrord.errors import MirrordError
from mirrord.events import (
    ItemChanged,
    ItemRetrying,
    TransferCompleted,
    TransferFailed,
    TransferInterrupted,
    TransferProgress,
    TransferResumed,
    TransferStarted,
    UploadAborted,
)
from mirrord.model import Copied, Item, Record, State, Transfer, TransferKind
from mirrord.ports import Clock, Observer
from mirrord.reconcile.ids import new_id
from mirrord.transfer.ledger import ResumedUpload
from mirrord.units import GiB, format_size

_log = getLogger(__name__)

LONG_READBACK = GiB
"""Bytes above which the status gives, before a read-back starts, the reason for it."""


@dataclass(slots=True, kw_only=True)
class TransferAttempt:
    """One attempt at `item`, and its events for `observer`."""

    item: Item
    number: int  # from 1
    observer: Observer
    clock: Clock
    began: float  # monotonic seconds
    transfer_id: str  # of the transfer that runs, or else of the next one
    kind: TransferKind | None = None  # of the transfer that runs; None: no start was reported, or its end was
    record: Record | None = None  # the journal's record of the item, as this attempt last read or wrote it
    may_be_at_store: bool = False  # it failed, and the store may hold something of it
    kept: bool = False  # it failed, and its parts stay for the next attempt

    @classmethod
    def of(cls, item: Item, number: int, observer: Observer, clock: Clock) -> Self:
        """A new attempt that starts now."""
        return cls(
            item=item, number=number, observer=observer, clock=clock, began=clock.monotonic(), transfer_id=new_id()
        )

    @property
    def running(self) -> bool:
        """Whether the start of its transfer was reported, and the end was not."""
        return self.kind is not None

    @property
    def duration(self) -> float:
        """Seconds since it began."""
        return self.clock.monotonic() - self.began

    def renew(self) -> None:
        """The transfer with this id has ended: the next one has another id."""
        self.transfer_id, self.kind, self.may_be_at_store = new_id(), None, False

    @contextmanager
    def reported_end(self) -> Iterator[None]:
        """Around everything that the attempt does: if its transfer was started, an end is reported after any error."""
        try:
            yield
        except Exception as error:
            if self.running:
                self.failed(error if isinstance(error, MirrordError) else internal_error(error), None)
            raise
        finally:
            if self.running:
                self.interrupted()

    def started(
        self, transfer_id: str, kind: TransferKind, size: int | None, resumed: ResumedUpload | None = None
    ) -> None:
        """Its transfer has this id and kind. Reported once, also where it starts again with another stream."""
        was_running = self.running
        self.transfer_id, self.kind = transfer_id, kind
        if was_running:
            return
        self.observer(
            TransferStarted(item=self.item, transfer_id=transfer_id, kind=kind, attempt=self.number, size=size)
        )
        if resumed is not None:
            self._resumed(len(resumed.parts), resumed.size)

    def _resumed(self, parts: int, size: int) -> None:
        self.observer(
            TransferResumed(
                item=self.item,
                transfer_id=self.transfer_id,
                kind=self.kind,
                attempt=self.number,
                parts=parts,
                bytes=size,
            )
        )

    def progressed(self, read: int, sent: int, size: int | None) -> None:
        """Bytes read and bytes that the store confirmed, of `size` (None: unknown)."""
        self.observer(
            TransferProgress(
                item=self.item,
                transfer_id=self.transfer_id,
                kind=self.kind,
                attempt=self.number,
                bytes_read=read,
                bytes_sent=sent,
                size=size,
            )
        )

    def reading_back(self, copied: Copied) -> None:
        """Reported before a long read-back, because no bytes are sent during it.

        An object of an earlier attempt is reported as that transfer, resumed: the status shows messages of running
        transfers only.
        """
        if copied.size <= LONG_READBACK:
            return
        if not self.running:
            self.started(copied.transfer_id, copied.kind, copied.size)
            self._resumed(copied.parts, copied.size)
        asked = "verify: readback" if self.item.options.readback else "the store showed no checksum of it"
        message = f"{format_size(copied.size)} are stored and now read back: {asked}"
        _log.info("%s: %s", self.item.destination, message, extra={"item": self.item.id})
        self.observer(ItemChanged(item=self.item, state=State.TRANSFERRING, message=message))

    def completed(self, copied: Copied) -> None:
        self.kind = None
        self.observer(
            TransferCompleted(
                item=self.item,
                transfer_id=self.transfer_id,
                kind=copied.kind,
                attempt=self.number,
                copied=copied,
                duration=self.duration,
            )
        )

    def failed(self, error: MirrordError, retry_in: float | None) -> None:
        """Its transfer failed; if none was started, the check failed and is repeated in `retry_in` seconds."""
        kind, self.kind = self.kind, None
        if kind is None:
            self.observer(
                ItemRetrying(
                    item=self.item,
                    attempt=self.number,
                    reason=error.reason,
                    message=str(error),
                    duration=self.duration,
                    retry_in=retry_in,
                )
            )
            return
        self.observer(
            TransferFailed(
                item=self.item,
                transfer_id=self.transfer_id,
                kind=kind,
                attempt=self.number,
                reason=error.reason,
                message=str(error),
                duration=self.duration,
                retry_in=retry_in,
            )
        )

    def interrupted(self) -> None:
        kind, self.kind = self.kind, None
        self.observer(
            TransferInterrupted(
                item=self.item,
                transfer_id=self.transfer_id,
                kind=kind,
                attempt=self.number,
                duration=self.duration,
                outcome="parts kept" if self.kept else "parts dropped",
            )
        )


def upload_aborted(item: Item | None, transfer: Transfer, upload_id: str) -> UploadAborted:
    """The event of an upload of `transfer` that was aborted; `item` is None where it is not known."""
    at = transfer.destination
    return UploadAborted(item=item, bucket=at.bucket, key=at.key, upload_id=upload_id)


def internal_error(error: Exception) -> MirrordError:
    """A fault of mirrord, as an error that can be shown."""
    return MirrordError(f"internal error, please report it: {type(error).__name__} (see the log)")
