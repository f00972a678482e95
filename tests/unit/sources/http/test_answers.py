"""Reading an answer's headers: Retry-After, Content-Range, validators, the place that they belong to."""

from email.utils import formatdate

import pytest

from mirrord.model import Revision
from mirrord.sources.http import answers

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("0", 0.0),
        (" 120 ", 120.0),
        ("3601", 3600.0),
        ("9" * 400, 3600.0),
        ("1.5", None),
        ("-5", None),
        ("²", None),
        ("soon", None),
        (formatdate(NOW + 90, usegmt=True), 90.0),
        (formatdate(NOW - 90, usegmt=True), 0.0),
        (formatdate(NOW + 86400, usegmt=True), 3600.0),
        ("Fri, 15 Jan 2027 08:01:00", 60.0),  # no zone: GMT, as RFC 9110 has no other
        ("Fri, 15 Jan 2027 10:01:00 +0200", 60.0),
        ("Mon, 99 Foo 2026 00:00:00 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 -2359", 3600.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    assert answers.retry_after(value, NOW) == seconds


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
def test_content_range_is_exact_or_nothing(value: str | None, granted: tuple[int, int, int] | None) -> None:
    assert answers.content_range(value) == granted


def test_what_an_answer_says_of_its_source() -> None:
    headers = {
        "ETag": '"a"',
        "Last-Modified": "then",
        "Content-Length": "5",
        "Accept-Ranges": "bytes",
        "Content-Type": "text/csv",
        "Content-Encoding": "br",
    }
    observed = answers.observed(headers, "here", None)
    assert observed.revision == Revision(address="here", etag='"a"', last_modified="then", length=5)
    assert (observed.content_type, observed.content_encoding, observed.ranges) == ("text/csv", "br", True)


@pytest.mark.parametrize(
    "lacking", [{"ETag": 'W/"a"'}, {"ETag": '""'}, {"Accept-Ranges": "none"}, {"Content-Length": ""}]
)
def test_no_ranges_without_pin_length_or_offer(lacking: dict[str, str]) -> None:
    headers = {"ETag": '"a"', "Content-Length": "5", "Accept-Ranges": "bytes", **lacking}
    assert not answers.observed(headers, "here", None).ranges


def test_a_length_beside_chunks_means_nothing() -> None:
    assert answers.content_length({"Content-Length": "5", "Transfer-Encoding": "chunked"}) is None


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://h/a?X-Amz-Date=1&X-Amz-Signature=2", "https://h/a?X-Amz-Date=3&X-Amz-Signature=4", True),
        ("https://h/a?sv=1&sig=2&se=3", "https://h/a?sv=1&sig=9&se=9", True),
        ("https://h/a?id=1&sig=2", "https://h/a?id=2&sig=2", False),
        ("https://h/a", "https://h/b", False),
        ("https://h/a", "http://h/a", False),
        ("https://h/a", "https://i/a", False),
        ("https://h/a?x", "https://h/a?y", False),
        ("https://h/a%2Fb", "https://h/a/b", False),
    ],
)
def test_a_place_is_a_url_without_its_signature(one: str, other: str, same: bool) -> None:
    assert (answers.place(one) == answers.place(other)) is same


def test_conditions_name_what_is_known() -> None:
    assert answers.conditions(None) == {}
    assert answers.conditions(Revision(address="a")) == {}
    assert answers.conditions(Revision(address="a", etag='W/"1"', last_modified="then")) == {
        "If-None-Match": 'W/"1"',
        "If-Modified-Since": "then",
    }
