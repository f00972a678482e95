"""A fake of Journal, in memory, with the same contract."""

import time
from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, Self

from mirrord.aio import cooperatively
from mirrord.errors import JournalError
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
    mentions,
)
from mirrord.planning.decisions.unchanged import RecordedFile, SeenFile, UnchangedRule, unchanged_record
from mirrord.ports.journal import MAX_MADE_FROM
from mirrord.testing.history import with_change
from mirrord.testing.outbox import MemoryOutbox

STEP = 3
"""Items of one `entry_counts`."""


class MemoryJournal:
    """`ports.Journal` in memory. Its content stays after `async with`, and is lost with the object."""

    def __init__(self) -> None:
        self._records: dict[str, Record] = {}
        self._transfers: dict[str, Transfer] = {}
        self._parts: dict[str, dict[int, Part]] = {}
        self._learned: dict[tuple[str, str], LearnedFact] = {}
        self._roots: dict[tuple[str, str], tuple[int, int]] = {}
        self._held: dict[str, Holder] = {}
        self._history: dict[str, History] = {}
        self._written: float | None = None
        self._options: dict[str, ObjectOptions] = {}
        self.outbox = MemoryOutbox(self._records)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        return None

    async def record(self, item_id: str) -> Record | None:
        return self._records.get(item_id)

    async def read_ahead(self, item_ids: Collection[str]) -> None:
        """Nothing to do: all records are in memory."""

    async def recorded(self, item_ids: Collection[str]) -> dict[str, Record]:
        return {item_id: self._records[item_id] for item_id in item_ids if item_id in self._records}

    async def history(self, item_id: str) -> History:
        return self._history.get(item_id, History())

    async def recorded_etags(self, item_ids: Collection[str]) -> dict[str, RecordedETag]:
        found = {item_id: record.object for item_id, record in (await self.recorded(item_ids)).items()}
        return {
            item_id: RecordedETag(one.size, one.etag, one.listed_etag)
            for item_id, one in found.items()
            if one.etag is not None
        }

    async def recorded_schedules(self, item_ids: Collection[str]) -> dict[str, RecordedSchedule]:
        return {item_id: record.schedule for item_id, record in (await self.recorded(item_ids)).items()}

    async def unchanged(self, files: Mapping[str, SeenFile], rule: UnchangedRule) -> dict[str, RecordedFile]:
        with_transfer = {one.item_id for one in self._transfers.values()}
        records = {
            item_id: unchanged_record(rule, seen, self._records.get(item_id), transfers=item_id in with_transfer)
            for item_id, seen in files.items()
        }
        return {item_id: one for item_id, one in records.items() if one is not None}

    async def new_files(self, files: Mapping[str, FileIdentity], endpoint: str) -> list[str]:
        with_transfer = {one.item_id for one in self._transfers.values()}
        return [
            item_id
            for item_id, file in files.items()
            if item_id not in self._records
            and item_id not in with_transfer
            and not await self.made_from(file, endpoint)
        ]

    async def dates(self, sources: Collection[str]) -> dict[str, float]:
        wanted, found = frozenset(sources), dict[str, float]()
        for one in self._records.values():
            counts = one.removed is None or one.object.etag is not None
            if one.dated is not None and counts and one.source in wanted:
                found[one.source] = min(one.dated, found.get(one.source, one.dated))
        return found

    async def options(self, digest: str) -> ObjectOptions | None:
        return self._options.get(digest)

    async def remember_options(self, digest: str, options: ObjectOptions) -> None:
        self._options[digest] = options

    async def save(self, record: Record) -> None:
        await self.save_all([record])

    async def save_all(self, records: Sequence[Record]) -> None:
        self._save(records, ())

    def _save(self, records: Sequence[Record], finished: Sequence[str]) -> None:
        self.outbox.changed(records, finished)
        for record in records:
            before, known = self._records.get(record.item_id), self._history.get(record.item_id, History())
            record = self._dated(before, record)
            self._history[record.item_id] = with_change(known, before, record, time.time())
            self._records[record.item_id] = record
        self._written = time.time()

    def _dated(self, before: Record | None, record: Record) -> Record:
        """The record with the start of the transfer that wrote its object."""
        transfer_id = record.object.transfer_id
        transfer = self._transfers.get(transfer_id) if transfer_id is not None else None
        began = transfer.started if transfer is not None else None
        if began is None and before is not None and before.object.transfer_id == transfer_id:
            began = before.object.began
        return replace(record, object=replace(record.object, began=began))

    async def retire(self, item_ids: Sequence[str], when: float) -> None:
        known = [self._records[item_id] for item_id in item_ids if item_id in self._records]
        self._records |= {one.item_id: replace(one, removed=when) for one in known if one.removed is None}
        await self.outbox.not_stale(item_ids)
        self._written = time.time()

    async def records(self) -> AsyncIterator[Record]:
        for item_id in sorted(self._records):
            yield self._records[item_id]

    async def item_ids_outside(self, entries: Collection[str]) -> AsyncIterator[str]:
        async for record in cooperatively(list(self._records.values())):
            if record.removed is None and record.entry not in entries:
                yield record.item_id

    async def page(
        self,
        *,
        state: State | None = None,
        entry: str | None = None,
        text: str | None = None,
        after: str | None = None,
        limit: int = 100,
    ) -> Sequence[Record]:
        found = (
            record
            for item_id, record in sorted(self._records.items())
            if (after is None or item_id > after)
            and record.removed is None
            and state in (None, record.condition.state)
            and entry in (None, record.entry)
            and (text is None or mentions(text, record.destination.key, record.source, record.entry))
        )
        return list(islice(found, limit))

    async def sorted_page(
        self, order: ItemOrder, wanted: ItemFilter = EVERY, after: ItemPlace | None = None, limit: int = 100
    ) -> Sequence[Record]:
        found = await self.page(state=wanted.state, entry=wanted.entry, text=wanted.text, limit=len(self._records))
        places = [(order.place_of(record), record) for record in found]
        behind = [(place, record) for place, record in places if order.is_after(place, after)]
        behind.sort(key=lambda one: one[0][:2], reverse=order.descending)
        return [record for _, record in behind[:limit]]

    async def count(self, entry: str) -> int:
        return sum(record.entry == entry and record.removed is None for record in self._records.values())

    async def entry_counts(self, entry: str, after: str | None = None) -> EntryCounts:
        found = await self.page(entry=entry, after=after, limit=STEP)
        size = sum(record.object.size or 0 for record in found)
        last = found[-1].item_id if len(found) == STEP else None
        return EntryCounts(Counter(record.condition.state for record in found), size, last)

    async def totals(self) -> Mapping[State, int]:
        return Counter(record.condition.state for record in self._records.values() if record.removed is None)

    async def last_written(self) -> float | None:
        return self._written

    async def made_from(self, file: FileIdentity, endpoint: str) -> Sequence[Record]:
        same = (file.inode, file.size, file.mtime_ns)
        found = (
            record
            for record in self._records.values()
            if record.destination.endpoint == endpoint
            and record.revision is not None
            and (then := record.revision.file) is not None
            and (then.inode, then.size, then.mtime_ns) == same
        )
        return list(islice(found, MAX_MADE_FROM))

    async def folder_root(self, entry: str, path: str) -> tuple[int, int] | None:
        return self._roots.get((entry, path))

    async def save_folder_root(self, entry: str, path: str, root: tuple[int, int]) -> None:
        self._roots[entry, path] = root
        self._written = time.time()

    async def learned(self, since: float) -> Sequence[LearnedFact]:
        return [fact for _, fact in sorted(self._learned.items()) if fact.when >= since]

    async def learn(self, fact: LearnedFact) -> None:
        self._learned[fact.endpoint, fact.name] = fact
        self._written = time.time()

    async def held(self) -> AsyncIterator[tuple[str, Holder]]:
        async for item_id, holder in cooperatively(sorted(self._held.items())):
            yield item_id, holder

    async def held_objects(self, entry: str, file: str) -> int:
        mine = (item_id for item_id, holder in self._held.items() if (holder.entry, holder.file) == (entry, file))
        known = (self._records.get(item_id) for item_id in mine)
        return sum(record is not None and record.object.etag is not None for record in known)

    async def small_entries(self, file: str, most: int) -> Mapping[str, int]:
        entries = {holder.entry for holder in self._held.values() if holder.file == file}
        counts = {entry: await self.held_objects(entry, file) for entry in entries}
        return {entry: count for entry, count in counts.items() if 0 < count <= most}

    async def hold(self, items: Mapping[Holder, Sequence[str]]) -> None:
        for holder, item_ids in items.items():
            self._held |= dict.fromkeys(item_ids, holder)
            known = (self._records[item_id] for item_id in item_ids if item_id in self._records)
            await self.save_all([replace(record, entry=holder.entry) for record in known])

    async def rename(self, entry: str, item_ids: Sequence[str]) -> None:
        known = [self._records[item_id] for item_id in item_ids if item_id in self._records]
        self._records |= {record.item_id: replace(record, entry=entry) for record in known}
        self._written = time.time()

    async def release(self, item_ids: Sequence[str]) -> None:
        for item_id in item_ids:
            self._held.pop(item_id, None)
        self._written = time.time()

    async def begin(self, transfer: Transfer) -> None:
        await self.begin_all([transfer])

    async def begin_all(self, transfers: Sequence[Transfer]) -> None:
        new = {one.id: one for one in transfers}
        if known := self._transfers.keys() & new or len(new) < len(transfers):
            raise JournalError(f"a transfer is known already: {known}")
        self._transfers |= new
        self._parts |= {transfer_id: {} for transfer_id in new}
        self._written = time.time()

    async def opened(self, transfer_id: str, upload_id: str) -> None:
        self._change(transfer_id, upload_id=upload_id)

    async def part_done(self, transfer_id: str, part: Part) -> None:
        if transfer_id in self._transfers:
            self._parts[transfer_id][part.number] = part
            self._written = time.time()

    async def completing(self, transfer_id: str, whole: Checksum | None, when: float) -> None:
        self._change(transfer_id, whole=whole, complete_requested=when)

    async def complete_refused(self, transfer_id: str) -> None:
        self._change(transfer_id, complete_requested=None)

    async def finish(self, transfer_id: str, record: Record) -> None:
        await self.finish_all([(transfer_id, record)])

    async def finish_all(self, finished: Sequence[tuple[str, Record]]) -> None:
        self._save([record for _, record in finished], [transfer_id for transfer_id, _ in finished])
        for transfer_id, _ in finished:
            await self.abandon(transfer_id)

    async def abandon(self, transfer_id: str) -> None:
        self._transfers.pop(transfer_id, None)
        self._parts.pop(transfer_id, None)
        self._written = time.time()

    async def give_up(self, transfer_id: str, when: float) -> None:
        if transfer_id in self._transfers and self._transfers[transfer_id].progress.given_up is None:
            self._change(transfer_id, given_up=when)

    async def given_up(self) -> AsyncIterator[Transfer]:
        for transfer_id in sorted(self._transfers):
            if (transfer := self._transfers.get(transfer_id)) and transfer.progress.given_up is not None:
                yield transfer

    async def unfinished(self) -> AsyncIterator[Transfer]:
        for transfer_id in sorted(self._transfers):
            if (transfer := self._transfers.get(transfer_id)) and transfer.progress.given_up is None:
                yield transfer

    async def unfinished_of(self, item_id: str) -> Sequence[Transfer]:
        return [one for one in await self.open_of(item_id) if one.progress.given_up is None]

    async def open_of(self, item_id: str) -> Sequence[Transfer]:
        found = [one for one in self._transfers.values() if one.item_id == item_id]
        return sorted(found, key=lambda transfer: (transfer.started, transfer.id))

    async def parts(self, transfer_id: str) -> Sequence[Part]:
        return [part for _, part in sorted(self._parts.get(transfer_id, {}).items())]

    def _change(self, transfer_id: str, **changes: Any) -> None:
        if transfer := self._transfers.get(transfer_id):
            self._transfers[transfer_id] = replace(transfer, progress=replace(transfer.progress, **changes))
            self._written = time.time()
