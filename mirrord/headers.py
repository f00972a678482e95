"""Values of HTTP headers that both sources and stores send: dates and Retry-After. Pure.

Owns their parsing (RFC 9110, 5.6.7 and 10.2.3). `planning.timing.backoff` computes the pause from them.
"""

from datetime import UTC
from email.utils import parsedate_to_datetime

RETRY_AFTER_CAP = 3600.0
"""Seconds: the longest pause that a server can request. Its clock may be wrong."""


def http_date(value: str | None) -> float | None:
    """Seconds since the epoch of a date in one of the forms of RFC 9110, 5.6.7; None if it is not a date."""
    try:
        date = parsedate_to_datetime(value or "")
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def retry_after(value: str | None, now: float | None) -> float | None:
    """Seconds to wait from a Retry-After header, from 0 to `RETRY_AFTER_CAP`; None if it is absent or unreadable.

    Its value is a number of seconds or a date. A date is compared with `now` (seconds since the epoch); without `now` a
    date is ignored.
    """
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), RETRY_AFTER_CAP)
    date = http_date(text)
    return None if date is None or now is None else min(max(date - now, 0.0), RETRY_AFTER_CAP)
