"""`ports.Journal` on one SQLite file: which statements each step is, and what is committed together."""

import json
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from sqlite3 import Row as SqlRow
from typing import Self, TypeVar

from mirrord.journal.sqlite.database import Database, Statement
from mirrord.journal.sqlite.rows import (
    Row,
    encode,
    from_checksum,
    from_file,
    from_part,
    from_record,
    from_transfer,
    to_part,
    to_record,
    to_transfer,
)
from mirrord.model import Checksum, FileIdentity, Part, Record, State, Transfer
from mirrord.ports.journal import NAMES_OF_A_FILE

PAGE = 500  # rows held at a time by an iterator: about 1 MiB

PIECE = 5_000  # items of one read while a text is looked for: about 20 ms of the journal's thread
_START, _END = "", "~"  # before and after every id

_PAGES = {
    (False, False): "page",
    (False, True): "page_of_state",
    (True, False): "page_of_entry",
    (True, True): "page_of_entry_and_state",
}

T = TypeVar("T")


class SqliteJournal:
    """The journal of one machine, in a file (0600) of the state directory (made 0700), both made where missing.

    A call that has returned survives kill -9. Entering raises JournalTooNew for a journal of a newer mirrord,
    JournalUnavailable when disk or permissions refuse, JournalError with a remedy for a damaged file; an older schema
    is migrated. Whoever writes holds the StateLock. A full disk raises JournalUnavailable until there is space again.

    `read_only` writes nothing, needs no lock, reads beside a live daemon, and is empty where no journal is.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self._database = Database(path, read_only=read_only)

    async def __aenter__(self) -> Self:
        await self._database.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._database.__aexit__(*exc)

    async def record(self, item_id: str) -> Record | None:
        rows = await self._database.read("record", {"item_id": item_id})
        return to_record(rows[0]) if rows else None

    async def recorded(self, item_ids: Collection[str]) -> dict[str, Record]:
        rows = await self._database.read("recorded", {"item_ids": json.dumps(list(item_ids))})
        return {row["item_id"]: to_record(row) for row in rows}

    async def dates(self, sources: Collection[str]) -> dict[str, float]:
        rows = await self._database.read("dates", {"sources": json.dumps(list(sources))})
        return {row["source"]: row["dated"] for row in rows}

    async def save(self, record: Record) -> None:
        await self._database.write(Statement("save_record", from_record(record)))

    async def save_all(self, records: Sequence[Record]) -> None:
        await self._database.write(*(Statement("save_record", from_record(record)) for record in records))

    async def retire(self, item_ids: Sequence[str], when: float) -> None:
        leave = (Statement("retire", {"item_id": item_id, "removed": when}) for item_id in item_ids)
        await self._database.write(*leave)

    def records(self) -> AsyncIterator[Record]:
        """Each page is a moment of its own: a record saved meanwhile is seen as it was or as it is."""
        return self._pages("records", "item_id", to_record)

    async def item_ids_outside(self, entries: Collection[str]) -> AsyncIterator[str]:
        """See `ports.Journal`. An index alone answers: a million items of these entries take a fraction of a second."""
        known, entry, after = json.dumps(list(entries)), "", _START
        while rows := await self._database.read(
            "item_ids_outside", {"entries": known, "entry": encode(entry), "after": after, "limit": PAGE}
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
        """See `ports.Journal`. A text is looked for in one piece after another, so that writers get their turn."""
        read = partial(self._page, _PAGES[entry is not None, state is not None], state, entry, text)
        found: list[Record] = []
        start = after or _START
        while len(found) < limit:
            until = None if text is None else await self._reach(start)
            found += await read(start, until or _END, limit - len(found))
            if until is None:
                break
            start = until
        return found

    async def _reach(self, after: str) -> str | None:
        """Where a piece of the items after `after` ends; None if there is no full piece."""
        rows = await self._database.read("reach", {"after": after, "piece": PIECE})
        return rows[0]["item_id"] if rows else None

    async def _page(
        self, query: str, state: State | None, entry: str | None, text: str | None, after: str, until: str, limit: int
    ) -> Iterable[Record]:
        asked: Row = {
            "state": None if state is None else state.value,
            "entry": None if entry is None else encode(entry),
            "text": None if text is None else encode(text),
            "after": after,
            "until": until,
            "limit": limit,
        }
        return map(to_record, await self._database.read(query, asked))

    async def count(self, entry: str) -> int:
        rows = await self._database.read("count", {"entry": encode(entry)})
        return int(rows[0]["count"]) if rows else 0

    async def totals(self) -> Mapping[State, int]:
        return {State(row["state"]): row["count"] for row in await self._database.read("totals", {})}

    async def last_written(self) -> float | None:
        return await self._database.last_written()

    async def made_from(self, file: FileIdentity, endpoint: str) -> Sequence[Record]:
        """See `ports.Journal`. An index answers."""
        asked: Row = {"file": from_file(file), "endpoint": encode(endpoint), "limit": NAMES_OF_A_FILE}
        return [to_record(row) for row in await self._database.read("made_from", asked)]

    async def folder_root(self, entry: str, path: str) -> tuple[int, int] | None:
        rows = await self._database.read("folder_root", {"entry": encode(entry), "path": encode(path)})
        return (int(rows[0]["device"]), int(rows[0]["inode"])) if rows else None

    async def save_folder_root(self, entry: str, path: str, root: tuple[int, int]) -> None:
        device, inode = map(str, root)
        values: Row = {"entry": encode(entry), "path": encode(path), "device": device, "inode": inode}
        await self._database.write(Statement("save_folder_root", values))

    async def begin(self, transfer: Transfer) -> None:
        await self._database.write(Statement("begin_transfer", from_transfer(transfer)))

    async def opened(self, transfer_id: str, upload_id: str) -> None:
        await self._database.write(Statement("opened", {"id": transfer_id, "upload_id": upload_id}))

    async def part_done(self, transfer_id: str, part: Part) -> None:
        await self._database.write(Statement("part_done", from_part(transfer_id, part)))

    async def completing(self, transfer_id: str, whole: Checksum | None, when: float) -> None:
        values: Row = {"id": transfer_id, "complete_requested": when, **from_checksum(whole, "whole")}
        await self._database.write(Statement("completing", values))

    async def complete_refused(self, transfer_id: str) -> None:
        await self._database.write(Statement("complete_refused", {"id": transfer_id}))

    async def finish(self, transfer_id: str, record: Record) -> None:
        await self._database.write(
            Statement("forget_transfer", {"id": transfer_id}), Statement("save_record", from_record(record))
        )

    async def abandon(self, transfer_id: str) -> None:
        await self._database.write(Statement("forget_transfer", {"id": transfer_id}))

    async def give_up(self, transfer_id: str, when: float) -> None:
        await self._database.write(Statement("give_up", {"id": transfer_id, "settled": when}))

    def given_up(self) -> AsyncIterator[Transfer]:
        return self._pages("given_up", "id", to_transfer)

    def unfinished(self) -> AsyncIterator[Transfer]:
        return self._pages("unfinished", "id", to_transfer)

    async def unfinished_of(self, item_id: str) -> Sequence[Transfer]:
        return [to_transfer(row) for row in await self._database.read("unfinished_of", {"item_id": item_id})]

    async def open_of(self, item_id: str) -> Sequence[Transfer]:
        return [to_transfer(row) for row in await self._database.read("open_of", {"item_id": item_id})]

    async def parts(self, transfer_id: str) -> Sequence[Part]:
        return [to_part(row) for row in await self._database.read("parts", {"transfer_id": transfer_id})]

    async def _pages(self, query: str, key: str, read: Callable[[SqlRow], T]) -> AsyncIterator[T]:
        after = _START
        while rows := await self._database.read(query, {"after": after, "limit": PAGE}):
            for row in rows:
                yield read(row)
            after = rows[-1][key]
