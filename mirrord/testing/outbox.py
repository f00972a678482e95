"""A fake of JournalOutbox, in memory, with the same contract."""

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from mirrord.model import Notice, Notification, OutboxCounts, OutboxRow, Record, State
from mirrord.planning.notifications.announced import Announced
from mirrord.planning.notifications.changes import changes_of
from mirrord.planning.notifications.delivery import LONGEST_PAUSE
from mirrord.ports.journal import MAX_OUTBOX


class MemoryOutbox:
    """`ports.JournalOutbox` beside the records of a `MemoryJournal`."""

    def __init__(self, records: Mapping[str, Record], *, most: int = MAX_OUTBOX) -> None:
        self._records = records
        self._most = most
        self._announced = Announced()
        self._rows: dict[int, OutboxRow] = {}
        self._due: dict[int, float] = {}
        self._counts: dict[str, OutboxCounts] = {}
        self._alarms: dict[str, bool] = {}  # whether the item is stale
        self._last = 0

    def changed(self, records: Sequence[Record], finished: Sequence[str]) -> None:
        """These records are saved now; `finished`: the transfer that each one ends."""
        if not self._announced.receivers:
            return
        for change in changes_of(records, finished, self._records, self._alarms):
            announced = self._announced.take(change.after.item_id)
            for notification in (*announced, *self._announced.caused_by(change, time.time())):
                self._put(notification)
            if change.alarms_after():
                self._alarms.setdefault(change.after.item_id, False)
            else:
                self._alarms.pop(change.after.item_id, None)

    async def send_to(self, receivers: Mapping[str, Collection[Notice]], *, keep: bool = False) -> None:
        first = not self._announced.receivers
        self._announced.receivers = {one: frozenset(names) for one, names in receivers.items()}
        if not keep:
            self._rows = {number: row for number, row in self._rows.items() if row.receiver in receivers}
            self._counts = {one: counts for one, counts in self._counts.items() if one in receivers}
        self._counts |= {one: OutboxCounts() for one in receivers if one not in self._counts}
        if first:
            self._announce_recovered()

    def write_for(self, receivers: Mapping[str, Collection[Notice]]) -> None:
        self._announced.receivers = {one: frozenset(names) for one, names in receivers.items()}

    def _announce_recovered(self) -> None:
        alarmed = [self._records[item_id] for item_id in self._alarms if item_id in self._records]
        self.changed([one for one in alarmed if one.condition.state is State.SYNCED and one.removed is None], ())

    def announce(self, notification: Notification) -> None:
        self._announced.add(notification)

    async def flush(self, about: str | None = None) -> None:
        for notification in self._announced.take(about):
            self._put(notification)

    async def announce_stale(self, notification: Notification) -> bool:
        record = self._records.get(notification.about)
        if record is None or record.removed is not None or record.condition.state is State.SYNCED:
            return False
        self._alarms[notification.about] = True
        self._put(notification)
        return True

    async def stale(self) -> Collection[str]:
        return [item_id for item_id, stale in self._alarms.items() if stale]

    async def not_stale(self, item_ids: Collection[str]) -> None:
        self._announce_recovered()
        for item_id in item_ids:
            record = self._records.get(item_id)
            if self._announced.receivers and item_id in self._alarms and record and record.removed is None:
                self._alarms[item_id] = False
            else:
                self._alarms.pop(item_id, None)

    async def due(self, receiver: str, now: float, limit: int) -> Sequence[OutboxRow]:
        oldest = sorted(self._oldest(receiver), key=lambda row: (self._due.get(row.number, 0.0), row.number))
        found = [row for row in oldest if self._due.get(row.number, 0.0) <= now]
        return (found or [row for row in oldest if self._due.get(row.number, 0.0) > now + LONGEST_PAUSE])[:limit]

    async def next_due(self, receiver: str) -> float | None:
        return min((self._due.get(row.number, 0.0) for row in self._oldest(receiver)), default=None)

    async def delivered(self, rows: Sequence[OutboxRow]) -> None:
        for row in rows:
            self._rows.pop(row.number, None)

    async def postponed(self, row: OutboxRow, until: float) -> None:
        if row.number in self._rows:
            self._rows[row.number] = row._replace(attempts=row.attempts + 1)
            self._due[row.number] = until

    async def dead(self, row: OutboxRow, error: str) -> None:
        if self._rows.pop(row.number, None) is not None:
            counts = self._counts[row.receiver]
            self._counts[row.receiver] = replace(counts, dead=counts.dead + 1, error=error)

    async def counts(self) -> Mapping[str, OutboxCounts]:
        return {
            one: replace(counts, waiting=sum(row.receiver == one for row in self._rows.values()))
            for one, counts in self._counts.items()
        }

    def _put(self, notification: Notification) -> None:
        for receiver in self._announced.receivers_of(notification.name):
            self._last += 1
            self._rows[self._last] = OutboxRow(self._last, receiver, 0, notification)
        while len(self._rows) > self._most:
            dropped = self._rows.pop(min(self._rows))
            counts = self._counts[dropped.receiver]
            self._counts[dropped.receiver] = replace(counts, dropped=counts.dropped + 1)

    def _oldest(self, receiver: str) -> list[OutboxRow]:
        """The oldest row about each thing."""
        oldest: dict[str, OutboxRow] = {}
        for _, row in sorted(self._rows.items()):
            if row.receiver == receiver:
                oldest.setdefault(row.notification.about, row)
        return list(oldest.values())
