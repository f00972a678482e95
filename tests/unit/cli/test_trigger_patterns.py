"""The items that a GLOB_OR_ITEM of `trigger` selects, and the search text for the daemon."""

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirrord.cli.trigger import literal, means
from mirrord.model import State, mentions
from mirrord.status import ItemStatus


def item(key: str, entry: str = "logs", bucket: str = "data") -> ItemStatus:
    return ItemStatus(
        id="0" * 16,
        entry=entry,
        source="file:///x",
        destination=f"s3://{bucket}/{key}",
        store="default",
        state=State.SYNCED,
    )


@pytest.mark.parametrize(
    ("pattern", "meant"),
    [
        ("a/b.txt", True),
        ("s3://data/a/b.txt", True),
        ("s3://other/a/b.txt", False),
        ("s3://data/*", True),
        ("s3://*.txt", True),
        ("logs", True),
        ("l?gs", True),
        ("*", True),
        ("a/*", True),
        ("*.txt", True),
        ("a/[bc].txt", True),
        ("a/[!b].txt", False),
        ("A/B.TXT", False),
        ("b.txt", False),
        ("data/a/b.txt", False),
        ("*data/a/b.txt", False),
        ("", False),
    ],
)
def test_a_pattern_selects_items(pattern: str, meant: bool) -> None:
    assert means(pattern, item("a/b.txt")) is meant


def test_a_key_with_glob_characters_matches_itself() -> None:
    assert means("odd[1]*.txt", item("odd[1]*.txt"))
    assert means("s3://data/odd[1]*.txt", item("odd[1]*.txt"))


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("releases/*.gz", "releases/"),
        ("*.tar.gz", ".tar.gz"),
        ("*", ""),
        ("a[bc]longer", "a"),
        ("s3://bucket/some/key", "some/key"),
        ("s3://bucket", ""),
        ("s3://b*/k", "k"),
        ("bad-\udcff-name", "-name"),
    ],
)
def test_the_search_text_of_a_pattern(pattern: str, text: str) -> None:
    assert literal(pattern) == text


NAMES = st.text("ab/[]*?!s3:", max_size=8)


@given(NAMES, NAMES, st.sampled_from(["", "s3://", "s3://data/"]), NAMES)
def test_the_search_text_finds_every_selected_item(key: str, entry: str, head: str, rest: str) -> None:
    one, pattern = item(key, entry), head + rest
    if means(pattern, one):
        assert mentions(literal(pattern), key, one.source, entry)
    assert means(key, one)
    assert means(pattern, one) >= fnmatchcase(key, pattern)
