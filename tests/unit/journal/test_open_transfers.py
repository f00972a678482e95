"""Which items have open transfers, without a query: what a crash left, what runs, and what ended."""

import asyncio
from pathlib import Path

import pytest

from mirrord.errors import JournalError
from mirrord.journal.sql.open_transfers import OpenTransfers
from mirrord.journal.sqlite import SqliteJournal
from mirrord.model import Destination, Revision, State, Transfer, TransferKind
from tests.support.records import make_record

AT = Destination(store="s", endpoint="http://s", bucket="b", key="k")


def transfer(transfer_id: str, item_id: str = "item") -> Transfer:
    return Transfer(
        id=transfer_id,
        item_id=item_id,
        destination=AT,
        revision=Revision(address="a"),
        kind=TransferKind.PUT,
        started=1.0,
    )


async def ids(journal: SqliteJournal, item_id: str = "item") -> list[str]:
    found = [one.id for one in await journal.open_of(item_id)]
    assert found == [one.id for one in await journal.unfinished_of(item_id)]
    return found


def test_an_item_has_none_only_after_its_last_transfer_ended() -> None:
    known = OpenTransfers()
    assert (known.add("1", "item"), known.add("1", "item"), known.add("2", "item")) == (True, False, True)
    known.discard("1")
    known.discard("1")
    known.discard("unknown")
    assert "item" in known
    known.discard("2")
    assert "item" not in known


async def test_each_step_is_seen_and_an_item_without_transfers_costs_no_query(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with SqliteJournal(tmp_path / "state.db") as journal:
        await journal.begin(transfer("left"))
    async with SqliteJournal(tmp_path / "state.db") as journal:
        assert await ids(journal) == ["left"], "a crash left it"
        await journal.begin(transfer("new"))
        assert await ids(journal) == ["left", "new"]
        await journal.abandon("left")
        assert await ids(journal) == ["new"]
        done = make_record(item_id="item", entry="e", source="file:///x", destination=AT, state=State.SYNCED)
        await journal.finish("new", done)
        monkeypatch.setattr(journal._database, "read", None)
        assert await ids(journal) == await ids(journal, "never seen") == []


async def test_begun_while_the_first_question_is_answered(tmp_path: Path) -> None:
    async with SqliteJournal(tmp_path / "state.db") as journal:
        await asyncio.gather(journal.open_of("other"), journal.begin(transfer("t")), journal.open_of("item"))
        assert await ids(journal) == ["t"]


async def test_an_intent_that_was_refused_is_none_and_an_older_one_stays(tmp_path: Path) -> None:
    async with SqliteJournal(tmp_path / "state.db") as journal:
        await journal.begin(transfer("t"))
        assert await ids(journal) == ["t"]
        with pytest.raises(JournalError):
            await journal.begin(transfer("t", "another item"))
        assert (await ids(journal), await ids(journal, "another item")) == (["t"], [])


async def test_a_reader_asks_each_time(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    async with SqliteJournal(path) as writer, SqliteJournal(path, read_only=True) as reader:
        assert await ids(reader) == []
        await writer.begin(transfer("t"))
        assert await ids(reader) == ["t"]
