"""What an HTTP response means: its status, its validators, its range. Pure; has no connection.

Owns the interpretation of RFC 9110 headers, the conditional and range headers of requests, and the translation of
statuses into the errors of `mirrord.errors`.
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from http import HTTPStatus
from itertools import takewhile
from typing import TypeGuard

from mirrord.errors import (
    SourceChanged,
    SourceDenied,
    SourceError,
    SourceMissing,
    SourceRefused,
    SourceUnavailable,
)
from mirrord.headers import http_date, retry_after
from mirrord.model import Checksum, ChecksumKind, Observed, Revision
from mirrord.sources.http.codings import content_encoding, has_unregistered

Headers = Mapping[str, str]

_NOT_OF_A_HEADER = frozenset({401, 404, 407, 408, 410, 425, 429, 451})
"""Refusals that have nothing to do with the conditions or the range of a request."""

_CLOCK_SKEW = 60.0
"""Seconds by which the clock of modification times may be ahead of the clock of Date; some servers cache their Date."""
_MOST_DIGITS = 19
"""Of a length in bytes."""
_ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]*"')
_IMF_FIXDATE = re.compile(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT")
_TRANSIENT = frozenset({408, 425, 429})
THROTTLED = frozenset({429, 503})
"""Statuses after which fewer requests at once may help."""
_DIGEST_ITEM = re.compile(r"(?:^|,)\s*([\w-]+)\s*=\s*:([A-Za-z0-9+/=]+):")
_OLD_DIGEST_ITEM = re.compile(r"(?:^|,)\s*([\w-]+)\s*=\s*([A-Za-z0-9+/=]+)")
_CONTENT_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19})", re.IGNORECASE)


def failure(status: int, headers: Headers, where: str, now: float) -> SourceError | None:
    """The error of a final status; None for 200, 203, 206 and 304. `now` in seconds since the epoch."""
    if status in (200, 203, 206, 304):
        return None
    message = f"{where}: answered {status}{_phrase(status)}"
    if status in (404, 410):
        return SourceMissing(message)
    if status in (401, 403):
        return SourceDenied(message)
    if status in _TRANSIENT or status >= 500:
        wait = retry_after(headers.get("Retry-After"), now)
        return SourceUnavailable(message, retry_after=wait, answered=True, throttled=status in THROTTLED)
    if status == 416:
        return SourceChanged(f"{message}: it is shorter than it was")
    return SourceRefused(message)


def _phrase(status: int) -> str:
    try:
        return f" {HTTPStatus(status).phrase}"
    except ValueError:
        return ""


def content_range(value: str | None) -> tuple[int, int, int] | None:
    """(start, end, total) of a Content-Range, `end` exclusive; None if it is absent, malformed or has no total."""
    match = _CONTENT_RANGE.fullmatch(value.strip()) if value else None
    if match is None:
        return None
    first, last, total = map(int, match.groups())
    return (first, last + 1, total) if first <= last < total else None


def content_length(headers: Headers) -> int | None:
    """The body's bytes on the wire; None if Content-Length is absent, malformed or beside transfer codings."""
    value = headers.get("Content-Length", "")
    if not (value.isascii() and value.isdigit() and len(value) <= _MOST_DIGITS) or "Transfer-Encoding" in headers:
        return None
    return int(value)


def observed(headers: Headers, address: str, location: str | None, now: float | None = None) -> Observed:
    """The source as a response with the whole body (200) describes it.

    `now` in seconds since the epoch, for a response without Date. `ranges` is true only if the server offers ranges and
    a strong ETag can pin them: guarantee 2.
    """
    etag = _storable_text(headers.get("ETag"))
    is_validator = is_valid_etag(etag) or not _modified_just_now(headers, now)
    revision = Revision(
        address=address,
        etag=etag,
        last_modified=_storable_text(headers.get("Last-Modified")) if is_validator else None,
        length=content_length(headers),
        location=location,
    )
    offers = "bytes" in headers.get("Accept-Ranges", "").lower()
    return Observed(
        revision=revision,
        content_type=storable(headers.get("Content-Type")),
        content_encoding=content_encoding(headers.get("Content-Encoding")),
        ranges=offers and is_valid_etag(revision.strong_etag) and revision.length is not None,
        end_proven=revision.length is not None or "chunked" in headers.get("Transfer-Encoding", "").lower(),
    )


def _storable_text(value: str | None) -> str | None:
    """The value in the form that the journal stores, None if it is empty: bytes that are no UTF-8 as Latin-1."""
    try:
        (value or "").encode()
    except UnicodeEncodeError:
        return (value or "").encode("utf-8", "surrogateescape").decode("latin-1")
    return value or None


def _modified_just_now(headers: Headers, now: float | None) -> bool:
    """Whether Last-Modified is of the same second as the response, or at most `_CLOCK_SKEW` after it.

    Another version of that second would have the same Last-Modified (RFC 9110 8.8.2.2).
    """
    modified, made = http_date(headers.get("Last-Modified")), http_date(headers.get("Date"))
    made = now if made is None else made
    return modified is not None and made is not None and -_CLOCK_SKEW < made - modified < 1


# ── headers that are stored with the object ───────────────────────────────────────────────────────
LONGEST_STORED = 1024


def storable(value: str | None) -> str | None:
    """The part of a header's value that S3 can store: printable ASCII, up to the first parameter with other bytes.

    None if nothing is left, or more than `LONGEST_STORED` characters.
    """
    text = (value or "").strip()
    if not (text.isascii() and text.isprintable()):
        kept = takewhile(lambda part: part.isascii() and part.isprintable(), text.split(";"))
        text = ";".join(kept).strip()
    return text if 0 < len(text) <= LONGEST_STORED else None


def altered_headers(headers: Headers) -> list[str]:
    """The names of headers that the object gets shortened or not at all."""
    kind, coding = headers.get("Content-Type", "").strip(), headers.get("Content-Encoding")
    altered = ["Content-Type"] if kind and storable(kind) != kind else []
    return [*altered, *(["Content-Encoding"] if has_unregistered(coding) else [])]


# ── digests of the whole body ─────────────────────────────────────────────────────────────────────
_DIGESTS = {"sha-256": ChecksumKind.SHA256, "md5": ChecksumKind.MD5}
_DIGEST_BYTES = {ChecksumKind.SHA256: 32, ChecksumKind.MD5: 16}
_MD5_ETAG = re.compile(r'"([0-9a-fA-F]{32})"')


def stated_digests(headers: Headers) -> list[Checksum]:
    """The digests of all bytes that a response with the whole body (200) states: Repr-Digest (RFC 9530), Digest (RFC
    3230), Content-MD5 (RFC 1864). Those of other kinds, and malformed ones, are left out."""
    found = [
        *_DIGEST_ITEM.findall(headers.get("Repr-Digest", "")),
        *_OLD_DIGEST_ITEM.findall(headers.get("Digest", "")),
        ("md5", headers.get("Content-MD5", "").strip()),
    ]
    digests = (_digest(_DIGESTS[name.lower()], value) for name, value in found if name.lower() in _DIGESTS)
    return [one for one in dict.fromkeys(digests) if one is not None]


def _digest(kind: ChecksumKind, value: str) -> Checksum | None:
    try:
        raw = b64decode(value, validate=True)
    except ValueError:
        return None
    return Checksum(kind, b64encode(raw).decode("ascii")) if len(raw) == _DIGEST_BYTES[kind] else None


def md5_of_etag(revision: Revision) -> Checksum | None:
    """The MD5 that a strong ETag may be: 32 hex digits. Of some servers it is another digest, or a random number."""
    match = _MD5_ETAG.fullmatch(revision.etag or "")
    return _digest(ChecksumKind.MD5, b64encode(bytes.fromhex(match[1])).decode("ascii")) if match else None


# ── conditions and ranges ─────────────────────────────────────────────────────────────────────────
def conditional_headers(known: Revision | None) -> dict[str, str]:
    """Request headers that ask for the source only if it is not `known` (RFC 9110 13.1).

    The date is sent only if there is no valid ETag, because a file that was rolled back has an older date. A malformed
    validator is not sent back, because some servers answer it with 400, 412 or 500.
    """
    if known is None:
        return {}
    if is_valid_etag(known.etag):
        return {"If-None-Match": known.etag or ""}
    return {"If-Modified-Since": known.last_modified} if _is_valid_date(known.last_modified) else {}


def is_valid_etag(etag: str | None) -> bool:
    """Whether it is an entity tag by RFC 9110 8.8.3, in ASCII."""
    return etag is not None and _ETAG.fullmatch(etag) is not None


def _is_valid_date(value: str | None) -> TypeGuard[str]:
    return value is not None and _IMF_FIXDATE.fullmatch(value) is not None and http_date(value) is not None


def confirms(known: Revision, headers: Headers) -> bool:
    """Whether a 304 with these headers is about `known`.

    Some servers compare only the date, and answer 304 with the ETag of another version.
    """
    etag, modified = _storable_text(headers.get("ETag")), _storable_text(headers.get("Last-Modified"))
    if etag and known.etag:
        return etag.removeprefix("W/") == known.etag.removeprefix("W/")
    if is_valid_etag(known.etag) or not modified:
        return True
    return known.last_modified is None or modified == known.last_modified


def refuses_conditions(status: int) -> bool:
    """Whether some servers and proxies answer so to a conditional request where a plain request succeeds."""
    return (400 <= status < 500 and status not in _NOT_OF_A_HEADER) or status in (501, 505)


def refuses_range(status: int) -> bool:
    """The same for a range request; 412 and 416 mean that the source changed."""
    return refuses_conditions(status) and status not in (412, 416)


def range_headers(etag: str, start: int, end: int | None) -> dict[str, str]:
    """Request headers for bytes [start, end) of exactly the revision with this strong ETag (RFC 9110 13.1.5)."""
    return {"Range": f"bytes={start}-{'' if end is None else end - 1}", "If-Range": etag}
