"""Finds the items that are out of sync for longer than `stale_after`, on a timer.

Owns which items are stale now, and the event item.stale; item.recovered follows with the record that is Synced again.
Reads only the records that are out of sync. Since when an item is out of sync is the last time it was equal to its
source, as far as this process saw it; else the time in its record.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass, field
from heapq import nsmallest
from itertools import islice
from logging import getLogger
from uuid import uuid4

from mirrord.errors import JournalError
from mirrord.events import ItemStale
from mirrord.model import Item, Notice, Notification, Record, State
from mirrord.planning.notifications.changes import as_data, data_of
from mirrord.planning.notifications.staleness import stale_after
from mirrord.ports import Clock, Journal, Observer
from mirrord.units import format_duration

_log = getLogger(__name__)

LOOK_EVERY, LOOK_AT_LEAST_EVERY = 30.0, 600.0
"""Seconds between two looks: the longer a look takes, the more, so that a fiftieth of the time is spent on them."""
_REST = 50
_PAGE = 500
_OUT_OF_SYNC = (State.PENDING, State.TRANSFERRING, State.WAITING, State.RETRYING, State.BLOCKED)


@dataclass(slots=True, kw_only=True)
class StaleItems:
    """`item_of`: the item in force with this id; `fresh_at`: when it was last seen equal to its source."""

    journal: Journal
    item_of: Callable[[str], Item | None]
    fresh_at: Callable[[str], float | None]
    observer: Observer
    clock: Clock
    _stale: dict[str, str] = field(default_factory=dict, init=False)
    """The stale items: their objects by id."""

    def objects(self, most: int) -> tuple[str, ...]:
        """The objects of the first stale items, in order."""
        return tuple(nsmallest(most, self._stale.values()))

    @property
    def count(self) -> int:
        """How many items are stale."""
        return len(self._stale)

    async def run(self) -> None:
        """Look until cancelled. Items that were stale when mirrord stopped still are."""
        known, pause = False, LOOK_EVERY
        while True:
            began = self.clock.monotonic()
            try:
                if known:
                    await self.look()
                else:
                    await self._recall()
                    known = True
                took = self.clock.monotonic() - began
                pause = min(max(LOOK_EVERY, _REST * took), LOOK_AT_LEAST_EVERY)
            except JournalError as error:
                _log.debug("stale items are not known now: %s", error)
            await self.clock.sleep(pause)

    async def look(self) -> None:
        """Find the items that are stale now, and those that are no longer."""
        await self._forget_synced()
        async for record in self._out_of_sync():
            item = self.item_of(record.item_id)
            if item is None or record.item_id in self._stale:
                continue
            limit, since = stale_after(item), self._since(record)
            if limit is not None and self.clock.now() - since >= limit:
                await self._announce(item, record, since)

    def _since(self, record: Record) -> float:
        fresh = self.fresh_at(record.item_id)
        return record.condition.since if fresh is None else min(fresh, record.condition.since)

    async def _announce(self, item: Item, record: Record, since: float) -> None:
        now = self.clock.now()
        data = {**data_of(record), "stale_since": since}
        notification = Notification(
            id=str(uuid4()),
            name=Notice.ITEM_STALE,
            about=item.id,
            subject=str(item.destination),
            time=now,
            data=as_data(data),
        )
        if await self.journal.outbox.announce_stale(notification):
            self._stale[item.id] = str(item.destination)
            state = record.condition.state.value
            message = f"not equal to its source for {format_duration(now - since)}: {state} {record.condition.message}"
            self.observer(ItemStale(item=item, since=since, message=message.strip()))

    async def _recall(self) -> None:
        async for records in self._recorded(await self.journal.outbox.stale()):
            self._stale |= {item_id: str(one.destination) for item_id, one in records.items() if one is not None}

    async def _forget_synced(self) -> None:
        """Forget the stale items that are in sync again, or left. With receivers, their marks were removed with the
        record."""
        async for records in self._recorded(list(self._stale)):
            ended = [item_id for item_id, record in records.items() if not _is_out_of_sync(record)]
            for item_id in ended:
                del self._stale[item_id]
            if ended:
                await self.journal.outbox.not_stale(ended)

    async def _recorded(self, item_ids: Collection[str]) -> AsyncIterator[dict[str, Record | None]]:
        """The records of some items at a time, by item id; other tasks run in between."""
        left = iter(item_ids)
        while page := list(islice(left, _PAGE)):
            records = await self.journal.recorded(page)
            yield {item_id: records.get(item_id) for item_id in page}
            await asyncio.sleep(0)

    async def _out_of_sync(self) -> AsyncIterator[Record]:
        for state in _OUT_OF_SYNC:
            after: str | None = None
            while records := await self.journal.page(state=state, after=after, limit=_PAGE):
                for record in records:
                    yield record
                after = records[-1].item_id
                await asyncio.sleep(0)


def _is_out_of_sync(record: Record | None) -> bool:
    return record is not None and record.removed is None and record.condition.state in _OUT_OF_SYNC
