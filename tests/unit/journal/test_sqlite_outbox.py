"""The outbox in SQLite: one commit with the record, and reads that stay short however many rows wait."""

import sqlite3
from pathlib import Path
from unittest.mock import AsyncMock

import pytest

from mirrord.errors import JournalError, Reason
from mirrord.journal.sqlite import SqliteJournal
from mirrord.journal.sqlite.schema import migrate, migrations, queries
from mirrord.model import Notice, Notification, State
from tests.support.journals import record, transfer

BLOCKED = record(state=State.BLOCKED, reason=Reason.STORE_DENIED)


@pytest.fixture
async def journal(tmp_path: Path):
    async with SqliteJournal(tmp_path / "state" / "state.db") as journal:
        yield journal


def announced(notification_id: str) -> Notification:
    """Of a failed transfer of the item of `BLOCKED`."""
    about = BLOCKED.item_id
    return Notification(id=notification_id, name=Notice.TRANSFER_FAILED, about=about, subject="s", time=1.0, data="{}")


def sql(journal: SqliteJournal, text: str) -> None:
    """Run a statement beside the journal."""
    with sqlite3.connect(journal._database._path) as connection:
        connection.execute(text)


@pytest.mark.parametrize("refusing", ["outbox", "items"])
async def test_a_record_and_its_notifications_are_committed_together(journal: SqliteJournal, refusing: str) -> None:
    await journal.outbox.send_to({"hook": set(Notice)})
    await journal.begin(transfer(1))
    sql(journal, f"CREATE TRIGGER no BEFORE INSERT ON {refusing} BEGIN SELECT RAISE(ABORT, 'no'); END")
    with pytest.raises(JournalError):
        await journal.save(BLOCKED)
    with pytest.raises(JournalError):
        await journal.finish("t-1", BLOCKED)
    assert await journal.record(BLOCKED.item_id) is None
    assert len(await journal.unfinished_of(transfer(1).item_id)) == 1
    assert (await journal.outbox.counts())["hook"].waiting == 0


@pytest.mark.parametrize("fails", ["outbox", "items", "the read of the outbox"])
async def test_what_was_announced_is_not_lost_by_a_commit_that_fails(
    journal: SqliteJournal, fails: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes with the next commit, before what was announced meanwhile, and before what that commit causes."""
    await journal.outbox.send_to({"hook": set(Notice)})
    journal.outbox.announce(announced("first"))
    if fails == "the read of the outbox":
        monkeypatch.setattr(journal.outbox, "_room_for", AsyncMock(side_effect=JournalError("no")))
    else:
        sql(journal, f"CREATE TRIGGER no BEFORE INSERT ON {fails} BEGIN SELECT RAISE(ABORT, 'no'); END")
    with pytest.raises(JournalError):
        await journal.finish("t-1", BLOCKED)
    monkeypatch.undo()
    sql(journal, "DROP TRIGGER IF EXISTS no")
    journal.outbox.announce(announced("second"))
    await journal.save(BLOCKED)
    found = []
    while rows := await journal.outbox.due("hook", 2e9, 1):
        found += [row.notification.id if row.notification.data == "{}" else row.notification.name for row in rows]
        await journal.outbox.delivered(rows)
    assert found == ["first", "second", Notice.ITEM_BLOCKED]


async def test_without_receivers_no_statement_is_added(journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new small file takes some 300 us: nobody without `notify` pays for it."""
    read: list[str] = []
    written: list[str] = []
    ask, write = journal._database.read, journal._database.write

    async def recorded_read(name: str, values: object) -> object:
        read.append(name)
        return await ask(name, values)

    async def recorded_write(*statements: object) -> None:
        written.extend(one.name for one in statements)
        await write(*statements)

    monkeypatch.setattr(journal._database, "read", recorded_read)
    monkeypatch.setattr(journal._database, "write", recorded_write)
    await journal.save(BLOCKED)
    await journal.begin_all([transfer(1)])
    await journal.finish_all([("t-1", BLOCKED)])
    await journal.outbox.flush(BLOCKED.item_id)
    await journal.retire([BLOCKED.item_id], 5.0)
    assert read == []
    assert written == ["save_record", "begin_transfer", "save_record", "forget_transfers", "retire"]


@pytest.mark.parametrize("name", ["due", "next_due", "make_due", "put_in_outbox"])
def test_no_statement_of_the_outbox_reads_all_rows(tmp_path: Path, name: str) -> None:
    with sqlite3.connect(tmp_path / "state.db", isolation_level=None) as connection:
        connection.create_function("mentions", -1, lambda *texts: True, deterministic=True)
        migrate(connection, Path("state.db"), migrations())
        steps = connection.execute(f"EXPLAIN QUERY PLAN {queries()[name]}", _Any())
        assert not [step for *_, step in steps if step.startswith(("SCAN outbox", "USE TEMP B-TREE"))]
    connection.close()


class _Any(dict[str, object]):
    def __missing__(self, name: str) -> None:
        return None
