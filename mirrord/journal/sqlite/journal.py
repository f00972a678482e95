"""`ports.Journal` on one SQLite file: which statements each step is, and what is committed together."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from sqlite3 import Row
from typing import Self, TypeVar

from mirrord.journal.sqlite.database import Database, Statement
from mirrord.journal.sqlite.rows import from_record, from_transfer, to_record, to_transfer
from mirrord.model import Copied, Record, Transfer

PAGE = 500  # rows held at a time by an iterator: about 1 MiB

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

    async def save(self, record: Record) -> None:
        await self._database.write(Statement("save_record", from_record(record)))

    def records(self) -> AsyncIterator[Record]:
        """Each page is a moment of its own: a record saved meanwhile is seen as it was or as it is."""
        return self._pages("records", "item_id", to_record)

    async def begin(self, transfer: Transfer) -> None:
        await self._database.write(Statement("begin_transfer", from_transfer(transfer)))

    async def finish(self, transfer_id: str, copied: Copied, record: Record) -> None:  # noqa: ARG002
        """`copied` is for journals that keep a history: what stands of it is in the record."""
        await self._database.write(
            Statement("settle_transfer", {"id": transfer_id}), Statement("save_record", from_record(record))
        )

    async def abandon(self, transfer_id: str) -> None:
        await self._database.write(Statement("settle_transfer", {"id": transfer_id}))

    def unfinished(self) -> AsyncIterator[Transfer]:
        return self._pages("unfinished", "id", to_transfer)

    async def _pages(self, query: str, key: str, read: Callable[[Row], T]) -> AsyncIterator[T]:
        after = ""
        while rows := await self._database.read(query, {"after": after, "limit": PAGE}):
            for row in rows:
                yield read(row)
            after = rows[-1][key]
