"""`ports.Journal` in a SQL database. Owns which statements each call runs and which are committed together."""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from typing import Self, TypeVar

from mirrord.errors import JournalError
from mirrord.journal.sql.database import Database, Row, SqlValue, SqlValues, Statement
from mirrord.journal.sql.open_transfers import OpenTransfers
from mirrord.journal.sql.other_rows import (
    from_holder,
    to_date,
    to_entry_counts,
    to_holder,
    to_item_id,
    to_learned,
    to_root,
    to_total,
)
from mirrord.journal.sql.outbox import Joined, Outbox
from mirrord.journal.sql.pages import RecordPages
from mirrord.journal.sql.records_ahead import RecordsAhead
from mirrord.journal.sql.rows import (
    encode,
    from_checksum,
    from_file,
    from_options,
    from_part,
    from_record,
    from_transfer,
    recorded_device,
    to_failed_attempt,
    to_options,
    to_part,
    to_past_object,
    to_record,
    to_schedule,
    to_transfer,
)
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
    ObjectOptions,
    Part,
    Record,
    RecordedETag,
    RecordedSchedule,
    State,
    Transfer,
)
from mirrord.planning.decisions.unchanged import RecordedFile, SeenFile, UnchangedRule
from mirrord.ports.journal import MAX_MADE_FROM

PAGE = 500  # rows that an iterator has in memory: about 1 MiB
STEP = 5_000  # items of one read that may find few or none: about 20 ms of the journal's thread
_START, _END = "", "~"  # before and after every id

T = TypeVar("T")


class SqlJournal:
    """The journal in a database, which has its one writer here: what this writer began is also in memory.

    `read_only`: another process may write meanwhile.
    """

    def __init__(self, database: Database, *, read_only: bool = False) -> None:
        self._database = database
        self.outbox = Outbox(self._database)
        self._open_transfers = OpenTransfers()
        self._ahead = RecordsAhead()
        self._listed = RecordPages(self._database)
        self._counting = read_only  # begun by a writer's first question; a reader would not see what is begun later
        self._counted = False
        self._known_options: set[str] = set()

    async def __aenter__(self) -> Self:
        await self._database.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._database.__aexit__(*exc)

    async def record(self, item_id: str) -> Record | None:
        if item_id in self._ahead:
            return self._ahead.take(item_id)
        rows = await self._database.read("record", {"item_id": item_id})
        return to_record(rows[0]) if rows else None

    async def read_ahead(self, item_ids: Collection[str]) -> None:
        self._ahead.ask(item_ids)
        try:
            self._ahead.answer(item_ids, await self.recorded(item_ids))
        except BaseException:
            self._ahead.drop(item_ids)
            raise

    async def recorded(self, item_ids: Collection[str]) -> dict[str, Record]:
        rows = await self._database.read("recorded", {"item_ids": self._database.many(item_ids)})
        return {row["item_id"]: to_record(row) for row in rows}

    async def history(self, item_id: str) -> History:
        objects = await self._database.read("past_objects", {"item_id": item_id})
        failures = await self._database.read("failures", {"item_id": item_id})
        return History(tuple(map(to_past_object, objects)), tuple(map(to_failed_attempt, failures)))

    async def recorded_etags(self, item_ids: Collection[str]) -> dict[str, RecordedETag]:
        if not item_ids:
            return {}
        rows = await self._database.read("recorded_etags", {"item_ids": self._database.many(item_ids)})
        return {row[0]: RecordedETag(row[1], row[2], row[3]) for row in rows}

    async def recorded_schedules(self, item_ids: Collection[str]) -> dict[str, RecordedSchedule]:
        rows = await self._database.read("recorded_schedules", {"item_ids": self._database.many(item_ids)})
        return {row[0]: to_schedule(row) for row in rows}

    async def unchanged(self, files: Mapping[str, SeenFile], rule: UnchangedRule) -> dict[str, RecordedFile]:
        values: SqlValues = {
            "item_ids": self._database.many(files),
            "entry": encode(rule.entry),
            "options_digest": rule.options_digest,
            "readback": rule.readback,
        }
        found = {}
        for item_id, revision, of_entry in await self._database.read("unchanged", values) if files else ():
            device = recorded_device(revision, files[item_id])
            if device is not None:
                found[item_id] = RecordedFile(device, bool(of_entry))
        return found

    async def new_files(self, files: Mapping[str, FileIdentity], endpoint: str) -> list[str]:
        known = ", ".join(f'"{item_id}": {from_file(file)}' for item_id, file in files.items())
        values: SqlValues = {"files": f"{{{known}}}", "endpoint": encode(endpoint)}
        return [row[0] for row in await self._database.read("new_files", values)] if files else []

    async def dates(self, sources: Collection[str]) -> dict[str, float]:
        rows = await self._database.read("dates", {"sources": self._database.many(sources)})
        return dict(map(to_date, rows))

    async def options(self, digest: str) -> ObjectOptions | None:
        rows = await self._database.read("options", {"digest": digest})
        return to_options(rows[0]) if rows else None

    async def remember_options(self, digest: str, options: ObjectOptions) -> None:
        if digest in self._known_options:  # of each item at each check
            return
        await self._database.write(Statement("save_options", {"digest": digest, "options": from_options(options)}))
        self._known_options.add(digest)

    async def save(self, record: Record) -> None:
        await self.save_all([record])

    async def save_all(self, records: Sequence[Record]) -> None:
        await self._save(records)

    async def _save(self, records: Sequence[Record], finished: Sequence[str] = (), *after: Statement) -> None:
        """Save the records in one commit, with their notifications, before the statements `after`."""
        joined = await self.outbox.of_changes(records, finished) if self.outbox.is_used else Joined()
        self._ahead.drop([record.item_id for record in records])
        saved = (Statement("save_record", from_record(record)) for record in records)
        await self.outbox.write(joined, *saved, *after)

    async def retire(self, item_ids: Sequence[str], when: float) -> None:
        self._ahead.drop(item_ids)
        updates = (Statement("retire", {"item_id": item_id, "removed": when}) for item_id in item_ids)
        await self._database.write(*updates, *(self.outbox.of_retired(item_ids) if self.outbox.is_used else ()))

    def records(self) -> AsyncIterator[Record]:
        """See `ports.Journal`. A record that is saved meanwhile is read in its old or in its new version."""
        return self._pages("records", "item_id", to_record)

    async def item_ids_outside(self, entries: Collection[str]) -> AsyncIterator[str]:
        """See `ports.Journal`. Reads only an index: a million items of these entries take a fraction of a second."""
        excluded, entry, after = self._database.many(entries), "", _START
        while rows := await self._database.read(
            "item_ids_outside", {"entries": excluded, "entry": encode(entry), "after": after, "limit": PAGE}
        ):
            for row in rows:
                yield row["item_id"]
            entry, after = rows[-1]["entry"], rows[-1]["item_id"]

    async def page(
        self,
        *,
        state: State | None = None,
        entry: str | None = None,
        text: str | None = None,
        after: str | None = None,
        limit: int = 100,
    ) -> Sequence[Record]:
        return await self._listed.page(ItemFilter(state, entry, text), after, limit)

    async def sorted_page(
        self, order: ItemOrder, wanted: ItemFilter = EVERY, after: ItemPlace | None = None, limit: int = 100
    ) -> Sequence[Record]:
        return await self._listed.sorted_page(order, wanted, after, limit)

    async def count(self, entry: str) -> int:
        rows = await self._database.read("count", {"entry": encode(entry)})
        return int(rows[0]["count"]) if rows else 0

    async def entry_counts(self, entry: str, after: str | None = None) -> EntryCounts:
        """See `ports.Journal`."""
        values: SqlValues = {"entry": encode(entry), "after": after or _START, "step": STEP}
        return to_entry_counts(await self._database.read("entry_counts", values), STEP)

    async def totals(self) -> Mapping[State, int]:
        rows = await self._database.read("totals", {})
        return {state: count for state, count in map(to_total, rows) if count}

    async def last_written(self) -> float | None:
        return await self._database.last_written()

    async def made_from(self, file: FileIdentity, endpoint: str) -> Sequence[Record]:
        """See `ports.Journal`. Uses an index."""
        values: SqlValues = {"file": from_file(file), "endpoint": encode(endpoint), "limit": MAX_MADE_FROM}
        return [to_record(row) for row in await self._database.read("made_from", values)]

    async def folder_root(self, entry: str, path: str) -> tuple[int, int] | None:
        rows = await self._database.read("folder_root", {"entry": encode(entry), "path": encode(path)})
        return to_root(rows[0]) if rows else None

    async def save_folder_root(self, entry: str, path: str, root: tuple[int, int]) -> None:
        device, inode = map(str, root)
        values: SqlValues = {"entry": encode(entry), "path": encode(path), "device": device, "inode": inode}
        await self._database.write(Statement("save_folder_root", values))

    async def learned(self, since: float) -> Sequence[LearnedFact]:
        return [to_learned(row) for row in await self._database.read("learned", {"since": since})]

    async def learn(self, fact: LearnedFact) -> None:
        values: SqlValues = {
            "endpoint": encode(fact.endpoint),
            "name": fact.name,
            "server": encode(fact.server),
            "text": encode(fact.text),
            "learned": fact.when,
        }
        await self._database.write(Statement("learn", values))

    async def held(self) -> AsyncIterator[tuple[str, Holder]]:
        """See `ports.Journal`. Items of one entry share the object of their holder."""
        known: dict[int, Holder] = {}
        async for row in self._pages("held", "item_id", _as_it_is):
            if (holder := known.get(row["holder"])) is None:
                if len(known) >= PAGE:
                    known.clear()
                holder = known[row["holder"]] = to_holder(row)
            yield to_item_id(row), holder

    async def held_objects(self, entry: str, file: str) -> int:
        rows = await self._database.read("held_objects", {"entry": encode(entry), "file": encode(file)})
        return int(rows[0]["count"]) if rows else 0

    async def small_entries(self, file: str, most: int) -> Mapping[str, int]:
        rows = await self._database.read("small_entries", {"file": encode(file), "most": most})
        return {row["entry"]: row["count"] for row in rows}

    async def hold(self, items: Mapping[Holder, Sequence[str]]) -> None:
        steps: list[Statement] = []
        for holder, item_ids in items.items():
            self._ahead.drop(item_ids)
            values, ids = from_holder(holder), self._database.many(item_ids)
            steps.append(Statement("add_holder", values))
            steps.append(Statement("hold", {**values, "item_ids": ids}))
            steps.append(Statement("rename", {"entry": values["entry"], "item_ids": ids}))
        await self._database.write(*steps)

    async def rename(self, entry: str, item_ids: Sequence[str]) -> None:
        self._ahead.drop(item_ids)
        await self._database.write(
            Statement("rename", {"entry": encode(entry), "item_ids": self._database.many(item_ids)})
        )

    async def release(self, item_ids: Sequence[str]) -> None:
        if item_ids:
            await self._database.write(Statement("release", {"item_ids": self._database.many(item_ids)}))

    async def begin(self, transfer: Transfer) -> None:
        await self.begin_all([transfer])

    async def begin_all(self, transfers: Sequence[Transfer]) -> None:
        added = [one for one in transfers if self._open_transfers.add(one.id, one.item_id)]
        try:
            worker = self._database.worker
            await self._database.write(*(Statement("begin_transfer", from_transfer(one, worker)) for one in transfers))
        except JournalError:  # not after a cancellation: the write may still be committed
            for one in added:
                self._open_transfers.discard(one.id)
            if added:
                self._counting = self._counted = False  # a disk that fails may have kept it: count again
            raise

    async def _has_none(self, item_id: str) -> bool:
        """Whether it is known without a query that the item has no open transfer."""
        if self._database.worker:
            return False  # other workers begin transfers, too
        if not self._counting:
            self._counting = True
            async for transfer_id, of_item in self._pages("open_transfers", "id", tuple):
                self._open_transfers.add(transfer_id, of_item)
            self._counted = True
        return self._counted and item_id not in self._open_transfers

    async def opened(self, transfer_id: str, upload_id: str) -> None:
        await self._database.write(Statement("opened", {"id": transfer_id, "upload_id": upload_id}))

    async def part_done(self, transfer_id: str, part: Part) -> None:
        await self._database.write(Statement("part_done", from_part(transfer_id, part)))

    async def completing(self, transfer_id: str, whole: Checksum | None, when: float) -> None:
        values: SqlValues = {"id": transfer_id, "complete_requested": when, **from_checksum(whole, "whole")}
        await self._database.write(Statement("completing", values))

    async def complete_refused(self, transfer_id: str) -> None:
        await self._database.write(Statement("complete_refused", {"id": transfer_id}))

    async def finish(self, transfer_id: str, record: Record) -> None:
        await self.finish_all([(transfer_id, record)])

    async def finish_all(self, finished: Sequence[tuple[str, Record]]) -> None:
        records = [record for _, record in finished]
        ended = [transfer_id for transfer_id, _ in finished]
        await self._save(records, ended, Statement("forget_transfers", {"ids": self._database.many(ended)}))
        for transfer_id in ended:
            self._open_transfers.discard(transfer_id)

    async def abandon(self, transfer_id: str) -> None:
        await self._database.write(Statement("forget_transfer", {"id": transfer_id}))
        self._open_transfers.discard(transfer_id)

    async def give_up(self, transfer_id: str, when: float) -> None:
        await self._database.write(Statement("give_up", {"id": transfer_id, "settled": when}))

    def given_up(self) -> AsyncIterator[Transfer]:
        return self._pages("given_up", "id", to_transfer)

    def unfinished(self) -> AsyncIterator[Transfer]:
        return self._pages("unfinished", "id", to_transfer, worker=self._database.worker)

    async def unfinished_of(self, item_id: str) -> Sequence[Transfer]:
        if await self._has_none(item_id):
            return []
        values: SqlValues = {"item_id": item_id, "worker": self._database.worker}
        return [to_transfer(row) for row in await self._database.read("unfinished_of", values)]

    async def open_of(self, item_id: str) -> Sequence[Transfer]:
        if await self._has_none(item_id):
            return []
        return [to_transfer(row) for row in await self._database.read("open_of", {"item_id": item_id})]

    async def parts(self, transfer_id: str) -> Sequence[Part]:
        return [to_part(row) for row in await self._database.read("parts", {"transfer_id": transfer_id})]

    async def _pages(self, query: str, key: str, read: Callable[[Row], T], **values: SqlValue) -> AsyncIterator[T]:
        after = _START
        while rows := await self._database.read(query, {**values, "after": after, "limit": PAGE}):
            for row in rows:
                yield read(row)
            after = rows[-1][key]


def _as_it_is(row: Row) -> Row:
    return row
