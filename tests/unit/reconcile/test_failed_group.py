"""A commit that fails: each of its members has one terminal event and is checked again; nothing is recorded as done."""

import asyncio
import sqlite3
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from mirrord.errors import JournalError
from mirrord.events import Event, TransferCompleted, TransferFailed, TransferInterrupted, TransferStarted
from mirrord.journal.sqlite import SqliteJournal
from mirrord.model import Destination, Item, origin_at
from mirrord.reconcile.reconciler import Reconciler
from mirrord.reconcile.transfer_slots import TransferSlots
from mirrord.reconcile.transfers import Transfers
from mirrord.testing import ManualClock, MemorySource, MemoryStore
from mirrord.transfer.budget import Budget
from mirrord.units import MiB

MEMBERS = 6
ENDS = (TransferCompleted, TransferFailed, TransferInterrupted)


class Group:
    """Items with one journal in a file, checked at the same time."""

    def __init__(self, journal: SqliteJournal) -> None:
        self.journal, self.store, self.events = journal, MemoryStore(), list[Event]()
        self.store.buckets["bucket"] = {}
        at = Destination("default", "http://store", "bucket", "")
        places = [replace(at, key=f"k{number}") for number in range(MEMBERS)]
        origin = origin_at("http://s/x")
        self.items = [Item(id=one.item_id, entry="e", origin=origin, destination=one) for one in places]

    def reconciler(self) -> Reconciler:
        async def store_of(_item: Item) -> MemoryStore:
            return self.store

        clock = ManualClock(1000.0)
        transfers = Transfers(
            journal=self.journal,
            observer=self.events.append,
            clock=clock,
            budget=Budget(64 * MiB),
            slots=TransferSlots(MEMBERS),
        )
        return Reconciler(
            journal=self.journal,
            store_of=store_of,
            source_of=lambda _item: MemorySource(content=b"bytes"),
            transfers=transfers,
            observer=self.events.append,
            clock=clock,
            retry=lambda _failures, _after: 7.0,
        )

    async def check(self) -> list[object]:
        self.events.clear()
        reconciler = self.reconciler()
        return await asyncio.gather(*map(reconciler.reconcile, self.items), return_exceptions=True)

    def one_end_for_each_start(self) -> int:
        """The number of starts; each has exactly one end."""
        begun = Counter(one.transfer_id for one in self.events if isinstance(one, TransferStarted))
        ended = Counter(one.transfer_id for one in self.events if isinstance(one, ENDS))
        assert begun == ended
        return len(begun)


@pytest.mark.parametrize("table", ["transfers", "items"])
async def test_each_member_of_a_failed_commit_has_one_end(tmp_path: Path, table: str) -> None:
    path = tmp_path / "state.db"
    async with SqliteJournal(path) as journal:
        group = Group(journal)
        bad = group.items[2].id
        other = sqlite3.connect(path, isolation_level=None)
        other.execute(
            f"CREATE TRIGGER refuse BEFORE INSERT ON {table} WHEN NEW.item_id = '{bad}' "
            "BEGIN SELECT RAISE(FAIL, 'no'); END"
        )
        failed = await group.check()
        assert any(isinstance(one, JournalError) for one in failed)
        assert group.one_end_for_each_start() == (MEMBERS if table == "items" else 0)
        other.execute("DROP TRIGGER refuse")
        other.close()
        again = await group.check()
        assert not [one for one in again if isinstance(one, BaseException)]
        group.one_end_for_each_start()
        assert len(group.store.buckets["bucket"]) == MEMBERS
        assert [one async for one in journal.unfinished()] == []
