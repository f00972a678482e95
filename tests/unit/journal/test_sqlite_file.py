"""The journal's file: modes, readers beside a writer, damage, grouped commits, a removed file, a full disk."""

import asyncio
import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from mirrord.errors import JournalError, JournalUnavailable
from mirrord.journal.sql.database import Rows, Statement
from mirrord.journal.sql.rows import from_record
from mirrord.journal.sql.scripts import Migration
from mirrord.journal.sqlite import SqliteJournal, connection
from mirrord.journal.sqlite.database import SqliteDatabase
from mirrord.journal.sqlite.schema import migrations
from mirrord.model import Destination, Record, Revision, State, Transfer, TransferKind
from tests.support.records import make_record


def record(key: str = "k", message: str = "") -> Record:
    at = Destination(store="default", endpoint="http://127.0.0.1:9000", bucket="datasets", key=key)
    return make_record(
        item_id=at.item_id, entry="e", source="file:///x", destination=at, state=State.PENDING, message=message
    )


def transfer() -> Transfer:
    return Transfer(
        id="t",
        item_id=record().item_id,
        destination=record().destination,
        revision=Revision(address="x"),
        kind=TransferKind.PUT,
        started=0.0,
    )


def modes(directory: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()}


def contents(directory: Path) -> dict[str, tuple[int, bytes]]:
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in directory.iterdir()}


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


@pytest.fixture(params=[0o000, 0o022, 0o277], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


async def test_the_constructor_creates_no_file(tmp_path: Path) -> None:
    SqliteJournal(tmp_path / "state" / "state.db")
    assert names(tmp_path) == set()


@pytest.mark.usefixtures("umask")
async def test_directory_and_files_are_private_whatever_the_umask(tmp_path: Path) -> None:
    async with SqliteJournal(tmp_path / "state" / "state.db") as journal:
        await journal.save(record())
        assert modes(tmp_path) == {"state": 0o700}
        assert modes(tmp_path / "state") == {"state.db": 0o600, "state.db-wal": 0o600, "state.db-shm": 0o600}


async def test_the_mode_of_an_existing_file_is_narrowed_and_of_a_directory_kept(tmp_path: Path) -> None:
    directory = tmp_path / "shared"
    directory.mkdir(0o755)
    (directory / "state.db").touch(0o644)
    async with SqliteJournal(directory / "state.db"):
        assert set(modes(directory).values()) == {0o600}
    assert modes(tmp_path) == {"shared": 0o755}


@pytest.mark.parametrize("name", ["a b?c=d&mode=memory#e%41.db", os.fsdecode(b"bad-\xff.db")])
async def test_any_file_name_works(tmp_path: Path, name: str) -> None:
    async with SqliteJournal(tmp_path / name) as journal:
        await journal.save(record())
    assert names(tmp_path) == {name}
    async with SqliteJournal(tmp_path / name, read_only=True) as journal:
        assert await journal.record(record().item_id) == record()


async def test_a_directory_that_cannot_be_created_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(JournalUnavailable, match=r"cannot make .*file/state for the state: .*--state"):
        async with SqliteJournal(tmp_path / "file" / "state" / "state.db"):
            pass


async def test_a_journal_that_is_not_open_raises(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "state.db")
    with pytest.raises(JournalError, match="not open"):
        await journal.save(record())
    async with journal:
        await journal.save(record())
    with pytest.raises(JournalError, match="not open"):
        await journal.record("x")


# ── reading only ──────────────────────────────────────────────────────────────────────────────────
async def test_a_reader_of_a_missing_journal_finds_it_empty_and_creates_nothing(tmp_path: Path) -> None:
    async with SqliteJournal(tmp_path / "state" / "state.db", read_only=True) as reader:
        assert [one async for one in reader.records()] == []
        assert (await reader.page(), await reader.totals(), await reader.last_written()) == ([], {}, None)
        with pytest.raises(JournalError, match="not open for writing"):
            await reader.save(record())
    assert names(tmp_path) == set()


async def test_a_reader_without_a_writer_writes_nothing(tmp_path: Path) -> None:
    async with SqliteJournal(tmp_path / "state.db") as journal:
        await journal.save(record())
    before = contents(tmp_path)
    async with SqliteJournal(tmp_path / "state.db", read_only=True) as reader:
        assert await reader.record(record().item_id) == record()
        assert names(tmp_path) == {"state.db"}
    assert contents(tmp_path) == before


async def test_a_reader_has_the_time_of_the_last_write_with_and_without_a_writer(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    async with SqliteJournal(path) as writer, SqliteJournal(path, read_only=True) as reader:
        await writer.save(record())
        os.utime(path, (1_000, 1_000))
        os.utime(f"{path}-wal", (2_000, 2_000))
        assert await reader.last_written() == 2_000
    os.utime(path, (3_000, 3_000))
    async with SqliteJournal(path, read_only=True) as reader:
        assert await reader.last_written() == 3_000


async def test_a_reader_sees_the_commits_of_a_running_writer(tmp_path: Path) -> None:
    async with SqliteJournal(tmp_path / "state.db") as writer:
        await writer.save(record(message="first"))
        async with SqliteJournal(tmp_path / "state.db", read_only=True) as reader:
            assert await reader.record(record().item_id) == record(message="first")
            await writer.save(record(message="second"))
            assert await reader.record(record().item_id) == record(message="second")


async def test_a_reader_sees_the_commits_of_a_writer_that_starts_and_ends(tmp_path: Path) -> None:
    async with SqliteJournal(tmp_path / "state.db") as writer:
        await writer.save(record(message="before"))
    async with SqliteJournal(tmp_path / "state.db", read_only=True) as reader:
        assert await reader.record(record().item_id) == record(message="before")
        async with SqliteJournal(tmp_path / "state.db") as writer:
            await writer.save(record(message="during"))
            assert await reader.record(record().item_id) == record(message="during")
        async with SqliteJournal(tmp_path / "state.db") as writer:
            await writer.save(record(message="after"))
        assert await reader.record(record().item_id) == record(message="after")


async def test_a_reader_of_an_older_schema_reads_a_migrated_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with SqliteJournal(tmp_path / "state.db") as journal:
        await journal.save(record())
    before = (tmp_path / "state.db").read_bytes()
    after = migrations()[-1].version + 1
    newer = [
        *migrations(),
        Migration(after, "ALTER TABLE items ADD COLUMN seen REAL; UPDATE items SET message = 'moved'"),
    ]
    monkeypatch.setattr(connection, "migrations", lambda: newer)
    async with SqliteJournal(tmp_path / "state.db", read_only=True) as reader:
        assert await reader.record(record().item_id) == record(message="moved")
    assert names(tmp_path) == {"state.db"}
    assert (tmp_path / "state.db").read_bytes() == before


# ── damage ────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("read_only", [False, True])
async def test_a_file_that_is_no_database_is_an_error_with_a_remedy(tmp_path: Path, read_only: bool) -> None:
    (tmp_path / "state.db").write_bytes(b"not a database" * 1_000)
    with pytest.raises(JournalError, match=r"state\.db is damaged: .*move it away"):
        async with SqliteJournal(tmp_path / "state.db", read_only=read_only):
            pass


async def test_a_damaged_page_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    async with SqliteJournal(path) as journal:
        await asyncio.gather(*(journal.save(record(f"k/{number}")) for number in range(500)))
    whole = path.read_bytes()
    path.write_bytes(whole[: 4096 * 40] + b"\xff" * (len(whole) - 4096 * 40))  # the schema is in the first pages
    async with SqliteJournal(path) as journal:
        with pytest.raises(JournalError, match=r"is damaged: .*move it away"):
            [one async for one in journal.records()]


# ── commits ───────────────────────────────────────────────────────────────────────────────────────
class CountingDatabase(SqliteDatabase):
    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.groups: list[int] = []

    def _commit(self, statements: list[Statement]) -> Rows:
        self.groups.append(len(statements))
        return super()._commit(statements)


async def test_writes_during_a_commit_are_committed_together(tmp_path: Path) -> None:
    async with CountingDatabase(tmp_path / "state.db") as database:
        saves = [Statement("save_record", from_record(record(f"k/{number}"))) for number in range(100)]
        await asyncio.gather(*map(database.write, saves))
        assert sum(database.groups) == 100
        assert len(database.groups) <= 2


async def test_a_group_that_fails_commits_nothing_and_the_next_one_succeeds(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    async with SqliteJournal(path) as journal:
        other = sqlite3.connect(path)
        other.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON items WHEN NEW.message = 'bad' BEGIN SELECT RAISE(FAIL, 'no'); END"
        )
        results = await asyncio.gather(
            journal.save(record("good")), journal.save(record("bad", "bad")), return_exceptions=True
        )
        assert [type(result) for result in results] == [JournalError, JournalError]
        assert [one async for one in journal.records()] == []
        other.execute("DROP TRIGGER refuse")
        other.close()
        await journal.save(record("good"))
        assert [one async for one in journal.records()] == [record("good")]


@pytest.mark.parametrize("refused", ["INSERT ON items", "DELETE ON transfers"])
async def test_finish_commits_both_or_neither(tmp_path: Path, refused: str) -> None:
    path = tmp_path / "state.db"
    async with SqliteJournal(path) as journal:
        await journal.begin(transfer())
        other = sqlite3.connect(path)
        other.execute(f"CREATE TRIGGER refuse BEFORE {refused} BEGIN SELECT RAISE(FAIL, 'no'); END")
        other.close()
        with pytest.raises(JournalError):
            await journal.finish("t", record())
        assert [one async for one in journal.unfinished()] == [transfer()]
        assert await journal.record(record().item_id) is None


async def test_leaving_waits_for_queued_writes(tmp_path: Path) -> None:
    async with SqliteJournal(tmp_path / "state.db") as journal:
        saving = asyncio.create_task(journal.save(record()))
        await asyncio.sleep(0)
    assert saving.done()
    async with SqliteJournal(tmp_path / "state.db", read_only=True) as reader:
        assert await reader.record(record().item_id) == record()


# ── a removed file, a full disk ───────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("how", ["removed", "renamed", "replaced"])
async def test_an_open_file_that_is_removed_or_replaced_accepts_no_records(tmp_path: Path, how: str) -> None:
    path = tmp_path / "state.db"
    async with SqliteJournal(path) as journal:
        await journal.save(record("before"))
        assert await journal.last_written() is not None
        if how == "removed":
            path.unlink()
        else:
            path.rename(tmp_path / "other.db")
        if how == "replaced":
            path.write_bytes(b"")
        for ask in (journal.save(record("after")), journal.last_written()):
            with pytest.raises(JournalUnavailable, match=r"state.db was removed or replaced .* restart mirrord"):
                await ask


async def test_the_wal_stays_small_where_the_disk_is_short_of_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, wal = tmp_path / "state.db", tmp_path / "state.db-wal"

    async def write(journal: SqliteJournal) -> int:
        for number in range(300):
            await journal.save(record("k", message=f"{number}" * 1000))
        return wal.stat().st_size

    async with SqliteJournal(path) as journal:
        assert await write(journal) > 512 * 1024, "enough space: SQLite's default"
        monkeypatch.setattr(connection, "SHORT_OF_SPACE", 1 << 62)
        assert await write(journal) < 300 * 1024


async def test_a_checkpoint_limits_the_size_of_the_wal(tmp_path: Path) -> None:
    wal = tmp_path / "state.db-wal"
    async with SqliteJournal(tmp_path / "state.db") as journal:
        await journal.save_all([record(f"{number}", message="x" * 5000) for number in range(2000)])
        assert wal.stat().st_size > 8 * 1024 * 1024
        for number in range(1500):
            await journal.save(record("k", message=str(number)))
        assert wal.stat().st_size <= 6 * 1024 * 1024
