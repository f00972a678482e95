"""A transfer's edges, written into the journal; and what the journal must go on knowing once it failed.

Owns the rule which failures leave parts at the store for the next attempt: an interruption, and whatever may pass, if
the source can be asked for the rest. `transfer.ledger` says when each edge comes.
"""

from dataclasses import replace
from uuid import uuid4

from mirrord.checksums import combines
from mirrord.errors import IntegrityError, MirrordError, NoSuchUpload, OutcomeUnknown, PreconditionFailed, Recovery
from mirrord.model import Checksum, Part, StoredObject, Transfer, TransferKind
from mirrord.ports import Clock, JournalTransfers


class JournalLedger:
    """`transfer.ledger.Ledger` of one transfer whose intent is in the journal. `resumable`: its source is pinned."""

    def __init__(self, journal: JournalTransfers, transfer: Transfer, clock: Clock, *, resumable: bool) -> None:
        self._journal = journal
        self._transfer = transfer
        self._clock = clock
        self._resumable = resumable
        self._asked = False
        self.upload_id = transfer.progress.upload_id
        """The upload that stands open at the store."""
        self.stored: StoredObject | None = None
        """What stands, by the store's own words of other bytes than were sent."""

    async def opened(self, upload_id: str) -> None:
        self.upload_id = upload_id
        await self._journal.opened(self._transfer.id, upload_id)

    async def unanswered(self) -> None:
        """Another intent stands for the upload that may be there: this one goes on, and will have an id."""
        lost = replace(self._transfer, id=uuid4().hex)
        await self._journal.begin(lost)
        await self._journal.give_up(lost.id, self._clock.now())

    async def part_done(self, part: Part) -> None:
        await self._journal.part_done(self._transfer.id, part)

    async def completing(self, whole: Checksum | None) -> None:
        """For a single put the intent says enough, if the store can tell the checksum of what stands."""
        self._asked = True
        if self._transfer.kind is TransferKind.MULTIPART or whole is None or not combines(whole.kind):
            await self._journal.completing(self._transfer.id, whole, self._clock.now())

    async def complete_refused(self) -> None:
        await self._journal.complete_refused(self._transfer.id)

    def mismatched(self, stored: StoredObject) -> None:
        self.stored = stored

    def keeps(self, error: BaseException | None) -> bool:
        if error is None or not self._resumable:
            return False
        if isinstance(error, MirrordError):
            return error.recovery is Recovery.RETRY and not isinstance(error, IntegrityError)
        return not isinstance(error, Exception)

    @property
    def nameless(self) -> bool:
        """Whether an upload may stand open whose id was not said, and nothing else was asked for."""
        return self._transfer.kind is TransferKind.MULTIPART and self.upload_id is None and not self._asked

    def aborted(self) -> None:
        """Nothing of the upload is left at the store."""
        self.upload_id = None

    def unsettled(self, error: BaseException) -> bool:
        """Whether the store may hold, or come to hold, anything of this transfer although it failed with `error`."""
        if self.upload_id is not None or isinstance(error, OutcomeUnknown):
            return True
        unanswered = not isinstance(error, Exception) or isinstance(error, NoSuchUpload | PreconditionFailed)
        return self._asked and unanswered
