"""`ports.JournalQueries`, on every journal: SQLite, SQLite reopened before each read, and memory."""

import time
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from mirrord.journal.sql.pages import RecordPages
from mirrord.model import (
    EVERY,
    EntryCounts,
    FileIdentity,
    ItemFilter,
    ItemOrder,
    LearnedFact,
    Record,
    Revision,
    SortKey,
    State,
)
from mirrord.ports.journal import MAX_MADE_FROM
from tests.support.journals import Journals, at, by_id, record
from tests.support.records import with_fields


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


async def test_the_etags_of_many_objects_are_read_at_once(journals: Journals) -> None:
    many = [record(f"k{number}", size=number, etag=f'"{number}"') for number in range(1_000)]
    other, never = record("k", size=1, etag='"e"', listed_etag='"f"', removed=5.0), record("never")
    await journals.now.save_all([*many, other, never])
    journal = await journals.later()
    found = await journal.recorded_etags([one.item_id for one in (*many, other, never)] + ["unknown"])
    assert found == {one.item_id: (number, f'"{number}"', None) for number, one in enumerate(many)} | {
        other.item_id: (1, '"e"', '"f"')
    }
    assert await journal.recorded_etags([]) == {}


async def test_what_the_first_checks_depend_on_is_read_at_once(journals: Journals) -> None:
    known = Revision(address="0123", etag='"e"', length=3)
    given = [
        record("synced", next_check=7.5, options_digest="d", revision=known),
        record("without length", revision=replace(known, length=None, etag=None)),
        record("never", state=State.BLOCKED),
        record("left", removed=5.0),
    ]
    await journals.now.save_all(given)
    found = await (await journals.later()).recorded_schedules([one.item_id for one in given] + ["unknown"])
    assert found == {one.item_id: one.schedule for one in given}
    first = found[given[0].item_id]
    assert (first.next_check, first.options_digest, first.address, first.length, first.etag) == (
        7.5,
        "d",
        "0123",
        3,
        '"e"',
    )


async def test_paths_keep_their_dates(journals: Journals) -> None:
    """Also those of retired items that still have objects: a renamed entry must not change the keys."""

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


async def test_an_entry_is_counted_by_state_in_steps_of_its_items(
    journals: Journals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mirrord.journal.sql.journal.STEP", 3)  # as that of MemoryJournal
    many = by_id(*(record(f"k/{n}", entry="rows", size=10 + n, state=list(State)[n % 2]) for n in range(7)))
    await journals.now.save_all([*many, record("other", entry="other", size=5)])
    await journals.now.retire([many[3].item_id], 1.0)
    left, journal = [one for one in many if one is not many[3]], await journals.later()
    counted, size, last, steps = Counter[State](), 0, "", 0
    while last is not None:
        counts = await journal.entry_counts("rows", last)
        counted.update(counts.states)
        size, last, steps = size + counts.size, counts.last, steps + 1
    assert counted == Counter(one.condition.state for one in left)
    assert (size, steps) == (sum(one.object.size or 0 for one in left), 3)
    assert await journal.entry_counts("nothing") == EntryCounts({}, 0, None)


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
async def test_a_page_has_the_selected_items(journals: Journals, asked: dict[str, Any], names: str) -> None:
    await journals.now.save_all(list(PAGED.values()))
    expected = by_id(*(PAGED[name] for name in names.split()))
    journal = await journals.later()
    assert await journal.page(**asked) == expected
    assert await journal.page(**asked, limit=1) == expected[:1]
    if expected:
        assert await journal.page(**asked, after=expected[0].item_id) == expected[1:]


@pytest.mark.parametrize("state", [None, State.SYNCED])
async def test_pages_go_on_after_many_items_that_are_not_wanted(journals: Journals, state: State | None) -> None:
    """The SQLite journal reads these pages in steps of some thousand items."""
    many = by_id(*(record(f"k{number}", entry="e", state=State.SYNCED) for number in range(5_200)))
    wanted, others = [*many[:100], *many[5_150:]], many[100:5_150]
    await journals.now.save_all(many)
    if state is not None:
        await journals.now.save_all([with_fields(one, state=State.RETRYING) for one in others])
    else:
        await journals.now.retire([one.item_id for one in others], 5.0)
    journal = await journals.later()
    for entry in (None, "e"):
        first = await journal.page(state=state, entry=entry, limit=120)
        assert [*first, *await journal.page(state=state, entry=entry, after=first[-1].item_id)] == wanted
        assert len(first) == 120
    assert (await journal.totals())[State.SYNCED] == 150


async def test_a_text_is_found_after_many_items(journals: Journals) -> None:
    many = by_id(*(record(f"k/{number}") for number in range(10_600)))
    found = [replace(many[at], entry="Needle") for at in (0, 4_999, 5_000, 5_001, 10_000, 10_599)]
    await journals.now.save_all([*many, *found])
    journal = await journals.later()
    assert await journal.page(text="needle") == found
    assert await journal.page(text="needle", limit=3) == found[:3]
    assert await journal.page(text="needle", after=found[2].item_id, limit=2) == found[3:5]


# ── sorted pages ──────────────────────────────────────────────────────────────────────────────────
def of_number(number: int, state: State) -> Record:
    """Items with equal and with missing values; names whose order differs by code points, UTF-16 and case."""
    name = ("a", "B", "ü", "\uffee", "😀", "\ue000", "a/")[number % 7]
    return record(
        f"{name}{number}",
        state=state,
        entry=f"entry {number % 2}",
        since=1_700_000_000 + number % 5 / 8,
        size=None if number % 6 == 5 else number % 4,
        synced_at=None if number % 3 == 2 else 1_700_000_000.0 + number % 4,
    )


SORTED = [of_number(number, list(State)[number % 3]) for number in range(40)]
ORDERS = [ItemOrder(key, descending=descending) for key in SortKey for descending in (False, True)]
WANTED = [
    EVERY,
    ItemFilter(State.SYNCED),
    ItemFilter(entry="entry 1"),
    ItemFilter(State.PENDING, "entry 1"),
    ItemFilter(text="Ü"),
    ItemFilter(State.SYNCED, "entry 0", "HTTPS"),
    ItemFilter(State.BLOCKED),
    ItemFilter(entry="none"),
]


@pytest.mark.parametrize("wanted", WANTED, ids=str)
async def test_a_sorted_page_has_the_selected_items_in_order(
    journals: Journals, monkeypatch: pytest.MonkeyPatch, wanted: ItemFilter
) -> None:
    """Both with the index and without: a state with more than `STEP` items is read by rows."""
    monkeypatch.setattr("mirrord.journal.sql.pages.ROWS", 13)
    monkeypatch.setattr("mirrord.journal.sql.pages.STEP", 13)
    await journals.now.save_all(SORTED)
    await journals.now.retire([SORTED[12].item_id], 5.0)
    journal = await journals.later()
    every = await journal.page(state=wanted.state, entry=wanted.entry, text=wanted.text)
    for order in ORDERS:
        expected = sorted(every, key=lambda one: order.place_of(one)[:2], reverse=order.descending)
        assert await journal.sorted_page(order, wanted) == expected, order
        assert await journal.sorted_page(order, wanted, limit=3) == expected[:3]
        for one in (0, len(expected) // 2, len(expected) - 1) if expected else ():
            after = order.place_of(expected[one])
            assert await journal.sorted_page(order, wanted, after, limit=4) == expected[one + 1 : one + 5], order


@pytest.mark.parametrize(("key", "value"), [("size", "size"), ("copied", "synced_at")])
async def test_items_without_the_value_are_last_in_both_directions(journals: Journals, key: str, value: str) -> None:
    await journals.now.save_all(SORTED)
    journal = await journals.later()
    for descending in (False, True):
        page = await journal.sorted_page(ItemOrder(SortKey(key), descending))
        values = [getattr(one.object, value) for one in page]
        known = [one for one in values if one is not None]
        assert values == sorted(known, reverse=descending) + [None] * (len(values) - len(known))
        assert None in values


async def test_what_changes_while_a_sorted_page_is_read_hides_no_other_item(
    journals: Journals, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some of the first items of a page leave, and get another place or state, between the two reads of a page."""
    monkeypatch.setattr("mirrord.journal.sql.pages.ROWS", 13)
    many = [record(f"k{number:02}", size=number, synced_at=1_700_000_000.0 + number) for number in range(30)]
    many = [replace(one, condition=replace(one.condition, state=State.SYNCED)) for one in many]
    await journals.now.save_all(many)
    journal = await journals.later()
    recorded = RecordPages._recorded

    async def after_changes(pages: RecordPages, item_ids: list[str]) -> list[Record]:
        monkeypatch.setattr(RecordPages, "_recorded", recorded)
        await journal.retire([many[0].item_id], 5.0)
        await journal.save(replace(many[1], object=replace(many[1].object, synced_at=1_800_000_000.0)))
        await journal.save(replace(many[2], condition=replace(many[2].condition, state=State.PENDING)))
        return await recorded(pages, item_ids)

    monkeypatch.setattr(RecordPages, "_recorded", after_changes)
    page = await journal.sorted_page(ItemOrder(SortKey.COPIED), ItemFilter(State.SYNCED), limit=5)
    left_out = 3 if RecordPages._recorded is recorded else 0  # a journal in memory reads a page at once
    assert page == many[left_out : left_out + 5]


async def test_an_empty_journal_has_empty_sorted_pages(journals: Journals) -> None:
    journal = await journals.later()
    for order in ORDERS:
        assert await journal.sorted_page(order) == []
        assert await journal.sorted_page(order, ItemFilter(text="a")) == []


async def test_the_time_of_the_last_write(journals: Journals) -> None:
    before = time.time()
    await journals.now.save(record())
    assert before - 1 < (await (await journals.later()).last_written() or 0) <= time.time() + 1


HUGE = 2**64 - 7  # an inode above the largest signed 64-bit integer


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


async def test_the_records_of_a_file_with_many_names_are_bounded(journals: Journals) -> None:
    await journals.now.save_all([of_file(f"name/{number}", 7) for number in range(MAX_MADE_FROM + 3)])
    file = FileIdentity(2049, 7, 5, 17 * 10**17, 99)
    found = await (await journals.later()).made_from(file, at("a").endpoint)
    assert len({one.item_id for one in found}) == len(found) == MAX_MADE_FROM


async def test_the_roots_of_folders_are_recorded(journals: Journals) -> None:
    large = 2**64 - 1
    await journals.now.save_folder_root("inbox", "/srv/\udcff", (1, 2))
    await journals.now.save_folder_root("other", "/srv/\udcff", (large, large))
    await journals.now.save_folder_root("inbox", "/srv/\udcff", (3, 4))
    journal = await journals.later()
    assert await journal.folder_root("inbox", "/srv/\udcff") == (3, 4)
    assert await journal.folder_root("other", "/srv/\udcff") == (large, large)
    assert await journal.folder_root("inbox", "/srv") is None


async def test_what_was_learned_of_stores_is_kept(journals: Journals) -> None:
    first = LearnedFact(endpoint="http://a", name="tags by put", server="x", text="drops ü", when=5.0)
    await journals.now.learn(first)
    newer, other = replace(first, text="", when=7.0), replace(first, endpoint="http://b", when=9.0)
    await journals.now.learn(other)
    await journals.now.learn(newer)
    journal = await journals.later()
    assert await journal.learned(0.0) == [newer, other]
    assert [fact.endpoint for fact in await journal.learned(8.0)] == ["http://b"]
