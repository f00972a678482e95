"""Opening the journal that the settings name, before there is a connection; the end of a block whose lease is lost."""

import asyncio
import sys
from pathlib import Path

import pytest

import mirrord.journal
from mirrord.engine.journals import _until_lost, database_to_read, journal_to_write, migrated
from mirrord.errors import JournalError, JournalTakenOver
from mirrord.journal.sqlite.journal import SqliteJournal
from mirrord.model import Secret
from mirrord.settings import Settings

POSTGRES = Settings(state=Path("/s/state.db"), database=Secret("postgresql://me:hunter2@h/d"))


async def test_without_psycopg_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [one for one in sys.modules if one.startswith("mirrord.journal.postgres")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(mirrord.journal, "postgres", raising=False)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    for opened in (journal_to_write(POSTGRES).__aenter__(), migrated(POSTGRES)):
        with pytest.raises(JournalError, match=r"needs psycopg .*; install it: pip install 'mirrord\[postgres\]'"):
            await opened
    with pytest.raises(JournalError, match="needs psycopg"):
        database_to_read(POSTGRES)


async def test_a_path_is_a_journal_of_sqlite(tmp_path: Path) -> None:
    async with journal_to_write(Settings(state=tmp_path / "state.db")) as state:
        assert isinstance(state.journal, SqliteJournal)
        assert state.tickets is None


class Lost:
    """A lease that another process takes when `taken` is set."""

    def __init__(self) -> None:
        self.taken = asyncio.Event()

    async def lost(self) -> None:
        await self.taken.wait()


async def test_a_block_ends_when_its_lease_is_lost() -> None:
    lease = Lost()
    block = _until_lost(lease, "postgresql://h/d")  # type: ignore[arg-type]
    lease.taken.set()
    with pytest.raises(JournalTakenOver, match="another mirrord took over the state postgresql://h/d"):
        async with block:
            await asyncio.Event().wait()


async def test_a_block_whose_lease_is_not_lost_ends_as_any_other() -> None:
    async with _until_lost(Lost(), ""):  # type: ignore[arg-type]
        pass
    for raised in (TimeoutError(), JournalTakenOver("refused"), asyncio.CancelledError()):
        with pytest.raises(type(raised)):
            async with _until_lost(Lost(), ""):  # type: ignore[arg-type]
                raise raised
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()
