"""Rows of the journal's small tables, and of queries that count: converted to values and back. Pure.

`rows` has those of items and transfers.
"""

from collections.abc import Sequence

from mirrord.journal.sql import row_types
from mirrord.journal.sql.database import Row, SqlValue
from mirrord.journal.sql.rows import encode
from mirrord.model import EntryCounts, Holder, LearnedFact, OutboxCounts, State

_UNNAMED = -1.0


def from_holder(holder: Holder) -> dict[str, SqlValue]:
    return {
        "file": encode(holder.file),
        "entry": encode(holder.entry),
        "most": _UNNAMED if holder.most is None else holder.most,
        "suspended": holder.suspended,
    }


@row_types.guarded
def to_holder(row: Row) -> Holder:
    row_types.HOLDER.check(row)
    most = None if row["most"] == _UNNAMED else row["most"]
    return Holder(file=row["file"], entry=row["entry"], most=most, suspended=bool(row["suspended"]))


@row_types.guarded
def to_item_id(row: Row) -> str:
    if type(row["item_id"]) is not str:
        raise TypeError("item_id")
    return row["item_id"]


@row_types.guarded
def to_learned(row: Row) -> LearnedFact:
    row_types.LEARNED.check(row)
    return LearnedFact(
        endpoint=row["endpoint"], name=row["name"], server=row["server"], text=row["text"], when=row["learned"]
    )


@row_types.guarded
def to_root(row: Row) -> tuple[int, int]:
    return int(row["device"]), int(row["inode"])


@row_types.guarded
def to_total(row: Row) -> tuple[State, int]:
    return State(row["state"]), row["count"]


def to_entry_counts(rows: Sequence[Row], step: int) -> EntryCounts:
    """Of the counts by state of up to `step` items."""
    counts = [to_entry_count(row) for row in rows]
    more = sum(count for _, count, _, _ in counts) >= step
    return EntryCounts(
        {state: count for state, count, _, _ in counts},
        sum(size for _, _, size, _ in counts),
        max(last for _, _, _, last in counts) if more else None,
    )


@row_types.guarded
def to_entry_count(row: Row) -> tuple[State, int, int, str]:
    if type(row["size"]) is not int or type(row["last"]) is not str:
        raise TypeError("size or item_id")
    return State(row["state"]), row["count"], row["size"], row["last"]


@row_types.guarded
def to_date(row: Row) -> tuple[str, float]:
    if type(row["dated"]) not in (float, int):
        raise TypeError("dated")
    row_types.check_time(row["dated"])
    return row["source"], row["dated"]


@row_types.guarded
def to_counts(row: Row) -> tuple[str, OutboxCounts]:
    row_types.RECEIVER.check(row)
    return row["receiver"], OutboxCounts(row["waiting"], row["dead"], row["dropped"], row["error"])
