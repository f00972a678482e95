"""The journal in a real PostgreSQL, beyond the contract suites: schema, lease, lost connections, names, addresses."""

import asyncio
import os
import random
import re
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
import pytest

from mirrord.errors import JournalError, JournalLocked, JournalTakenOver, JournalTooNew, JournalUnavailable, Reason
from mirrord.journal.postgres import Lease, PostgresJournal, WorkerLease, lease, migrate, migrating, schema
from mirrord.journal.postgres.address import UNPREPARED, address_of
from mirrord.journal.postgres.tickets import PostgresTickets
from mirrord.journal.sql.scripts import Migration
from mirrord.model import Destination, Notice, Secret, State
from mirrord.ports import ObjectStore
from mirrord.ports.tickets import Ticket, TicketReport, Work
from mirrord.reconcile.sweeper import UploadSweeper
from mirrord.testing import ManualClock
from tests.support.journals import FULL, every, record, transfer
from tests.support.postgres import LeasedJournal, PostgresServer


async def no_store(at: Destination) -> ObjectStore:
    raise AssertionError(at)


BLOCKED = record("k", state=State.BLOCKED, reason=Reason.STORE_DENIED, message="the store said no")
EXPIRED = "UPDATE lease SET until = clock_timestamp() - interval '1 second'"


def sql(uri: str, text: str) -> list[tuple[object, ...]]:
    with psycopg.connect(uri, autocommit=True) as connection:
        cursor = connection.execute(text.encode())
        return cursor.fetchall() if cursor.description else []


# ── schema ────────────────────────────────────────────────────────────────────────────────────────
@pytest.fixture
def empty(postgres: PostgresServer) -> str:
    return postgres.database()


async def test_an_empty_database_is_opened_after_migrate(empty: str) -> None:
    with pytest.raises(JournalError, match="no tables of mirrord yet; run `mirrord migrate`"):
        async with LeasedJournal(empty):
            pass
    newest = schema.migrations()[-1].version
    assert await migrate(Secret(empty)) == (0, newest)
    assert await migrate(Secret(empty)) == (newest, newest)
    async with LeasedJournal(empty) as journal:
        await journal.save(FULL)
        assert await journal.record(FULL.item_id) == FULL


async def test_two_migrate_at_once(empty: str) -> None:
    both = await asyncio.gather(migrate(Secret(empty)), migrate(Secret(empty)))
    assert sorted(one.before for one in both) == [0, schema.migrations()[-1].version]


async def test_neighbouring_schemas_work_and_others_are_refused(empty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    await migrate(Secret(empty))
    newest = schema.migrations()[-1].version
    sql(empty, f"INSERT INTO mirrord_schema VALUES ({newest + 1})")
    assert await migrate(Secret(empty)) == (newest + 1, newest + 1)
    async with LeasedJournal(empty) as journal:
        await journal.save(FULL)
    sql(empty, f"INSERT INTO mirrord_schema VALUES ({newest + 2})")
    with pytest.raises(JournalTooNew, match=f"has schema {newest + 2}"):
        async with PostgresJournal(address_of(Secret(empty))):
            pass
    with pytest.raises(JournalTooNew, match=f"has schema {newest + 2}"):
        await migrate(Secret(empty))
    sql(empty, f"DELETE FROM mirrord_schema WHERE version > {newest}")
    steps = [*schema.migrations(), Migration(newest + 1, "ALTER TABLE items ADD COLUMN added text")]
    monkeypatch.setattr(schema, "migrations", lambda: steps)
    monkeypatch.setattr(migrating, "migrations", lambda: steps)
    with pytest.raises(JournalError, match=f"has schema {newest} and this mirrord needs {newest + 1}"):
        async with LeasedJournal(empty):
            pass


async def test_a_process_works_on_while_another_one_migrates(empty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Statements are prepared: `SELECT *` would fail after a column was added."""
    await migrate(Secret(empty))
    steps = [*schema.migrations(), Migration(99, "ALTER TABLE items ADD COLUMN added text")]
    async with LeasedJournal(empty) as journal:
        await journal.save(FULL)
        for _ in range(7):
            assert await journal.record(FULL.item_id) == FULL
        monkeypatch.setattr(migrating, "migrations", lambda: steps)
        assert (await migrate(Secret(empty))).after == 99
        assert await journal.record(FULL.item_id) == FULL
        await journal.save(record("other"))


async def test_a_migration_that_fails_changes_nothing(empty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrating, "migrations", lambda: [*schema.migrations(), Migration(99, "SELECT 1 / 0")])
    with pytest.raises(JournalError, match="division by zero"):
        await migrate(Secret(empty))
    assert sql(empty, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(0,)]


async def test_the_tables_of_another_program_are_left_alone(empty: str) -> None:
    sql(empty, "CREATE TABLE items (a integer)")
    with pytest.raises(JournalError, match="tables of another program; use another database"):
        await migrate(Secret(empty))
    sql(empty, "CREATE SCHEMA mirrord")
    uri = f"{empty}&options=-csearch_path%3Dmirrord"
    await migrate(Secret(uri))
    async with LeasedJournal(uri) as journal:
        await journal.save(FULL)
    assert sql(empty, "SELECT count(*) FROM mirrord.items") == [(1,)]


# ── lease ─────────────────────────────────────────────────────────────────────────────────────────
async def test_one_process_writes_at_a_time(postgres_uri: str) -> None:
    async with LeasedJournal(postgres_uri) as first:
        with pytest.raises(JournalLocked, match=re.escape(f"(pid {os.getpid()} on {socket.gethostname()}) holds")):
            async with LeasedJournal(postgres_uri):
                pass
        await first.save(FULL)
    async with LeasedJournal(postgres_uri) as second:  # given back, so that nothing waits
        assert await second.record(FULL.item_id) == FULL
        assert second.lease.epoch == first.lease.epoch + 1


WRITES: dict[str, Callable[[PostgresJournal], Awaitable[None]]] = {
    "save": lambda journal: journal.save(record("late")),
    "begin": lambda journal: journal.begin(transfer(1)),
    "retire": lambda journal: journal.retire([FULL.item_id], 5.0),
    "release": lambda journal: journal.release([FULL.item_id]),
}


@pytest.fixture
def never_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a process that is paused."""
    monkeypatch.setattr(lease, "EVERY", 3600.0)


@pytest.mark.usefixtures("never_renewed")
@pytest.mark.parametrize("write", WRITES)
async def test_a_process_that_lost_its_lease_changes_nothing(postgres_uri: str, write: str) -> None:
    async with LeasedJournal(postgres_uri) as paused:
        await paused.save(FULL)
        sql(postgres_uri, EXPIRED)
        async with LeasedJournal(postgres_uri) as successor:
            with pytest.raises(JournalTakenOver, match="another mirrord took over the state"):
                await WRITES[write](paused)
            await asyncio.wait_for(paused.lease.lost(), 10)
            assert await every(successor.records()) == [FULL]
            assert await every(successor.unfinished()) == []
            await successor.save(record("next"))
        assert len(await every(paused.records())) == 2, "it still reads"


async def test_a_lease_that_ended_and_was_not_taken_is_renewed(
    postgres_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "EVERY", 0.02)
    async with LeasedJournal(postgres_uri) as journal:
        sql(postgres_uri, EXPIRED)
        await journal.save(FULL)
        deadline = time.monotonic() + 60
        renewed = "SELECT until > clock_timestamp() + interval '4 s' AND written IS NOT NULL FROM lease"
        while sql(postgres_uri, renewed) != [(True,)]:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)
        async with PostgresJournal(address_of(Secret(postgres_uri))) as reader:
            assert await reader.last_written() == await journal.last_written()


async def test_the_keeper_finds_out_that_the_lease_is_lost(postgres_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "EVERY", 0.02)
    async with LeasedJournal(postgres_uri) as paused:
        sql(postgres_uri, "UPDATE lease SET owner = 'other', epoch = epoch + 1")
        await asyncio.wait_for(paused.lease.lost(), 60)
    assert sql(postgres_uri, "SELECT owner FROM lease") == [("other",)], "it gives back only its own"
    sql(postgres_uri, EXPIRED)


@pytest.mark.usefixtures("never_renewed")
async def test_a_write_in_the_middle_of_its_transaction_is_ended_by_a_take_over(
    postgres_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a process that is stopped between its first statement and its COMMIT."""
    monkeypatch.setattr(lease, "_PATIENCE", 1)
    async with LeasedJournal(postgres_uri) as paused:
        with psycopg.connect(postgres_uri) as stopped:
            stopped.execute("SELECT write_as(%s, %s)", (paused.lease.owner, paused.lease.epoch))
            stopped.execute("INSERT INTO options VALUES ('late', '{}')")
            with pytest.raises(JournalLocked):
                async with LeasedJournal(postgres_uri):
                    pass
            assert stopped.execute("SELECT 1").fetchone() == (1,), "its lease is valid: nothing is ended"
            sql(postgres_uri, EXPIRED)
            async with LeasedJournal(postgres_uri) as successor:
                with pytest.raises(psycopg.OperationalError):
                    stopped.commit()
                assert await successor.options("late") is None


async def test_renewals_do_not_wait_for_a_long_write(postgres_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with LeasedJournal(postgres_uri) as journal:
        with psycopg.connect(postgres_uri) as long:
            long.execute("SELECT write_as(%s, %s)", (journal.lease.owner, journal.lease.epoch))
            assert await asyncio.wait_for(journal.lease._renewed(), 5)
            assert not journal.lease._lost.is_set()


async def test_transfers_of_another_living_worker_are_not_ended(postgres_uri: str) -> None:
    """As the sweep at a start, which gives up what a dead worker left without an upload's id."""
    async with LeasedJournal(postgres_uri) as mine:
        await mine.begin(transfer(1))
        await mine.begin(transfer(2))
        assert sql(postgres_uri, "SELECT DISTINCT worker FROM transfers") == [(mine.lease.owner,)]
        sql(postgres_uri, "UPDATE transfers SET worker = 'other' WHERE id = 't-2'")
        other = "VALUES ('w', 'other', 1, clock_timestamp() + interval '1 hour', 'h', 1)"
        sql(postgres_uri, f"INSERT INTO lease (name, owner, epoch, until, host, pid) {other}")
        sweeper = UploadSweeper(journal=mine, store_at=no_store, observer=print, clock=ManualClock())
        await sweeper.begin()
        assert [one.id for one in await every(mine.given_up())] == ["t-1"]  # type: ignore[attr-defined]
        assert await mine.unfinished_of(transfer(2).item_id) == []
        assert len(await mine.open_of(transfer(2).item_id)) == 2, "the item is busy"
        sql(postgres_uri, "UPDATE lease SET until = clock_timestamp() WHERE name = 'w'")
        assert await mine.unfinished_of(transfer(2).item_id) == [transfer(2)]
        await sweeper.begin()
        assert await every(mine.unfinished()) == []
    sql(postgres_uri, "DELETE FROM lease WHERE name = 'w'")


async def test_a_process_sees_what_others_began_meanwhile(postgres_uri: str) -> None:
    async with LeasedJournal(postgres_uri) as mine, WorkerLease(address_of(Secret(postgres_uri)), 4) as lease:
        assert await mine.open_of(transfer(1).item_id) == [], "nothing was begun before"
        async with PostgresJournal(address_of(Secret(postgres_uri)), lease) as theirs:
            await theirs.begin(transfer(1))
        assert await mine.open_of(transfer(1).item_id) == [transfer(1)]
        assert await mine.unfinished_of(transfer(1).item_id) == []
        sql(postgres_uri, f"DELETE FROM lease WHERE owner = '{lease.owner}'")
        others = [mine.unfinished_of(f"no {number}") for number in range(3)]
        found, *none = await asyncio.gather(mine.unfinished_of(transfer(1).item_id), *others)
        assert found == [transfer(1)]
        assert none == [[], [], []]


async def test_workers_write_notifications_for_receivers_that_the_owner_of_the_state_knows(postgres_uri: str) -> None:
    address = address_of(Secret(postgres_uri))
    async with LeasedJournal(postgres_uri) as mine, WorkerLease(address, 4) as lease:
        await mine.outbox.send_to({"hook": frozenset(Notice)})
        async with PostgresJournal(address, lease) as theirs:
            theirs.outbox.write_for({"hook": frozenset(Notice), "other": frozenset(Notice)})
            await theirs.save(BLOCKED)
            (row,) = await mine.outbox.due("hook", 1.0, 10)
            assert row.notification.name is Notice.ITEM_BLOCKED
            assert sql(postgres_uri, "SELECT receiver FROM outbox") == [("hook",)]


async def test_a_notification_that_a_worker_writes_while_the_one_before_is_deleted_is_due(postgres_uri: str) -> None:
    address = address_of(Secret(postgres_uri))
    async with LeasedJournal(postgres_uri) as mine, WorkerLease(address, 4) as lease:
        await mine.outbox.send_to({"hook": frozenset(Notice)})
        async with PostgresJournal(address, lease) as theirs:
            theirs.outbox.write_for({"hook": frozenset(Notice)})
            await theirs.save(BLOCKED)
            with psycopg.connect(postgres_uri) as delivers:
                delivers.execute("DELETE FROM outbox")
                saving = asyncio.create_task(theirs.save(record("k", state=State.SYNCED)))
                waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
                while not saving.done() and not sql(postgres_uri, waits):  # noqa: ASYNC110 - PostgreSQL's event
                    await asyncio.sleep(0.01)
            await saving
        assert await mine.outbox.next_due("hook") == 0.0


async def test_a_worker_that_is_paused_in_a_transaction_does_not_delay_the_sweep(postgres_uri: str) -> None:
    address = address_of(Secret(postgres_uri))
    async with Lease(address) as held, PostgresTickets(address, held) as tickets, WorkerLease(address, 4) as lease:
        await tickets.offer([Ticket(tickets.first + 1, (Work("a", "d"),))])
        with psycopg.connect(postgres_uri) as paused:
            paused.execute("SELECT write_as(%s, 1)", (lease.owner,))
            sql(postgres_uri, f"{EXPIRED} WHERE owner = '{lease.owner}'")
            assert len(await asyncio.wait_for(tickets.sweep(), 5)) == 1
        assert await tickets.sweep() == []


async def test_a_report_of_a_newer_version_is_no_outcome(postgres_uri: str) -> None:
    address = address_of(Secret(postgres_uri))
    async with Lease(address) as held, PostgresTickets(address, held) as tickets:
        outcomes = '{"a": {"state": "Rested"}, "b": null}'
        sql(postgres_uri, f"INSERT INTO reports (ticket, outcomes, last) VALUES (1, '{outcomes}', true)")
        assert await tickets.reports() == [TicketReport(1, {"a": None, "b": None}, last=True)]
        assert await tickets.reports() == []


# ── connections ───────────────────────────────────────────────────────────────────────────────────
CLOSED = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'mirrord'"


async def test_a_lost_connection_fails_one_write_and_no_read(postgres_uri: str) -> None:
    async with LeasedJournal(postgres_uri) as journal:
        await journal.save(FULL)
        sql(postgres_uri, CLOSED)
        assert await journal.record(FULL.item_id) == FULL
        with pytest.raises(JournalUnavailable, match="check PostgreSQL and the network"):
            await journal.save(record("lost"))
        await journal.save(record("next"))
        assert await journal.record(record("lost").item_id) is None
        assert await journal.record(record("next").item_id) == record("next")


async def test_while_postgresql_is_away_every_call_fails_and_then_works_again(
    postgres: PostgresServer, postgres_uri: str
) -> None:
    async with LeasedJournal(postgres_uri) as journal:
        await journal.save(FULL)
        postgres.stop()
        try:
            for _ in range(2):
                with pytest.raises(JournalUnavailable):
                    await journal.record(FULL.item_id)
                with pytest.raises(JournalUnavailable):
                    await journal.save(record("away"))
        finally:
            postgres.start()
        await journal.save(record("back"))
        assert await journal.record(record("away").item_id) is None
        assert {one.item_id for one in await every(journal.records())} == {FULL.item_id, record("back").item_id}  # type: ignore[attr-defined]


async def test_a_failed_write_fails_only_its_group(postgres_uri: str) -> None:
    async with LeasedJournal(postgres_uri) as journal:
        await journal.begin(transfer(1))
        with pytest.raises(JournalError, match="duplicate key"):
            await journal.begin(transfer(1))
        await journal.begin(transfer(2))
        assert await every(journal.unfinished()) == [transfer(1), transfer(2)]


async def test_it_works_without_prepared_statements(postgres_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[psycopg.AsyncConnection] = []
    connect = psycopg.AsyncConnection.connect

    async def noted(**parameters: Any) -> psycopg.AsyncConnection:
        opened.append(await connect(**parameters))
        return opened[-1]

    monkeypatch.setattr(psycopg.AsyncConnection, "connect", noted)
    for uri, prepared in ((f"{postgres_uri}&{UNPREPARED}", False), (postgres_uri, True)):
        opened.clear()
        async with LeasedJournal(uri) as journal:
            for number in range(8):
                await journal.save(record(f"k{number}"))
                assert await journal.record(record(f"k{number}").item_id) == record(f"k{number}")
            counts = [
                await (await one.execute("SELECT count(*) AS n FROM pg_prepared_statements")).fetchone()
                for one in opened
            ]
        assert any(row["n"] for row in counts) is prepared


# ── values ────────────────────────────────────────────────────────────────────────────────────────
async def test_names_are_as_long_as_they_are(postgres_uri: str) -> None:
    """An index of PostgreSQL has entries of up to 2.7 kB, after compression."""
    letters = random.Random(9).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=30_000)
    entry, source = "".join(letters[:9_000]), "file:///" + "".join(letters[9_000:])
    async with LeasedJournal(postgres_uri) as journal:
        long = record("k", entry=entry, source=source, dated=5.0)
        await journal.save(long)
        await journal.save_folder_root(entry, source, (1, 2))
        assert await journal.folder_root(entry, source) == (1, 2)
        assert await journal.dates([source]) == {source: 5.0}
        assert await journal.count(entry) == 1
        assert await journal.page(text=entry.upper()) == [long]


async def test_a_renamed_entry_is_found_by_its_new_name(postgres_uri: str) -> None:
    async with LeasedJournal(postgres_uri) as journal:
        await journal.save(record("k", entry="ALT"))
        await journal.rename("NEU", [record("k").item_id])
        assert await journal.page(text="alt") == []
        assert len(await journal.page(text="neu")) == 1


async def test_a_value_that_no_column_takes_is_an_error_of_its_write(postgres_uri: str) -> None:
    async with LeasedJournal(postgres_uri) as journal:
        for changes in ({"etag": "\0"}, {"etag": "\ud800"}, {"size": 2**70}):
            with pytest.raises(JournalError):
                await journal.save(record("k", **changes))
        await journal.save(FULL)
        assert await every(journal.records()) == [FULL]


# ── addresses ─────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    "rest",
    ["@127.0.0.1:1/db", "@h/db?bogus=1", "@[bad/db", "@h:port/db", "@h/%zz", "@/db?host=/nowhere"],
)
async def test_no_error_shows_the_password(rest: str) -> None:
    with pytest.raises(JournalError) as failed:
        async with Lease(address_of(Secret(f"postgresql://user:hunter2{rest}"))):
            pass
    error: BaseException | None = failed.value
    while error is not None:
        assert "hunter2" not in f"{error} {error!r}"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def test_an_address_shows_host_port_and_database() -> None:
    address = address_of(Secret("postgresql://user:hunter2@db.example:6432/mirrors?sslmode=require"))
    assert f"{address!r} {address.shown}" == "postgresql://db.example:6432/mirrors postgresql://db.example:6432/mirrors"
    assert address.parameters["application_name"] == "mirrord"
    assert address.prepares
    behind = address_of(Secret(f"postgresql://db/mirrors?{UNPREPARED}&connect_timeout=3"))
    assert (behind.prepares, behind.parameters["connect_timeout"]) == (False, "3")
