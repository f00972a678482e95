"""`ports.JournalOutbox` in the journal's database: the statements that join the commits of records, and its own.

Owns the rows of notifications, their bound, and which of them are due. Without receivers it adds nothing to a commit.
"""

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from logging import getLogger
from math import inf
from typing import NamedTuple

from mirrord.errors import JournalError
from mirrord.journal.sql.database import Database, Rows, SqlValues, Statement
from mirrord.journal.sql.other_rows import to_counts
from mirrord.journal.sql.rows import encode, to_outbox_row, to_record
from mirrord.model import Notice, Notification, OutboxCounts, OutboxRow, Record
from mirrord.planning.notifications.announced import Announced
from mirrord.planning.notifications.changes import RecordChange, changes_of
from mirrord.planning.notifications.delivery import LONGEST_PAUSE
from mirrord.ports.journal import MAX_OUTBOX

_log = getLogger(__name__)

_SLACK = 1_000
"""Rows that are dropped beyond the bound, so that not each commit of a full outbox drops some."""
_PAGE = 500


class Joined(NamedTuple):
    """Statements that join a commit, and the announced notifications among them."""

    statements: Sequence[Statement] = ()
    announced: Sequence[Notification] = ()


class Outbox:
    """The outbox of one journal. Its calls raise what the journal's raise."""

    def __init__(self, database: Database, *, most: int = MAX_OUTBOX) -> None:
        self._database = database
        self._most = most
        self._announced = Announced()
        self._at_most = 0  # rows that the outbox may have; counted again when it is too many

    @property
    def is_used(self) -> bool:
        """Whether there is any receiver."""
        return bool(self._announced.receivers)

    # ── with the commits of records ───────────────────────────────────────────────────────────────
    async def of_changes(self, records: Sequence[Record], finished: Sequence[str] = ()) -> Joined:
        """What joins the commit of these records; `finished`: the transfer that each one ends."""
        known = {"item_ids": self._database.many([record.item_id for record in records])}
        before = {row["item_id"]: to_record(row) for row in await self._database.read("recorded", known)}
        alarmed = {row["item_id"] for row in await self._database.read("alarms", known)}
        announced = [one for record in records for one in self._announced.take(record.item_id)]
        caused: list[Statement] = []
        for change in changes_of(records, finished, before, alarmed):
            caused += self._of_change(change)
        return await self._joined(announced, caused)

    async def _joined(self, announced: Sequence[Notification], caused: Sequence[Statement] = ()) -> Joined:
        """The rows of what was announced, and those that follow from the changes. An error loses nothing."""
        rows = [row for one in announced for row in self._rows(one)]
        try:
            room = await self._room_for(len(rows) + len(caused))
        except BaseException:
            self._announced.put_back(announced)
            raise
        return Joined((*rows, *caused, *room), announced)

    async def write(self, joined: Joined, *statements: Statement) -> None:
        """Commit the statements with what joins them. If that fails, what was announced waits for the next commit; not
        after a cancellation, because a write that was asked for is committed anyway."""
        try:
            await self._database.write(*statements, *joined.statements)
        except JournalError:
            self._announced.put_back(joined.announced)
            raise

    def of_retired(self, item_ids: Collection[str]) -> Iterator[Statement]:
        """The same for records that are retired: no event, and `item.recovered` is no longer due."""
        return (Statement("clear_alarm", {"item_id": item_id}) for item_id in item_ids)

    def _of_change(self, change: RecordChange) -> Iterator[Statement]:
        for notification in self._announced.caused_by(change, time.time()):
            yield from self._rows(notification)
        if change.alarms_after() != change.alarmed:
            values: SqlValues = {"item_id": change.after.item_id, "stale": False}
            yield Statement("add_alarm", values) if not change.alarmed else Statement("clear_alarm", values)

    def _rows(self, notification: Notification, *, if_out_of_sync: bool = False) -> Iterator[Statement]:
        for receiver in self._announced.receivers_of(notification.name):
            yield Statement("put_in_outbox", _values(receiver, notification, if_out_of_sync))

    async def _room_for(self, count: int) -> list[Statement]:
        """The statements that drop the oldest rows, if the outbox would otherwise have too many."""
        self._at_most += count
        if self._at_most <= self._most:
            return []
        stored = (await self._database.read("rows_of_outbox", {}))[0]["count"]
        excess = stored + count - self._most
        if excess <= 0:
            self._at_most = stored + count
            return []
        dropped = min(stored, excess + min(_SLACK, self._most // 10))
        self._at_most = stored + count - dropped
        last = await self._database.read("last_dropped", {"count": dropped})
        _log.error(
            "the outbox has %d notifications that no receiver accepted: the %d oldest are dropped", stored, dropped
        )
        until = {"until": last[0]["number"]} if last else {"until": 0}
        return [Statement("count_dropped", until), Statement("drop_oldest", until), Statement("make_oldest_due", {})]

    # ── receivers and announcements ───────────────────────────────────────────────────────────────
    async def send_to(self, receivers: Mapping[str, Collection[Notice]], *, keep: bool = False) -> None:
        if not receivers and not self.is_used and not await self._database.read("outbox_counts", {}):
            return
        kept = {"kept": self._database.many(sorted(receivers))}
        added = (Statement("add_receiver", {"receiver": one}) for one in receivers)
        forgotten = () if keep else (Statement("forget_rows", kept), Statement("forget_receivers", kept))
        await self._database.write(*forgotten, *added)
        self._at_most = (await self._database.read("rows_of_outbox", {}))[0]["count"]
        first = bool(receivers) and not self.is_used
        self.write_for(receivers)
        if first:
            await self._announce_recovered()

    def write_for(self, receivers: Mapping[str, Collection[Notice]]) -> None:
        self._announced.receivers = {one: frozenset(names) for one, names in receivers.items()}

    async def _announce_recovered(self) -> None:
        """Of items that were Synced while nobody was notified. Saving the record as it is has that effect."""
        after = ""
        while rows := await self._database.read("recovered", {"after": after, "limit": _PAGE}):
            await self.write(await self.of_changes([to_record(row) for row in rows]))
            after = rows[-1]["item_id"]

    def announce(self, notification: Notification) -> None:
        self._announced.add(notification)

    async def flush(self, about: str | None = None) -> None:
        if not self._announced:
            return
        await self.write(await self._joined(self._announced.take(about)))

    async def announce_stale(self, notification: Notification) -> bool:
        rows = list(self._rows(notification, if_out_of_sync=True))
        alarm = Statement("add_alarm", {"item_id": notification.about, "stale": True})
        await self._database.write(alarm, *rows, *await self._room_for(len(rows)))
        found: SqlValues = {"item_ids": self._database.many([notification.about])}
        return bool(await self._database.read("alarms", found))

    async def stale(self) -> Collection[str]:
        found, after = list[str](), ""
        while rows := await self._database.read("stale", {"after": after, "limit": _PAGE}):
            found += [row["item_id"] for row in rows]
            after = found[-1]
        return found

    async def not_stale(self, item_ids: Collection[str]) -> None:
        if not self.is_used:
            await self._database.write(*self.of_retired(item_ids))
            return
        await self._announce_recovered()
        values: list[SqlValues] = [{"item_id": item_id} for item_id in item_ids]
        await self._database.write(*(Statement(name, one) for one in values for name in ("not_stale", "clear_left")))

    # ── delivery ──────────────────────────────────────────────────────────────────────────────────
    async def due(self, receiver: str, now: float, limit: int) -> Sequence[OutboxRow]:
        for after, until in ((-1.0, now), (now + LONGEST_PAUSE, inf)):
            values: SqlValues = {"receiver": receiver, "after": after, "until": until, "limit": limit}
            if rows := await self._database.read("due", values):
                return _rows_of(rows)
        return []

    async def next_due(self, receiver: str) -> float | None:
        rows = await self._database.read("next_due", {"receiver": receiver})
        due: float | None = rows[0]["due"]
        return due

    async def delivered(self, rows: Sequence[OutboxRow]) -> None:
        await self._database.write(*(one for row in rows for one in _left(row)))

    async def postponed(self, row: OutboxRow, until: float) -> None:
        await self._database.write(Statement("postpone", {"number": row.number, "due": until}))

    async def dead(self, row: OutboxRow, error: str) -> None:
        values: SqlValues = {"receiver": row.receiver, "number": row.number, "error": encode(error)}
        await self._database.write(Statement("count_dead", values), *_left(row))

    async def counts(self) -> Mapping[str, OutboxCounts]:
        rows = await self._database.read("outbox_counts", {})
        return dict(map(to_counts, rows))


def _values(receiver: str, notification: Notification, if_out_of_sync: bool) -> SqlValues:
    return {
        "receiver": receiver,
        "about": encode(notification.about),
        "id": notification.id,
        "name": notification.name.value,
        "subject": encode(notification.subject),
        "time": notification.time,
        "data": encode(notification.data),
        "if_out_of_sync": if_out_of_sync,
    }


def _left(row: OutboxRow) -> Iterator[Statement]:
    yield Statement("leave_outbox", {"number": row.number})
    yield Statement("make_due", {"receiver": row.receiver, "about": encode(row.notification.about)})


def _rows_of(rows: Rows) -> list[OutboxRow]:
    return [to_outbox_row(row) for row in rows]
