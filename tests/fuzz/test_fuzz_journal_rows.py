"""Journals with rows that were edited by hand, in every table: each read gives values of its types, or JournalError."""

import asyncio
import dataclasses
import sqlite3
import types
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import strategies as st

from mirrord.errors import JournalError
from mirrord.journal.sqlite import SqliteJournal
from mirrord.model import (
    FileIdentity,
    History,
    Holder,
    LearnedFact,
    Notice,
    Notification,
    ObjectOptions,
    OutboxCounts,
    OutboxRow,
    Part,
    Record,
    RecordedSchedule,
    State,
    Transfer,
)
from tests.support.fuzzing import explained, fuzz
from tests.support.journals import FULL, FULL_TRANSFER, part, transfer
from tests.support.records import with_fields

ITEM = FULL.item_id
FILE = FileIdentity(1, 2, 3, 4, 5)
HOSTILE = [
    *("", "Synced", "Blocked", "{}", "[]", "null", "true", "1", "1e999", "\0", "\ud800", "x" * 10_000, "[" * 5_000),
    *('{"address": 1}', '{"address": "a", "file": [1]}', '{"address": "a", "file": [1, 2, 3, 4, "5"]}'),
    *('{"address": "a", "length": -1}', '{"address": "a", "length": 1e400}', '{"address": "a", "departs": "no"}'),
    *('{"address": "a", "file": null}', '{"address": "a", "etag": {}}', '{"address": "a", "b": 1}', '{"address": "a"}'),
    *(
        '{"metadata": ["a"]}',
        '{"metadata": {"a": 1}}',
        '{"tags": "a"}',
        '{"acl": 1}',
        '{"retain": "x"}',
        '{"retain": null}',
    ),
    *(0, -1, 1, 2**63 - 1, -(2**63), 0.5, 1e18, 1e300, float("inf"), float("-inf"), b"", b"\xff", None),
]
VALUES = st.sampled_from(HOSTILE) | st.one_of(
    st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.text(max_size=20), st.binary(max_size=20)
)
LATEST = 253_402_300_800.0
"""The year 10000: `datetime` has no later times."""


async def _written(path: Path) -> None:
    async with SqliteJournal(path) as journal:
        notice = Notification(id="n", name=Notice.ITEM_BLOCKED, about=ITEM, subject="s3://b/k", time=1.0, data="{}")
        await journal.outbox.send_to({"r": list(Notice)})
        await journal.save(with_fields(FULL, removed=None, revision=dataclasses.replace(FULL.revision, file=FILE)))
        await journal.save(with_fields(FULL, removed=None, transfer_id="t-9", etag='"other"', message="again"))
        journal.outbox.announce(notice)
        await journal.outbox.flush()
        await journal.outbox.announce_stale(notice)
        for number, given_up in ((1, None), (2, 9.0)):
            await journal.begin(with_fields(transfer(number), item_id=ITEM))
            await journal.completing(f"t-{number}", FULL_TRANSFER.progress.whole, 5.0)
            await journal.part_done(f"t-{number}", part(1))
            if given_up:
                await journal.give_up(f"t-{number}", given_up)
        await journal.remember_options("d", ObjectOptions(acl="private", metadata={"a": "b"}, retain=5.0))
        await journal.hold({Holder(file="/m.yaml", entry="e", most=0.5): [ITEM]})
        await journal.save_folder_root("e", "/in", (1, 2))
        await journal.learn(LearnedFact(endpoint="http://s", name="acl", server="s", text="", when=9.0))


async def _all(found: AsyncIterator[Any]) -> list[Any]:
    return [one async for one in found]


READS: dict[str, tuple[Callable[[SqliteJournal], Awaitable[Any]], Any]] = {
    "record": (lambda journal: journal.record(ITEM), Record | None),
    "recorded": (lambda journal: journal.recorded([ITEM]), Mapping[str, Record]),
    "records": (lambda journal: _all(journal.records()), Sequence[Record]),
    "page": (lambda journal: journal.page(state=State.BLOCKED), Sequence[Record]),
    "search": (lambda journal: journal.page(text="geo"), Sequence[Record]),
    "made from": (lambda journal: journal.made_from(FILE, "http://127.0.0.1:9000"), Sequence[Record]),
    "history": (lambda journal: journal.history(ITEM), History),
    "schedules": (lambda journal: journal.recorded_schedules([ITEM]), Mapping[str, RecordedSchedule]),
    "dates": (lambda journal: journal.dates([FULL.source]), Mapping[str, float]),
    "options": (lambda journal: journal.options("d"), ObjectOptions | None),
    "totals": (lambda journal: journal.totals(), Mapping[State, int]),
    "held": (lambda journal: _all(journal.held()), Sequence[tuple[str, Holder]]),
    "root": (lambda journal: journal.folder_root("e", "/in"), tuple[int, int] | None),
    "learned": (lambda journal: journal.learned(0.0), Sequence[LearnedFact]),
    "given up": (lambda journal: _all(journal.given_up()), Sequence[Transfer]),
    "unfinished": (lambda journal: _all(journal.unfinished()), Sequence[Transfer]),
    "open": (lambda journal: journal.open_of(ITEM), Sequence[Transfer]),
    "parts": (lambda journal: journal.parts("t-1"), Sequence[Part]),
    "due": (lambda journal: journal.outbox.due("r", 1e9, 9), Sequence[OutboxRow]),
    "counts": (lambda journal: journal.outbox.counts(), Mapping[str, OutboxCounts]),
}


def is_typed(value: Any, wanted: Any) -> bool:
    """Whether the value is of its declared type, deeply; floats are times or shares that can be shown."""
    origin, arguments = get_origin(wanted), get_args(wanted)
    if origin in (Union, types.UnionType):
        return any(is_typed(value, one) for one in arguments)
    if origin is tuple and arguments[-1] is not ...:
        return isinstance(value, tuple) and len(value) == len(arguments) and all(map(is_typed, value, arguments))
    if origin is not None and issubclass(origin, Mapping):
        key, kept = arguments
        return isinstance(value, Mapping) and all(is_typed(k, key) and is_typed(v, kept) for k, v in value.items())
    if origin is not None:
        return isinstance(value, Sequence) and all(is_typed(one, arguments[0]) for one in value)
    if wanted is float:
        return type(value) in (int, float) and isfinite(value) and abs(value) < LATEST
    if dataclasses.is_dataclass(wanted) or hasattr(wanted, "_fields"):
        hints = get_type_hints(wanted)
        return isinstance(value, wanted) and all(is_typed(getattr(value, name), hint) for name, hint in hints.items())
    return value is None if wanted is types.NoneType else isinstance(value, wanted)


async def _read(path: Path) -> None:
    try:
        async with SqliteJournal(path, read_only=True) as journal:
            for name, (read, wanted) in READS.items():
                try:
                    found = await read(journal)
                except JournalError as error:
                    explained(error)
                else:
                    assert is_typed(found, wanted), (name, found)
    except JournalError as error:
        explained(error)


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    path = tmp_path / "state" / "state.db"
    asyncio.run(_written(path))
    return path


def _columns(path: Path) -> list[tuple[str, str]]:
    connection = sqlite3.connect(path)
    tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    found = [
        (table, row[1])
        for table in tables
        if not table.startswith("sqlite_")
        for row in connection.execute(f"PRAGMA table_info({table})")
    ]
    assert all(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table, _ in found), tables
    connection.close()
    return found


def test_rows_of_every_table(journal: Path) -> None:
    columns, whole = _columns(journal), journal.read_bytes()

    def check(edits: list[tuple[tuple[str, str], Any]]) -> None:
        journal.write_bytes(whole)
        connection = sqlite3.connect(journal)
        try:
            for (table, column), value in edits:
                given = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
                cast = "CAST(? AS TEXT)" if isinstance(value, str) else "?"
                connection.execute(f"UPDATE OR IGNORE {table} SET {column} = {cast}", (given,))
            connection.commit()
        except sqlite3.Error:
            return
        finally:
            connection.close()
        asyncio.run(_read(journal))

    fuzz(st.lists(st.tuples(st.sampled_from(columns), VALUES), min_size=1, max_size=3), check, examples=150)
