"""The query of the list of items."""

import re

import pytest

from mirrord.model import State
from mirrord.web.query import LONGEST, EntriesQuery, ItemsQuery, cursor_of, entries_query, items_query, no_parameters


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
        ([("stat", "Blocked")], "'stat' is no parameter of this path: it has state, entry, q, cursor, limit"),
        ([("q", "a"), ("q", "b")], "'q' stands twice"),
        ([("q", "a" * (LONGEST + 1))], "4097 characters: at most 4096"),
    ],
)
def test_an_invalid_query_is_an_error_with_the_expected_form(pairs: list[tuple[str, str]], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        items_query(pairs)


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
