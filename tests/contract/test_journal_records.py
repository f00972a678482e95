"""`ports.JournalRecords`, on every journal: SQLite, SQLite reopened before each read, and memory."""

import asyncio
from dataclasses import fields, replace

import pytest

from mirrord.errors import Reason
from mirrord.model import Destination, ObjectOptions, Record, State
from tests.support.journals import FULL, FULL_TRANSFER, Journals, by_id, every, part, record, transfer
from tests.support.records import with_fields


def test_the_full_record_sets_every_field() -> None:
    """A field that is added to the model must be added to FULL, so that every journal is tested with it."""
    file, of_object = FULL.revision.file, FULL.object
    nouns = (FULL, FULL.condition, FULL.revision, file, of_object, of_object.checksum)
    for noun in (*nouns, FULL_TRANSFER, FULL_TRANSFER.progress, part(1)):
        for field in fields(noun):
            if (noun, field.name) == (of_object, "began"):  # the journal knows it from the transfer
                continue
            assert getattr(noun, field.name) not in (None, "", 0, 0.0), (type(noun), field.name)


async def test_an_empty_journal_has_no_records(journals: Journals) -> None:
    journal = await journals.later()
    assert await journal.record(FULL.item_id) is None
    assert await every(journal.records()) == []
    assert await every(journal.unfinished()) == []


@pytest.mark.parametrize("saved", [record(), FULL], ids=["required fields", "every field"])
async def test_a_record_is_read_as_it_was_saved(journals: Journals, saved: Record) -> None:
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
async def test_names_that_are_no_valid_unicode_or_sql_are_read_as_saved(journals: Journals, name: str) -> None:
    saved = record(entry=name, source=f"file:///srv/{name}", message=f"cannot read {name}")
    saved = replace(saved, destination=replace(saved.destination, key=name))
    await journals.now.save(saved)
    journal = await journals.later()
    assert await journal.record(saved.item_id) == saved
    intent = transfer(destination=saved.destination)
    await journal.begin(intent)
    assert await every((await journals.later()).unfinished()) == [intent]


@pytest.mark.parametrize("name", ["bad-\udcff\udc80", "lone-\ud800", "emoji-😀", "back\\slash", "{a,b}", 'q"uote'])
async def test_lists_of_such_names_are_compared_as_they_are(journals: Journals, name: str) -> None:
    source = f"file:///srv/{name}"
    await journals.now.save_all([record("k", entry=name, source=source, dated=5.0), record("other", entry="other")])
    journal = await journals.later()
    assert await journal.dates([source, "file:///srv/none"]) == {source: 5.0}
    assert await every(journal.item_ids_outside([name])) == [record("other").item_id]


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


async def test_many_records_are_saved_at_once(journals: Journals) -> None:
    many = [record(f"k/{number}") for number in range(1_000)]
    await journals.now.save(record("k/3", message="before"))
    await journals.now.save_all(many)
    await journals.now.save_all([])
    assert await every((await journals.later()).records()) == by_id(*many)


async def test_many_records_are_read_at_once(journals: Journals) -> None:
    many = [record(f"k/{number}") for number in range(1_000)]
    await journals.now.save_all(many)
    await journals.now.retire([many[0].item_id], 5.0)
    asked = [one.item_id for one in many[:600]] + ["0" * 16, "", "'"]
    journal = await journals.later()
    known = await journal.recorded(asked)
    assert known == {one.item_id: one for one in (replace(many[0], removed=5.0), *many[1:600])}
    assert await journal.recorded([]) == {}
    assert await journal.recorded(known.keys()) == known


async def test_a_retired_item_is_kept_and_no_longer_in_force(journals: Journals) -> None:
    left, stays = record("left", state=State.SYNCED), record("stays")
    await journals.now.save_all([left, stays])
    await journals.now.retire([left.item_id, "0123456789abcdef"], 5.5)
    await journals.now.retire([], 6.0)
    journal = await journals.later()
    assert await journal.page() == [stays]
    assert await journal.totals() == {State.PENDING: 1}
    assert await journal.record(left.item_id) == replace(left, removed=5.5)
    assert await every(journal.records()) == by_id(replace(left, removed=5.5), stays)


async def test_a_retired_item_keeps_its_first_time_until_it_is_saved_again(journals: Journals) -> None:
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


async def test_options_are_kept_by_their_digest(journals: Journals) -> None:
    options = ObjectOptions(cache_control="no-store", metadata={"a": "Ä"}, tags={"b": "c"})
    for _ in range(2):
        await journals.now.remember_options("d", options)
    await journals.now.remember_options("e", ObjectOptions())
    journal = await journals.later()
    assert await journal.options("d") == options
    assert await journal.options("e") == ObjectOptions()
    assert await journal.options("f") is None
