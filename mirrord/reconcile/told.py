"""What is said of one attempt, as events: the fields of each, and that each start has exactly one end."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from logging import getLogger

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
from mirrord.model import Copied, Item, Observed, State, Transfer
from mirrord.ports import Clock, Observer
from mirrord.reconcile.errand import Attempt
from mirrord.transfer.ledger import ResumedUpload
from mirrord.units import GiB, format_size

_log = getLogger(__name__)

LONG_READBACK = GiB
"""Bytes over which the status says beforehand that, and why, an object is read back."""


@dataclass(frozen=True, slots=True)
class Told:
    """Tells `observer`."""

    observer: Observer
    clock: Clock

    @contextmanager
    def ending(self, attempt: Attempt) -> Iterator[None]:
        """Around everything that an attempt does: if it was started, its end is told, whatever is raised."""
        try:
            yield
        except Exception as error:
            if attempt.running:
                self.failed(attempt, error if isinstance(error, MirrordError) else internal(error), None)
            raise
        finally:
            if attempt.running:
                self.interrupted(attempt)

    def started(self, attempt: Attempt, observed: Observed, kept: ResumedUpload | None) -> None:
        """Told once an attempt, also where it begins again with another stream."""
        if attempt.running:
            return
        self._begun(attempt, observed.revision.length)
        if kept is not None:
            self._resumed(attempt, len(kept.parts), kept.size)

    def _begun(self, attempt: Attempt, size: int | None) -> None:
        attempt.running = True
        self.observer(
            TransferStarted(
                item=attempt.item,
                transfer_id=attempt.transfer_id,
                kind=attempt.kind,
                attempt=attempt.number,
                size=size,
            )
        )

    def _resumed(self, attempt: Attempt, parts: int, size: int) -> None:
        self.observer(
            TransferResumed(
                item=attempt.item,
                transfer_id=attempt.transfer_id,
                kind=attempt.kind,
                attempt=attempt.number,
                parts=parts,
                bytes=size,
            )
        )

    def progress(self, attempt: Attempt, observed: Observed, read: int, sent: int) -> None:
        self.observer(
            TransferProgress(
                item=attempt.item,
                transfer_id=attempt.transfer_id,
                kind=attempt.kind,
                attempt=attempt.number,
                bytes_read=read,
                bytes_sent=sent,
                size=observed.revision.length,
            )
        )

    def reading_back(self, attempt: Attempt, copied: Copied) -> None:
        """Said before it begins, if it takes a while: nothing is sent meanwhile. What an earlier attempt stored is told
        as that transfer, resumed: the status shows the message of a running transfer only."""
        if copied.size <= LONG_READBACK:
            return
        if not attempt.running:
            attempt.transfer_id, attempt.kind = copied.transfer_id, copied.kind
            self._begun(attempt, copied.size)
            self._resumed(attempt, copied.parts, copied.size)
        asked = "verify: readback" if attempt.item.options.readback else "the store showed no checksum of it"
        message = f"{format_size(copied.size)} are stored and now read back: {asked}"
        _log.info("%s: %s", attempt.item.destination, message, extra={"item": attempt.item.id})
        self.observer(ItemChanged(item=attempt.item, state=State.TRANSFERRING, message=message))

    def completed(self, attempt: Attempt, copied: Copied) -> None:
        attempt.running = False
        self.observer(
            TransferCompleted(
                item=attempt.item,
                transfer_id=attempt.transfer_id,
                kind=copied.kind,
                attempt=attempt.number,
                copied=copied,
                duration=self.clock.monotonic() - attempt.began,
            )
        )

    def failed(self, attempt: Attempt, error: MirrordError, retry_in: float | None) -> None:
        """The end of an attempt that was started; of any other, that the check is tried again."""
        if not attempt.running:
            self.observer(
                ItemRetrying(
                    item=attempt.item,
                    attempt=attempt.number,
                    reason=error.reason,
                    message=str(error),
                    duration=self.clock.monotonic() - attempt.began,
                    retry_in=retry_in,
                )
            )
            return
        attempt.running = False
        self.observer(
            TransferFailed(
                item=attempt.item,
                transfer_id=attempt.transfer_id,
                kind=attempt.kind,
                attempt=attempt.number,
                reason=error.reason,
                message=str(error),
                duration=self.clock.monotonic() - attempt.began,
                retry_in=retry_in,
            )
        )

    def interrupted(self, attempt: Attempt) -> None:
        attempt.running = False
        self.observer(
            TransferInterrupted(
                item=attempt.item,
                transfer_id=attempt.transfer_id,
                kind=attempt.kind,
                attempt=attempt.number,
                duration=self.clock.monotonic() - attempt.began,
                outcome="parts kept" if attempt.kept else "parts dropped",
            )
        )

    def aborted(self, item: Item, upload_id: str) -> None:
        at = item.destination
        self.observer(UploadAborted(item=item, bucket=at.bucket, key=at.key, upload_id=upload_id))

    def removed(self, transfer: Transfer, item: Item | None) -> None:
        """An upload of an earlier attempt."""
        at = transfer.destination
        self.observer(
            UploadAborted(item=item, bucket=at.bucket, key=at.key, upload_id=transfer.progress.upload_id or "")
        )


def internal(error: Exception) -> MirrordError:
    """A fault of ours, as an error that can be shown."""
    return MirrordError(f"internal error, please report it: {type(error).__name__} (see the log)")
