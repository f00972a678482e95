"""What an HTTP answer means: its status, its validators, its range. Pure, no connection in sight.

Owns the reading of RFC 9110 headers and the translation of statuses into the errors of `mirrord.errors`.
"""

import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from urllib.parse import parse_qsl, urlencode, urlsplit

from mirrord.errors import SourceChanged, SourceDenied, SourceError, SourceMissing, SourceRefused, SourceUnavailable
from mirrord.model import Observed, Revision, fingerprint
from mirrord.sources.http.codings import content_encoding

Headers = Mapping[str, str]

RETRY_AFTER_CAP = 3600.0
"""Seconds: no origin may put an item to sleep for longer."""

_TRANSIENT = frozenset({408, 425, 429})
_CONTENT_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19})", re.IGNORECASE)
_SIGNATURE = re.compile(
    r"x-(amz|goog|oss|cos|obs)-.*|signature|expires|key-pair-id|policy|awsaccesskeyid|googleaccessid|ossaccesskeyid"
    r"|sig|se|sp|spr|sr|st|sv|sko?id|sktid|skt|ske|sks|skv|jwt|token",
    re.IGNORECASE,
)


def failure(status: int, headers: Headers, where: str, now: float) -> SourceError | None:
    """The error that a final status stands for; None for 200, 203, 206 and 304. `now` in seconds since the epoch."""
    if status in (200, 203, 206, 304):
        return None
    said = f"{where}: answered {status}{_phrase(status)}"
    if status in (404, 410):
        return SourceMissing(said)
    if status in (401, 403):
        return SourceDenied(said)
    if status in _TRANSIENT or status >= 500:
        return SourceUnavailable(said, retry_after=retry_after(headers.get("Retry-After"), now), answered=True)
    if status == 416:
        return SourceChanged(f"{said}: it is shorter than it was")
    return SourceRefused(said)


def _phrase(status: int) -> str:
    try:
        return f" {HTTPStatus(status).phrase}"
    except ValueError:
        return ""


def retry_after(value: str | None, now: float) -> float | None:
    """Seconds to wait from a Retry-After header (seconds or a date, RFC 9110 10.2.3), within 0 and the cap."""
    if not value:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), RETRY_AFTER_CAP)
    try:
        moment = parsedate_to_datetime(text)
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now
    except (ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), RETRY_AFTER_CAP)


def content_range(value: str | None) -> tuple[int, int, int] | None:
    """(start, end, total) of a Content-Range, `end` exclusive; None if absent, without total, or nonsense."""
    match = _CONTENT_RANGE.fullmatch(value.strip()) if value else None
    if match is None:
        return None
    first, last, total = map(int, match.groups())
    return (first, last + 1, total) if first <= last < total else None


def content_length(headers: Headers) -> int | None:
    """The body's length in bytes on the wire; None if the answer does not say."""
    value = headers.get("Content-Length", "")
    return int(value) if value.isascii() and value.isdigit() and "Transfer-Encoding" not in headers else None


def observed(headers: Headers, address: str, location: str | None) -> Observed:
    """What a whole answer (200) says of the source.

    `ranges` only if the origin offers them and a strong ETag can pin them: guarantee 2.
    """
    revision = Revision(
        address=address,
        etag=headers.get("ETag"),
        last_modified=headers.get("Last-Modified"),
        length=content_length(headers),
        location=location,
    )
    offers = "bytes" in headers.get("Accept-Ranges", "").lower()
    return Observed(
        revision=revision,
        content_type=headers.get("Content-Type"),
        content_encoding=content_encoding(headers.get("Content-Encoding")),
        ranges=offers and revision.strong_etag is not None and revision.length is not None,
    )


def place(url: str) -> str:
    """What stands for the URL that an answer came from, so that its validators go back there and nowhere else.

    Parameters that only sign a URL are left out: a release behind a redirect that is signed anew each time is one
    place still.
    """
    parts = urlsplit(url)
    lasting = [(name, value) for name, value in parse_qsl(parts.query, True) if not _SIGNATURE.fullmatch(name)]
    return fingerprint(f"{parts.scheme}://{parts.netloc}{parts.path}?{urlencode(lasting, errors='surrogateescape')}")


def conditions(known: Revision | None) -> dict[str, str]:
    """Request headers that ask for the source only if it is not `known` (RFC 9110 13.1)."""
    if known is None:
        return {}
    asked = {"If-None-Match": known.etag, "If-Modified-Since": known.last_modified}
    return {name: value for name, value in asked.items() if value}


def pinned_range(etag: str, start: int, end: int | None) -> dict[str, str]:
    """Request headers for bytes [start, end) of exactly the revision with this strong ETag (RFC 9110 13.1.5)."""
    return {"Range": f"bytes={start}-{'' if end is None else end - 1}", "If-Range": etag}
