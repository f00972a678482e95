"""The contract of `ports.Journal`, on every journal: SQLite, SQLite reopened before each read, and memory."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import fields, replace
from pathlib import Path

import pytest

from mirrord.errors import Reason
from mirrord.journal.memory import MemoryJournal
from mirrord.journal.sqlite import SqliteJournal
from mirrord.model import (
    Checksum,
    ChecksumKind,
    Copied,
    Destination,
    FileIdentity,
    Integrity,
    Record,
    Revision,
    State,
    Transfer,
    TransferKind,
)
from mirrord.ports import Journal


class Journals:
    """A journal to write to, and what a later reader would have of it."""

    def __init__(self, make: Callable[[], Journal], *, reopen: bool) -> None:
        self._make = make
        self._reopen = reopen
        self._stack = AsyncExitStack()
        self.now: Journal

    async def open(self) -> None:
        self.now = await self._stack.enter_async_context(self._make())

    async def later(self) -> Journal:
        if self._reopen:
            await self.close()
            await self.open()
        return self.now

    async def close(self) -> None:
        await self._stack.aclose()


@pytest.fixture(params=["sqlite", "sqlite reopened", "memory"])
async def journals(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Journals]:
    path = tmp_path / "state" / "state.db"
    kinds = {
        "sqlite": Journals(lambda: SqliteJournal(path), reopen=False),
        "sqlite reopened": Journals(lambda: SqliteJournal(path), reopen=True),
        "memory": Journals(MemoryJournal, reopen=False),
    }
    journals = kinds[request.param]
    await journals.open()
    yield journals
    await journals.close()


def at(key: str) -> Destination:
    return Destination(store="default", endpoint="http://127.0.0.1:9000", bucket="datasets", key=key)


def record(key: str = "geo/city.mmdb", **changes: object) -> Record:
    bare = Record(
        item_id=at(key).item_id,
        entry=key,
        source="https://example.org/" + key,
        destination=at(key),
        state=State.PENDING,
    )
    return replace(bare, **changes)


FULL = record(
    state=State.BLOCKED,
    reason=Reason.CHECKSUM_MISMATCH,
    message='the store said: "no"\n2nd line, ünïcode, 100 %',
    since=1_700_000_000.123456,
    next_check=1_700_003_600.654321,
    revision=Revision(
        address="0123456789abcdef",
        etag='W/"a\\"b"',
        last_modified="Wed, 21 Oct 2015 07:28:00 GMT",
        length=5 * 2**40,
        digest="sha256:" + "ab" * 32,
        file=FileIdentity(
            device=2**64 - 1, inode=2**64 - 2, size=2**62, mtime_ns=-1, ctime_ns=1_700_000_000_123_456_789
        ),
        location="fedcba9876543210",
    ),
    transfer_id="t-1",
    etag='"9bb58f26192e4ba00f01e2e7b136bbd8-3"',
    size=5 * 2**40,
    checksum=Checksum(ChecksumKind.CRC64NVME, "rosUhgp5mIg="),
    integrity=Integrity.FULL_OBJECT,
    synced_at=1_700_000_001.5,
    options_digest="feed",
)


def transfer(number: int = 1, **changes: object) -> Transfer:
    bare = Transfer(
        id=f"t-{number}",
        item_id=at("k").item_id,
        destination=at("k"),
        revision=Revision(address="0123456789abcdef", etag='"strong"', length=3),
        kind=TransferKind.MULTIPART,
        part_size=8 * 2**20,
        started=1_700_000_000.25,
    )
    return replace(bare, **changes)


def copied(of: Transfer) -> Copied:
    return Copied(
        transfer_id=of.id,
        revision=of.revision,
        kind=of.kind,
        size=3,
        parts=1,
        etag='"e"',
        checksum=None,
        integrity=Integrity.MD5,
    )


async def every(stream: AsyncIterator[object]) -> list[object]:
    return [one async for one in stream]


def test_the_full_record_tries_every_field() -> None:
    """A field added to the model must be added here, so that no journal can forget it in silence."""
    for noun in (FULL, FULL.revision, FULL.revision.file, FULL.checksum, transfer()):
        for field in fields(noun):
            assert getattr(noun, field.name) not in (None, "", 0, 0.0), (type(noun), field.name)


async def test_an_empty_journal_knows_nothing(journals: Journals) -> None:
    journal = await journals.later()
    assert await journal.record(FULL.item_id) is None
    assert await every(journal.records()) == []
    assert await every(journal.unfinished()) == []


@pytest.mark.parametrize("saved", [record(), FULL], ids=["only what must be", "every field"])
async def test_a_record_comes_back_as_it_was_saved(journals: Journals, saved: Record) -> None:
    await journals.now.save(saved)
    found = await (await journals.later()).record(saved.item_id)
    assert found == saved
    assert found is not None
    assert (type(found.state), type(found.destination)) == (State, Destination)


async def test_a_record_is_replaced_whole(journals: Journals) -> None:
    await journals.now.save(FULL)
    await journals.now.save(record())
    journal = await journals.later()
    assert await journal.record(FULL.item_id) == record()
    assert await every(journal.records()) == [record()]


@pytest.mark.parametrize("state", State)
async def test_every_state_can_be_recorded(journals: Journals, state: State) -> None:
    await journals.now.save(record(state=state))
    found = await (await journals.later()).record(record().item_id)
    assert found is not None
    assert found.state is state


@pytest.mark.parametrize("reason", Reason)
async def test_every_reason_can_be_recorded(journals: Journals, reason: Reason) -> None:
    await journals.now.save(record(reason=reason))
    found = await (await journals.later()).record(record().item_id)
    assert found is not None
    assert found.reason is reason


@pytest.mark.parametrize(
    "name", ["bad-\udcff\udc80.csv", "lone-\ud800", "nul-\x00-byte", "emoji-😀", "'; DROP TABLE items; --"]
)
async def test_names_that_are_hard_to_store_come_back(journals: Journals, name: str) -> None:
    saved = record(entry=name, source=f"file:///srv/{name}", message=f"cannot read {name}")
    saved = replace(saved, destination=replace(saved.destination, key=name))
    await journals.now.save(saved)
    journal = await journals.later()
    assert await journal.record(saved.item_id) == saved
    intent = transfer(destination=saved.destination)
    await journal.begin(intent)
    assert await every((await journals.later()).unfinished()) == [intent]


async def test_records_are_streamed_by_item_id_over_many_pages(journals: Journals) -> None:
    saved = [record(f"k/{number}") for number in range(1_700)]
    await asyncio.gather(*map(journals.now.save, saved))
    found = await every((await journals.later()).records())
    assert found == sorted(saved, key=lambda one: one.item_id)


async def test_records_saved_while_they_are_streamed_do_not_disturb_the_stream(journals: Journals) -> None:
    await asyncio.gather(*(journals.now.save(record(f"k/{number}")) for number in range(1_200)))
    journal = await journals.later()
    seen = []
    async for one in journal.records():
        await journal.save(replace(one, state=State.SYNCED))
        seen.append(one.item_id)
    assert len(seen) == len(set(seen)) == 1_200
    assert {one.state async for one in journal.records()} == {State.SYNCED}


@pytest.mark.parametrize("kind", TransferKind)
async def test_an_intent_stands_until_it_is_settled(journals: Journals, kind: TransferKind) -> None:
    intent = transfer(kind=kind, part_size=None if kind is TransferKind.PUT else 8 * 2**20)
    await journals.now.begin(intent)
    assert await every((await journals.later()).unfinished()) == [intent]


async def test_finish_settles_the_intent_and_records_the_item(journals: Journals) -> None:
    await journals.now.begin(transfer(1))
    await journals.now.begin(transfer(2))
    await journals.now.finish("t-1", copied(transfer(1)), FULL)
    journal = await journals.later()
    assert await every(journal.unfinished()) == [transfer(2)]
    assert await journal.record(FULL.item_id) == FULL


async def test_abandon_settles_the_intent_and_leaves_the_record(journals: Journals) -> None:
    await journals.now.save(FULL)
    await journals.now.begin(transfer())
    await journals.now.abandon("t-1")
    journal = await journals.later()
    assert await every(journal.unfinished()) == []
    assert await journal.record(FULL.item_id) == FULL


async def test_settling_twice_or_what_never_began_is_no_error(journals: Journals) -> None:
    await journals.now.abandon("t-none")
    await journals.now.begin(transfer())
    await journals.now.finish("t-1", copied(transfer()), FULL)
    await journals.now.finish("t-1", copied(transfer()), FULL)
    await journals.now.abandon("t-1")
    journal = await journals.later()
    assert await every(journal.unfinished()) == []
    assert await journal.record(FULL.item_id) == FULL


async def test_intents_can_be_settled_while_they_are_streamed(journals: Journals) -> None:
    intents = [transfer(number) for number in range(1_100)]
    await asyncio.gather(*map(journals.now.begin, intents))
    journal = await journals.later()
    seen = []
    async for one in journal.unfinished():
        await journal.abandon(one.id)
        seen.append(one)
    assert sorted(seen, key=lambda one: one.id) == sorted(intents, key=lambda one: one.id)
    assert await every(journal.unfinished()) == []


async def test_of_many_writers_each_has_committed_when_it_returns(journals: Journals) -> None:
    async def write(number: int) -> None:
        saved = record(f"k/{number}", message=str(number))
        await journals.now.save(saved)
        assert await journals.now.record(saved.item_id) == saved

    await asyncio.gather(*map(write, range(200)))
    assert len(await every((await journals.later()).records())) == 200


async def test_a_cancelled_writer_disturbs_no_other(journals: Journals) -> None:
    writers = [asyncio.create_task(journals.now.save(record(f"k/{number}"))) for number in range(20)]
    await asyncio.sleep(0)
    for writer in writers[::2]:
        writer.cancel()
    await asyncio.wait(writers)
    journal = await journals.later()
    assert all([await journal.record(record(f"k/{number}").item_id) for number in range(1, 20, 2)])
    await journal.save(FULL)
    assert await journal.record(FULL.item_id) == FULL
