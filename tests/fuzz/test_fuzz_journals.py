"""Damaged journals: any bytes of the file, and rows with values of other types. A status, or JournalError."""

import asyncio
import shutil
import sqlite3
from pathlib import Path

import pytest
from hypothesis import strategies as st

from mirrord.errors import JournalError
from mirrord.journal.sqlite import SqliteJournal
from mirrord.programs.offline import recorded
from mirrord.settings import Settings
from tests.support.fuzzing import explained, fuzz, mutated
from tests.support.journals import FULL

_VALUES = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(max_size=20),
    st.binary(max_size=20),
)
_VALUES |= st.sampled_from(["{}", "[]", "null", '{"address": 1}', '{"file": [1]}', '{"a": 1}', "[" * 5000])


async def _written(path: Path) -> None:
    async with SqliteJournal(path) as journal:
        await journal.save(FULL)


async def _read(path: Path) -> None:
    settings = Settings(state=path)
    try:
        await recorded(settings, 10)
    except JournalError as error:
        explained(error)


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    path = tmp_path / "state" / "state.db"
    asyncio.run(_written(path))
    return path


def test_damaged_files(journal: Path, tmp_path: Path) -> None:
    content = journal.read_bytes()

    def check(damage: list[tuple[int, int]]) -> None:
        changed = bytearray(content)
        for at, byte in damage:
            changed[at % len(content)] = byte
        _check_copy(tmp_path, bytes(changed))

    fuzz(st.lists(st.tuples(st.integers(0, len(content)), st.integers(0, 255)), max_size=30), check, examples=20)
    fuzz(mutated([content[:8192]]), lambda raw: _check_copy(tmp_path, raw), examples=10)


def _check_copy(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "damaged" / "state.db"
    shutil.rmtree(path.parent, ignore_errors=True)
    path.parent.mkdir(mode=0o700)
    path.write_bytes(content)
    asyncio.run(_read(path))


def test_rows_of_other_types(journal: Path) -> None:
    with sqlite3.connect(journal) as connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(items)")]
    connection.close()
    whole = journal.read_bytes()

    def check(value: tuple[str, object]) -> None:
        column, content = value
        journal.write_bytes(whole)
        connection = sqlite3.connect(journal)
        try:
            connection.execute(f"UPDATE items SET {column} = ?", (content,))
            connection.commit()
        except sqlite3.Error:
            return
        finally:
            connection.close()
        asyncio.run(_read(journal))

    fuzz(st.tuples(st.sampled_from(columns), _VALUES), check, examples=60)
