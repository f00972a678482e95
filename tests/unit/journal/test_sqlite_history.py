"""The history's own bounds in SQLite, and what it adds to the writes of records: no statement, and no row if nothing is
replaced."""

import sqlite3
from pathlib import Path

from mirrord.journal.sql.rows import from_record
from mirrord.journal.sqlite.schema import migrate, migrations, queries
from mirrord.model import State
from tests.support.journals import FULL
from tests.support.records import with_fields

COPIED = with_fields(FULL, state=State.SYNCED, reason=None, message="")


def opened() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection, Path("state.db"), migrations())
    return connection


def save(connection: sqlite3.Connection, **changes: object) -> None:
    connection.execute(queries()["save_record"], from_record(with_fields(COPIED, **changes)))


def count(connection: sqlite3.Connection, table: str) -> int:
    found: int = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    return found


def test_all_items_together_have_a_bound() -> None:
    connection = opened()
    for table in ("past_objects", "failures"):
        connection.execute(f"INSERT INTO sqlite_sequence VALUES ('{table}', 7)")
    for number in range(3):
        save(connection, item_id=f"{number:016}", transfer_id="first")
        save(connection, item_id=f"{number:016}", state=State.BLOCKED, transfer_id="second")
    assert (count(connection, "past_objects"), count(connection, "failures")) == (3, 3)
    connection.execute("UPDATE sqlite_sequence SET seq = 100008")
    save(connection, item_id=f"{0:016}", state=State.RETRYING, transfer_id="third")
    numbers = [row[0] for row in connection.execute("SELECT number FROM past_objects ORDER BY number")]
    assert numbers == [10, 100_009]
    assert [row[0] for row in connection.execute("SELECT number FROM failures ORDER BY number")] == [10, 100_009]


def test_history_is_found_by_an_index() -> None:
    connection = opened()
    for name in ("past_objects", "failures"):
        steps = connection.execute(f"EXPLAIN QUERY PLAN {queries()[name]}", {"item_id": "x"}).fetchall()
        assert [row[-1] for row in steps] == [f"SEARCH {name} USING INDEX {name}_of_item (item_id=?)"]


def test_the_first_copies_of_items_write_no_row() -> None:
    connection = opened()
    save(connection, state=State.PENDING, etag=None, transfer_id=None, revision=None)
    before = connection.total_changes
    save(connection)
    save(connection, listed_etag='"other"')
    assert count(connection, "past_objects") == count(connection, "failures") == 0
    assert connection.total_changes - before == 2
