"""What a GLOB_OR_ITEM of `trigger` means, and that the daemon is never asked for too little."""

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
def test_what_a_pattern_means(pattern: str, meant: bool) -> None:
    assert means(pattern, item("a/b.txt")) is meant


def test_a_key_that_looks_like_a_glob_is_meant_by_itself() -> None:
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
def test_what_the_daemon_is_asked_to_look_for(pattern: str, text: str) -> None:
    assert literal(pattern) == text


NAMES = st.text("ab/[]*?!s3:", max_size=8)


@given(NAMES, NAMES, st.sampled_from(["", "s3://", "s3://data/"]), NAMES)
def test_what_is_meant_is_found_by_what_the_daemon_is_asked_for(key: str, entry: str, head: str, rest: str) -> None:
    one, pattern = item(key, entry), head + rest
    if means(pattern, one):
        assert mentions(literal(pattern), key, one.source, entry)
    assert means(key, one)
    assert means(pattern, one) >= fnmatchcase(key, pattern)
