"""AWS Signature Version 4 of S3 requests (AWS, S3 API Reference: "Authenticating Requests: Using the Authorization
Header"). Pure.

Owns the encoding of keys and queries, the canonical request and the signature. S3 signs the path as it is sent: encoded
once and not normalised. The signing key of a day is computed once. Leaves to the caller which headers are signed, the
hash of the payload, and the time.
"""

import re
import time
from collections.abc import Callable, Iterable
from hashlib import sha256
from hmac import digest
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from mirrord.s3.wire.http import RequestHeaders

UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
_ALGORITHM = "AWS4-HMAC-SHA256"
_SPACES = re.compile(" +")


class AccessKeys(NamedTuple):
    """The credentials of one signature. `token` belongs to temporary keys."""

    access_key: str
    secret_key: str
    token: str | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.access_key!r})"


class CanonicalRequest(NamedTuple):
    """What a signature covers. `query` and `path` are encoded, `query` is sorted. Each header occurs once, its name in
    lower case."""

    method: str
    path: str
    query: str
    headers: RequestHeaders

    def text(self, payload: str) -> tuple[str, str]:
        """The canonical request and the names of its signed headers."""
        ordered = sorted(self.headers)
        names = ";".join([name for name, _ in ordered])
        lines = "".join([f"{name}:{value}\n" for name, value in ordered])
        if len(lines.split()) != len(ordered) or not lines.isascii():  # a value with white space
            lines = "".join([f"{name}:{_trimmed(value)}\n" for name, value in ordered])
        return f"{self.method}\n{self.path}\n{self.query}\n{lines}\n{names}\n{payload}", names


class _DayKey(NamedTuple):
    """The signing key of one day and secret. It is replaced as a whole, so that its fields always fit together."""

    day: str
    secret: str
    scope: str
    signature: Callable[[bytes], str]


class Signer:
    """Signs for one region. `service` is another one only in AWS's test vectors."""

    def __init__(self, region: str, service: str = "s3") -> None:
        self._region = region
        self._service = service
        self._day_key = _DayKey("", "", "", _hmac_sha256(b""))

    def sign(self, request: CanonicalRequest, payload: str, keys: AccessKeys, stamp: str) -> list[tuple[str, str]]:
        """All headers of the request with its signature. `payload`: its SHA-256 in hex, or UNSIGNED_PAYLOAD. `stamp`:
        see `time_stamp`."""
        headers = [*request.headers, ("x-amz-content-sha256", payload), ("x-amz-date", stamp)]
        if keys.token:
            headers.append(("x-amz-security-token", keys.token))
        signed = CanonicalRequest(request.method, request.path, request.query, headers)
        headers.append(("authorization", self.authorization(signed, payload, keys, stamp)))
        return headers

    def authorization(self, request: CanonicalRequest, payload: str, keys: AccessKeys, stamp: str) -> str:
        """The value of the Authorization header for a request that has all its other headers."""
        text, names = request.text(payload)
        key = self._key(stamp[:8], keys.secret_key)
        signature = _signature(key, text, stamp)
        return f"{_ALGORITHM} Credential={keys.access_key}/{key.scope}, SignedHeaders={names}, Signature={signature}"

    def presigned(
        self, url: str, keys: AccessKeys, stamp: str, seconds: int, common: tuple[tuple[str, str], ...] = ()
    ) -> str:
        """The URL of a GET that anyone may send in the `seconds` after `stamp`, at most 604,800 (AWS, S3 API Reference:
        "Authenticating Requests: Using Query Parameters"). `url` is encoded and has no query; `common`: more
        fields of its query."""
        key = self._key(stamp[:8], keys.secret_key)
        fields = [
            ("X-Amz-Algorithm", _ALGORITHM),
            ("X-Amz-Credential", f"{keys.access_key}/{key.scope}"),
            ("X-Amz-Date", stamp),
            ("X-Amz-Expires", str(seconds)),
            ("X-Amz-SignedHeaders", "host"),
            *([("X-Amz-Security-Token", keys.token)] if keys.token else []),
            *common,
        ]
        query = encoded_query(fields)
        request = CanonicalRequest("GET", urlsplit(url).path, query, [("host", host_of(url))])
        text, _ = request.text(UNSIGNED_PAYLOAD)
        return f"{url}?{query}&X-Amz-Signature={_signature(key, text, stamp)}"

    def _key(self, day: str, secret: str) -> _DayKey:
        known = self._day_key
        if known.day == day and known.secret == secret:
            return known
        key = f"AWS4{secret}".encode()
        for part in (day, self._region, self._service, "aws4_request"):
            key = digest(key, part.encode(), "sha256")
        self._day_key = _DayKey(day, secret, f"{day}/{self._region}/{self._service}/aws4_request", _hmac_sha256(key))
        return self._day_key


def _signature(key: _DayKey, text: str, stamp: str) -> str:
    """`text`: the canonical request."""
    return key.signature(f"{_ALGORITHM}\n{stamp}\n{key.scope}\n{sha256(text.encode()).hexdigest()}".encode())


def _hmac_sha256(key: bytes) -> Callable[[bytes], str]:
    """HMAC-SHA256 in hex (RFC 2104) with a key of at most 64 bytes, which is hashed once. `hmac.digest` hashes it each
    time, 2 us, and lets other threads take the interpreter lock."""
    block = key.ljust(64, b"\0")
    inner, outer = sha256(bytes(one ^ 0x36 for one in block)), sha256(bytes(one ^ 0x5C for one in block))

    def signature(text: bytes) -> str:
        first, second = inner.copy(), outer.copy()
        first.update(text)
        second.update(first.digest())
        return second.hexdigest()

    return signature


def time_stamp(seconds: float) -> str:
    """The time of a signature: `20261128T193000Z`. `seconds` since the epoch."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(seconds))


def host_of(url: str) -> str:
    """The Host header of a request for a URL: without userinfo and a default port."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    return host if parts.port in (None, usual) else f"{host}:{parts.port}"


def encoded_key(key: str) -> str:
    """The key in a path."""
    return quote(key, safe="/~")


def encoded_query(fields: Iterable[tuple[str, str]]) -> str:
    """The sorted query, as it is signed and sent."""
    pairs = sorted((quote(name, safe="~"), quote(value, safe="~")) for name, value in fields)
    return "&".join([f"{name}={value}" for name, value in pairs])


def _trimmed(value: str) -> str:
    """Without outer spaces, inner ones reduced to one. Only ASCII has other white space that a header can contain."""
    return " ".join(value.split()) if value.isascii() else _SPACES.sub(" ", value.strip(" "))
