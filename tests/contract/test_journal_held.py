"""Held items, on every journal: who holds them, and what stays when they are retired or saved again."""

from dataclasses import replace

from mirrord.model import Holder
from tests.support.journals import FULL, Journals, record

ONE = Holder(file="/m.yaml", entry="one", most=0.5, suspended=True)
TWO = Holder(file="/m.yaml", entry="two")


async def held(journals: Journals) -> dict[str, Holder]:
    journal = await journals.later()
    return {item_id: holder async for item_id, holder in journal.held()}


async def test_an_item_has_the_holder_that_came_last(journals: Journals) -> None:
    assert await held(journals) == {}
    await journals.now.hold({ONE: ["a", "b"], TWO: ["c"]})
    await journals.now.hold({TWO: ["b"]})
    await journals.now.hold({TWO: ["b"]})
    assert await held(journals) == {"a": ONE, "b": TWO, "c": TWO}
    await journals.now.release(["a", "unknown"])
    await journals.now.release([])
    assert await held(journals) == {"b": TWO, "c": TWO}


async def test_records_follow_their_holder_and_holders_do_not_follow_records(journals: Journals) -> None:
    other = replace(record(), item_id="0" * 16)
    await journals.now.save_all([FULL, other])
    await journals.now.hold({ONE: [FULL.item_id]})
    journal = await journals.later()
    assert await journal.record(FULL.item_id) == replace(FULL, entry="one")
    assert await journal.record(other.item_id) == other
    await journals.now.save(FULL)
    await journals.now.retire([FULL.item_id], 1.0)
    assert await held(journals) == {FULL.item_id: ONE}


async def test_a_renamed_entry(journals: Journals) -> None:
    """The history does not change, nor the holder; an unknown id is ignored."""
    other, strange = replace(record(), item_id="0" * 16), "new \udcff/\x00"
    await journals.now.save_all([FULL, other])
    await journals.now.hold({ONE: [FULL.item_id]})
    await journals.now.read_ahead([FULL.item_id])
    await journals.now.rename(strange, [FULL.item_id, "unknown"])
    await journals.now.rename(strange, [])
    assert await journals.now.record(FULL.item_id) == replace(FULL, entry=strange)
    journal = await journals.later()
    assert await journal.record(FULL.item_id) == replace(FULL, entry=strange)
    assert (await journal.recorded_schedules([FULL.item_id]))[FULL.item_id].entry == strange
    assert await journal.record(other.item_id) == other
    assert await journal.record("unknown") is None
    assert (await journal.history(FULL.item_id)).objects == ()
    assert await held(journals) == {FULL.item_id: ONE}


async def test_objects_are_counted_by_entry_and_file_of_their_holders(journals: Journals) -> None:
    await journals.now.save(FULL)
    await journals.now.hold({ONE: [FULL.item_id, "unknown"], replace(ONE, most=None): ["other"]})
    journal = await journals.later()
    assert await journal.held_objects("one", "/m.yaml") == 1
    assert await journal.held_objects("one", "/other.yaml") == 0
    assert await journal.held_objects("two", "/m.yaml") == 0


async def test_small_entries_of_a_file(journals: Journals) -> None:
    others = [replace(FULL, item_id=f"{number:016x}") for number in range(4)]
    await journals.now.save_all([FULL, *others, replace(record(), item_id="f" * 16)])
    a, b, c, d, _ = (one.item_id for one in (*others, FULL))
    large, strange = replace(ONE, entry="large"), replace(TWO, entry="a \udcff/\x00")
    await journals.now.hold({ONE: [a], replace(ONE, most=None): [b, "f" * 16, "unknown"], strange: [c]})
    await journals.now.hold({large: [d], replace(TWO, file="/other.yaml"): [FULL.item_id]})
    journal = await journals.later()
    assert await journal.small_entries("/m.yaml", 2) == {"one": 2, strange.entry: 1, "large": 1}
    assert await journal.small_entries("/m.yaml", 1) == {strange.entry: 1, "large": 1}
    assert await journal.small_entries("/none.yaml", 2) == {}
