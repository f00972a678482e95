"""The journal's steps of one transfer: each is written before the next request, and one after a failure.

Owns the rule which failures leave parts at the store for the next attempt (an interruption, and every error that may
pass, if the rest of the source can be requested), and what the journal keeps of a transfer that failed.
`transfer.ledger` defines when each step is written.
"""

from dataclasses import replace

from mirrord.aio import finish
from mirrord.checksums import combines
from mirrord.errors import IntegrityError, MirrordError, NoSuchUpload, OutcomeUnknown, PreconditionFailed, Recovery
from mirrord.model import Checksum, Copied, Part, StoredObject, Transfer, TransferKind
from mirrord.ports import Clock, JournalTransfers
from mirrord.reconcile.ids import new_id
from mirrord.reconcile.records import with_other_bytes
from mirrord.reconcile.transfer_attempt import TransferAttempt


class JournalLedger:
    """`transfer.ledger.Ledger` of one transfer whose intent is in the journal. `resumable`: its source is pinned."""

    def __init__(self, journal: JournalTransfers, transfer: Transfer, clock: Clock, *, resumable: bool) -> None:
        self._journal = journal
        self._transfer = transfer
        self._clock = clock
        self._resumable = resumable
        self._requested = False
        self._visible = False
        self.upload_id = transfer.progress.upload_id
        """The upload that is open at the store."""
        self.stored: StoredObject | None = None
        """The object at the key, if the store showed that it has other bytes than were sent."""

    async def opened(self, upload_id: str) -> None:
        self.upload_id = upload_id
        await self._journal.opened(self._transfer.id, upload_id)

    async def unanswered(self) -> None:
        """Record a second intent for the upload that may exist; this transfer continues, and gets an id."""
        lost = replace(self._transfer, id=new_id())
        await self._journal.begin(lost)
        await self._journal.give_up(lost.id, self._clock.now())

    async def part_done(self, part: Part) -> None:
        await self._journal.part_done(self._transfer.id, part)

    async def completing(self, whole: Checksum | None) -> None:
        """A single put needs no step here: its intent is enough, if the store can show the checksum of the object."""
        self._requested = True
        if self._transfer.kind is TransferKind.MULTIPART or whole is None or not combines(whole.kind):
            await self._journal.completing(self._transfer.id, whole, self._clock.now())

    async def complete_refused(self) -> None:
        await self._journal.complete_refused(self._transfer.id)

    def mismatched(self, stored: StoredObject) -> None:
        self.stored = stored

    def completed(self) -> None:
        """The object is visible. Its proof, and the record, are still missing."""
        self._visible = True

    def keeps(self, error: BaseException | None) -> bool:
        if error is None or not self._resumable:
            return False
        if isinstance(error, MirrordError):
            return error.recovery is Recovery.RETRY and not isinstance(error, IntegrityError)
        return not isinstance(error, Exception)

    def aborted(self) -> None:
        """Nothing of the upload is left at the store."""
        self.upload_id = None

    def may_be_at_store(self, error: BaseException) -> bool:
        """Whether the store may hold, or come to hold, anything of this transfer although it failed with `error`."""
        if self._visible or self.upload_id is not None or isinstance(error, OutcomeUnknown):
            return True
        unanswered = not isinstance(error, Exception) or isinstance(error, NoSuchUpload | PreconditionFailed)
        return self._requested and unanswered

    async def failed(self, error: BaseException) -> None:
        """Drop the intent if nothing of the transfer can be at the store; give up an upload whose id is unknown.

        No attempt can resume such an upload: the sweep searches for it.
        """
        if not self.may_be_at_store(error):
            await finish(self._journal.abandon(self._transfer.id))
        elif self._lacks_upload_id:
            await finish(self._journal.give_up(self._transfer.id, self._clock.now()))

    @property
    def _lacks_upload_id(self) -> bool:
        """Whether an upload may be open whose id the store did not return, and nothing else was requested."""
        return self._transfer.kind is TransferKind.MULTIPART and self.upload_id is None and not self._requested


async def record_other_bytes(journal: JournalTransfers, attempt: TransferAttempt, copied: Copied) -> None:
    """The object has other bytes than were sent: end its transfer with a record without a revision, so that no check
    adopts the object and the next one writes it again."""
    attempt.record = with_other_bytes(attempt.item, copied, attempt.clock.now())
    await finish(journal.finish(copied.transfer_id, attempt.record))
