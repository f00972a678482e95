"""The formats of lists: from lines to rows, and the reasons of bad rows."""

import json
from base64 import b64encode
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirrord.declared import ListSpec
from mirrord.model import DeclaredBytes
from mirrord.planning.lists.formats import format_of
from mirrord.planning.lists.rows import ListRefused, ListRow

NAMES = ("x.tsv", "x.csv", "x.jsonl", "x.txt", "SHA256SUMS", "PULP_MANIFEST")
SUM = "ab" * 32
RAW = bytes.fromhex(SUM)
MD5 = "cd" * 16
MD5_RAW = bytes.fromhex(MD5)
MD5_TEXT = b64encode(MD5_RAW).decode()
URL = "https://h/a"


def spec(location: str) -> ListSpec:
    return ListSpec(entry="e", location=location, to="s3://bucket/", store="default", endpoint="http://s")


def read(name: str, text: str) -> list[ListRow | str]:
    """The rows, and for bad ones the reasons."""
    rows, found = format_of(spec(f"/{name}")), list[ListRow | str]()
    for line in text.split("\n"):
        try:
            row = rows.row(line)
        except ValueError as error:
            found.append(str(error))
        else:
            found += [row] if row is not None else []
    return found


def row(url: str = URL, key: str | None = None, named: bool = False, **declared: Any) -> ListRow:
    return ListRow(url, key, DeclaredBytes(**declared) if declared else None, named)


def named(name: str, key: str | None = None, **declared: Any) -> ListRow:
    return row(name, key or name, True, **declared)


@pytest.mark.parametrize(
    ("name", "text", "rows"),
    [
        ("x.txt", f"{URL}\n\n  # comment\n {URL}/b \nc d", [row(), row(f"{URL}/b"), row("c d")]),
        ("x.tsv", f"{URL}\n{URL}\tk e\t7\t{MD5}\t{SUM}", [row(), row(key="k e", size=7, md5=MD5_RAW, sha256=RAW)]),
        ("x.tsv", f"SHA256\tnote\tURL\n{SUM}\tx\t{URL}\n\t\t{URL}", [row(sha256=RAW), row()]),
        (
            "x.tsv",
            f"TsvHttpData-1.0\n{URL}\t7\t{MD5_TEXT}\n{URL}\t7\n{URL}",
            [row(size=7, md5=MD5_RAW), row(size=7), row()],
        ),
        ("x.csv", f'"{URL}",k\n{URL},"a ""b"", c"', [row(key="k"), row(key='a "b", c')]),
        ("x.csv", f"# made by x\nkey , url\nk,{URL}", [row(key="k")]),
        ("x.csv", f"{URL},,0,md5:{MD5},sha256:{SUM.upper()}", [row(size=0, md5=MD5_RAW, sha256=RAW)]),
        ("x.jsonl", json.dumps({"url": URL, "size": 7, "other": [1]}), [row(size=7)]),
        ("x.jsonl", json.dumps({"url": URL, "key": "ä\t", "md5": MD5, "sha256": None}), [row(key="ä\t", md5=MD5_RAW)]),
        ("SHA256SUMS", f"{SUM}  a b\n{SUM} *./d/c", [named("a b", sha256=RAW), named("./d/c", "d/c", sha256=RAW)]),
        ("SHA256SUMS", f"SHA256 (a) = {SUM}\nMD5 (a) = {MD5}", [named("a", sha256=RAW)]),
        ("SHA256SUMS", f"\\{SUM}  a\\nb", [named("a\nb", sha256=RAW)]),
        (
            "SHA256SUMS",
            f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n{SUM}  a\n"
            "-----BEGIN PGP SIGNATURE-----\n\niQEz\n-----END PGP SIGNATURE-----",
            [named("a", sha256=RAW)],
        ),
        ("SHA256SUMS", f"{SUM}  a\n {SUM}  a \n", [named("a", sha256=RAW), named("a ", sha256=RAW)]),
        ("SHA256SUMS", f"SHA256 (a ) = {SUM} \nMD5 (a) = {MD5} ", [named("a ", sha256=RAW)]),
        ("SHA256SUMS", f"{SUM} *a\u2028b\x85", [named("a\u2028b\x85", sha256=RAW)]),
        ("PULP_MANIFEST", f" a ,{SUM}, 7 ", [named(" a ", size=7, sha256=RAW)]),
        ("PULP_MANIFEST", f"# x\na,b.iso,{SUM},7", [named("a,b.iso", size=7, sha256=RAW)]),
    ],
)
def test_the_rows_of_a_format(name: str, text: str, rows: list[ListRow]) -> None:
    assert read(name, text) == rows


@pytest.mark.parametrize(
    ("name", "line", "reason"),
    [
        ("x.csv", f"{URL},k,-1", "its size is not a number of bytes"),
        ("x.csv", f"{URL},k,5 MB", "its size is not a number of bytes"),
        ("x.csv", f"{URL},k,{2**63}", "its size is not a number of bytes"),
        ("x.csv", f"{URL},k,٣", "its size is not a number of bytes"),
        ("x.csv", f"{URL},k,1,{MD5[1:]}", "its md5 is neither 32 hex digits nor 16 bytes in base64"),
        ("x.csv", f"{URL},k,1,{SUM}", "its md5 is neither 32 hex digits nor 16 bytes in base64"),
        ("x.csv", f"{URL},k,1,,{MD5}", "its sha256 is neither 64 hex digits nor 32 bytes in base64"),
        ("x.csv", f"{URL},k,1,,{'x' * 64}", "its sha256 is neither 64 hex digits nor 32 bytes in base64"),
        ("x.csv", ",k", "it has no url"),
        ("x.csv", f"{URL},k,1,,,x", "it has 6 columns, expected were 5"),
        ("x.csv", f'"{URL}', "it is not valid CSV: unexpected end of data"),
        ("x.csv", f'"{URL}"x', "it is not valid CSV: ',' expected after '\"'"),
        ("x.jsonl", "{", "it is not valid JSON"),
        ("x.jsonl", "[" * 60_000, "it is not valid JSON"),
        ("x.jsonl", '"https://h/a"', "it is not a JSON object"),
        ("x.jsonl", "{}", "it has no url"),
        ("x.jsonl", '{"url": 1}', "its url is not a string"),
        ("x.jsonl", '{"url": "u", "size": "1"}', "its size is not a number"),
        ("x.jsonl", '{"url": "u", "size": true}', "its size is not a number"),
        ("x.jsonl", '{"url": "u", "size": 1.5}', "its size is not a number"),
        ("x.jsonl", '{"url": "u", "sha265": ""}', "it has an unknown column 'sha265'; did you mean sha256?"),
        ("SHA256SUMS", SUM, "it is not a sha256 digest with the name of a file"),
        ("SHA256SUMS", f"{MD5}  a", "it is not a sha256 digest with the name of a file"),
        ("PULP_MANIFEST", f"a,{SUM}", "it is not name,sha256,size"),
        ("PULP_MANIFEST", f"a,{SUM},", "it is not name,sha256,size"),
        ("PULP_MANIFEST", f"a,{MD5},1", "its sha256 is neither 64 hex digits nor 32 bytes in base64"),
    ],
)
def test_a_bad_row_has_a_reason_that_shows_no_value(name: str, line: str, reason: str) -> None:
    assert read(name, line) == [reason]


def test_a_row_has_all_columns_of_the_header() -> None:
    assert read("x.csv", f"url,size,md5\n{URL},1") == ["it has 2 columns, expected were 3"]


@pytest.mark.parametrize(
    ("name", "line", "words"),
    [
        ("x.tsv", "TsvHttpData-2.0", "another version"),
        ("x.csv", "url,sha265", "did you mean sha256"),
        ("x.csv", "url,URL", "several columns called url"),
    ],
)
def test_a_header_that_cannot_be_read_refuses_the_list(name: str, line: str, words: str) -> None:
    with pytest.raises(ListRefused, match=words):
        format_of(spec(f"/{name}")).row(line)


@pytest.mark.parametrize(
    ("location", "known"),
    [
        *((f"/d.d/{name}", True) for name in NAMES),
        ("/d/x.TSV.gz", True),
        ("/d/sha256sums.txt", True),
        ("/d/SHA256SUM", True),
        ("https://h/d/x.csv?token=a.b/c#d", True),
        ("https://h/x?name=a.csv", False),
        ("/d/x.csv?a", False),
        ("/d.csv/x", False),
        ("/d/x.json", False),
        ("https://h/", False),
    ],
)
def test_the_name_gives_the_format(location: str, known: bool) -> None:
    if known:
        format_of(spec(location))
    else:
        with pytest.raises(ValueError, match="gives no format"):
            format_of(spec(location))


@given(st.sampled_from(NAMES), st.lists(st.text(st.characters(exclude_characters="\n")), max_size=5))
def test_any_line_is_a_row_or_has_a_reason(name: str, lines: list[str]) -> None:
    rows = format_of(spec(f"/{name}"))
    for line in lines:
        with suppress(ValueError, ListRefused):
            found = rows.row(line)
            assert found is None or found.url


@given(
    st.text(st.characters(codec="utf-8", exclude_characters='\n\r\t"#,'), min_size=1).filter(lambda t: t == t.strip()),
    st.integers(0, 2**63 - 1),
    st.binary(min_size=32, max_size=32),
)
def test_what_is_written_is_read(key: str, size: int, digest: bytes) -> None:
    wanted = row(key=key, size=size, sha256=digest)
    assert read("x.tsv", f"{URL}\t{key}\t{size}\t\t{digest.hex()}") == [wanted]
    assert read("x.csv", f"{URL},{key},{size},,{b64encode(digest).decode()}") == [wanted]
    assert read("x.jsonl", json.dumps({"url": URL, "key": key, "size": size, "sha256": digest.hex()})) == [wanted]
