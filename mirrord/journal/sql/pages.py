"""RecordPages of records, by id or sorted.

Owns the choice of index and how much one read takes: the journal has one thread, so writers wait for each read. What no
index answers is read in steps.
"""

import heapq
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import islice

from mirrord.journal.sql.database import Database, SqlValues
from mirrord.journal.sql.rows import encode, to_record
from mirrord.model import ItemFilter, ItemOrder, ItemPlace, Record, SortKey, State

STEP = 5_000
"""Items of one read by id that may find few or none: about 20 ms of the journal's thread."""
ROWS = 20_000
"""Rows of one read in the order of the file: about 15 ms of the journal's thread."""
_START, _END = "", "~"  # before and after every id
_FIRST, _LAST = -1.0, 9e18  # before and after every value that is a number


class RecordPages:
    """Reads pages from the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # ── by id ────────────────────────────────────────────────────────────────────────────────────
    async def page(self, wanted: ItemFilter, after: str | None, limit: int) -> Sequence[Record]:
        """See `ports.Journal`."""
        query, is_exact = _query_by_id(wanted)
        read = partial(self._by_id, query, wanted)
        found: list[Record] = []
        start = after or _START
        while len(found) < limit:
            until = None if is_exact and wanted.text is None else await self._step_end(start)
            found += await read(start, until or _END, limit - len(found))
            if until is None:
                break
            start = until
        return found

    async def _step_end(self, after: str) -> str | None:
        """The last id of the next `STEP` records after `after`; None if fewer follow."""
        rows = await self._database.read("step_end", {"after": after, "step": STEP})
        return rows[0]["item_id"] if rows else None

    async def _by_id(self, query: str, wanted: ItemFilter, after: str, until: str, limit: int) -> Iterable[Record]:
        values: SqlValues = {**_values(wanted), "after": after, "until": until, "limit": limit}
        return map(to_record, await self._database.read(query, values))

    # ── sorted ────────────────────────────────────────────────────────────────────────────────────
    async def sorted_page(
        self, order: ItemOrder, wanted: ItemFilter, after: ItemPlace | None, limit: int
    ) -> list[Record]:
        """See `ports.Journal`. By `SINCE` there is an index of each state. It is used where it has exactly the items
        that are wanted, and of states with few items."""
        if order.by is SortKey.SINCE and await self._is_quick(wanted):
            return await self._by_since(order, wanted, after, limit)
        return await self._by_scan(order, wanted, after, limit)

    async def _is_quick(self, wanted: ItemFilter) -> bool:
        if wanted.entry is None and wanted.text is None:
            return True
        if wanted.state is None:
            return False
        return not await self._database.read("has_many", {"state": wanted.state.value, "many": STEP})

    async def _by_since(
        self, order: ItemOrder, wanted: ItemFilter, after: ItemPlace | None, limit: int
    ) -> list[Record]:
        """Of all states: the first ones of each state, merged."""
        states = State if wanted.state is None else (wanted.state,)
        start = after or ItemPlace(_LAST if order.descending else _FIRST, _END if order.descending else _START)
        found = [await self._of_state(order, wanted._replace(state=state), start, limit) for state in states]
        merged = heapq.merge(*found, key=lambda one: order.place_of(one)[:2], reverse=order.descending)
        return list(islice(merged, limit))

    async def _of_state(self, order: ItemOrder, wanted: ItemFilter, after: ItemPlace, limit: int) -> list[Record]:
        query = "state_by_since_descending" if order.descending else "state_by_since"
        values: SqlValues = {**_values(wanted), "value": after.value, "item_id": after.item_id, "limit": limit}
        return [to_record(row) for row in await self._database.read(query, values)]

    async def _by_scan(self, order: ItemOrder, wanted: ItemFilter, after: ItemPlace | None, limit: int) -> list[Record]:
        """Reads every row once, in the order of the file, and keeps the first `limit` places."""
        values: dict[str, str | bytes | int | float | None] = {
            **_values(wanted),
            "by": order.by.value,
            "descending": order.descending,
            "missing": order.missing,
            "item_id": None if after is None else after.item_id,
            "value": None if after is None else _sql_value(after.value),
            "step": ROWS,
            "limit": limit,
        }
        best: list[tuple[float | str, str]] = []
        first = heapq.nlargest if order.descending else heapq.nsmallest
        for start in range(0, await self._last_row(), ROWS):
            rows = await self._database.read("sorted_ids", {**values, "start": start})
            best = first(limit, [*best, *((row["value"], row["item_id"]) for row in rows)])
        found = await self._as_read(order, wanted, best)
        if len(found) < len(best) == limit:
            found += await self._by_scan(order, wanted, ItemPlace(*best[-1]), limit - len(found))
        return found

    async def _last_row(self) -> int:
        (row,) = await self._database.read("last_row", {})
        return int(row["last"] or 0)

    async def _as_read(self, order: ItemOrder, wanted: ItemFilter, best: list[tuple[float | str, str]]) -> list[Record]:
        """The records at these places, without those that have another one meanwhile: a page that ended with such a
        place would hide what is between both."""
        found = await self._recorded([item_id for _, item_id in best])
        values, by_object = {item_id: value for value, item_id in best}, order.by is SortKey.OBJECT
        return [
            one
            for one in found
            if wanted.state in (None, one.condition.state)
            and (by_object or order.place_of(one).value == values[one.item_id])
        ]

    async def _recorded(self, item_ids: list[str]) -> list[Record]:
        """The records of these items in this order, without those that left meanwhile."""
        rows = await self._database.read("recorded", {"item_ids": self._database.many(item_ids)})
        found = {row["item_id"]: to_record(row) for row in rows}
        return [found[item_id] for item_id in item_ids if item_id in found and found[item_id].removed is None]


def _query_by_id(wanted: ItemFilter) -> tuple[str, bool]:
    """The query for a page by id, and whether its index has exactly the items of that state and entry."""
    if wanted.state is not None and wanted.state is not State.SYNCED:
        return "page_out_of_sync", True
    if wanted.entry is not None:
        return "page_of_entry", wanted.state is None
    return "page", False


def _values(wanted: ItemFilter) -> dict[str, str | bytes | None]:
    return {
        "state": None if wanted.state is None else wanted.state.value,
        "entry": None if wanted.entry is None else encode(wanted.entry),
        "text": None if wanted.text is None else encode(wanted.text),
    }


def _sql_value(value: float | str) -> float | str | bytes:
    """As `sorted_ids` compares it: of an object, without the scheme."""
    return value if isinstance(value, float) else encode(value.removeprefix("s3://"))
