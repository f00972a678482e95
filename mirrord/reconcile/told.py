"""What is said of one attempt, as events: the fields of each, and nothing of when it is due."""

from dataclasses import dataclass

from mirrord.events import (
    TransferCompleted,
    TransferInterrupted,
    TransferProgress,
    TransferResumed,
    TransferStarted,
    UploadAborted,
)
from mirrord.model import Copied, Item, Observed, Transfer
from mirrord.ports import Clock, Observer
from mirrord.reconcile.errand import Attempt
from mirrord.transfer.ledger import Kept


@dataclass(frozen=True, slots=True)
class Told:
    """Tells `observer`."""

    observer: Observer
    clock: Clock

    def started(self, attempt: Attempt, observed: Observed, kept: Kept | None) -> None:
        self.observer(
            TransferStarted(
                item=attempt.item,
                transfer_id=attempt.transfer_id,
                kind=attempt.kind,
                attempt=attempt.number,
                size=observed.revision.length,
            )
        )
        if kept is not None:
            self.observer(
                TransferResumed(
                    item=attempt.item,
                    transfer_id=attempt.transfer_id,
                    kind=attempt.kind,
                    attempt=attempt.number,
                    parts=len(kept.parts),
                    bytes=kept.size,
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

    def completed(self, attempt: Attempt, copied: Copied) -> None:
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

    def interrupted(self, attempt: Attempt, *, kept: bool) -> None:
        self.observer(
            TransferInterrupted(
                item=attempt.item,
                transfer_id=attempt.transfer_id,
                kind=attempt.kind,
                attempt=attempt.number,
                duration=self.clock.monotonic() - attempt.began,
                outcome="parts kept" if kept else "parts dropped",
            )
        )

    def aborted(self, item: Item, upload_id: str) -> None:
        at = item.destination
        self.observer(UploadAborted(item=item, bucket=at.bucket, key=at.key, upload_id=upload_id))

    def removed(self, transfer: Transfer, item: Item | None) -> None:
        """An upload of an earlier attempt."""
        at = transfer.destination
        self.observer(UploadAborted(item=item, bucket=at.bucket, key=at.key, upload_id=transfer.upload_id or ""))
