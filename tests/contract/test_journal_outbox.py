"""`ports.JournalOutbox`, on every journal: rows join the commits of records, and wait for their receivers in order."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mirrord.errors import Reason
from mirrord.journal.sql.outbox import Outbox
from mirrord.journal.sqlite import SqliteJournal
from mirrord.model import DEFAULT_NOTICES, Integrity, Notice, Notification, OutboxRow, Record, State
from mirrord.planning.notifications.delivery import LONGEST_PAUSE
from mirrord.ports import Journal
from mirrord.testing.outbox import MemoryOutbox
from tests.support.journals import Journals, record, transfer

LATE = 2e9  # seconds since the epoch, after every row is due
ALL = {"hook": frozenset(Notice)}


def synced(key: str = "k", transfer_id: str = "t-1") -> Record:
    return record(key, state=State.SYNCED, transfer_id=transfer_id, etag='"e"', size=3, integrity=Integrity.FULL_OBJECT)


def blocked(key: str = "k", reason: Reason = Reason.STORE_DENIED) -> Record:
    return record(key, state=State.BLOCKED, reason=reason, message="the store said no")


def announced(about: str, name: Notice = Notice.ITEM_STALE) -> Notification:
    return Notification(id="n-1", name=name, about=about, subject="s3://datasets/ü\udcff", time=7.5, data='{"a":1}')


async def waiting(journal: Journal, receiver: str = "hook", at: float = LATE) -> list[OutboxRow]:
    """Every row of the receiver in the order in which they are sent."""
    found: list[OutboxRow] = []
    while rows := await journal.outbox.due(receiver, at, 1):
        found += rows
        await journal.outbox.delivered(rows)
    return found


async def names(journal: Journal, receiver: str = "hook", at: float = LATE) -> list[str]:
    return [str(row.notification.name) for row in await waiting(journal, receiver, at)]


async def test_without_receivers_nothing_is_written(journals: Journals) -> None:
    await journals.now.save(record("k"))
    await journals.now.save(blocked())
    journals.now.outbox.announce(announced("k"))
    await journals.now.outbox.flush()
    journal = await journals.later()
    await journal.outbox.send_to(ALL)
    assert await waiting(journal) == []
    assert (await journal.outbox.counts())["hook"].waiting == 0


async def test_a_change_of_a_record_is_written_with_it(journals: Journals) -> None:
    journal = journals.now
    await journal.outbox.send_to(ALL)
    await journal.save(record("k"))
    await journal.save(blocked())
    assert list(await journal.outbox.stale()) == []
    await journal.save(synced())
    journal = await journals.later()
    await journal.outbox.send_to(ALL)
    rows = await waiting(journal)
    assert [row.notification.name for row in rows] == ["item.blocked", "item.synced", "item.recovered"]
    assert len({row.notification.id for row in rows}) == 3
    assert all(row.notification.about == synced().item_id and row.attempts == 0 for row in rows)
    assert rows[0].notification.subject == "s3://datasets/k"
    data = json.loads(rows[0].notification.data)
    assert data["reason"] == "StoreDenied"
    assert data["message"] == "the store said no"
    assert data["key"] == "k"


async def test_a_finished_transfer_is_written_with_its_record(journals: Journals) -> None:
    journal = journals.now
    await journal.outbox.send_to(ALL)
    await journal.begin(transfer(1))
    await journal.finish("t-1", synced())
    rows = await waiting(await journals.later())
    assert [row.notification.name for row in rows] == ["transfer.completed", "item.synced"]
    assert json.loads(rows[0].notification.data)["transfer_id"] == "t-1"


async def test_each_receiver_gets_its_own_events(journals: Journals) -> None:
    journal = journals.now
    await journal.outbox.send_to({"a": DEFAULT_NOTICES, "b": {Notice.ITEM_SYNCED}})
    await journal.save(blocked())
    await journal.save(synced())
    assert await names(journal, "a") == ["item.blocked", "item.recovered"]
    assert await names(journal, "b") == ["item.synced"]


async def test_rows_of_a_removed_receiver_are_deleted(journals: Journals) -> None:
    await journals.now.outbox.send_to({"a": set(Notice), "b": set(Notice)})
    await journals.now.save(blocked())
    journal = await journals.later()
    await journal.outbox.send_to({"b": set(Notice)})
    assert list(await journal.outbox.counts()) == ["b"]
    await journal.outbox.send_to({"a": set(Notice), "b": set(Notice)})
    assert await names(journal, "a") == []
    assert await names(journal, "b") == ["item.blocked"]
    await journal.outbox.send_to({})
    assert await journal.outbox.counts() == {}


async def test_rows_of_receivers_that_may_come_back_are_kept(journals: Journals) -> None:
    """The manifest with the webhooks is bad at a start."""
    await journals.now.outbox.send_to({"a": set(Notice)})
    await journals.now.save(blocked())
    journal = await journals.later()
    await journal.outbox.send_to({}, keep=True)
    await journal.save(synced())
    journal = await journals.later()
    await journal.outbox.send_to({}, keep=True)
    assert {one: counts.waiting for one, counts in (await journal.outbox.counts()).items()} == {"a": 1}
    await journal.outbox.send_to({"a": set(Notice)})
    assert await names(journal, "a") == ["item.blocked", "item.recovered"]
    await journal.outbox.send_to({"b": set(Notice)}, keep=True)
    assert sorted(await journal.outbox.counts()) == ["a", "b"]
    await journal.outbox.send_to({"b": set(Notice)})
    assert list(await journal.outbox.counts()) == ["b"]


# ── order and attempts ────────────────────────────────────────────────────────────────────────────
async def test_a_later_row_waits_for_the_oldest_about_the_same_thing(journals: Journals) -> None:
    journal = journals.now
    await journal.outbox.send_to(ALL)
    await journal.save_all([blocked("a"), blocked("b")])
    await journal.save(synced("a"))
    journal = await journals.later()
    first = await journal.outbox.due("hook", LATE, 10)
    assert [row.notification.about for row in first] == [blocked("a").item_id, blocked("b").item_id]
    await journal.outbox.postponed(first[0], LATE + 60)
    journal = await journals.later()
    assert [row.notification.about for row in await journal.outbox.due("hook", LATE, 10)] == [blocked("b").item_id]
    assert await journal.outbox.next_due("hook") == 0.0
    again = (await journal.outbox.due("hook", LATE + 60, 10))[-1]
    assert (again.number, again.attempts) == (first[0].number, 1)
    await journal.outbox.delivered([again])
    assert await names(journal) == ["item.blocked", "item.synced", "item.recovered"]  # of b, then of a
    assert await journal.outbox.next_due("hook") is None


async def test_a_row_does_not_wait_for_a_clock_that_was_set_back(journals: Journals) -> None:
    journal = journals.now
    await journal.outbox.send_to(ALL)
    await journal.save(blocked())
    (row,) = await journal.outbox.due("hook", LATE, 1)
    await journal.outbox.postponed(row, LATE + LONGEST_PAUSE)
    assert await journal.outbox.due("hook", LATE, 1) == []
    assert await names(journal, at=LATE - 1) == ["item.blocked"]


async def test_a_dead_row_is_counted_and_the_next_one_is_due(journals: Journals) -> None:
    journal = journals.now
    await journal.outbox.send_to(ALL)
    await journal.save(blocked())
    await journal.save(synced())
    (row,) = await journal.outbox.due("hook", LATE, 10)
    await journal.outbox.dead(row, "answered 404, ü")
    await journal.outbox.dead(row, "twice")
    journal = await journals.later()
    counts = (await journal.outbox.counts())["hook"]
    assert (counts.waiting, counts.dead, counts.error) == (2, 1, "answered 404, ü")
    assert await names(journal) == ["item.synced", "item.recovered"]


# ── announcements ─────────────────────────────────────────────────────────────────────────────────
async def test_an_announcement_joins_the_next_commit_of_its_item(journals: Journals) -> None:
    journal = journals.now
    await journal.outbox.send_to(ALL)
    journal.outbox.announce(announced(blocked().item_id, Notice.TRANSFER_FAILED))
    journal.outbox.announce(announced("m.yaml", Notice.MANIFEST_REJECTED))
    await journal.save(blocked())
    assert await names(journal) == ["transfer.failed", "item.blocked"]
    await journal.outbox.flush("m.yaml")
    await journal.outbox.flush()
    (row,) = await waiting(await journals.later())
    assert row.notification == announced("m.yaml", Notice.MANIFEST_REJECTED)


async def test_a_stale_item_is_marked_until_it_is_synced(journals: Journals) -> None:
    journal, about = journals.now, blocked().item_id
    await journal.outbox.send_to(ALL)
    await journal.save(record("k", state=State.RETRYING))
    assert await journal.outbox.announce_stale(announced(about))
    journal = await journals.later()
    await journal.outbox.send_to(ALL)
    assert list(await journal.outbox.stale()) == [about]
    await journal.save(record("k", state=State.BLOCKED))
    assert list(await journal.outbox.stale()) == [about]
    await journal.save(synced())
    assert list(await journal.outbox.stale()) == []
    assert await names(journal) == ["item.stale", "item.blocked", "item.synced", "item.recovered"]


@pytest.mark.parametrize("now", [synced(), None, replace(blocked(), removed=5.0)], ids=["synced", "unknown", "removed"])
async def test_an_item_that_is_in_sync_or_left_is_not_stale(journals: Journals, now: Record | None) -> None:
    journal = journals.now
    await journal.outbox.send_to({"hook": {Notice.ITEM_STALE}})
    if now is not None:
        await journal.save(now)
    assert not await journal.outbox.announce_stale(announced(blocked().item_id))
    assert await waiting(journal) == []
    assert list(await journal.outbox.stale()) == []


async def test_the_mark_goes_with_the_item_and_without_receivers_by_not_stale(journals: Journals) -> None:
    journal, about = journals.now, blocked().item_id
    await journal.save(blocked())
    assert await journal.outbox.announce_stale(announced(about))
    assert list(await (await journals.later()).outbox.stale()) == [about]
    await journals.now.outbox.not_stale([about])
    assert list(await journals.now.outbox.stale()) == []
    await journals.now.outbox.send_to(ALL)
    assert await journals.now.outbox.announce_stale(announced(about))
    await journals.now.retire([about], 9.0)
    assert list(await journals.now.outbox.stale()) == []


async def test_a_suspended_item_is_not_stale_and_recovers_later(journals: Journals) -> None:
    journal, about = journals.now, blocked().item_id
    await journal.outbox.send_to({"hook": DEFAULT_NOTICES})
    await journal.save(record("k", state=State.RETRYING))
    assert await journal.outbox.announce_stale(announced(about))
    await journal.save(record("k", state=State.SUSPENDED))
    await journal.outbox.not_stale([about])
    assert list(await journal.outbox.stale()) == []
    await journal.save(synced())
    assert await names(journal) == ["item.stale", "item.recovered"]
    await journal.outbox.not_stale([about])
    await journal.save(synced())
    assert await names(journal) == []


async def test_an_item_that_was_synced_without_receivers_recovers_with_the_first(journals: Journals) -> None:
    """For example by `sync` between two runs of the daemon."""
    await journals.now.outbox.send_to(ALL)
    await journals.now.save_all([blocked("k"), blocked("other")])
    assert await names(journals.now) == ["item.blocked", "item.blocked"]
    await journals.now.outbox.send_to({})
    await journals.now.save(synced("k"))
    journal = await journals.later()
    await journal.outbox.send_to(ALL)
    (row,) = await waiting(journal)
    assert (row.notification.name, row.notification.about) == ("item.recovered", synced("k").item_id)
    await journal.outbox.send_to({})
    await journal.outbox.send_to(ALL)
    assert await waiting(journal) == []


# ── the bound ─────────────────────────────────────────────────────────────────────────────────────
@pytest.fixture(params=["sqlite", "memory"])
async def small(request: pytest.FixtureRequest, tmp_path: Path):
    """An outbox of at most 10 rows."""
    async with SqliteJournal(tmp_path / "state" / "state.db") as journal:
        sqlite = Outbox(journal._database, most=10)
        yield sqlite if request.param == "sqlite" else MemoryOutbox({}, most=10)


async def test_a_full_outbox_drops_the_oldest_and_counts_them(small: Outbox | MemoryOutbox) -> None:
    await small.send_to(ALL)
    for number in range(25):
        small.announce(replace(announced(f"about-{number % 2}"), id=f"n-{number}"))
        await small.flush()
    counts = (await small.counts())["hook"]
    assert counts.waiting <= 10
    assert counts.waiting + counts.dropped == 25
    assert counts.waiting >= 8
    left: list[str] = []
    while rows := await small.due("hook", LATE, 1):
        left += [row.notification.id for row in rows]
        await small.delivered(rows)
    assert left == [f"n-{number}" for number in range(25 - counts.waiting, 25)]
