"""The intake of a list: lines of any cut, limits, gzip, and when a list is incomplete."""

import gzip
import itertools
import zlib
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirrord.declared import ListSpec
from mirrord.model import Item
from mirrord.planning.lists.rows import ListRow
from mirrord.sources.list import intake as intake_module
from mirrord.sources.list import lines as lines_module
from mirrord.sources.list.intake import MOST_SHOWN, ListIntake
from mirrord.sources.list.lines import LONGEST_LINE
from mirrord.sources.list.spool import ListSpool

SPEC = ListSpec(entry="e", location="/l/x.txt", to="s3://bucket/", store="s", endpoint="http://s")
SUMS = replace(SPEC, location="/l/SHA256SUMS")
SUM = "ab" * 32


def taken(chunks: Sequence[bytes], spec: ListSpec = SPEC, *, proven: bool = True) -> tuple[list[str], list[str]]:
    """The keys of the items, and the faults."""
    items: list[Item] = []
    intake = ListIntake(spec, lambda item, *_: items.append(item))
    for chunk in chunks:
        list(intake.feed(chunk))
    intake.end(proven=proven)
    assert intake.rows == len(items)
    return [item.destination.key for item in items], list(intake.faults)


@given(st.lists(st.integers(0, 60), max_size=6))
def test_it_does_not_matter_where_the_bytes_are_divided(cuts: list[int]) -> None:
    text = "\ufeffhttps://h/ä\r\n\n# x\nhttps://h/b\nhttps://h/c".encode()
    places = sorted({0, *(cut % len(text) for cut in cuts), len(text)})
    parts = [text[start:end] for start, end in itertools.pairwise(places)]
    assert taken(parts) == (["ä", "b", "c"], [])
    packed = gzip.compress(text)
    places = sorted({0, *(cut % len(packed) for cut in cuts), len(packed)})
    parts = [packed[start:end] for start, end in itertools.pairwise(places)]
    assert taken(parts) == (["ä", "b", "c"], [])


def test_a_long_line_is_a_bad_row_and_the_next_ones_are_read() -> None:
    url = b"https://h/" + b"x" * 500 + b"/"
    long = url * (LONGEST_LINE // len(url) + 1)
    keys, faults = taken(
        [b"https://h/a\n", *[long[i : i + 1000] for i in range(0, len(long), 1000)], b"\nhttps://h/b\n"]
    )
    assert keys == ["a", "b"]
    assert faults == ["/l/x.txt:2: it is longer than 64.0 KiB"]
    assert taken([long])[1] == ["/l/x.txt:1: it is longer than 64.0 KiB"]


def test_bytes_that_are_not_text_are_a_bad_row() -> None:
    assert taken([b"https://h/\xff\nhttps://h/a\n"]) == (["a"], ["/l/x.txt:1: it is not UTF-8"])


def test_a_list_that_programs_write_ends_with_a_line_break() -> None:
    text = f"{SUM}  a\n{SUM}  b".encode()
    assert taken([text + b"\n"], SUMS) == (["a", "b"], [])
    assert taken([text], SUMS) == (["a"], ["/l/SHA256SUMS:2: it has no line break, so the list may be cut short here"])


@pytest.mark.parametrize(
    ("chunks", "proven", "keys", "words"),
    [
        ([b""], True, [], "has no rows"),
        ([b"# nothing\n\n"], True, [], "has no rows"),
        ([gzip.compress(b"https://h/a\nhttps://h/b")[:-8]], True, ["a"], "its gzip data does not end"),
        ([b"\x1f\x8b" + b"x" * 40], True, [], "is not valid gzip data"),
        ([gzip.compress(b"https://h/a\n") + b"junk"], True, ["a"], "is not valid gzip data"),
        ([b"https://h/a\n"], False, ["a"], "nothing proves that it ends here"),
    ],
)
def test_a_list_that_does_not_end_as_it_should_is_incomplete(chunks, proven, keys, words) -> None:
    found, faults = taken(chunks, proven=proven)
    assert found == keys
    assert len(faults) == 1
    assert words in faults[0]


def test_members_of_gzip_are_joined() -> None:
    packed = gzip.compress(b"https://h/a\nhttps://") + gzip.compress(b"h/b\n") + bytes(512)
    assert taken([packed]) == (["a", "b"], [])


def test_a_list_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake_module, "MOST_ROWS", 2)
    assert taken([b"https://h/a\nhttps://h/b\nhttps://h/c\n"]) == (
        ["a", "b"],
        ["/l/x.txt has more than 2 rows; split it"],
    )
    monkeypatch.setattr(lines_module, "LARGEST", 1_000_000)
    bomb = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = bomb.compress(b"#" * 50_000_000) + bomb.flush()
    (fault,) = taken([packed])[1]
    assert fault == "/l/x.txt is over 976.6 KiB; split it"
    (fault,) = taken([gzip.compress(b"") * 1_000] * 60)[1]  # members without a byte of text
    assert fault == "/l/x.txt is over 976.6 KiB; split it"


def test_many_bad_rows_are_counted() -> None:
    keys, faults = taken([b"ftp://h/x\n" * (MOST_SHOWN + 1_000) + b"https://h/a\n"])
    assert keys == ["a"]
    assert len(faults) == MOST_SHOWN + 1
    assert faults[-1] == "/l/x.txt: 1,000 more bad rows"


def test_a_url_is_shown_without_its_secrets() -> None:
    spec = replace(SPEC, location="https://user:secret@h/x.txt?sig=secret")
    assert taken([b"ftp://x:secret@y\n"], spec)[1] == [
        "https://h/x.txt?…:1: its url is not a source: it may be an http or https URL, or a path"
    ]


def test_a_spool_gives_the_same_items_again() -> None:
    rows = [f'{{"url": "https://h/{n}", "key": "k/{n}", "size": {n}, "sha256": "{SUM}"}}\n' for n in range(2_500)]
    rows.append('{"url": "https://h/x"}\n')
    spec, items = replace(SPEC, location="/l/x.jsonl"), list[Item]()
    spool = ListSpool(spec)

    def keep(item: Item, row: ListRow, line: int) -> None:
        items.append(item)
        spool.add(item, row, line)

    intake = ListIntake(spec, keep)
    list(intake.feed("".join(rows).encode()))
    intake.end()
    assert len(items) == 2_501
    assert list(spool) == items == list(spool)


def test_a_placeholder_that_a_local_file_has_not_is_a_bad_row() -> None:
    keys, faults = taken([b"https://h/a\nfile.bin\n"], replace(SPEC, to="s3://bucket/{host}{path}"))
    assert keys == ["h/a"]
    assert faults == ["/l/x.txt:2: `to` has {host}, which a local file does not have"]
