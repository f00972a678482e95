"""The fields of S3's error responses, read from status, headers and error document. Pure.

Owns where the S3 error code is: in the document, or for a HEAD in a header (MinIO); other stores send none with a HEAD.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from mirrord.headers import http_date

MAX_CLOCK_SKEW = 15 * 60
"""Seconds by which the time of a signature may differ from the store's clock (AWS: "RequestTimeTooSkewed")."""

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
"""After these codes, the credentials are read again: they may have been replaced."""


def status_of(response: Mapping[str, Any]) -> int:
    return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def headers_of(response: Mapping[str, Any]) -> Mapping[str, str]:
    headers: Mapping[str, str] = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return headers


def code_of(response: Mapping[str, Any]) -> str | None:
    """The S3 error code; None: there is none, and the SDK has put the HTTP status in its field."""
    code = str(response.get("Error", {}).get("Code") or "").strip()
    return headers_of(response).get("x-minio-error-code") if not code or code.isdecimal() else code


def message_of(response: Mapping[str, Any]) -> str:
    """The store's message. Empty: some stores send none."""
    message = response.get("Error", {}).get("Message") if _has_document(response) else None
    return str(message or headers_of(response).get("x-minio-error-desc", "").strip('"'))


def clock_skew(response: Mapping[str, Any], now: datetime | None = None) -> float:
    """Seconds by which this machine's clock is ahead of the Date of the answer (RFC 9110, 6.6.1); 0 without a Date."""
    date = http_date(headers_of(response).get("date"))
    return 0.0 if date is None else (now or datetime.now(UTC)).timestamp() - date


def is_s3(response: Mapping[str, Any]) -> bool:
    """Whether the answer is from an S3 server, not from a web server, a proxy or an application at its address."""
    headers = headers_of(response)
    if code_of(response) or any(name.startswith(("x-amz-", "x-minio-", "x-rgw-", "x-goog-")) for name in headers):
        return True
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind in ("", "application/xml", "text/xml")


def _has_document(response: Mapping[str, Any]) -> bool:
    """Whether there was an error document. Without one, the SDK makes code and message from the status."""
    return not str(response.get("Error", {}).get("Code") or "").isdecimal()
