"""Proves that an object is a whole copy of its file, before the file is removed (`after_upload`).

Owns the HEAD of the object and, for an adopted object, the comparison of bytes: by the checksum that the store shows,
or by reading back both. `after_upload` decides what follows.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from logging import getLogger

from mirrord.errors import ReadbackMismatch, SourceChanged
from mirrord.events import ItemChanged
from mirrord.frozen import frozen
from mirrord.model import Integrity, Item, Record
from mirrord.planning.decisions.decide import identifies_bytes
from mirrord.planning.decisions.file_removal import why_lost
from mirrord.planning.decisions.object_identity import with_shown_etag
from mirrord.ports import JournalRecords, ObjectStore, Observer, Source
from mirrord.reconcile.transfer_attempt import LONG_READBACK
from mirrord.transfer.budget import Budget
from mirrord.transfer.verify import (
    checksum_kinds,
    compare_content,
    has_recorded_bytes,
    object_checksums,
    read_checksums,
)
from mirrord.units import format_size

_log = getLogger(__name__)


@frozen(kw_only=True)
class CopyProof:
    """`store_of` and `source_of` open the store and the source of an item."""

    journal: JournalRecords
    store_of: Callable[[Item], Awaitable[ObjectStore]]
    source_of: Callable[[Item], Source]
    budget: Budget
    observer: Observer

    async def prove(self, item: Item, record: Record) -> Record:
        """The record, if the object is as recorded and has the bytes of the file; integrity says how that is known.

        Raises SourceChanged, ReadbackMismatch, and the errors of store and source.
        """
        if record.restored is not None:
            raise SourceChanged("its object was restored to an older version: the file stays")
        store = await self.store_of(item)
        stored = await store.head_object(item.destination)
        if why := why_lost(record, stored):
            raise SourceChanged(why)
        if record.object.integrity is not None:
            return record if stored is None else with_shown_etag(record, stored)
        return await self._compared(item, record, store)

    async def _compared(self, item: Item, record: Record, store: ObjectStore) -> Record:
        """Compare the bytes of an adopted object with the file's."""
        async with self.source_of(item) as source:
            observed = await source.probe()
            if observed is None or record.revision is None or observed.revision.file != record.revision.file:
                raise SourceChanged("it changed since it was looked at")
            if identifies_bytes(record) and await has_recorded_bytes(source, observed, record, self.budget):
                return replace(record, object=replace(record.object, integrity=Integrity.FULL_OBJECT))
            record = await self._reading_back(item, record)
            kinds = checksum_kinds(record)
            async with source.open(observed) as stream:
                file = await read_checksums(stream, kinds, self.budget)
            await source.confirm(observed)
        verdict = compare_content(record, await object_checksums(store, item.destination, kinds, self.budget), file)
        if verdict.differs:
            raise ReadbackMismatch(verdict.differs)
        return replace(record, object=replace(record.object, integrity=Integrity.READBACK))

    async def _reading_back(self, item: Item, record: Record) -> Record:
        """Record that an adopted object is read back, if that takes long. Returns the record."""
        if (record.object.size or 0) <= LONG_READBACK:
            return record
        text = f"{format_size(record.object.size or 0)} are now read back: the store showed no checksum of them"
        record = replace(record, condition=replace(record.condition, message=text))
        await self.journal.save(record)
        _log.info("%s: %s", item.destination, record.condition.message, extra={"item": item.id})
        self.observer(ItemChanged(item=item, state=record.condition.state, message=record.condition.message))
        return record
