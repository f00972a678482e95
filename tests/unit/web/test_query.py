"""The query of the list of items."""

import pytest

from mirrord.model import State
from mirrord.web.query import LONGEST, ItemsQuery, items_query, no_parameters


def test_an_empty_query_selects_everything() -> None:
    assert items_query([]) == ItemsQuery()
    assert items_query([("state", ""), ("limit", ""), ("q", "")]) == ItemsQuery()


def test_all_parameters() -> None:
    pairs = [("state", "Blocked"), ("entry", "geo"), ("q", "a b"), ("cursor", "c"), ("limit", "1000")]
    assert items_query(pairs) == ItemsQuery(state=State.BLOCKED, entry="geo", q="a b", cursor="c", limit=1000)


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
        ([("limit", "9" * 5000)], "at most 1024"),
        ([("stat", "Blocked")], "'stat' is no parameter of this path: it has state, entry, q, cursor, limit"),
        ([("q", "a"), ("q", "b")], "'q' stands twice"),
        ([("q", "a" * (LONGEST + 1))], "1025 characters: at most 1024"),
    ],
)
def test_an_invalid_query_is_an_error_with_the_expected_form(pairs: list[tuple[str, str]], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        items_query(pairs)


def test_a_path_without_parameters_has_none() -> None:
    no_parameters([])
    with pytest.raises(ValueError, match="'q' is no parameter of this path: it has none"):
        no_parameters([("q", "a")])
