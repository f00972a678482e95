"""Answers of origins in any bytes: heads are read the same by both readers, and headers never raise."""

import re

from hypothesis import strategies as st
from multidict import CIMultiDict

from mirrord.headers import http_date, retry_after
from mirrord.sources.http import responses
from mirrord.sources.http.arrived import arrived_response
from mirrord.sources.http.codings import content_encoding, has_unregistered
from mirrord.sources.http.cookies import RedirectCookies
from mirrord.sources.http.heads import normalised, rewritten
from tests.support.fuzzing import corpus, fuzz, mutated

_END = re.compile(rb"\r?\n\r?\n")  # as `protocol` finds it


def _head(raw: bytes) -> None:
    head = _END.split(raw, maxsplit=1)[0] + b"\r\n\r\n"
    once = normalised(head)
    assert normalised(once) == once
    rewritten(head)
    arrived = arrived_response(raw)
    if arrived is not None:
        found, body = arrived
        assert found.code in (200, 304)
        content = body.read_nowait()
        assert raw.endswith(content)
        if found.code == 200:
            assert len(content) == int(found.headers["Content-Length"])
        _headers(found.headers)


def _headers(headers: CIMultiDict[str]) -> None:
    found = responses.observed(headers, "a", None, 1e9)
    assert found.revision.length is None or found.revision.length >= 0
    for text in (found.revision.etag, found.revision.last_modified, found.content_type):
        (text or "").encode()
    responses.altered_headers(headers)
    responses.stated_digests(headers)
    responses.md5_of_etag(found.revision)
    responses.conditional_headers(found.revision)
    responses.confirms(found.revision, headers)
    for status in (200, 403, 429, 503, 999):
        responses.failure(status, headers, "where", 1e9)


def test_heads() -> None:
    kept = corpus("http")
    fuzz(mutated(kept), _head, examples=150, kept=kept, target="http")


_VALUES = [
    *(b"120", b"-1", b"1e400", b"Sun, 29 Nov 2026 08:00:00 GMT", b"Fri, 31 Dec 99999 00:00:00 +9999", b"nan"),
    *(b"bytes 0-9/10", b"bytes 9-0/*", b"sha-256=:AAAA=:", b"gzip, br", b"a=b; Path=/; Expires=x; Max-Age=-1"),
    *(b"a=b; Domain=example.org; Max-Age=99999999999999999999", b"Sun, 29 Nov 0000 25:61:61 -9999", b'W/"\xff"'),
]
_NAMES = st.sampled_from(
    [
        "ETag",
        "Date",
        "Last-Modified",
        "Content-Length",
        "Content-Type",
        "Content-Encoding",
        "Accept-Ranges",
        "Digest",
        "Repr-Digest",
        "Content-MD5",
        "Retry-After",
        "Transfer-Encoding",
    ]
)


def _value(pair: tuple[str, bytes]) -> None:
    name, raw = pair
    text = raw.decode("utf-8", "surrogateescape")
    http_date(text)
    pause = retry_after(text, 1e9)
    assert pause is None or 0 <= pause <= 3600
    span = responses.content_range(text)
    assert span is None or 0 <= span[0] < span[1] <= span[2]
    content_encoding(text)
    has_unregistered(text)
    _headers(CIMultiDict([(name, text)]))
    cookies = RedirectCookies()
    cookies.keep("https://example.org/a/b", [text, "x=y"])
    sent = cookies.header("https://example.org/a/c", None)
    assert sent is None or not {"\r", "\n", "\0"} & set(sent)


def test_values_of_headers() -> None:
    fuzz(st.tuples(_NAMES, mutated(_VALUES)), _value, examples=150)
