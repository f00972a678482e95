"""Dates and Retry-After of HTTP headers, as sources and stores send them."""

from email.utils import formatdate

import pytest

from mirrord.headers import http_date, retry_after

NOW = 1_800_000_000.0  # Fri, 15 Jan 2027 08:00:00 GMT


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
    assert retry_after(value, NOW) == seconds


def test_a_date_in_retry_after_is_ignored_without_a_time_to_compare() -> None:
    assert retry_after(formatdate(NOW + 90, usegmt=True), None) is None
    assert retry_after("90", None) == 90.0


@pytest.mark.parametrize("value", [None, "", "yesterday", "Fri, 99 Jan 2027 08:00:00 GMT"])
def test_text_that_is_not_a_date_is_none(value: str | None) -> None:
    assert http_date(value) is None
