"""`ports.JournalTransfers`, on every journal: SQLite, SQLite reopened before each read, and memory."""

import asyncio

import pytest

from mirrord.errors import JournalError
from mirrord.model import PartSizes, Revision, TransferKind
from tests.support.journals import FULL, FULL_TRANSFER, Journals, at, every, part, transfer
from tests.support.records import with_fields


@pytest.mark.parametrize("kind", TransferKind)
async def test_an_intent_is_unfinished(journals: Journals, kind: TransferKind) -> None:
    growing = PartSizes(8 * 2**20, 64 * 2**20, 1000)
    intent = transfer(kind=kind, part_sizes=None if kind is TransferKind.PUT else growing)
    await journals.now.begin(intent)
    assert await every((await journals.later()).unfinished()) == [intent]


async def test_an_intent_with_every_field_is_read_as_begun(journals: Journals) -> None:
    running = with_fields(FULL_TRANSFER, given_up=None)
    await journals.now.begin(running)
    assert await every((await journals.later()).unfinished()) == [running]


async def test_the_address_of_an_unfinished_transfer_has_the_key_of_its_options(journals: Journals) -> None:
    """Without a key, an upload whose completion is unknown could not be looked for."""
    keyed, digest = at("k").keyed("0011223344556677"), "0123456789abcdef.0011223344556677"
    await journals.now.begin(transfer(destination=keyed, options_digest=digest))
    await journals.now.begin(transfer(2))
    found = await every((await journals.later()).unfinished())
    assert {one.id: one.destination.customer_key for one in found} == {"t-1": keyed.customer_key, "t-2": None}


async def test_each_step_of_an_upload_is_recorded(journals: Journals) -> None:
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


async def test_the_time_of_the_last_completion_request_is_kept_until_the_store_refuses_it(journals: Journals) -> None:
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
async def test_the_parts_are_deleted_with_their_transfer(journals: Journals, end: str) -> None:
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
async def test_a_transfer_that_exists_cannot_be_begun_again(journals: Journals, end: str) -> None:
    """Its row may be the only record of the id of an open upload."""
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


async def test_steps_after_a_transfer_was_given_up_are_recorded(journals: Journals) -> None:
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


async def test_steps_of_an_unknown_transfer_do_nothing(journals: Journals) -> None:
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
    assert await journal.unfinished_of("unknown") == []


async def test_finish_deletes_the_intent_and_records_the_item(journals: Journals) -> None:
    await journals.now.begin(transfer(1))
    await journals.now.begin(transfer(2))
    await journals.now.finish("t-1", FULL)
    journal = await journals.later()
    assert await every(journal.unfinished()) == [transfer(2)]
    assert await journal.record(FULL.item_id) == FULL


async def test_abandon_deletes_the_intent_and_keeps_the_record(journals: Journals) -> None:
    await journals.now.save(FULL)
    await journals.now.begin(transfer())
    await journals.now.abandon("t-1")
    journal = await journals.later()
    assert await every(journal.unfinished()) == []
    assert await journal.record(FULL.item_id) == FULL


async def test_finish_and_abandon_of_an_unknown_transfer_are_no_errors(journals: Journals) -> None:
    await journals.now.abandon("t-none")
    await journals.now.begin(transfer())
    await journals.now.finish("t-1", FULL)
    await journals.now.finish("t-1", FULL)
    await journals.now.abandon("t-1")
    journal = await journals.later()
    assert await every(journal.unfinished()) == []
    assert await journal.record(FULL.item_id) == FULL


async def test_intents_can_be_abandoned_while_they_are_streamed(journals: Journals) -> None:
    intents = [transfer(number) for number in range(1_100)]
    await asyncio.gather(*map(journals.now.begin, intents))
    journal = await journals.later()
    seen = []
    async for one in journal.unfinished():
        await journal.abandon(one.id)
        seen.append(one)
    assert sorted(seen, key=lambda one: one.id) == sorted(intents, key=lambda one: one.id)
    assert await every(journal.unfinished()) == []


async def test_a_transfer_that_was_given_up_is_not_unfinished_and_is_kept_until_abandoned(journals: Journals) -> None:
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


async def test_a_transfer_that_was_given_up_is_read_as_it_was(journals: Journals) -> None:
    await journals.now.begin(FULL_TRANSFER)
    assert await every((await journals.later()).given_up()) == [FULL_TRANSFER]
