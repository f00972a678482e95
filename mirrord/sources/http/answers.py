"""What an HTTP answer means: its status, its validators, its range. Pure, no connection in sight.

Owns the reading of RFC 9110 headers and the translation of statuses into the errors of `mirrord.errors`.
"""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import TypeGuard
from urllib.parse import parse_qsl, urlencode, urlsplit

from mirrord.errors import (
    SourceChanged,
    SourceDenied,
    SourceError,
    SourceMissing,
    SourceRefused,
    SourceUnavailable,
)
from mirrord.headers import http_date, retry_after
from mirrord.model import Observed, Revision, fingerprint
from mirrord.sources.http.codings import content_encoding, unregistered

Headers = Mapping[str, str]

REFUSES_CONDITIONS = frozenset({400, 403, 405, 412, 501})
REFUSES_RANGES = frozenset({400, 403, 405, 501})
"""What some servers and proxies answer to such a request, where a plain one works."""

_SKEW = 60.0
"""Seconds by which a clock that stamps files may be ahead of the one that dates answers, and some cache their Date."""
_ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]*"')
_IMF_FIXDATE = re.compile(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT")
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


def observed(headers: Headers, address: str, location: str | None, now: float | None = None) -> Observed:
    """What a whole answer (200) says of the source. `now` in seconds since the epoch, for an answer without a Date.

    `ranges` only if the origin offers them and a strong ETag can pin them: guarantee 2.
    """
    etag = _text(headers.get("ETag"))
    revision = Revision(
        address=address,
        etag=etag,
        last_modified=None
        if not sendable_etag(etag) and _too_young(headers, now)
        else _text(headers.get("Last-Modified")),
        length=content_length(headers),
        location=location,
    )
    offers = "bytes" in headers.get("Accept-Ranges", "").lower()
    return Observed(
        revision=revision,
        content_type=carried(headers.get("Content-Type")),
        content_encoding=content_encoding(headers.get("Content-Encoding")),
        ranges=offers and sendable_etag(revision.strong_etag) and revision.length is not None,
    )


def _text(value: str | None) -> str | None:
    """The value, if there is one, as the journal can hold it: bytes that are no UTF-8 as those of Latin-1."""
    try:
        (value or "").encode()
    except UnicodeEncodeError:
        return (value or "").encode("utf-8", "surrogateescape").decode("latin-1")
    return value or None


def _too_young(headers: Headers, now: float | None) -> bool:
    """Whether Last-Modified is of the second in which the answer was made, or just behind it: another version of that
    second would have the same (RFC 9110 8.8.2.2)."""
    modified, made = http_date(headers.get("Last-Modified")), http_date(headers.get("Date"))
    made = now if made is None else made
    return modified is not None and made is not None and -_SKEW < made - modified < 1


# ── headers that travel with the object ───────────────────────────────────────────────────────────
LONGEST_CARRIED = 1024


def carried(value: str | None) -> str | None:
    """What of a header's value S3 can carry: printable ASCII, up to the first parameter that holds anything else."""
    kept: list[str] = []
    for part in (value or "").strip().split(";"):
        if not (part.isascii() and part.isprintable()):
            break
        kept.append(part)
    text = ";".join(kept).strip()
    return text if 0 < len(text) <= LONGEST_CARRIED else None


def not_carried(headers: Headers) -> list[str]:
    """The names of headers that the object does not get as they came."""
    kind, coding = headers.get("Content-Type", "").strip(), headers.get("Content-Encoding")
    lost = ["Content-Type"] if kind and carried(kind) != kind else []
    return [*lost, *(["Content-Encoding"] if unregistered(coding) else [])]


# ── questions ─────────────────────────────────────────────────────────────────────────────────────
def place(url: str) -> str:
    """What stands for the URL that an answer came from, so that its validators go back there and nowhere else.

    Parameters that only sign a URL are left out: a release behind a redirect that is signed anew each time is one
    place still.
    """
    parts = urlsplit(url)
    lasting = [(name, value) for name, value in parse_qsl(parts.query, True) if not _SIGNATURE.fullmatch(name)]
    return fingerprint(f"{parts.scheme}://{parts.netloc}{parts.path}?{urlencode(lasting, errors='surrogateescape')}")


def conditions(known: Revision | None) -> dict[str, str]:
    """Request headers that ask for the source only if it is not `known` (RFC 9110 13.1).

    A date is asked about only where there is no ETag: a file that was rolled back has an older one. What is not well
    formed is not sent back, for there are servers that answer 400, 412 or 500 to it.
    """
    if known is None:
        return {}
    if sendable_etag(known.etag):
        return {"If-None-Match": known.etag or ""}
    return {"If-Modified-Since": known.last_modified} if _sendable_date(known.last_modified) else {}


def sendable_etag(etag: str | None) -> bool:
    """Whether it is an entity tag as RFC 9110 8.8.3 has it, and ASCII."""
    return etag is not None and _ETAG.fullmatch(etag) is not None


def _sendable_date(value: str | None) -> TypeGuard[str]:
    return value is not None and _IMF_FIXDATE.fullmatch(value) is not None and http_date(value) is not None


def confirms(known: Revision, headers: Headers) -> bool:
    """Whether a 304 speaks of `known`. Some servers answer it by the date alone, with the ETag of another version."""
    etag, modified = _text(headers.get("ETag")), _text(headers.get("Last-Modified"))
    if etag and known.etag:
        return etag.removeprefix("W/") == known.etag.removeprefix("W/")
    if sendable_etag(known.etag) or not modified:
        return True
    return known.last_modified is None or modified == known.last_modified


def pinned_range(etag: str, start: int, end: int | None) -> dict[str, str]:
    """Request headers for bytes [start, end) of exactly the revision with this strong ETag (RFC 9110 13.1.5)."""
    return {"Range": f"bytes={start}-{'' if end is None else end - 1}", "If-Range": etag}
