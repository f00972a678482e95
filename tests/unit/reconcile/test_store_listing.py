"""A listing compared with the journal: verdicts, order, memory."""

import tracemalloc
from collections.abc import Iterable
from itertools import islice

import pytest

from mirrord.model import Destination, ListedObject, RecordedETag
from mirrord.planning.decisions.listed import Verdict
from mirrord.planning.items.prefixes import KeyPrefix
from mirrord.reconcile.store_listing import StoreListing, is_as_recorded
from tests.support.measuring import SOAK

PREFIX = KeyPrefix("s", "http://s", "bucket", "in/")


def item_id(key: str) -> str:
    return Destination("s", "http://s", "bucket", key).item_id


def listing(*pages: Iterable[ListedObject], records: dict[str, RecordedETag], complete: bool = True) -> StoreListing:
    made = StoreListing(PREFIX, 0.0, 0.0)
    for page in map(list, pages):
        made.add(page, made.item_ids(page), records)
    made.complete = complete
    return made


RECORDS = {item_id(f"in/{name}"): RecordedETag(1, f'"{name}"', None) for name in ("same", "resized", "replaced")}
PAGE = [
    ListedObject("in/same", 1, '"same"'),
    ListedObject("in/resized", 2, '"resized"'),
    ListedObject("in/replaced", 1, '"other"'),
    ListedObject("in/stranger", 1, '"x"'),
]


@pytest.mark.parametrize("complete", [True, False])
def test_each_object_is_compared_with_its_record(complete: bool) -> None:
    found = listing(PAGE[::-1], records=RECORDS, complete=complete)
    expected = {"same": Verdict.AS_RECORDED} | dict.fromkeys(("resized", "replaced", "stranger"), Verdict.OTHER)
    expected["absent"] = Verdict.ABSENT if complete else Verdict.UNKNOWN
    assert {name: found.verdict(item_id(f"in/{name}")) for name in expected} == expected
    assert (found.pages, found.objects) == (1, 4)


@pytest.mark.parametrize("order", [1, -1])
def test_an_object_that_is_listed_twice_differently_is_not_as_recorded(order: int) -> None:
    pages = [[ListedObject("in/same", 1, '"same"')], [ListedObject("in/same", 1, '"other"')]]
    assert listing(*pages[::order], records=RECORDS).verdict(item_id("in/same")) is Verdict.OTHER
    assert listing(pages[0], pages[0], records=RECORDS).verdict(item_id("in/same")) is Verdict.AS_RECORDED


@pytest.mark.parametrize(
    ("listed", "record", "same"),
    [
        ('"e"', RecordedETag(1, '"e"', None), True),
        ("e", RecordedETag(1, '"e"', None), True),
        ('"e"', RecordedETag(1, '"f"', '"e"'), True),
        ('"e"', RecordedETag(1, '"f"', None), False),
        ('"e"', RecordedETag(2, '"e"', None), False),
        ('"e"', RecordedETag(None, '"e"', None), False),
        ('"e"', RecordedETag(1, None, None), False),
        ("", RecordedETag(1, '""', None), False),
        ('""', RecordedETag(1, None, ""), False),
        ('"e"', None, False),
    ],
)
def test_size_and_etag_are_compared(listed: str, record: RecordedETag | None, same: bool) -> None:
    assert is_as_recorded(ListedObject("k", 1, listed), record) is same


def test_other_etags_of_the_recorded_size_are_kept_to_be_recorded() -> None:
    records = {item_id(f"in/{name}"): RecordedETag(1, f'"{name}"', None) for name in "abcd"}
    page = [ListedObject("in/a", 1, '"x"'), ListedObject("in/b", 1, "x"), ListedObject("in/c", 2, '"z"')]
    found = listing(page, records=records)
    assert [found.shown_etag(item_id(f"in/{name}")) for name in "abc"] == [None] * 3  # "x" identifies no object
    found = listing(page, [ListedObject("in/d", 1, '"y"')], records=records)
    assert [found.shown_etag(item_id(f"in/{name}")) for name in "abcd"] == ['"x"', "x", None, '"y"']


def test_keys_need_a_few_bytes_each() -> None:
    """8 bytes, and a tenth as reserve of the arrays. A million of them with MIRRORD_SOAK=1 (`make soak`)."""
    count, names = 1_000_000 if SOAK else 200_000, (f"in/{number}" for number in range(10**9))
    made = StoreListing(PREFIX, 0.0, 0.0)
    tracemalloc.start()
    for _ in range(count // 1_000):
        page = [ListedObject(name, 1, "e") for name in islice(names, 1_000)]
        made.add(page, made.item_ids(page), {})
    assert made.verdict(item_id("in/7")) is Verdict.OTHER
    used, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert used < 12 * count
    assert peak < 12 * count + 2_000_000
