"""Makes a version of an item's object current again: the store copies that version over the object.

Owns the order: refuse, journal the intent, copy, prove, record. The object is then the item's with the source's present
revision, so only another revision of the source replaces it. After a kill the next check resolves the transfer
(`restored`). The caller makes sure that no check of the item runs meanwhile.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

from mirrord.aio import finish
from mirrord.errors import MirrordError, RestoreRefused, StoreCopyUnproven
from mirrord.frozen import frozen
from mirrord.model import (
    META_MD5,
    META_SHA256,
    Checksum,
    ChecksumKind,
    Copied,
    Destination,
    Integrity,
    Item,
    JournaledProgress,
    ObjectDetails,
    ObjectOptions,
    ObjectVersion,
    Observed,
    Overwrite,
    Record,
    Transfer,
    TransferKind,
    VersionAt,
)
from mirrord.planning.decisions.decide import options_digest
from mirrord.planning.decisions.describe import described
from mirrord.planning.decisions.object_identity import is_recorded
from mirrord.planning.decisions.restore import covered, refusal, unknown_item
from mirrord.planning.decisions.rewrites import without_lock
from mirrord.planning.transfers.store_copy import uncompared_copy
from mirrord.ports import Clock, Journal, JournalTransfers, ObjectStore
from mirrord.reconcile.ledger import JournalLedger, record_other_bytes
from mirrord.reconcile.records import restored_revision, with_restored
from mirrord.reconcile.store_copies import checksum_of_copy, layout_of_copy
from mirrord.reconcile.transfer_attempt import TransferAttempt, upload_aborted
from mirrord.reconcile.transfers import Transfers
from mirrord.reconcile.unfinished import as_copied
from mirrord.reconcile.versions import inspect_version
from mirrord.transfer.readback import expected_bytes, read_back
from mirrord.transfer.spec import ByteCounter, NewObject, Original, TransferContext, TransferSpec
from mirrord.transfer.store_copy import StoreCopy
from mirrord.transfer.verify import object_checksums

_DIGESTS = (META_SHA256, META_MD5)


@frozen
class Restoration:
    """Restores of items, with the journal, buffers and events of `transfers`."""

    transfers: Transfers

    async def restore(self, item: Item, store: ObjectStore, version_id: str) -> Record:
        """Make the version current, and return the item's record. Nothing is written if it is restored already.

        Raises RestoreRefused, and what the store and the journal raise.
        """
        attempt = TransferAttempt.of(item, 1, self.transfers.observer, self.transfers.clock)
        attempt.record = await self._journal.record(item.id)
        with attempt.reported_end():
            unfinished = await self.transfers.resolve(attempt, store)
            record = attempt.record
            if why := unknown_item(record):
                raise RestoreRefused(f"{item.destination}: {why}")
            assert record is not None
            at = item.destination.keyed(record.object_at.customer_key)
            if await self._is_restored(record, store, at, version_id):
                return record
            for earlier in unfinished:
                await self.transfers.discard(earlier, store, item)
            async with self.transfers.slots.taken(item.entry):
                details = await self._version(store, at, version_id)
                return await self._restored(attempt, store, record, details)

    @property
    def _journal(self) -> Journal:
        return self.transfers.journal

    async def _is_restored(self, record: Record, store: ObjectStore, at: Destination, version_id: str) -> bool:
        if record.restored != version_id:
            return False
        stored = await store.head_object(at)
        return stored is not None and is_recorded(record, stored)

    async def _version(self, store: ObjectStore, at: Destination, version_id: str) -> "_Version":
        """The version, which can be copied, as a HEAD shows it. Raises RestoreRefused."""
        found = await _listed(store, at, version_id)
        versioning = await store.bucket_versioning(at.bucket) if found is None else None
        if why := refusal(versioning, found, str(at), version_id):
            raise RestoreRefused(why)
        place, details = await inspect_version(store, at, version_id, self._journal)
        if details is None:
            raise RestoreRefused(f"{at} has no version {version_id} any more")
        if details.archived is not None:
            raise RestoreRefused(
                f"{place} is archived ({details.archived}): have the store restore its bytes first, by RestoreObject"
            )
        if details.tags:
            details = replace(details, kept=replace(details.kept, tags=await store.get_tags(place)))
        return _Version(place, details)

    async def _restored(
        self, attempt: TransferAttempt, store: ObjectStore, record: Record, version: "_Version"
    ) -> Record:
        stored, transfers = version.details.stored, self.transfers
        layout = await layout_of_copy(version.at, stored, store, Overwrite.ALWAYS)
        layout = layout or uncompared_copy(stored.size, store.provider)
        kind = checksum_of_copy(stored, layout, store.provider)
        original = Original(at=version.at, stored=stored, layout=layout, checksum=kind)
        intent = _intent(attempt, record, original, transfers.clock.now())
        intent = replace(intent, options_digest=await self._digest(record))
        spec = TransferSpec(
            transfer_id=intent.id,
            new=NewObject(
                at=intent.destination, options=await self._options(record, intent, version.details), checksum=kind
            ),
            layout=layout,
            original=original,
        )
        observed = Observed(revision=intent.revision, object=version.details)
        await self._journal.begin(intent)
        attempt.started(intent.id, intent.kind, stored.size)
        copied = await self._copied(attempt, store, spec, observed, intent)
        restored = with_restored(record, version.at.version_id, copied, intent.options_digest, transfers.clock.now())
        await finish(self._journal.finish(intent.id, restored))
        attempt.completed(copied)
        if intent.options_digest == record.object.options_digest:
            return restored
        attempt.record = restored
        await transfers.lock_copy(attempt, store)
        return await self._journal.record(attempt.item.id) or restored

    async def _copied(
        self, attempt: TransferAttempt, store: ObjectStore, spec: TransferSpec, observed: Observed, intent: Transfer
    ) -> Copied:
        guard = partial(_refuse_to_cover, attempt, store)
        ledger = _GuardedLedger(self._journal, intent, self.transfers.clock, guard)

        def aborted(upload_id: str) -> None:
            ledger.aborted()
            attempt.observer(upload_aborted(attempt.item, intent, upload_id))

        def progress(read: int, sent: int) -> None:
            attempt.progressed(read, sent, size)

        original = spec.original
        assert original is not None
        size = original.stored.size
        context = TransferContext(store=store, budget=self.transfers.budget, ledger=ledger, aborted=aborted)
        try:
            try:
                copied = await StoreCopy(spec, original, observed, context, ByteCounter(progress)).made()
            except StoreCopyUnproven:
                if ledger.stored is None:
                    raise
                made = replace(as_copied(intent, ledger.stored, ()), reused=True)
                copied = await self._compared(attempt, store, original.at, made, intent.destination)
            ledger.completed()
        except BaseException as error:
            if ledger.stored is not None:
                await record_other_bytes(self._journal, attempt, as_copied(intent, ledger.stored, ()))
            else:
                await ledger.failed(error)
            if isinstance(error, MirrordError):
                attempt.failed(error, None)
            raise
        return copied

    async def _compared(
        self, attempt: TransferAttempt, store: ObjectStore, version: Destination, made: Copied, at: Destination
    ) -> Copied:
        """The copy, proven by the bytes of both: the store shows nothing else that says whether they are equal."""
        budget, kind = self.transfers.budget, ChecksumKind.CRC64NVME
        attempt.reading_back(made)
        found = await object_checksums(store, version, (kind,), budget)
        expected = expected_bytes(next(iter(found.checksums)), (), found.size)
        whole = await read_back(store, at, expected, budget)
        return replace(made, integrity=Integrity.READBACK, checksum=whole)

    async def _chosen(self, record: Record) -> ObjectOptions | None:
        digest = record.object.options_digest
        return await self._journal.options(digest) if digest is not None else None

    async def _digest(self, record: Record) -> str | None:
        """Of the options that the copy surely has: see `without_lock`."""
        chosen = await self._chosen(record)
        if chosen is None or (options := without_lock(chosen)) is chosen:
            return record.object.options_digest
        await self._journal.remember_options(options_digest(options), options)
        return options_digest(options)

    async def _options(self, record: Record, intent: Transfer, details: ObjectDetails) -> ObjectOptions:
        """The headers, metadata and tags of the version; class, encryption, access and lock of the item's options."""
        chosen = await self._chosen(record) or ObjectOptions()
        kept, own = details.kept, details.stored.metadata
        options = described(
            replace(
                kept,
                storage_class=chosen.storage_class,
                acl=chosen.acl,
                encryption=chosen.encryption,
                kms_key_id=chosen.kms_key_id,
                lock_mode=chosen.lock_mode,
                retain=chosen.retain,
                legal_hold=chosen.legal_hold,
                customer_key=chosen.customer_key,
            ),
            Observed(revision=replace(intent.revision, digest=None)),
            intent.destination.key,
            intent.id,
        )
        digests = {name: own[name] for name in _DIGESTS if name in own}
        return replace(options, metadata={**options.metadata, **digests})


class _GuardedLedger(JournalLedger):
    """The steps of a restore. Directly before the request that makes the version current, `guard` may refuse it."""

    def __init__(
        self, journal: JournalTransfers, transfer: Transfer, clock: Clock, guard: Callable[[], Awaitable[None]]
    ) -> None:
        super().__init__(journal, transfer, clock, resumable=False)
        self._guard = guard

    async def completing(self, whole: Checksum | None) -> None:
        await self._guard()
        await super().completing(whole)


async def _refuse_to_cover(attempt: TransferAttempt, store: ObjectStore) -> None:
    """Raise RestoreRefused if another program's object is current, which the entry does not allow to overwrite."""
    item, record = attempt.item, attempt.record
    if record is None or item.options.overwrite is Overwrite.ALWAYS:
        return
    if why := covered(record, await store.head_object(record.object_at), item.options.overwrite):
        raise RestoreRefused(why)


@frozen
class _Version:
    at: VersionAt
    details: ObjectDetails


def _intent(attempt: TransferAttempt, record: Record, original: Original, now: float) -> Transfer:
    layout, at = original.layout, original.at
    assert isinstance(at, VersionAt)
    multipart = layout.kind is TransferKind.MULTIPART
    return Transfer(
        id=attempt.transfer_id,
        item_id=attempt.item.id,
        destination=attempt.item.destination.keyed(record.object_at.customer_key),
        revision=restored_revision(record, at.version_id),
        kind=layout.kind,
        part_sizes=layout.sizes if multipart else None,
        started=now,
        checksum_kind=original.checksum,
        options_digest=record.object.options_digest,
        progress=JournaledProgress(whole=None if multipart else original.known),
    )


async def _listed(store: ObjectStore, at: Destination, version_id: str) -> ObjectVersion | None:
    async for one in store.list_versions(at):
        if one.version_id == version_id:
            return one
    return None
