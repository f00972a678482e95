"""An item whose file is gone, in a folder with `delete: mirror`, or that left the manifests, where its entry had
`prune`: delete its object, if mirrord wrote it.

Owns the last check before the deletion, during which no other check of the item runs, and its order: the file is still
gone, the object is the recorded one, delete it, then forget it in the journal. If the process is killed between two
steps, the next pass repeats them. `planning.decisions` decided before whether the object may be deleted at all.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from mirrord.errors import Reason, SourceMissing, SourceRefused
from mirrord.events import ItemBlocked, ItemPruned
from mirrord.frozen import frozen
from mirrord.model import Destination, Item, Outcome, Record, RecordedObject, State, StoredObject
from mirrord.planning.decisions.object_identity import is_ours
from mirrord.ports import Clock, JournalRecords, ObjectStore, Observer, Source

KEPT = Outcome(state=State.SYNCED)
_BY_OTHERS = "was written by someone else"
_DELETED = "the object was deleted"
_HIDDEN = "a delete marker hides the object: the bucket keeps its versions, and they stay"


@frozen
class ObjectRemoval:
    """Removals of objects. Raises what the store, the source and the journal raise."""

    journal: JournalRecords
    observer: Observer
    clock: Clock
    delete: Callable[[ObjectStore, Destination, str], Awaitable[bool]]
    """Delete the object with this ETag. Returns whether only a delete marker was made."""

    async def remove_gone(self, item: Item, record: Record | None, store: ObjectStore, source: Source) -> Outcome:
        """For an item whose file is gone. A file that is back, or an object of another program, stays."""
        if record is None or record.removed is not None or await _is_back(source):
            return KEPT
        return await self._remove(item, record, store, "its file is gone")

    async def remove_left(
        self,
        item: Item,
        record: Record | None,
        store: ObjectStore,
        wanted: Sequence[tuple[Destination, ObjectStore]] = (),
    ) -> Outcome:
        """For an item that left the manifests. An object that another entry or item has, or of another program, stays.

        `wanted`: objects of items in force that may be this one, with their stores. Two endpoints may lead to one
        object: then both show the transfer's id and ETag.
        """
        outcome = KEPT
        if record is not None and record.entry == item.entry:
            key = record.object_at.customer_key
            same = [at for at, other in wanted if _may_be(record, await other.head_object(at.keyed(key)))]
            if same:
                await self.journal.retire([item.id], self.clock.now())
                message = f"it left the manifests, but store {same[0].store} shows its object as {same[0]}: it stays"
                outcome = Outcome(state=State.SYNCED, message=message)
            else:
                outcome = await self._remove(item, record, store, "it left the manifests")
        await self.journal.release([item.id])
        return outcome

    async def _remove(self, item: Item, record: Record, store: ObjectStore, why: str) -> Outcome:
        """Delete the item's object and retire the item."""
        if record.object.etag is None:
            await self.journal.retire([item.id], self.clock.now())
            return KEPT
        if record.object.transfer_id is None:
            await self.journal.retire([item.id], self.clock.now())
            return Outcome(state=State.SYNCED, message=f"{why}, and its object was not written by mirrord: it stays")
        at = item.destination.keyed(record.object_at.customer_key)
        stored = await store.head_object(at)
        if stored is not None and not is_ours(record, stored):
            other = "cannot be read with the store's customer_keys" if stored.unreadable else _BY_OTHERS
            message = f"{why}, but {at} {other}: it stays"
            self.observer(ItemBlocked(item=item, reason=Reason.CONFLICT, message=message))
            await self.journal.retire([item.id], self.clock.now())
            return Outcome(state=State.SYNCED, message=message)
        hidden = stored is not None and await self.delete(store, at, stored.etag)
        message = f"{why}, {_HIDDEN if hidden else _DELETED}"
        await self.journal.save(without_object(record, self.clock.now(), message))
        if stored is None:
            return KEPT
        self.observer(ItemPruned(item=item, message=message))
        return Outcome(state=State.SYNCED, pruned=True, message=message)


def _may_be(record: Record, stored: StoredObject | None) -> bool:
    return stored is not None and (stored.unreadable or is_ours(record, stored))


async def _is_back(source: Source) -> bool:
    try:
        await source.probe()
    except (SourceMissing, SourceRefused):  # refused: it is no regular file now
        return False
    return True


def without_object(record: Record, now: float, message: str) -> Record:
    """The record of an item that was removed, without an object: if its source comes back, the next check sends a
    HEAD."""
    return replace(
        record,
        condition=replace(record.condition, reason=None, message=message, next_check=None),
        revision=None,
        object=RecordedObject(),
        removed=now,
        dated=None,
    )
