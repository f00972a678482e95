"""The durable record of items and transfers, and of notifications, as four protocols.

Owns the guarantees of every journal. `JournalQueries` reads the records of items, `JournalRecords` also writes them,
`JournalTransfers` records each transfer from its intent to its end, `JournalOutbox` keeps what is sent to webhooks;
`Journal` has all of these. A caller uses the narrowest protocol that it needs.

Each call has committed when it returns, and raises JournalError and its children. Cancelling a caller undoes nothing:
its write may still be committed. Bytes of objects never pass through the journal.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from mirrord.model import (
    EVERY,
    Checksum,
    EntryCounts,
    FileIdentity,
    History,
    Holder,
    ItemFilter,
    ItemOrder,
    ItemPlace,
    LearnedFact,
    Notice,
    Notification,
    ObjectOptions,
    OutboxCounts,
    OutboxRow,
    Part,
    Record,
    RecordedETag,
    RecordedSchedule,
    State,
    Transfer,
)
from mirrord.planning.decisions.unchanged import RecordedFile, SeenFile, UnchangedRule

MAX_MADE_FROM = 8
"""Records that `made_from` returns, at most."""
MAX_OUTBOX = 100_000
"""Rows of the outbox, of all receivers together."""


MAX_HISTORY = 50
"""Objects of an item, and failed attempts, that its history has at most; of all items together 100,000 each."""


class JournalQueries(Protocol):
    """Reads the records of items.

    An item is in force until it is retired. A retired item is kept, with the time in `Record.removed`.
    """

    async def record(self, item_id: str) -> Record | None:
        """The item's record, in force or retired; None if it is not recorded."""

    async def read_ahead(self, item_ids: Collection[str]) -> None:
        """Read the records of up to about a thousand items in one query, for the next `record` of each. A write of a
        record counts before it."""

    async def recorded(self, item_ids: Collection[str]) -> Mapping[str, Record]:
        """The records of up to about a thousand items, by item id, in one query."""

    async def history(self, item_id: str) -> History:
        """The objects that the item had before the recorded one, and its failed attempts: up to `MAX_HISTORY` each.

        Every write of its record adds to it, in the same commit: the object that it replaces, and a state of failure
        that is news. It stays when the item leaves, and when it comes back.
        """

    async def recorded_etags(self, item_ids: Collection[str]) -> Mapping[str, RecordedETag]:
        """The recorded objects of up to about a thousand items, by item id, in one query."""

    async def recorded_schedules(self, item_ids: Collection[str]) -> Mapping[str, RecordedSchedule]:
        """`Record.schedule` of up to about a thousand items, by item id, in one query."""

    async def unchanged(self, files: Mapping[str, SeenFile], rule: UnchangedRule) -> Mapping[str, RecordedFile]:
        """Those of up to about a thousand files, by item id, whose records are `unchanged_record`, in one query."""

    async def new_files(self, files: Mapping[str, FileIdentity], endpoint: str) -> Collection[str]:
        """Those of up to about a thousand item ids, in order, that have no record and no transfer, and whose file is
        not one that `made_from` finds a record of. In one query."""

    async def dates(self, sources: Collection[str]) -> Mapping[str, float]:
        """The earliest `Record.dated` of each of up to some hundreds of sources, in one query.

        Counts items in force, and retired ones that still have an object (they have an ETag).
        """

    async def made_from(self, file: FileIdentity, endpoint: str) -> Sequence[Record]:
        """Up to `MAX_MADE_FROM` records of objects at this endpoint whose file had this inode, size and mtime.

        Most likely it is the same file, under the same or another name. The device is not compared, because device
        numbers change.
        """

    async def options(self, digest: str) -> ObjectOptions | None:
        """The options of an object with this digest; None: `remember_options` was never called with it."""

    def records(self) -> AsyncIterator[Record]:
        """Every recorded item, in force or retired, streamed by item id."""

    def item_ids_outside(self, entries: Collection[str]) -> AsyncIterator[str]:
        """The ids of all items in force whose entry is not in `entries`, streamed, in any order."""

    async def page(
        self,
        *,
        state: State | None = None,
        entry: str | None = None,
        text: str | None = None,
        after: str | None = None,
        limit: int = 100,
    ) -> Sequence[Record]:
        """Up to `limit` items in force with ids after `after`, by item id. Fewer than `limit` means the last page.

        Selects by `state`, `entry`, and `text` in key, source or entry, ignoring case. None selects all.
        """

    async def sorted_page(
        self, order: ItemOrder, wanted: ItemFilter = EVERY, after: ItemPlace | None = None, limit: int = 100
    ) -> Sequence[Record]:
        """Up to `limit` items in force behind the place `after`, in this order; `order.states` does not count. Fewer
        than `limit` means the last page.

        With a filter by entry or text, or in another order than `SINCE`, all records may be read for each page: about a
        second for a million items, in steps.
        """

    async def count(self, entry: str) -> int:
        """The number of items in force of this entry."""

    async def entry_counts(self, entry: str, after: str | None = None) -> EntryCounts:
        """Count the next some thousands of items in force of this entry with ids after `after`."""

    async def totals(self) -> Mapping[State, int]:
        """The number of items in force in each state, without states that have none."""

    async def last_written(self) -> float | None:
        """When any process last wrote to the journal (seconds since the epoch); None if there was no write."""

    def held(self) -> AsyncIterator[tuple[str, Holder]]:
        """Every held item with the holder that had it last, streamed by item id. See `hold`."""

    async def held_objects(self, entry: str, file: str) -> int:
        """The number of items that holders of this entry and file have, and that have an object."""

    async def small_entries(self, file: str, most: int) -> Mapping[str, int]:
        """The entries of this file whose holders have at least one and at most `most` items with an object, and how
        many each has."""

    async def folder_root(self, entry: str, path: str) -> tuple[int, int] | None:
        """Device and inode of the directory that the folder's last complete scan read; None if none is recorded."""

    async def learned(self, since: float) -> Sequence[LearnedFact]:
        """What was learned of stores since that time, by endpoint and name."""


class JournalRecords(JournalQueries, Protocol):
    """Reads and writes the records of items."""

    async def save(self, record: Record) -> None:
        """Replace the whole record of the item."""

    async def save_all(self, records: Sequence[Record]) -> None:
        """Replace many records in one commit."""

    async def retire(self, item_ids: Sequence[str], when: float) -> None:
        """Record in one commit that these items left the manifests. Saving an item's record puts it back in force.

        An id that is not recorded is ignored. An item that is already retired keeps its time.
        """

    async def remember_options(self, digest: str, options: ObjectOptions) -> None:
        """Record the options that objects are written with, once for all objects: a later change of them is told by
        name. Returns at once if they are recorded."""

    async def hold(self, items: Mapping[Holder, Sequence[str]]) -> None:
        """Record in one commit that these holders have these items, recorded or not, instead of any other holder.

        A record of theirs then has the holder's entry, too. An item stays held when it is retired.
        """

    async def rename(self, entry: str, item_ids: Sequence[str]) -> None:
        """Record in one commit that the entry of these items has this name now. An unknown id is ignored."""

    async def release(self, item_ids: Sequence[str]) -> None:
        """Record in one commit that nobody holds these items any more."""

    async def save_folder_root(self, entry: str, path: str, root: tuple[int, int]) -> None:
        """Record device and inode of the directory that a complete scan of the folder read."""

    async def learn(self, fact: LearnedFact) -> None:
        """Record what was learned of a store, in place of an earlier fact of that endpoint and name."""


class JournalTransfers(Protocol):
    """The steps of transfers: begin, opened, part_done, completing, then finish or abandon.

    Each transfer has the worker that began it: this process, or another one on the same state. A worker is dead when
    its lease ended; of a state that one process locks (SQLite, memory), there is no other living worker.

    Each step is committed before the next request to the store, so that after a kill the journal has everything that
    the store may hold. A transfer is *unfinished* from `begin` until `finish`, `abandon` or `give_up`. A transfer that
    was given up is not resumed; it is kept until `abandon`, because the store may hold something of it.

    `opened`, `part_done`, `completing` and `complete_refused` also write to a transfer that was given up: the response
    to a request in flight may arrive later. The sweep needs these facts: it aborts by the upload's id, and it must not
    abort an upload whose completion was requested. For an unknown transfer (never begun, finished or abandoned) these
    four, `give_up` and `abandon` do nothing.
    """

    async def begin(self, transfer: Transfer) -> None:
        """Record the intent. From now on the store may hold something of this transfer.

        Raises JournalError if a transfer with this id exists. It is not replaced, because its row may be the only
        record of an open upload's id.
        """

    async def begin_all(self, transfers: Sequence[Transfer]) -> None:
        """`begin` for many, in one commit: after an error none of them is recorded."""

    async def opened(self, transfer_id: str, upload_id: str) -> None:
        """The store created the multipart upload."""

    async def part_done(self, transfer_id: str, part: Part) -> None:
        """The store confirmed this part. A part with the same number is replaced."""

    async def completing(self, transfer_id: str, whole: Checksum | None, when: float) -> None:
        """Every part is recorded, and the next request makes the object visible, with this checksum.

        Written again for each retry. From now on the outcome is unknown (`JournaledProgress.complete_requested`).
        """

    async def complete_refused(self, transfer_id: str) -> None:
        """The store answered that it did not make the object visible. The outcome is known."""

    async def finish(self, transfer_id: str, record: Record) -> None:
        """Delete the finished transfer and its parts, and save the item's record, in one commit.

        For an unknown transfer the record is saved, too.
        """

    async def finish_all(self, finished: Sequence[tuple[str, Record]]) -> None:
        """`finish` for many (id of the transfer, record), in one commit: after an error none of them is recorded."""

    async def abandon(self, transfer_id: str) -> None:
        """Delete the transfer and its parts. It failed and left nothing at the store."""

    async def give_up(self, transfer_id: str, when: float) -> None:
        """The transfer will not be resumed, and the store may hold something of it.

        It is kept with its parts, as given up at `when`, until it is abandoned. A second call keeps the first time.
        """

    def given_up(self) -> AsyncIterator[Transfer]:
        """Transfers that were given up and not abandoned, streamed by id, for the sweep of the stores."""

    def unfinished(self) -> AsyncIterator[Transfer]:
        """Unfinished transfers of this worker and of dead ones, streamed by id: running ones, and those that a crash or
        an interruption left. Those of another living worker are its own to end. A program that only reads sees all."""

    async def unfinished_of(self, item_id: str) -> Sequence[Transfer]:
        """The same of one item, the oldest first."""

    async def open_of(self, item_id: str) -> Sequence[Transfer]:
        """The unfinished and the given-up transfers of one item, the oldest first."""

    async def parts(self, transfer_id: str) -> Sequence[Part]:
        """The confirmed parts of an unfinished or given-up transfer, ascending, with the checksums that were sent."""


class JournalOutbox(Protocol):
    """Notifications that wait for receivers, which are named by digests of their URLs.

    Without receivers nothing is written, and no write of a record reads anything. With receivers, each write of records
    (`save`, `finish`, `retire`, one or many) also writes, in the same commit, a row for each receiver that wants an
    event of the change (`planning.notifications.changes`). Beyond `MAX_OUTBOX` rows the oldest are dropped and counted.
    """

    async def send_to(self, receivers: Mapping[str, Collection[Notice]], *, keep: bool = False) -> None:
        """From now on, these receivers get these events. Rows and counts of all other receivers are deleted, unless
        `keep`.

        The first receivers get `item.recovered` of items that were Synced without receivers, for example by `sync`.
        """

    def write_for(self, receivers: Mapping[str, Collection[Notice]]) -> None:
        """The same for a worker: another process on this journal sends to them. In PostgreSQL those that this other one
        does not know get nothing."""

    def announce(self, notification: Notification) -> None:
        """Write a notification with the next commit of its item's record, or by the next `flush`.

        For events that do not follow from the record alone. Does nothing if no receiver wants it.
        """

    async def flush(self, about: str | None = None) -> None:
        """Write the announced notifications about one thing; None: all of them."""

    async def announce_stale(self, notification: Notification) -> bool:
        """Mark the item as stale and write the notification, in one commit; False: it is Synced or not in force."""

    async def stale(self) -> Collection[str]:
        """The ids of the items that are marked as stale: until they are Synced again, or leave."""

    async def not_stale(self, item_ids: Collection[str]) -> None:
        """Remove these marks. With receivers, `item.recovered` follows where the item is Synced: now, or later."""

    async def due(self, receiver: str, now: float, limit: int) -> Sequence[OutboxRow]:
        """Rows to send now, at most one about each thing: the oldest, if its time has come. If there is none, those
        whose time is further away than any pause: the clock was set back."""

    async def next_due(self, receiver: str) -> float | None:
        """When the next row is due; None: there is none."""

    async def delivered(self, rows: Sequence[OutboxRow]) -> None:
        """Delete the rows. The next rows about the same things are due."""

    async def postponed(self, row: OutboxRow, until: float) -> None:
        """An attempt failed: the row is due again at this time. Later rows about the same thing wait for it."""

    async def dead(self, row: OutboxRow, error: str) -> None:
        """Delete the row and count it as dead. The next row about the same thing is due."""

    async def counts(self) -> Mapping[str, OutboxCounts]:
        """What waits and what was lost, by receiver."""


class Journal(JournalRecords, JournalTransfers, AbstractAsyncContextManager["Journal"], Protocol):
    """The whole journal, for callers that change a transfer and its item's record together, or that open it."""

    @property
    def outbox(self) -> JournalOutbox:
        """The notifications for webhooks, in the same journal."""
