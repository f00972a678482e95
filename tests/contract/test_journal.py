"""The contract of `ports.Journal`, on every journal: SQLite, SQLite reopened before each read, and memory."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from mirrord.errors import JournalError, Reason
from mirrord.journal.sqlite import SqliteJournal
from mirrord.model import (
    Checksum,
    ChecksumKind,
    Destination,
    FileIdentity,
    Integrity,
    Part,
    Record,
    Revision,
    State,
    Transfer,
    TransferKind,
)
from mirrord.ports import Journal
from mirrord.ports.journal import MAX_MADE_FROM
from mirrord.testing import MemoryJournal
from tests.support.records import make_record, with_fields


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
    bare = make_record(
        item_id=at(key).item_id,
        entry=key,
        source="https://example.org/" + key,
        destination=at(key),
        state=State.PENDING,
    )
    return with_fields(bare, **changes)


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
        departs=True,
    ),
    transfer_id="t-1",
    etag='"9bb58f26192e4ba00f01e2e7b136bbd8-3"',
    size=5 * 2**40,
    checksum=Checksum(ChecksumKind.CRC64NVME, "rosUhgp5mIg="),
    integrity=Integrity.FULL_OBJECT,
    etag_from_head=True,
    synced_at=1_700_000_001.5,
    options_digest="feed",
    removed=1_700_000_002.75,
    dated=1_700_000_003.123456,
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
    return with_fields(bare, **changes)


FULL_TRANSFER = transfer(
    checksum_kind=ChecksumKind.CRC64NVME,
    options_digest="feed",
    upload_id="u/+=&-ü",
    whole=Checksum(ChecksumKind.CRC64NVME, "rosUhgp5mIg="),
    given_up=1_700_000_003.25,
    complete_requested=1_700_000_002.5,
)


def part(number: int, etag: str = '"e"') -> Part:
    return Part(number=number, size=5 * 2**30, etag=etag, checksum=Checksum(ChecksumKind.CRC32C, f"c{number}=="))


async def every(stream: AsyncIterator[object]) -> list[object]:
    return [one async for one in stream]


def test_the_full_record_tries_every_field() -> None:
    """A field added to the model must be added here, so that no journal can forget it in silence."""
    file, of_object = FULL.revision.file, FULL.object
    nouns = (FULL, FULL.condition, FULL.revision, file, of_object, of_object.checksum)
    for noun in (*nouns, FULL_TRANSFER, FULL_TRANSFER.progress, part(1)):
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
    assert (type(found.condition.state), type(found.destination)) == (State, Destination)


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
    assert found.condition.state is state


@pytest.mark.parametrize("reason", Reason)
async def test_every_reason_can_be_recorded(journals: Journals, reason: Reason) -> None:
    await journals.now.save(record(reason=reason))
    found = await (await journals.later()).record(record().item_id)
    assert found is not None
    assert found.condition.reason is reason


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
        await journal.save(with_fields(one, state=State.SYNCED))
        seen.append(one.item_id)
    assert len(seen) == len(set(seen)) == 1_200
    assert {one.condition.state async for one in journal.records()} == {State.SYNCED}


@pytest.mark.parametrize("kind", TransferKind)
async def test_an_intent_stands_until_it_is_settled(journals: Journals, kind: TransferKind) -> None:
    intent = transfer(kind=kind, part_size=None if kind is TransferKind.PUT else 8 * 2**20)
    await journals.now.begin(intent)
    assert await every((await journals.later()).unfinished()) == [intent]


async def test_an_intent_with_every_field_comes_back(journals: Journals) -> None:
    running = with_fields(FULL_TRANSFER, given_up=None)
    await journals.now.begin(running)
    assert await every((await journals.later()).unfinished()) == [running]


async def test_each_edge_of_an_upload_is_recorded(journals: Journals) -> None:
    intent, whole = transfer(), FULL_TRANSFER.progress.whole
    await journals.now.begin(intent)
    await journals.now.opened(intent.id, "u1")
    assert await every((await journals.later()).unfinished()) == [with_fields(intent, upload_id="u1")]
    await asyncio.gather(*(journals.now.part_done(intent.id, part(number)) for number in (3, 1, 2)))
    await journals.now.part_done(intent.id, part(2, '"again"'))
    assert await (await journals.later()).parts(intent.id) == [part(1), part(2, '"again"'), part(3)]
    await journals.now.completing(intent.id, whole, 7.5)
    expected = with_fields(intent, upload_id="u1", whole=whole, complete_requested=7.5)
    assert await every((await journals.later()).unfinished()) == [expected]


async def test_when_completion_was_last_asked_for_is_kept_until_the_store_refuses_it(journals: Journals) -> None:
    await journals.now.begin(transfer())
    await journals.now.completing("t-1", None, 7.5)
    await journals.now.completing("t-1", None, 9.5)
    assert [one.progress.complete_requested for one in await (await journals.later()).open_of(at("k").item_id)] == [9.5]
    await journals.now.complete_refused("t-1")
    await journals.now.complete_refused("t-none")
    assert [one.progress.complete_requested for one in await (await journals.later()).open_of(at("k").item_id)] == [
        None
    ]


async def test_completing_without_a_whole_checksum_is_recorded(journals: Journals) -> None:
    await journals.now.begin(transfer())
    await journals.now.completing("t-1", None, 7.5)
    expected = transfer(complete_requested=7.5)
    assert await every((await journals.later()).unfinished()) == [expected]


@pytest.mark.parametrize("end", ["finish", "abandon"])
async def test_the_parts_go_with_their_transfer(journals: Journals, end: str) -> None:
    for number in (1, 2):
        await journals.now.begin(transfer(number))
        await journals.now.part_done(f"t-{number}", part(number))
    await (journals.now.abandon("t-1") if end == "abandon" else journals.now.finish("t-1", FULL))
    await journals.now.part_done("t-1", part(9))
    await journals.now.opened("t-1", "late")
    await journals.now.completing("t-1", None, 7.5)
    journal = await journals.later()
    assert await journal.parts("t-1") == []
    assert await journal.parts("t-2") == [part(2)]
    assert await every(journal.unfinished()) == [transfer(2)]


@pytest.mark.parametrize("end", ["unfinished", "given up"])
async def test_a_transfer_that_is_known_cannot_be_begun_again(journals: Journals, end: str) -> None:
    """Its row may be the only place that knows the id of an open upload."""
    await journals.now.begin(transfer())
    await journals.now.opened("t-1", "u1")
    await journals.now.part_done("t-1", part(1))
    if end == "given up":
        await journals.now.give_up("t-1", 5.0)
    again = transfer(revision=Revision(address="0123456789abcdef", etag='"other"'))
    with pytest.raises(JournalError):
        await journals.now.begin(again)
    journal = await journals.later()
    known = transfer(upload_id="u1", given_up=None if end == "unfinished" else 5.0)
    assert await journal.open_of(at("k").item_id) == [known]
    assert await journal.parts("t-1") == [part(1)]
    await journal.abandon("t-1")
    await journal.begin(again)
    assert await every((await journals.later()).unfinished()) == [again]
    assert await (await journals.later()).parts("t-1") == []


async def test_steps_that_come_after_a_transfer_was_given_up_are_recorded(journals: Journals) -> None:
    """The sweep aborts by the upload's id, and must not abort an upload whose completion was requested."""
    await journals.now.begin(transfer())
    await journals.now.give_up("t-1", 5.0)
    await journals.now.opened("t-1", "late")
    await journals.now.part_done("t-1", part(1))
    await journals.now.completing("t-1", FULL_TRANSFER.progress.whole, 7.5)
    journal = await journals.later()
    late = transfer(upload_id="late", whole=FULL_TRANSFER.progress.whole, given_up=5.0)
    assert await every(journal.given_up()) == [with_fields(late, complete_requested=7.5)]
    assert await journal.parts("t-1") == [part(1)]
    await journal.complete_refused("t-1")
    journal = await journals.later()
    assert await every(journal.given_up()) == [late]
    await journal.finish("t-1", FULL)
    journal = await journals.later()
    assert await journal.open_of(at("k").item_id) == await journal.parts("t-1") == []
    assert await journal.record(FULL.item_id) == FULL


async def test_steps_of_a_transfer_that_is_not_known_do_nothing(journals: Journals) -> None:
    await journals.now.opened("t-1", "u1")
    await journals.now.part_done("t-1", part(1))
    await journals.now.completing("t-1", None, 7.5)
    await journals.now.complete_refused("t-1")
    await journals.now.give_up("t-1", 8.0)
    journal = await journals.later()
    assert await every(journal.unfinished()) == await every(journal.given_up()) == []
    assert await journal.parts("t-1") == []


async def test_an_items_unfinished_transfers_are_found_oldest_first(journals: Journals) -> None:
    await journals.now.begin(transfer(1, started=2.0))
    await journals.now.begin(transfer(2, started=1.0))
    await journals.now.begin(transfer(3, item_id=at("other").item_id))
    journal = await journals.later()
    assert [one.id for one in await journal.unfinished_of(at("k").item_id)] == ["t-2", "t-1"]
    assert await journal.unfinished_of("nobody") == []


async def test_finish_settles_the_intent_and_records_the_item(journals: Journals) -> None:
    await journals.now.begin(transfer(1))
    await journals.now.begin(transfer(2))
    await journals.now.finish("t-1", FULL)
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
    await journals.now.finish("t-1", FULL)
    await journals.now.finish("t-1", FULL)
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


# ── what is in force ──────────────────────────────────────────────────────────────────────────────
def by_id(*records: Record) -> list[Record]:
    return sorted(records, key=lambda one: one.item_id)


async def test_many_records_are_saved_at_once(journals: Journals) -> None:
    many = [record(f"k/{number}") for number in range(1_000)]
    await journals.now.save(record("k/3", message="before"))
    await journals.now.save_all(many)
    await journals.now.save_all([])
    assert await every((await journals.later()).records()) == by_id(*many)


async def test_many_items_are_asked_about_at_once(journals: Journals) -> None:
    many = [record(f"k/{number}") for number in range(1_000)]
    await journals.now.save_all(many)
    await journals.now.retire([many[0].item_id], 5.0)
    asked = [one.item_id for one in many[:600]] + ["0" * 16, "", "'"]
    journal = await journals.later()
    known = await journal.recorded(asked)
    assert known == {one.item_id: one for one in (replace(many[0], removed=5.0), *many[1:600])}
    assert await journal.recorded([]) == {}
    assert await journal.recorded(known.keys()) == known


async def test_what_is_retired_is_kept_and_no_longer_in_force(journals: Journals) -> None:
    left, stays = record("left", state=State.SYNCED), record("stays")
    await journals.now.save_all([left, stays])
    await journals.now.retire([left.item_id, "0123456789abcdef"], 5.5)
    await journals.now.retire([], 6.0)
    journal = await journals.later()
    assert await journal.page() == [stays]
    assert await journal.totals() == {State.PENDING: 1}
    assert await journal.record(left.item_id) == replace(left, removed=5.5)
    assert await every(journal.records()) == by_id(replace(left, removed=5.5), stays)


async def test_it_left_when_it_left_first_and_saving_it_brings_it_back(journals: Journals) -> None:
    one = record("k")
    await journals.now.save(one)
    await journals.now.retire([one.item_id], 5.0)
    await journals.now.retire([one.item_id], 9.0)
    kept = await (await journals.later()).record(one.item_id)
    assert kept is not None
    assert kept.removed == 5.0
    await journals.now.save(replace(kept, removed=None))
    journal = await journals.later()
    assert await journal.page() == [one]
    assert await journal.totals() == {State.PENDING: 1}


async def test_items_of_other_entries_in_force(journals: Journals) -> None:
    many = [replace(record(f"k{number}"), entry=f"entry {number % 3}") for number in range(1600)]
    await journals.now.save_all(many)
    await journals.now.retire([many[0].item_id], 5.0)
    journal = await journals.later()
    for kept in ([], ["entry 1"], ["entry 0", "entry 2"], ["entry 0", "entry 1", "entry 2", "none"]):
        wanted = [one.item_id for one in many[1:] if one.entry not in kept]
        assert sorted([item_id async for item_id in journal.item_ids_outside(kept)]) == sorted(wanted)


async def test_the_items_of_an_entry_in_force_are_counted(journals: Journals) -> None:
    assert await journals.now.count("inbox") == 0
    one = record()
    await journals.now.save(replace(one, entry="inbox"))
    assert await journals.now.count("inbox") == 1
    assert await journals.now.count("other") == 0
    await journals.now.retire([one.item_id], 5.0)
    assert await (await journals.later()).count("inbox") == 0


async def test_paths_keep_their_dates(journals: Journals) -> None:
    """Also those of items that left and whose objects stand: an entry by another name is no reason for new keys."""

    def dated(key: str, source: str, moment: float | None, **changes: object) -> Record:
        return record(key, source=source, dated=moment, **changes)

    first, second = dated("k/1/a", "file:///a", 1.25), dated("k/2/a", "file:///a", 2.0, etag='"e"', entry="other")
    hard = dated("k/1/h", "file:///bad-\udcff/ü😀'", 1_700_000_000.123456)
    undated, never = dated("k/b", "file:///b", None), dated("k/g", "file:///g", 6.0, removed=7.0)
    await journals.now.save_all([second, first, hard, undated, never])
    asked = ["file:///a", "file:///b", "file:///g", hard.source, "file:///unknown"]
    journal = await journals.later()
    assert await journal.dates(asked) == {"file:///a": 1.25, hard.source: hard.dated}
    assert await journal.dates([]) == {}
    assert await journal.dates([f"file:///{number}" for number in range(500)] + ["file:///a"]) == {"file:///a": 1.25}
    await journal.retire([first.item_id, second.item_id], 8.0)
    assert await (await journals.later()).dates(asked[:1]) == {"file:///a": 2.0}


async def test_totals_count_each_state(journals: Journals) -> None:
    assert await journals.now.totals() == {}
    for number, state in enumerate(State):
        await journals.now.save_all([record(f"{state}/{n}", state=state) for n in range(number)])
    await journals.now.save(record("Synced/more", state=State.PENDING))
    await journals.now.save(record("Synced/more", state=State.SYNCED))
    totals = await (await journals.later()).totals()
    assert dict(totals) == {state: number for number, state in enumerate(State) if number} | {State.SYNCED: 1}
    assert all(type(state) is State for state in totals)


async def test_pages_follow_each_other_without_gap_or_repeat(journals: Journals) -> None:
    many = by_id(*(record(f"k/{number}") for number in range(250)))
    await journals.now.save_all(many)
    journal = await journals.later()
    seen: list[Record] = []
    while page := await journal.page(after=seen[-1].item_id if seen else None, limit=60):
        assert len(page) in (60, 250 % 60)
        seen += page
    assert seen == many
    assert len(await journal.page()) == 100


PAGED = {
    "one": record("logs/a.txt", state=State.SYNCED, entry="logs"),
    "two": record("logs/B.TXT", state=State.BLOCKED, entry="logs"),
    "three": record("pics/größe.PNG", state=State.SYNCED, entry="pics", source="https://h/ÄÖ/x"),
    "four": record("a_b%c", state=State.PENDING, entry="odd", source="file:///srv/\udcff.txt"),
    "gone": record("logs/gone.txt", state=State.SYNCED, entry="logs", removed=4.0),
}


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ({}, "one two three four"),
        ({"state": State.SYNCED}, "one three"),
        ({"state": State.WAITING}, ""),
        ({"entry": "logs"}, "one two"),
        ({"entry": "log"}, ""),
        ({"entry": "logs", "state": State.SYNCED}, "one"),
        ({"text": "b.txt"}, "two"),
        ({"text": "LOGS/"}, "one two"),
        ({"text": "GRÖSSE"}, "three"),
        ({"text": "äö"}, "three"),
        ({"text": "_b%"}, "four"),
        ({"text": "%"}, "four"),
        ({"text": "\udcff"}, "four"),
        ({"text": "odd"}, "four"),
        ({"text": "nowhere"}, ""),
        ({"text": "txt", "state": State.SYNCED}, "one"),
        ({"text": "txt", "entry": "logs"}, "one two"),
        ({"text": "txt", "entry": "logs", "state": State.BLOCKED}, "two"),
    ],
    ids=str,
)
async def test_a_page_holds_what_was_asked_for(journals: Journals, asked: dict[str, Any], names: str) -> None:
    await journals.now.save_all(list(PAGED.values()))
    expected = by_id(*(PAGED[name] for name in names.split()))
    journal = await journals.later()
    assert await journal.page(**asked) == expected
    assert await journal.page(**asked, limit=1) == expected[:1]
    if expected:
        assert await journal.page(**asked, after=expected[0].item_id) == expected[1:]


async def test_a_text_is_found_far_into_the_journal(journals: Journals) -> None:
    many = by_id(*(record(f"k/{number}") for number in range(10_600)))
    found = [replace(many[at], entry="Needle") for at in (0, 4_999, 5_000, 5_001, 10_000, 10_599)]
    await journals.now.save_all([*many, *found])
    journal = await journals.later()
    assert await journal.page(text="needle") == found
    assert await journal.page(text="needle", limit=3) == found[:3]
    assert await journal.page(text="needle", after=found[2].item_id, limit=2) == found[3:5]


async def test_it_says_when_it_was_last_written(journals: Journals) -> None:
    before = time.time()
    await journals.now.save(record())
    assert before - 1 < (await (await journals.later()).last_written() or 0) <= time.time() + 1


async def test_what_was_given_up_is_no_longer_unfinished_and_is_kept_until_it_is_abandoned(journals: Journals) -> None:
    for number in (2, 1, 3):
        await journals.now.begin(transfer(number))
    await journals.now.opened("t-1", "u1")
    await journals.now.give_up("t-1", 5.25)
    await journals.now.give_up("t-1", 9.0)
    await journals.now.give_up("t-2", 6.0)
    await journals.now.give_up("t-none", 6.0)
    journal = await journals.later()
    assert await every(journal.unfinished()) == [transfer(3)]
    assert await journal.unfinished_of(at("k").item_id) == [transfer(3)]
    assert [one.id for one in await journal.open_of(at("k").item_id)] == ["t-1", "t-2", "t-3"]
    assert await journal.open_of(at("other").item_id) == []
    assert await every(journal.given_up()) == [transfer(1, upload_id="u1", given_up=5.25), transfer(2, given_up=6.0)]
    await journal.abandon("t-1")
    assert [one.id for one in await every((await journals.later()).given_up())] == ["t-2"]


async def test_a_transfer_that_was_given_up_comes_back_as_it_was(journals: Journals) -> None:
    await journals.now.begin(FULL_TRANSFER)
    assert await every((await journals.later()).given_up()) == [FULL_TRANSFER]


# ── files under another name ──────────────────────────────────────────────────────────────────────
HUGE = 2**64 - 7  # an inode that no signed 64-bit integer holds


def of_file(key: str, inode: int, size: int = 5, mtime_ns: int = 17 * 10**17, **changes: object) -> Record:
    file = FileIdentity(2049, inode, size, mtime_ns, 1)
    return record(key, **{"revision": Revision(address=key, length=size, file=file), "size": size} | changes)


async def test_records_are_found_by_the_file_that_their_object_was_made_from(journals: Journals) -> None:
    elsewhere = replace(at("a"), endpoint="http://127.0.0.1:9001")
    await journals.now.save_all(
        [
            of_file("a", 7),
            of_file("b", 7, removed=9.0),
            of_file("size", 7, size=6),
            of_file("mtime", 7, mtime_ns=18 * 10**17),
            of_file("inode", 8),
            of_file("huge", HUGE),
            of_file("other store", 7, item_id=elsewhere.item_id, destination=elsewhere),
            record("url", revision=Revision(address="u", etag='"1"')),
            record("nothing"),
        ]
    )
    later = await journals.later()

    async def keys(inode: int, device: int = 2049) -> set[str]:
        file = FileIdentity(device, inode, 5, 17 * 10**17, 99)
        return {one.destination.key for one in await later.made_from(file, at("a").endpoint)}

    assert await keys(7) == await keys(7, device=1) == {"a", "b"}
    assert await keys(HUGE) == {"huge"}
    assert await keys(9) == set()
    (whole,) = await later.made_from(FileIdentity(2049, 8, 5, 17 * 10**17, 1), at("a").endpoint)
    assert whole == of_file("inode", 8)


async def test_of_a_file_with_many_names_some_records_are_found(journals: Journals) -> None:
    await journals.now.save_all([of_file(f"name/{number}", 7) for number in range(MAX_MADE_FROM + 3)])
    file = FileIdentity(2049, 7, 5, 17 * 10**17, 99)
    found = await (await journals.later()).made_from(file, at("a").endpoint)
    assert len({one.item_id for one in found}) == len(found) == MAX_MADE_FROM


async def test_the_directories_of_folders_are_kept(journals: Journals) -> None:
    large = 2**64 - 1
    await journals.now.save_folder_root("inbox", "/srv/\udcff", (1, 2))
    await journals.now.save_folder_root("other", "/srv/\udcff", (large, large))
    await journals.now.save_folder_root("inbox", "/srv/\udcff", (3, 4))
    journal = await journals.later()
    assert await journal.folder_root("inbox", "/srv/\udcff") == (3, 4)
    assert await journal.folder_root("other", "/srv/\udcff") == (large, large)
    assert await journal.folder_root("inbox", "/srv") is None
