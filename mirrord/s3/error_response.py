"""What a store's refusal says of itself, read from status, headers and error document. Pure.

Owns where S3's error code stands: in the document, for a HEAD in a header (MinIO), else nowhere.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from mirrord.headers import http_date

MAX_CLOCK_SKEW = 15 * 60
"""Seconds by which a signature's time may differ from the store's (AWS: "RequestTimeTooSkewed")."""

STALE_CREDENTIALS = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidToken",
        "SignatureDoesNotMatch",
        "TokenRefreshRequired",
        "Unauthorized",
    }
)
"""Codes after which the credentials are read again: they may have been replaced."""


def status_of(response: Mapping[str, Any]) -> int:
    return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def headers_of(response: Mapping[str, Any]) -> Mapping[str, str]:
    headers: Mapping[str, str] = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return headers


def code_of(response: Mapping[str, Any]) -> str | None:
    """S3's error code; None: the answer names none. The SDK gives the status in its place."""
    code = str(response.get("Error", {}).get("Code") or "").strip()
    return headers_of(response).get("x-minio-error-code") if not code or code.isdecimal() else code


def message_of(response: Mapping[str, Any]) -> str:
    """The store's own words; some leave them out or empty."""
    words = response.get("Error", {}).get("Message") if _document(response) else None
    return str(words or headers_of(response).get("x-minio-error-desc", "").strip('"'))


def clock_skew(response: Mapping[str, Any], now: datetime | None = None) -> float:
    """Seconds by which our clock is ahead of the store's, as its Date (RFC 9110, 6.6.1) tells; 0 if it tells none."""
    theirs = http_date(headers_of(response).get("date"))
    return 0.0 if theirs is None else (now or datetime.now(UTC)).timestamp() - theirs


def is_s3(response: Mapping[str, Any]) -> bool:
    """Whether an S3 server gave this answer, and not a web server, a proxy or an application at its address."""
    headers = headers_of(response)
    if code_of(response) or any(name.startswith(("x-amz-", "x-minio-", "x-rgw-", "x-goog-")) for name in headers):
        return True
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind in ("", "application/xml", "text/xml")


def _document(response: Mapping[str, Any]) -> bool:
    """Whether there was an error document. Without one the SDK makes up code and message from the status."""
    return not str(response.get("Error", {}).get("Code") or "").isdecimal()
