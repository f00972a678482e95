"""Copies a whole journal into an empty one. Owns which tables and columns are copied, and in which order.

The rows pass in batches. The target commits once, at the end: after kill -9 it is as empty as before, and the copy can
be repeated.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from types import NoneType
from typing import Protocol

from mirrord.errors import JournalError
from mirrord.journal.sql.database import SqlRow

BATCH = 1_000
"""Rows in memory: some 2 MiB."""

TABLES = {
    "items": "item_id",
    "transfers": "id",
    "parts": "transfer_id, number",  # after the transfers, which they refer to
    "roots": "entry, path",
    "receivers": "receiver",
    "outbox": "number",
    "alarms": "item_id",
    "holders": "id",
    "held": "item_id",
    "options": "digest",
    "learned": "endpoint, name",
    "past_objects": "number",  # these two after the items, because triggers on those write them
    "failures": "number",
}
"""The tables in the order in which they are copied, and the order of their rows: of an index."""
BY_TRIGGERS = ("past_objects", "failures")
NUMBERED = {"outbox": "number", "holders": "id", "past_objects": "number", "failures": "number"}
"""Tables whose rows the database numbers. No number is used again: receivers of notifications order by it."""
LEFT_OUT = {
    "items": {"made_from", "folded_names", "folded_entry"},  # PostgreSQL's copy derives them
    "transfers": {"completing", "worker"},  # no longer used; no worker of the source works on
}
"""Columns that are not copied."""


class CopyEnd(Protocol):
    """A journal that is copied, or the empty one that it is copied to. Nothing else changes it meanwhile.

    All calls raise JournalError and its children.
    """

    @property
    def shown(self) -> str:
        """Where it is, without a password."""

    async def columns(self, table: str) -> Mapping[str, type]:
        """The columns of a table, and the type of their values that are not NULL: str, int or float."""

    # ── of the one that is copied ────────────────────────────────────────────────────────────────
    def rows(self, table: str, columns: Sequence[str]) -> AsyncGenerator[Sequence[SqlRow]]:
        """All rows, in batches of at most BATCH, in the order of TABLES."""

    async def last_number(self, table: str) -> int:
        """The last number that the database gave to a row of this table; 0: none."""

    async def check_held(self) -> None:
        """Raise an error if another process may have changed the journal meanwhile."""

    # ── of the other one: all calls are one transaction ──────────────────────────────────────────
    async def is_empty(self, table: str) -> bool: ...
    async def clear(self, table: str) -> None: ...
    async def add(self, table: str, columns: Mapping[str, type], rows: Sequence[SqlRow]) -> None: ...
    async def number_after(self, table: str, last: int) -> None:
        """Number the next row of this table above `last`."""

    async def commit(self) -> None: ...


async def copy_journal(source: CopyEnd, target: CopyEnd) -> Mapping[str, int]:
    """Copy everything. Returns the number of rows of each table.

    Raises JournalError if the target is not empty or the source has a value that mirrord never writes; then, and after
    any other error, nothing is copied.
    """
    await _check_empty(target)
    counts = {table: await _copy(table, source, target) for table in TABLES}
    for table in NUMBERED:
        await target.number_after(table, await source.last_number(table))
    await source.check_held()
    await target.commit()
    return counts


async def _check_empty(target: CopyEnd) -> None:
    for table in TABLES:
        if not await target.is_empty(table):
            raise JournalError(
                f"the journal {target.shown} is not empty (it has {table}): a copy would mix two journals; name "
                "another directory or database as TO, or remove this journal, if nothing needs it"
            )


async def _copy(table: str, source: CopyEnd, target: CopyEnd) -> int:
    if table in BY_TRIGGERS:
        await target.clear(table)
    kinds = await target.columns(table)
    columns = {name: kinds[name] for name in await source.columns(table) if name not in LEFT_OUT.get(table, ())}
    checked, count = _Checked(f"{table} of the journal {source.shown}", tuple(columns.values())), 0
    async with aclosing(source.rows(table, list(columns))) as batches:
        async for rows in batches:
            checked.check(rows)
            await target.add(table, columns, rows)
            count += len(rows)
    return count


class _Checked:
    """Finds values that do not fit the target's columns: SQLite keeps any. Most rows have the types of one before."""

    def __init__(self, where: str, columns: tuple[type, ...]) -> None:
        self._where = where
        self._columns = columns
        self._known = set[tuple[type, ...]]()

    def check(self, rows: Sequence[SqlRow]) -> None:
        for types in {tuple(map(type, row)) for row in rows} - self._known:
            if not all(map(_fits, types, self._columns)):
                raise JournalError(
                    f"{self._where} is damaged: a row has values that mirrord never writes; start mirrord on an empty "
                    "journal instead: every source is checked again, and nothing is deleted"
                )
            self._known.add(types)


def _fits(value: type, column: type) -> bool:
    return value in (NoneType, column) or (value is int and column is float)
