"""One copy whose intent is in the journal: the parameters of `transfer.copy`, its progress, and the step after a
failure."""

from collections.abc import Callable
from dataclasses import dataclass

from mirrord.model import Item, Transfer, TransferKind
from mirrord.ports import JournalTransfers
from mirrord.reconcile.due_copy import DueCopy
from mirrord.reconcile.ledger import JournalLedger, record_other_bytes
from mirrord.reconcile.transfer_attempt import TransferAttempt, upload_aborted
from mirrord.reconcile.unfinished import as_copied
from mirrord.transfer.budget import Budget
from mirrord.transfer.spec import TransferContext, TransferSpec
from mirrord.transfer.writes import ETagAgreement


@dataclass(slots=True, kw_only=True)
class RunningCopy:
    """A copy between the begin of its transfer and the end of it."""

    attempt: TransferAttempt
    due: DueCopy
    spec: TransferSpec
    transfer: Transfer
    ledger: JournalLedger
    wrote: Callable[[Item], None]
    confirmed: int
    """Bytes that the store confirmed, those of an earlier attempt included."""

    def context(self, budget: Budget, etags: ETagAgreement) -> TransferContext:
        """The context of the copy."""
        return TransferContext(
            store=self.due.store,
            budget=budget,
            ledger=self.ledger,
            etags=etags,
            aborted=self._aborted,
            patient=not self.attempt.item.has_fallback,
        )

    def progress(self, read: int, sent: int) -> None:
        """See `transfer.spec.ProgressCallback`. A put that is read at once is not reported: its end follows."""
        if sent > self.confirmed:
            self.confirmed = sent
            self.wrote(self.attempt.item)
        length = self.due.observed.revision.length
        if read != length or self.transfer.kind is not TransferKind.PUT:
            self.attempt.progressed(read, sent, length)

    def _aborted(self, upload_id: str) -> None:
        self.ledger.aborted()
        self.attempt.observer(upload_aborted(self.attempt.item, self.transfer, upload_id))

    async def failed(self, journal: JournalTransfers, error: BaseException) -> None:
        """Record what the store may hold of the transfer after `error`."""
        ledger, attempt = self.ledger, self.attempt
        attempt.may_be_at_store = ledger.may_be_at_store(error)
        attempt.kept = ledger.upload_id is not None and ledger.keeps(error)
        if ledger.stored is not None and self.transfer.revision.restored is not None:
            await journal.abandon(self.transfer.id)  # the record stays: the object counts as replaced
        elif ledger.stored is not None:
            await record_other_bytes(journal, attempt, as_copied(self.transfer, ledger.stored, ()))
        else:
            await ledger.failed(error)
