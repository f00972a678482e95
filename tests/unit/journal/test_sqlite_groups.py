"""The groups of the journal's thread: reads and writes that wait share one hop, each with its own result."""

import asyncio
from pathlib import Path

import pytest

from mirrord.errors import JournalError
from mirrord.journal.sql.database import Rows, Statement
from mirrord.journal.sql.groups import MOST_IN_GROUP, Read, Write
from mirrord.journal.sqlite.database import SqliteDatabase

SAVE_ROOT = "save_folder_root"


def root(path: str) -> Statement:
    return Statement(SAVE_ROOT, {"entry": "e", "path": path, "device": "1", "inode": "2"})


class Watched(SqliteDatabase):
    """Notes the sizes of its groups: (writes, reads)."""

    groups: list[tuple[int, int]]

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.groups = []

    def _serve(self, writes: list[Write], reads: list[Read]) -> list[Rows | Exception]:
        self.groups.append((len(writes), len(reads)))
        return super()._serve(writes, reads)


async def read(database: SqliteDatabase, path: str = "p0") -> Rows:
    return await database.read("folder_root", {"entry": "e", "path": path})


async def test_calls_that_wait_share_one_hop_and_reads_see_the_writes(tmp_path: Path) -> None:
    async with Watched(tmp_path / "state.db") as database:
        reads = asyncio.gather(*(read(database, f"p{n}") for n in range(20)))
        await asyncio.gather(*(database.write(root(f"p{n}")) for n in range(20)))
        assert [len(rows) for rows in await reads] == [1] * 20
        assert database.groups == [(20, 20)]


async def test_a_call_waits_for_no_other(tmp_path: Path) -> None:
    async with Watched(tmp_path / "state.db") as database:
        for _ in range(3):
            await read(database)
        assert database.groups == [(0, 1)] * 3


async def test_callers_that_go_on_within_a_few_turns_are_one_group(tmp_path: Path) -> None:
    async def write_twice(database: Watched, turns: int) -> None:
        await database.write(root(f"{turns}-1"))
        for _ in range(turns):
            await asyncio.sleep(0)
        await database.write(root(f"{turns}-2"))

    async with Watched(tmp_path / "state.db") as database:
        await asyncio.gather(*(write_twice(database, turns) for turns in range(8)))
        assert database.groups == [(8, 0), (8, 0)]


async def test_a_group_is_bounded(tmp_path: Path) -> None:
    async with Watched(tmp_path / "state.db") as database:
        await asyncio.gather(*(database.write(root(f"p{n}")) for n in range(MOST_IN_GROUP + 1)))
        assert database.groups == [(MOST_IN_GROUP, 0), (1, 0)]


async def test_a_failed_call_fails_only_its_own_caller_or_its_commit(tmp_path: Path) -> None:
    async with Watched(tmp_path / "state.db") as database:
        bad = Statement(SAVE_ROOT, {"entry": "e"})  # a parameter is missing
        results = await asyncio.gather(
            read(database),
            database.read("folder_root", {}),
            database.write(root("p0")),
            database.write(bad),
            return_exceptions=True,
        )
        assert results[0] == [], "nothing of the commit is left"
        assert [type(one) for one in results[1:]] == [JournalError] * 3
        await database.write(root("p0"))
        assert len(await read(database)) == 1


async def test_a_caller_that_was_cancelled_stops_no_other(tmp_path: Path) -> None:
    async with Watched(tmp_path / "state.db") as database:
        gone = [asyncio.create_task(read(database)), asyncio.create_task(database.write(root("p0")))]
        stays = asyncio.create_task(read(database))
        await asyncio.sleep(0)
        for one in gone:
            one.cancel()
        assert len(await stays) == 1, "a write that was begun may still be committed"


async def test_a_closed_journal_takes_no_call(tmp_path: Path) -> None:
    database = Watched(tmp_path / "state.db")
    with pytest.raises(JournalError):
        await read(database)
    async with database:
        waiting = asyncio.create_task(read(database))
        await asyncio.sleep(0)
    assert await waiting == [], "a call that was taken is answered before the file is closed"
    with pytest.raises(JournalError):
        await database.write(root("p0"))
