"""The query of the list of items."""

import re

import pytest

from mirrord.model import ItemPlace, State
from mirrord.web.query import (
    LONGEST,
    SORTS,
    EntriesQuery,
    ItemsQuery,
    cursor_of,
    cursor_of_place,
    entries_query,
    items_query,
    no_parameters,
)


def test_an_empty_query_selects_everything() -> None:
    assert items_query([]) == ItemsQuery()
    assert items_query([("state", ""), ("limit", ""), ("q", "")]) == ItemsQuery()


def test_all_parameters() -> None:
    cursor = "0123456789abcdef"
    pairs = [("state", "Blocked"), ("entry", "geo"), ("q", "a b"), ("cursor", cursor), ("limit", "1000")]
    assert items_query(pairs) == ItemsQuery(state=State.BLOCKED, entry="geo", q="a b", cursor=cursor, limit=1000)


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        ([("state", "blocked")], "'blocked' is no state: write one of Synced, Pending"),
        ([("limit", "0")], "write a number from 1 to 1000"),
        ([("limit", "1001")], "write a number from 1 to 1000"),
        ([("limit", "-1")], "write a number from 1 to 1000"),
        ([("limit", "ten")], "write a number from 1 to 1000"),
        ([("limit", "1e2")], "write a number from 1 to 1000"),
        ([("limit", "٣")], "write a number from 1 to 1000"),
        ([("limit", "9" * 5000)], "at most 4096"),
        ([("cursor", "c")], "cursor is 'c': send the one"),
        ([("cursor", "0123456789abcdef\n")], "send the one"),
        ([("sort", "colour")], "'colour' is no order: write one of id, state, -state, object,"),
        ([("sort", "--size")], "'--size' is no order"),
        ([("sort", "size"), ("cursor", "0123456789abcdef")], "send the one"),
        ([("stat", "Blocked")], "'stat' is no parameter of this path: it has state, entry, q, sort, cursor, limit"),
        ([("q", "a"), ("q", "b")], "'q' stands twice"),
        ([("q", "a" * (LONGEST + 1))], "4097 characters: at most 4096"),
    ],
)
def test_an_invalid_query_is_an_error_with_the_expected_form(pairs: list[tuple[str, str]], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        items_query(pairs)


PLACES = [
    ("size", 5.0, None),
    ("-since", 1_700_000_000.123456, None),
    ("-size", -1.0, None),
    ("object", "s3://b/ü 😀\udcff\n\n", None),
    ("-object", "s3://b/" + "\x01" * 1_024, None),
    ("state", 1_700_000_000.5, State.BLOCKED),
]


@pytest.mark.parametrize(("sort", "value", "state"), PLACES)
def test_the_cursor_of_an_order_is_the_place_in_it(sort: str, value: float | str, state: State | None) -> None:
    order, place = SORTS[sort], ItemPlace(value, "0123456789abcdef", state)
    assert order is not None
    cursor = cursor_of_place(place, order)
    assert re.fullmatch(r"[A-Za-z0-9_-]*", cursor)
    found = items_query([("sort", sort), ("cursor", cursor)])
    assert (found.order, found.place) == (order, place)
    assert items_query([("sort", sort)]).place is None


@pytest.mark.parametrize("text", ["nan\n{id}\n", "inf\n{id}\n", "5\n{id}\n", "5.0\n{id}", "5.0\nx\n", "a\n{id}\n", "",
                                  "5.0\n{id}\nSynced", "5.0\n{id}\nnothing"])  # fmt: skip
def test_a_cursor_that_no_page_has_is_an_error(text: str) -> None:
    cursor = cursor_of(text.format(id="0123456789abcdef")) or "AA"
    with pytest.raises(ValueError, match="send the one that the page before"):
        items_query([("sort", "size"), ("cursor", cursor)])


def test_a_cursor_of_another_order_is_an_error() -> None:
    plain, with_state = cursor_of("5.0\n0123456789abcdef\n"), cursor_of("5.0\n0123456789abcdef\nSynced")
    assert items_query([("sort", "size"), ("cursor", plain)]).place is not None
    assert items_query([("sort", "state"), ("cursor", with_state)]).place is not None
    for sort, cursor in (("size", with_state), ("state", plain), ("object", plain + "x"), ("id", plain)):
        with pytest.raises(ValueError, match="send the one that the page before"):
            items_query([("sort", sort), ("cursor", cursor)])


@pytest.mark.parametrize("name", ["rows", "s3://b/ü", "a", "", "ab", "\udcff", "\n", "k" * 1_100])
def test_the_cursor_of_an_entry_is_its_name_in_characters_of_urls(name: str) -> None:
    cursor = cursor_of(name)
    assert re.fullmatch(r"[A-Za-z0-9_-]*", cursor)
    assert entries_query([("cursor", cursor), ("limit", "7")]) == EntriesQuery(cursor=name or None, limit=7)


@pytest.mark.parametrize("cursor", ["a", "ab", "/w", "cm93cw==", "_w", "ü", "cm93 cw", "YWI\n"])
def test_another_cursor_is_an_error(cursor: str) -> None:
    with pytest.raises(ValueError, match="send the one that the page before"):
        entries_query([("cursor", cursor)])


def test_a_path_without_parameters_has_none() -> None:
    no_parameters([])
    with pytest.raises(ValueError, match="'q' is no parameter of this path: it has none"):
        no_parameters([("q", "a")])
