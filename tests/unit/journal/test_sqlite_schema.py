"""The schema's versions: an older one is migrated step by step, newer and foreign files are refused."""

import re
import sqlite3
import time
from pathlib import Path

import pytest

from mirrord.errors import JournalError, JournalTooNew
from mirrord.journal.sql.rows import to_transfer
from mirrord.journal.sql.scripts import Migration
from mirrord.journal.sqlite import SqliteJournal
from mirrord.journal.sqlite.schema import migrate, migrations, queries
from mirrord.model import PartSizes

SHIPPED = list(migrations())
NEXT = Migration(SHIPPED[-1].version + 1, "ALTER TABLE transfers ADD COLUMN weight TEXT; CREATE TABLE workers (number)")
OF_OUTBOX = ("outbox", "receivers", "alarms", "sqlite_sequence")
OF_HISTORY = ("past_objects", "failures")
TABLES = {"items", "transfers", "parts", "roots", "holders", "held", "options", "learned", *OF_HISTORY, *OF_OUTBOX}
BROKEN = Migration(NEXT.version + 1, "CREATE TABLE left_over (x); ALTER TABLE nowhere ADD COLUMN y")


@pytest.fixture
def connection(tmp_path: Path):
    connection = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
    connection.create_function("mentions", -1, lambda *texts: True, deterministic=True)
    yield connection
    connection.close()


def version(connection: sqlite3.Connection) -> int:
    return connection.execute("PRAGMA user_version").fetchone()[0]


def tables(connection: sqlite3.Connection) -> set[str]:
    return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def test_migrations_are_numbered_from_one_without_a_gap() -> None:
    assert [step.version for step in SHIPPED] == list(range(1, len(SHIPPED) + 1))


def test_every_query_is_one_statement_of_the_schema(connection: sqlite3.Connection) -> None:
    migrate(connection, Path("state.db"), SHIPPED)
    for name, text in queries().items():
        assert sqlite3.complete_statement(text), name
        assert text.count(";") == 1, name
        values = dict.fromkeys(re.findall(r":(\w+)", text)) or [None] * text.count("?")
        assert connection.execute(f"EXPLAIN {text}", values).fetchall(), name


@pytest.mark.parametrize("name", [name for name in queries() if name.startswith("page")])
def test_a_page_is_read_in_order_and_not_sorted(connection: sqlite3.Connection, name: str) -> None:
    """A page of 100 of a million items must cost no more than 100 rows, or than one step."""
    migrate(connection, Path("state.db"), SHIPPED)
    (step,) = plan_of(connection, name)
    assert re.fullmatch(
        r"SEARCH items USING INDEX (items|sqlite_autoindex_items)_\w+ \(.*item_id>\? AND item_id<\?\)", step
    )


@pytest.mark.parametrize(("name", "sign"), [("state_by_since", ">"), ("state_by_since_descending", "<")])
def test_what_changed_last_is_read_in_order_and_not_sorted(
    connection: sqlite3.Connection, name: str, sign: str
) -> None:
    migrate(connection, Path("state.db"), SHIPPED)
    step = f"SEARCH items USING INDEX items_by_since (state=? AND (since,item_id){sign}(?,?))"
    assert plan_of(connection, name) == [step]


def test_totals_are_counted_without_reading_records(connection: sqlite3.Connection) -> None:
    migrate(connection, Path("state.db"), SHIPPED)
    scans = [step for step in plan_of(connection, "totals") if step.startswith("SCAN items")]
    assert scans == ["SCAN items USING COVERING INDEX items_out_of_sync", "SCAN items USING INDEX items_by_entry"]


def plan_of(connection: sqlite3.Connection, name: str) -> list[str]:
    text = queries()[name]
    values = dict.fromkeys(re.findall(r":(\w+)", text), "x")
    return [row[-1] for row in connection.execute(f"EXPLAIN QUERY PLAN {text}", values)]


def test_an_empty_file_gets_the_newest_schema(connection: sqlite3.Connection) -> None:
    migrate(connection, Path("state.db"), SHIPPED)
    assert version(connection) == SHIPPED[-1].version
    assert tables(connection) == TABLES


def test_an_older_schema_is_migrated_and_keeps_its_rows(connection: sqlite3.Connection) -> None:
    migrate(connection, Path("state.db"), SHIPPED)
    connection.execute(
        "INSERT INTO transfers (id, item_id, store, endpoint, bucket, key, revision, kind, started) "
        "VALUES ('t', 'i', 's', 'e', 'b', 'k', '{}', 'put', 0)"
    )
    migrate(connection, Path("state.db"), [*SHIPPED, NEXT])
    assert version(connection) == NEXT.version
    assert connection.execute("SELECT id, weight FROM transfers").fetchall() == [("t", None)]


def test_a_journal_of_the_first_schema_gets_uploads_and_keeps_its_intents(connection: sqlite3.Connection) -> None:
    migrate(connection, Path("state.db"), SHIPPED[:1])
    connection.execute(
        "INSERT INTO transfers (id, item_id, store, endpoint, bucket, key, revision, kind, started) "
        "VALUES ('t', 'i', 's', 'e', 'b', 'k', '{}', 'put', 0)"
    )
    migrate(connection, Path("state.db"), SHIPPED)
    found = connection.execute("SELECT id, upload_id, completing, checksum_kind FROM transfers").fetchall()
    assert found == [("t", None, 0, "none")]


def test_an_upload_that_an_older_mirrord_was_completing_gets_the_time_of_the_migration(
    connection: sqlite3.Connection,
) -> None:
    migrate(connection, Path("state.db"), SHIPPED[:5])
    for name, kind, completing in (("mpu", "multipart", 1), ("parts", "multipart", 0), ("put", "put", 1)):
        connection.execute(
            "INSERT INTO transfers (id, item_id, store, endpoint, bucket, key, revision, kind, started, completing) "
            "VALUES (?, 'i', 's', 'e', 'b', 'k', '{}', ?, 0, ?)",
            (name, kind, completing),
        )
    migrate(connection, Path("state.db"), SHIPPED)
    found = dict(connection.execute("SELECT id, complete_requested FROM transfers").fetchall())
    assert (found["parts"], found["put"]) == (None, None)
    assert abs(found["mpu"] - time.time()) < 60


def test_the_etags_of_an_older_journal_are_not_from_a_head(connection: sqlite3.Connection) -> None:
    migrate(connection, Path("state.db"), SHIPPED[:7])
    connection.execute(
        "INSERT INTO items (item_id, entry, source, store, endpoint, bucket, key, state, message, since, etag) "
        "VALUES ('i', 'e', 'f', 's', 'e', 'b', 'k', 'Synced', '', 0, 'x-2')"
    )
    migrate(connection, Path("state.db"), SHIPPED)
    assert connection.execute("SELECT etag, etag_from_head FROM items").fetchall() == [("x-2", 0)]


def test_the_parts_of_an_upload_in_an_older_journal_have_one_size(connection: sqlite3.Connection) -> None:
    migrate(connection, Path("state.db"), SHIPPED[:8])
    for name, kind, size in (("mpu", "multipart", 9), ("put", "put", None)):
        connection.execute(
            "INSERT INTO transfers (id, item_id, store, endpoint, bucket, key, revision, kind, started, part_size) "
            "VALUES (?, 'i', 's', 'e', 'b', 'k', '{\"address\": \"a\"}', ?, 0, ?)",
            (name, kind, size),
        )
    migrate(connection, Path("state.db"), SHIPPED)
    connection.row_factory = sqlite3.Row
    found = [to_transfer(row) for row in connection.execute("SELECT * FROM transfers ORDER BY id")]
    assert [(one.id, one.part_sizes) for one in found] == [("mpu", PartSizes.equal(9)), ("put", None)]


def test_the_objects_of_an_older_journal_have_no_etag_of_listings(connection: sqlite3.Connection) -> None:
    migrate(connection, Path("state.db"), SHIPPED[:9])
    connection.execute(
        "INSERT INTO items (item_id, entry, source, store, endpoint, bucket, key, state, message, since, etag) "
        "VALUES ('i', 'e', 'f', 's', 'e', 'b', 'k', 'Synced', '', 0, 'x')"
    )
    migrate(connection, Path("state.db"), SHIPPED)
    assert connection.execute("SELECT etag, listed_etag FROM items").fetchall() == [("x", None)]


def test_the_records_of_an_older_journal_are_in_the_newer_indexes(connection: sqlite3.Connection) -> None:
    migrate(connection, Path("state.db"), SHIPPED[:10])
    for name, state, removed in (("a", "Synced", None), ("b", "Blocked", None), ("c", "Blocked", 1.0)):
        connection.execute(
            "INSERT INTO items (item_id, entry, source, store, endpoint, bucket, key, state, message, since, removed) "
            "VALUES (?, 'e', 'f', 's', 'e', 'b', 'k', ?, '', 0, ?)",
            (name, state, removed),
        )
    migrate(connection, Path("state.db"), SHIPPED)
    assert dict(connection.execute(queries()["totals"]).fetchall()) == {"Synced": 1, "Blocked": 1}
    asked = {"state": "Blocked", "entry": None, "text": None, "after": "", "until": "~", "limit": 9}
    assert [row[0] for row in connection.execute(queries()["page_out_of_sync"], asked)] == ["b"]


def test_objects_of_an_older_journal_have_no_start(connection: sqlite3.Connection) -> None:
    migrate(connection, Path("state.db"), SHIPPED[:17])
    connection.execute(
        "INSERT INTO items (item_id, entry, source, store, endpoint, bucket, key, state, message, since, transfer_id, "
        "etag) VALUES ('i', 'e', 'f', 's', 'e', 'b', 'k', 'Synced', '', 0, 't', 'x')"
    )
    migrate(connection, Path("state.db"), SHIPPED)
    connection.execute("UPDATE items SET etag = 'y', transfer_id = 'u', began = 7.0")
    connection.execute("UPDATE items SET etag = 'z', transfer_id = 'v', began = NULL")
    assert connection.execute("SELECT began FROM past_objects ORDER BY number").fetchall() == [(None,), (7.0,)]
    assert connection.execute("SELECT began FROM items").fetchall() == [(None,)]


def test_migrating_twice_changes_nothing(connection: sqlite3.Connection) -> None:
    migrate(connection, Path("state.db"), SHIPPED)
    before = connection.execute("PRAGMA schema_version").fetchone()
    migrate(connection, Path("state.db"), SHIPPED)
    assert connection.execute("PRAGMA schema_version").fetchone() == before


def test_a_migration_that_fails_keeps_the_previous_schema(connection: sqlite3.Connection) -> None:
    with pytest.raises(sqlite3.OperationalError):
        migrate(connection, Path("state.db"), [*SHIPPED, NEXT, BROKEN])
    assert version(connection) == NEXT.version
    assert tables(connection) == TABLES | {"workers"}
    assert not connection.in_transaction


@pytest.mark.parametrize("read_only", [False, True])
async def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path, read_only: bool) -> None:
    path = tmp_path / "state.db"
    async with SqliteJournal(path):
        pass
    newer = sqlite3.connect(path)
    newer.execute("PRAGMA user_version = 41")
    newer.close()
    before = path.read_bytes()
    with pytest.raises(JournalTooNew, match=rf"schema 41 .* up to {SHIPPED[-1].version};.*newer mirrord"):
        async with SqliteJournal(path, read_only=read_only):
            pass
    assert path.read_bytes() == before


@pytest.mark.parametrize("read_only", [False, True])
async def test_another_programs_database_is_refused_and_left_alone(tmp_path: Path, read_only: bool) -> None:
    path = tmp_path / "photos.db"
    foreign = sqlite3.connect(path)
    foreign.execute("CREATE TABLE items (photo)")
    foreign.close()
    before = path.read_bytes()
    with pytest.raises(JournalError, match=r"photos\.db is another program's database; name another"):
        async with SqliteJournal(path, read_only=read_only):
            pass
    assert path.read_bytes() == before
