"""`mirrord state copy` between SQLite and a real PostgreSQL: everything arrives, and nothing is mixed or half."""

import dataclasses
import sqlite3
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import psycopg
import pytest

from mirrord.engine.state_copy import copied
from mirrord.errors import JournalError, JournalLocked, JournalTooNew
from mirrord.journal.lock import StateLock
from mirrord.journal.postgres import Lease, PostgresCopy, WorkerLease, address_of, migrate
from mirrord.journal.postgres.derived import DERIVED
from mirrord.journal.postgres.schema import VERSION_TABLE
from mirrord.journal.sql.copying import LEFT_OUT, NUMBERED, TABLES
from mirrord.journal.sql.database import SqlRow
from mirrord.journal.sqlite import SqliteJournal
from mirrord.journal.sqlite.copying import SqliteCopy
from mirrord.model import (
    FileIdentity,
    Holder,
    LearnedFact,
    Notice,
    Notification,
    ObjectOptions,
    Secret,
    State,
)
from mirrord.ports import Journal
from tests.support.journals import FULL, FULL_TRANSFER, every, part, record, transfer
from tests.support.postgres import LeasedJournal, PostgresServer
from tests.support.records import with_fields

ROOT = Path(__file__).parents[2]
OF_PROCESSES = {"lease", "tickets", "reports", VERSION_TABLE}
"""Tables of PostgreSQL that belong to running processes, or to the schema: not to the journal's content."""
ODD = "a\0b\ud800c \N{LATIN SMALL LETTER SHARP S}É\U0001f600"
KEY = ODD.replace("\ud800", "")
SOURCE = "file:///" + ODD.replace("\0", "")
LONG = "x" * 20_000
MANY = 2_300
"""Items: three batches."""
FILE = FileIdentity(2**64 - 1, 2**64 - 2, 2**62, -1, 5)
LATE = 9e9


def sql(uri: str, text: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(uri, autocommit=True) as connection:
        cursor = connection.execute(text.encode())
        return cursor.fetchall() if cursor.description else []


def noticed(about: str, number: int, subject: str = ODD) -> Notification:
    return Notification(
        id=f"n-{number}", name=Notice.ITEM_BLOCKED, about=about, subject=subject, time=number + 0.25, data="{}"
    )


async def fill(journal: Journal) -> None:
    """Rows in every table, of every kind."""
    await journal.outbox.send_to({"hook": list(Notice), "other": list(Notice)})
    await journal.save(FULL)
    await journal.save(with_fields(FULL, transfer_id="t-9", etag='"newer"', message="another failure", removed=None))
    odd = record(KEY, source=SOURCE, entry=LONG, message=LONG, state=State.SYNCED, dated=7.5, etag='"e"')
    await journal.save(with_fields(odd, revision=dataclasses.replace(FULL.revision, file=FILE)))
    await journal.save_all([record(f"many/{number}", state=State.SYNCED) for number in range(MANY)])
    await journal.retire([record(f"many/{number}").item_id for number in range(100)], 9.5)
    for number, given_up in ((1, None), (2, 9.5)):
        await journal.begin(transfer(number))
        await journal.opened(f"t-{number}", "u/+=&-ü")
        await journal.part_done(f"t-{number}", part(1))
        await journal.part_done(f"t-{number}", part(2))
        await journal.completing(f"t-{number}", FULL_TRANSFER.progress.whole, 5.0)
        if given_up:
            await journal.give_up(f"t-{number}", given_up)
    await journal.remember_options("d", ObjectOptions(acl="private", metadata={"a": ODD}, retain=5.0))
    await journal.hold({Holder(file=f"/{ODD}.yaml", entry=LONG, most=0.5): [odd.item_id, FULL.item_id]})
    await journal.hold({Holder(file="/n.yaml", entry="e", most=None): [record("many/1").item_id]})
    await journal.save_folder_root(ODD, LONG, (2**64 - 1, 2**64 - 2))
    await journal.learn(LearnedFact(endpoint=ODD, name="acl", server=ODD, text=LONG, when=9.25))
    for number in range(4):
        journal.outbox.announce(noticed(FULL.item_id if number % 2 else "m.yaml", number))
    await journal.outbox.flush()
    (first, *_) = await journal.outbox.due("hook", LATE, 9)
    await journal.outbox.postponed(first, 77.5)
    (lost, *_) = await journal.outbox.due("other", LATE, 9)
    await journal.outbox.dead(lost, ODD)
    last = (await journal.outbox.due("other", LATE, 9))[-1]
    await journal.outbox.delivered([last])  # a number that is not used again
    await journal.outbox.announce_stale(noticed(FULL.item_id, 9))


def rows_of(path: Path) -> dict[str, Any]:
    """All that is in the file: each table without the columns that are not copied, and the last numbers."""
    connection = sqlite3.connect(path)
    connection.text_factory = bytes
    names = [name.decode() for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    found: dict[str, Any] = {}
    for name in names:
        columns = [one[1].decode() for one in connection.execute(f"PRAGMA table_info({name})")]
        kept = [one for one in columns if one not in LEFT_OUT.get(name, ())]
        values = ", ".join(f"{one}, typeof({one})" for one in kept)
        found[name] = sorted(connection.execute(f"SELECT {values} FROM {name}").fetchall(), key=repr)
    connection.close()
    return found


def differing(found: dict[str, Any], expected: dict[str, Any]) -> list[str]:
    """The names only: the values are megabytes."""
    return [name for name in {**found, **expected} if found.get(name) != expected.get(name)]


def digest_of(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


async def read(journal: Journal) -> dict[str, Any]:
    """What the journal's own calls read, also through indexes and columns that only one database has."""
    records = await every(journal.records())
    return {
        "records": records,
        "history": [await journal.history(one.item_id) for one in (FULL, record(KEY))],
        "unfinished": await every(journal.unfinished()),
        "given up": await every(journal.given_up()),
        "parts": [await journal.parts(f"t-{number}") for number in (1, 2)],
        "held": await every(journal.held()),
        "root": await journal.folder_root(ODD, LONG),
        "learned": await journal.learned(0.0),
        "options": await journal.options("d"),
        "dates": await journal.dates([SOURCE]),
        "made from": await journal.made_from(FILE, record(KEY).destination.endpoint),
        "search": [
            await journal.page(text=text) for text in ("SS\N{LATIN SMALL LETTER E WITH ACUTE}", LONG[:50].upper())
        ],
        "entry": await journal.count(LONG),
        "totals": await journal.totals(),
        "stale": list(await journal.outbox.stale()),
        "counts": await journal.outbox.counts(),
        "due": [await journal.outbox.due(name, LATE, 99) for name in ("hook", "other")],
    }


@pytest.fixture
async def filled(tmp_path: Path) -> Path:
    path = tmp_path / "from" / "state.db"
    async with SqliteJournal(path) as journal:
        await fill(journal)
    return path


async def test_all_that_a_journal_has_moves_to_postgresql_and_back(
    tmp_path: Path, filled: Path, postgres_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[tuple[str, int]] = []
    add = PostgresCopy.add

    async def added(self: PostgresCopy, table: str, columns: Mapping[str, type], rows: Sequence[SqlRow]) -> None:
        batches.append((table, len(rows)))
        await add(self, table, columns, rows)

    monkeypatch.setattr(PostgresCopy, "add", added)
    before, digest = rows_of(filled), digest_of(filled)
    there, back = Secret(postgres_uri), tmp_path / "back" / "state.db"
    counts = await copied(filled, there)
    assert digest_of(filled) == digest, "the source stays as it is"
    assert counts == {name: len(before[name]) for name in TABLES}
    assert min(counts.values()) > 0, "the test must fill every table"
    assert [size for name, size in batches if name == "items"] == [1_000, 1_000, MANY + 2 - 2_000]
    assert await copied(there, back) == counts
    assert differing(rows_of(back), before) == []
    async with SqliteJournal(filled) as one, LeasedJournal(postgres_uri) as two, SqliteJournal(back) as three:
        expected = await read(one)
        assert [name for name, found in expected.items() if not found] == []
        assert differing(await read(two), expected) == []
        assert differing(await read(three), expected) == []
        for journal in (one, two, three):
            journal.outbox.announce(noticed("new", 10))
            await journal.outbox.send_to({"hook": list(Notice)}, keep=True)
            await journal.outbox.flush()
            await journal.save(with_fields(FULL, state=State.BLOCKED, message="one more", removed=None))
            await journal.hold({Holder(file="/new.yaml", entry="e", most=None): [FULL.item_id]})
        assert (await read(two))["due"] == (await read(one))["due"], "numbers go on where they were"
        assert (await read(three))["due"] == (await read(one))["due"]


# ── schemas ───────────────────────────────────────────────────────────────────────────────────────
async def columns_of_sqlite(path: Path) -> dict[str, set[str]]:
    async with SqliteJournal(path):
        pass
    with closing(sqlite3.connect(path)) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: {one[1] for one in connection.execute(f"PRAGMA table_info({name})")} for name in names}


def columns_of_postgres(uri: str) -> dict[str, set[str]]:
    found = sql(uri, "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'")
    return {table: {column for name, column in found if name == table} for table, _ in found}


async def test_a_migration_that_adds_a_table_or_column_adds_it_to_the_copy(tmp_path: Path, postgres_uri: str) -> None:
    """Else: put the table in `sql.copying.TABLES`, or, if it is no content of the journal, in OF_PROCESSES here."""
    file, database = await columns_of_sqlite(tmp_path / "state.db"), columns_of_postgres(postgres_uri)
    assert set(file) - {"sqlite_sequence"} == set(TABLES)
    assert set(database) - OF_PROCESSES == set(TABLES)
    for table in TABLES:
        left_out = LEFT_OUT.get(table, set())
        assert file[table] - left_out == database[table] - left_out, table
    assert set(DERIVED) == database["items"] - file["items"]


async def test_a_schema_that_is_newer_or_missing_is_refused(
    tmp_path: Path, postgres: PostgresServer, filled: Path
) -> None:
    uri = postgres.database()
    for ends in ((filled, Secret(uri)), (Secret(uri), tmp_path / "to.db")):
        with pytest.raises(JournalError, match="no tables of mirrord yet; run `mirrord migrate`"):
            await copied(*ends)
    await migrate(Secret(uri))
    sql(uri, f"INSERT INTO {VERSION_TABLE} SELECT max(version) + 1 FROM {VERSION_TABLE}")
    for ends in ((filled, Secret(uri)), (Secret(uri), tmp_path / "to.db")):
        with pytest.raises(JournalTooNew, match="has the schema of a newer mirrord; copy it with that one"):
            await copied(*ends)


# ── what is refused ───────────────────────────────────────────────────────────────────────────────
async def test_a_journal_is_copied_into_an_empty_one_only(tmp_path: Path, filled: Path, postgres_uri: str) -> None:
    used = tmp_path / "used" / "state.db"
    async with SqliteJournal(used) as one, LeasedJournal(postgres_uri) as two:
        for journal in (one, two):
            await journal.save_folder_root("e", "/in", (1, 2))
    before = rows_of(used)
    for target in (used, Secret(postgres_uri)):
        with pytest.raises(JournalError, match=r"is not empty \(it has roots\).*another directory or database as TO"):
            await copied(filled, target)
    assert differing(rows_of(used), before) == []
    assert sql(postgres_uri, "SELECT count(*) FROM items") == [(0,)]


async def test_ends_that_are_one_journal_or_none(tmp_path: Path, filled: Path, postgres_uri: str) -> None:
    (tmp_path / "link").symlink_to(filled.parent)
    for ends in ((filled, filled), (filled, tmp_path / "link" / "state.db"), (Secret("postgresql://h"),) * 2):
        with pytest.raises(JournalError, match="FROM and TO are the same journal"):
            await copied(*ends)
    with pytest.raises(JournalError, match="there is no journal"):
        await copied(tmp_path / "none" / "state.db", Secret(postgres_uri))
    assert not (tmp_path / "none").exists()
    await copied(filled, filled.with_name("second.db"))  # one lock for both
    assert differing(rows_of(filled.with_name("second.db")), rows_of(filled)) == []


async def test_an_end_that_another_process_has(
    tmp_path: Path, filled: Path, postgres: PostgresServer, postgres_uri: str
) -> None:
    other = postgres.database()
    await migrate(Secret(other))
    with StateLock(filled.parent):
        for ends in ((filled, Secret(postgres_uri)), (Secret(postgres_uri), filled.with_name("to.db"))):
            with pytest.raises(JournalLocked, match="holds the state"):
                await copied(*ends)
    async with LeasedJournal(postgres_uri):
        for ends in ((filled, Secret(postgres_uri)), (Secret(postgres_uri), Secret(other))):
            with pytest.raises(JournalLocked, match="holds the state postgresql://"):
                await copied(*ends)
    async with WorkerLease(address_of(Secret(postgres_uri)), slots=1):
        for ends in ((filled, Secret(postgres_uri)), (Secret(postgres_uri), Secret(other))):
            with pytest.raises(JournalLocked, match=r"a worker .* uses the state postgresql://"):
                await copied(*ends)
    await copied(filled, Secret(postgres_uri))
    await copied(Secret(postgres_uri), Secret(other))
    async with LeasedJournal(postgres_uri) as one, LeasedJournal(other) as two:
        assert differing(await read(two), await read(one)) == []
        assert await two.last_written() is not None


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE items SET message = 5.5, since = 'x'",
        "UPDATE items SET size = x'00'",
        "UPDATE items SET etag = char(0)",
        "UPDATE transfers SET upload_id = CAST(x'eda080' AS TEXT)",
    ],
)
async def test_rows_that_were_edited_by_hand_are_not_copied_into_postgresql(
    filled: Path, postgres_uri: str, edit: str
) -> None:
    with closing(sqlite3.connect(filled)) as connection:
        connection.execute(edit)
        connection.commit()
    with pytest.raises(JournalError):
        await copied(filled, Secret(postgres_uri))
    assert sql(postgres_uri, "SELECT count(*) FROM items") == [(0,)]


# ── kill -9 ───────────────────────────────────────────────────────────────────────────────────────
STOPPED = """
import asyncio, ctypes, os, sys
from pathlib import Path
ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG: ends with the test
from mirrord.engine.state_copy import copied
from mirrord.journal.postgres import Lease, PostgresCopy, migrate
from mirrord.journal.sqlite.copying import SqliteCopy
from mirrord.settings import state_of

source, target, moment = sys.argv[1:]

def stopping(method, left):
    async def stops(self, *values):
        nonlocal left
        left -= 1
        if not left:
            os.write(1, b"here\\n")
            await asyncio.Event().wait()
        await method(self, *values)
    return stops

for end in (SqliteCopy, PostgresCopy):
    if moment == "commit":
        end.commit = stopping(end.commit, 1)
    else:
        end.add = stopping(end.add, int(moment))
asyncio.run(copied(state_of(source), state_of(target)))
"""
"""Copies until the n-th batch, or the commit."""


def killed(*arguments: str) -> None:
    with subprocess.Popen([sys.executable, "-c", STOPPED, *arguments], cwd=ROOT, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"here\n"
        finally:
            process.kill()


@pytest.mark.parametrize("moment", ["2", "9", "commit"])
@pytest.mark.parametrize("to_postgres", [False, True])
async def test_a_copy_that_was_killed_left_nothing_and_is_repeated(
    tmp_path: Path, filled: Path, postgres_uri: str, to_postgres: bool, moment: str
) -> None:
    file = tmp_path / "to" / "state.db"
    killed(str(filled), postgres_uri if to_postgres else str(file), moment)
    if to_postgres:
        sql(postgres_uri, "UPDATE lease SET until = '-infinity'")  # instead of a wait
    target: Path | Secret = Secret(postgres_uri) if to_postgres else file
    empty = SqliteJournal(tmp_path / "empty.db")
    async with LeasedJournal(postgres_uri) if to_postgres else SqliteJournal(file) as journal, empty as nothing:
        assert differing(await read(journal), await read(nothing)) == []
    await copied(filled, target)
    async with LeasedJournal(postgres_uri) if to_postgres else SqliteJournal(file) as two, SqliteJournal(filled) as one:
        assert differing(await read(two), await read(one)) == []


@pytest.mark.parametrize("to_postgres", [False, True])
async def test_a_copy_whose_lease_was_taken_over_ends_and_leaves_nothing(
    tmp_path: Path, filled: Path, postgres_uri: str, to_postgres: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a pause; at the last step before the commit."""
    if not to_postgres:
        await copied(filled, Secret(postgres_uri))
    end = PostgresCopy if to_postgres else SqliteCopy
    number_after = end.number_after

    async def taken_over(self: Any, table: str, last: int) -> None:
        await number_after(self, table, last)
        if table == [*NUMBERED][-1]:
            sql(postgres_uri, "UPDATE lease SET until = '-infinity'")
            async with Lease(address_of(Secret(postgres_uri))):
                pass

    monkeypatch.setattr(end, "number_after", taken_over)
    file = tmp_path / "to" / "state.db"
    with pytest.raises(JournalError):
        await copied(*((filled, Secret(postgres_uri)) if to_postgres else (Secret(postgres_uri), file)))
    if to_postgres:
        assert sql(postgres_uri, "SELECT count(*) FROM items") == [(0,)]
    else:
        assert rows_of(file)["items"] == []
