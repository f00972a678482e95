"""A file that the store has under another name, renamed or linked: the store copies that object, no byte is sent.

Owns the order: find the object in the journal (`planning.decisions.reuse` says which may serve), read the file to see
that it still holds those bytes, journal the intent, have the object copied as it was recorded and as no other, ask what
stands. Whatever the store will not do ends in None, and the bytes are sent. What nobody knows is settled as with any
write.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from logging import getLogger
from uuid import uuid4

from mirrord.aio import finish
from mirrord.errors import (
    BucketMissing,
    ChecksumMismatch,
    PreconditionFailed,
    StoreDenied,
    StoreRefused,
    StoreUnavailable,
)
from mirrord.model import Copied, JournaledProgress, Record, StoredObject, Transfer, TransferKind
from mirrord.planning.decisions.describe import described
from mirrord.planning.decisions.reuse import may_reuse, reusable_record
from mirrord.planning.transfers.parts import PartLayout
from mirrord.ports import Clock, Journal
from mirrord.reconcile.errand import Attempt, Errand
from mirrord.reconcile.leftovers import as_copied
from mirrord.reconcile.records import with_doubt
from mirrord.transfer.budget import Budget
from mirrord.transfer.verify import has_recorded_bytes
from mirrord.transfer.writes import ObjectWrite, confirms_write

_log = getLogger(__name__)
_LAYOUT = PartLayout(TransferKind.PUT, 0, 1)
_REFUSED = (PreconditionFailed, StoreRefused, StoreDenied, BucketMissing, ChecksumMismatch)
"""It was not copied, and asking again would not help."""


class Lending:
    """The items whose objects are about to be copied: nobody deletes them meanwhile."""

    def __init__(self) -> None:
        self._held: Counter[str] = Counter()

    @contextmanager
    def of(self, item_id: str) -> Iterator[None]:
        self._held[item_id] += 1
        try:
            yield
        finally:
            self._held[item_id] -= 1
            self._held += Counter()  # drops what nobody holds

    def __contains__(self, item_id: str) -> bool:
        return self._held[item_id] > 0


@dataclass(frozen=True, slots=True)
class Reuse:
    """Has objects copied by their store."""

    journal: Journal
    clock: Clock
    budget: Budget
    lending: Lending

    async def copied(self, errand: Errand) -> Copied | None:
        """The copy as it stands, its intent still unfinished; None: there is none, and the bytes have to be sent.

        Raises what the source raises, StoreUnavailable, and OutcomeUnknown, whose intent stays.
        """
        record = await self._recorded(errand)
        if record is None:
            return None
        with self.lending.of(record.item_id):
            return await self._copied(errand, record) if await self._is_equal(errand, record) else None

    async def reusable_record(self, errand: Errand) -> Record | None:
        """Of whose object `copied` would ask the store for a copy. Reads the file; raises what the source raises."""
        record = await self._recorded(errand)
        return record if record is not None and await self._is_equal(errand, record) else None

    async def _is_equal(self, errand: Errand, record: Record) -> bool:
        return await has_recorded_bytes(errand.source, errand.observed, record, self.budget)

    async def _recorded(self, errand: Errand) -> Record | None:
        item, file = errand.attempt.item, errand.observed.revision.file
        if file is None or not may_reuse(item, errand.observed, errand.store.provider, errand.attempt.number):
            return None
        return reusable_record(item, await self.journal.made_from(file, item.destination.endpoint))

    async def _copied(self, errand: Errand, record: Record) -> Copied | None:
        attempt = errand.attempt
        attempt.kind = TransferKind.PUT
        intent = replace(
            errand.intent(_LAYOUT, self.clock.now()), progress=JournaledProgress(whole=record.object.checksum)
        )
        await self.journal.begin(intent)
        standing = await self._copy_of(errand, record, intent)
        if standing is None:
            await finish(self.journal.abandon(intent.id))
        elif _equal(record, standing):
            return as_copied(intent, standing, ())
        else:
            await self._doubt(attempt, intent, as_copied(intent, standing, ()))
        attempt.transfer_id, attempt.kind = uuid4().hex, None
        return None

    async def _doubt(self, attempt: Attempt, intent: Transfer, copied: Copied) -> None:
        """What the store made is no copy: the journal remembers that it stands there, until the bytes replace it."""
        _log.info("%s is sent: the store's copy has another length or checksum than its source", intent.destination)
        attempt.doubted = with_doubt(attempt.item, copied, self.clock.now())
        await finish(self.journal.finish(intent.id, attempt.doubted))

    async def _copy_of(self, errand: Errand, record: Record, intent: Transfer) -> StoredObject | None:
        """Have it copied, and see what stands: the answer tells neither length nor whose it is, and not always a
        checksum. None: the store will not, or it was replaced already."""
        stored = await self._answered(errand, record, intent)
        return stored if stored is None or stored.from_head else await self._standing(errand, intent)

    async def _answered(self, errand: Errand, record: Record, intent: Transfer) -> StoredObject | None:
        """Have it copied, and settle whether it was. None: the store will not."""
        attempt, at, store = errand.attempt, intent.destination, errand.store
        options = described(attempt.item.options.object, errand.observed, at.key, intent.id)
        size, etag, kind = record.object.size or 0, record.object.etag or "", intent.checksum_kind
        write = ObjectWrite(store=store, at=at, transfer_id=intent.id, size=size, whole=intent.progress.whole)
        try:
            return await write.resolve(
                lambda: store.copy_object(record.destination, at, options, kind, if_match=etag, size=size)
            )
        except _REFUSED as error:
            _log.debug("%s is sent and not copied from %s: %s", at, record.destination, error)
            return None
        except StoreUnavailable:
            await finish(self.journal.abandon(intent.id))
            raise
        except BaseException:
            attempt.unsettled = True
            raise

    async def _standing(self, errand: Errand, intent: Transfer) -> StoredObject | None:
        """What stands, where the first HEAD was not answered. None: it was replaced already."""
        try:
            standing = await errand.store.head_object(intent.destination)
        except BaseException:
            errand.attempt.unsettled = True
            raise
        return standing if confirms_write(intent.id, None, standing) else None


def _equal(record: Record, standing: StoredObject) -> bool:
    """Whether a copy is one as far as the store tells. MinIO computes a false checksum where it compresses, and SDK
    clients refuse to read such an object."""
    return standing.size == record.object.size and standing.checksum in (None, record.object.checksum)
