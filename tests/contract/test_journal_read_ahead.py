"""`ports.JournalQueries.read_ahead`, on every journal: a record is never older than the last write."""

import asyncio

from tests.support.journals import FULL, FULL_TRANSFER, Journals, record


async def test_records_are_read_once_for_the_next_read(journals: Journals) -> None:
    await journals.now.save(FULL)
    journal = await journals.later()
    await journal.read_ahead([FULL.item_id, "none"])
    assert [await journal.record(FULL.item_id), await journal.record("none")] == [FULL, None]
    assert [await journal.record(FULL.item_id), await journal.record("none")] == [FULL, None]


async def test_a_write_counts_before_what_was_read_ahead(journals: Journals) -> None:
    journal, other = journals.now, record()
    for write in (
        lambda: journal.save(other),
        lambda: journal.save_all([FULL]),
        lambda: journal.finish(FULL_TRANSFER.id, other),
        lambda: journal.finish_all([(FULL_TRANSFER.id, FULL)]),
    ):
        await journal.read_ahead([FULL.item_id])
        before = await journal.recorded([FULL.item_id])
        await write()
        now = await journal.record(FULL.item_id)
        assert now is not None
        assert now != before.get(FULL.item_id)
    await journal.save(other)
    await journal.read_ahead([FULL.item_id])
    await journal.retire([FULL.item_id], 5.0)
    retired = await journal.record(FULL.item_id)
    assert retired is not None
    assert retired.removed == 5.0


async def test_a_write_counts_while_records_are_read_ahead(journals: Journals) -> None:
    journal = journals.now
    await journal.save(FULL)
    ahead = asyncio.ensure_future(journal.read_ahead([FULL.item_id]))
    await asyncio.sleep(0)
    await journal.save(record())
    await ahead
    assert await journal.record(FULL.item_id) == record()


async def test_more_than_are_kept_can_be_read_ahead(journals: Journals) -> None:
    await journals.now.save(FULL)
    for start in range(0, 6_000, 500):
        await journals.now.read_ahead([FULL.item_id, *map(str, range(start, start + 500))])
    assert await journals.now.record(FULL.item_id) == FULL
