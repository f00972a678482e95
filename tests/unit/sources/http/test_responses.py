"""Headers of responses: Content-Range, validators, conditions, and what is stored with the object."""

import pytest

from mirrord.model import Revision
from mirrord.sources.http import responses

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("value", "granted"),
    [
        ("bytes 0-9/100", (0, 10, 100)),
        ("Bytes 90-99/100", (90, 100, 100)),
        ("bytes 0-9/*", None),
        ("bytes */100", None),
        ("bytes 9-0/100", None),
        ("bytes 90-100/100", None),
        ("bytes 0-9, 20-29/100", None),
        ("items 0-9/100", None),
        ("bytes 0-" + "9" * 5000 + "/100", None),
        ("", None),
        (None, None),
    ],
)
def test_content_range_is_exact_or_none(value: str | None, granted: tuple[int, int, int] | None) -> None:
    assert responses.content_range(value) == granted


def test_headers_describe_the_source() -> None:
    headers = {
        "ETag": '"a"',
        "Last-Modified": "then",
        "Content-Length": "5",
        "Accept-Ranges": "bytes",
        "Content-Type": "text/csv",
        "Content-Encoding": "br",
    }
    observed = responses.observed(headers, "here", None)
    assert observed.revision == Revision(address="here", etag='"a"', last_modified="then", length=5)
    assert (observed.content_type, observed.content_encoding, observed.ranges) == ("text/csv", "br", True)


@pytest.mark.parametrize(
    "lacking", [{"ETag": 'W/"a"'}, {"ETag": '""'}, {"Accept-Ranges": "none"}, {"Content-Length": ""}]
)
def test_no_ranges_without_strong_etag_length_and_accept_ranges(lacking: dict[str, str]) -> None:
    headers = {"ETag": '"a"', "Content-Length": "5", "Accept-Ranges": "bytes", **lacking}
    assert not responses.observed(headers, "here", None).ranges


@pytest.mark.parametrize(("text", "length"), [("7", 7), ("9" * 19, 10**19 - 1), ("9" * 20, None), ("9" * 5000, None)])
def test_a_content_length_has_at_most_19_digits(text: str, length: int | None) -> None:
    assert responses.content_length({"Content-Length": text}) == length


def test_content_length_beside_chunks_is_ignored() -> None:
    assert responses.content_length({"Content-Length": "5", "Transfer-Encoding": "chunked"}) is None


PAST = "Fri, 15 Jan 2027 08:00:00 GMT"


@pytest.mark.parametrize(
    ("etag", "modified", "asked"),
    [
        (None, None, {}),
        ('"1"', None, {"If-None-Match": '"1"'}),
        ('"1"', PAST, {"If-None-Match": '"1"'}),  # a file that was rolled back has an older date
        ('W/"1"', PAST, {"If-None-Match": 'W/"1"'}),
        ('""', PAST, {"If-None-Match": '""'}),
        (None, PAST, {"If-Modified-Since": PAST}),
        # malformed validators are not sent back
        ("1", PAST, {"If-Modified-Since": PAST}),
        ("1", None, {}),
        ('"1', None, {}),
        ('w/"1"', None, {}),
        ('"a b"', None, {}),
        ('"a"b"', None, {}),
        ('"caf\u00e9"', PAST, {"If-Modified-Since": PAST}),
        ('"a\x07b"', PAST, {"If-Modified-Since": PAST}),
        ('"é"', None, {}),
        (None, "then", {}),
        (None, "0", {}),
        (None, "", {}),
        (None, "Fri, 15 Jan 2027 08:00:00", {}),
        (None, "Friday, 15-Jan-27 08:00:00 GMT", {}),
        (None, "Fri, 99 Jan 2027 08:00:00 GMT", {}),
    ],
)
def test_only_well_formed_validators_are_sent(etag: str | None, modified: str | None, asked: dict[str, str]) -> None:
    assert responses.conditional_headers(Revision(address="a", etag=etag, last_modified=modified)) == asked


def test_without_a_known_revision_there_is_no_condition() -> None:
    assert responses.conditional_headers(None) == {}


@pytest.mark.parametrize(
    ("known", "headers", "confirmed"),
    [
        ({"etag": '"1"'}, {}, True),
        ({"etag": '"1"'}, {"ETag": '"1"'}, True),
        ({"etag": '"1"'}, {"ETag": 'W/"1"'}, True),
        ({"etag": 'W/"1"'}, {"ETag": '"1"'}, True),
        ({"etag": '"1"'}, {"ETag": '"2"'}, False),
        ({"etag": 'W/"1"'}, {"ETag": 'W/"2"'}, False),
        ({"etag": '"1"', "last_modified": PAST}, {"Last-Modified": "Thu, 14 Jan 2027 08:00:00 GMT"}, True),
        ({"last_modified": PAST}, {}, True),
        ({"last_modified": PAST}, {"Last-Modified": PAST}, True),
        ({"last_modified": PAST}, {"Last-Modified": "Thu, 14 Jan 2027 08:00:00 GMT"}, False),  # rolled back
        ({"last_modified": PAST}, {"Last-Modified": PAST, "ETag": '"new"'}, True),
        ({"etag": "odd", "last_modified": PAST}, {"ETag": "other"}, False),
    ],
)
def test_whether_a_304_is_about_the_known_revision(
    known: dict[str, str], headers: dict[str, str], confirmed: bool
) -> None:
    assert responses.confirms(Revision(address="a", **known), headers) is confirmed


@pytest.mark.parametrize(
    ("modified", "date", "kept"),
    [
        ("Fri, 15 Jan 2027 08:00:00 GMT", "Fri, 15 Jan 2027 08:00:00 GMT", False),
        ("Fri, 15 Jan 2027 07:59:59 GMT", "Fri, 15 Jan 2027 08:00:00 GMT", True),
        ("Fri, 15 Jan 2027 08:00:01 GMT", "Fri, 15 Jan 2027 08:00:00 GMT", False),  # a Date cached for a second
        ("Fri, 15 Jan 2027 08:00:00 GMT", None, False),  # compared with our own clock
        ("Fri, 15 Jan 2027 07:00:00 GMT", None, True),
        ("Fri, 15 Jan 2027 11:00:00 GMT", "Fri, 15 Jan 2027 08:00:00 GMT", True),  # another time zone
        ("then", "Fri, 15 Jan 2027 08:00:00 GMT", True),  # compared as text, never sent
    ],
)
def test_a_date_of_the_same_second_is_no_validator(modified: str, date: str | None, kept: bool) -> None:
    headers = {"Last-Modified": modified, **({"Date": date} if date else {})}
    seen = responses.observed(headers, "a", None, 1_800_000_000.0).revision
    assert seen.last_modified == (modified if kept else None)
    beside = responses.observed({**headers, "ETag": '"1"'}, "a", None, 1_800_000_000.0).revision
    assert beside.last_modified == modified, "the ETag is the validator"
    odd = responses.observed({**headers, "ETag": "odd"}, "a", None, 1_800_000_000.0).revision
    assert odd.last_modified == seen.last_modified


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (None, None),
        ("", None),
        (" text/html; charset=utf-8\t", "text/html; charset=utf-8"),
        ("text/html; charset=\udce9", "text/html"),
        ("text/html; a=b; name=caf\u00e9; c=d", "text/html; a=b"),
        ("text/\udce9", None),
        ("text/html\x07", None),
        ("text/html; x=\x1b[31m", "text/html"),
        ("\x7f", None),
        ("text/html; x=a\tb", "text/html"),
        ("x" * 2000, None),
    ],
)
def test_the_part_of_a_header_that_s3_can_store(value: str | None, kept: str | None) -> None:
    headers = {} if value is None else {"Content-Type": value, "Content-Encoding": value}
    seen = responses.observed(headers, "a", None)
    assert seen.content_type == kept
    assert seen.content_encoding is None
    lost = "Content-Type" in responses.altered_headers(headers)
    assert lost is bool(value and value.strip() != (kept or ""))


def test_an_etag_that_is_not_ascii_is_recorded_and_not_sent() -> None:
    seen = responses.observed({"ETag": '"caf\udce9"', "Accept-Ranges": "bytes", "Content-Length": "5"}, "a", None)
    assert seen.revision.etag == '"caf\u00e9"'
    assert not seen.ranges
    assert responses.conditional_headers(seen.revision) == {}
