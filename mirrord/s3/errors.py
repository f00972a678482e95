"""What a store's answer, or its silence, means: botocore's errors translated into mirrord's, in one place.

Owns the tables of S3 error codes and HTTP status codes (S3 API Reference, "Error responses"). Refuses to guess: a
write whose answer was lost is OutcomeUnknown. Hands on one line naming operation, object, store and the store's own
words; response fields that may hold secrets (signed strings, tokens) are never read.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from ssl import SSLError
from typing import Any

import aiobotocore.endpoint  # noqa: F401  adds aiohttp's classes to botocore's EXCEPTION_MAP
from botocore import exceptions as sdk
from botocore.parsers import ResponseParserError
from botocore.retryhandler import EXCEPTION_MAP

from mirrord.errors import (
    BucketMissing,
    ChecksumMismatch,
    EntityTooSmall,
    InvalidPart,
    InvalidPartOrder,
    MirrordError,
    NoSuchUpload,
    OutcomeUnknown,
    PreconditionFailed,
    StoreDenied,
    StoreRefused,
    StoreUnavailable,
)

Kind = type[MirrordError]

TRANSPORT_ERRORS: tuple[type[Exception], ...] = tuple(EXCEPTION_MAP["GENERAL_CONNECTION_ERROR"])
"""Every class that means "the connection failed", the HTTP client's own included."""

UNANSWERED: tuple[type[Exception], ...] = (sdk.BotoCoreError, ResponseParserError, *TRANSPORT_ERRORS)

_CODES: dict[str, Kind] = {
    "AccessDenied": StoreDenied,
    "AccountProblem": StoreDenied,
    "AllAccessDisabled": StoreDenied,
    "AuthorizationHeaderMalformed": StoreDenied,
    "ExpiredToken": StoreDenied,
    "InvalidAccessKeyId": StoreDenied,
    "InvalidToken": StoreDenied,
    "RequestTimeTooSkewed": StoreDenied,
    "SignatureDoesNotMatch": StoreDenied,
    "UnauthorizedAccess": StoreDenied,
    "NoSuchBucket": BucketMissing,
    "NoSuchUpload": NoSuchUpload,
    "EntityTooSmall": EntityTooSmall,
    "InvalidPart": InvalidPart,
    "InvalidPartOrder": InvalidPartOrder,
    "PreconditionFailed": PreconditionFailed,
    "BadDigest": ChecksumMismatch,
    "InvalidDigest": ChecksumMismatch,
    "XAmzContentChecksumMismatch": ChecksumMismatch,
    "XAmzContentSHA256Mismatch": ChecksumMismatch,
    # AWS: another write to the key was under way; neither won yet, so this write may be tried again.
    "ConditionalRequestConflict": StoreUnavailable,
    "OperationAborted": StoreUnavailable,
    "IncompleteBody": StoreUnavailable,
    "RequestTimeout": StoreUnavailable,
    "RequestLimitExceeded": StoreUnavailable,
    "ServiceUnavailable": StoreUnavailable,
    "SlowDown": StoreUnavailable,
    "Throttling": StoreUnavailable,
    "ThrottlingException": StoreUnavailable,
    "TooManyRequests": StoreUnavailable,
}
_STATUS: dict[int, Kind] = {
    401: StoreDenied,
    403: StoreDenied,
    408: StoreUnavailable,
    412: PreconditionFailed,
    429: StoreUnavailable,
    501: StoreRefused,
}
_UNSETTLED = frozenset({500, 502, 504})
"""Answers to a write after which it may have happened all the same: a part of the store, or a gateway, gave up."""

_ADVICE: dict[str, str] = {
    # A HEAD answers without words; AWS says 403 even for a missing object where s3:ListBucket is not granted.
    "403": "check the store's credentials, and that they may read and list the bucket",
    "ExpiredToken": "renew the session token",
    "InvalidAccessKeyId": "check credentials.access_key_id",
    "NoSuchBucket": "create it or set buckets.{bucket}.create: true",
    "PermanentRedirect": "set the store's region to the bucket's",
    "RequestTimeTooSkewed": "set this machine's clock",
    "SignatureDoesNotMatch": "check credentials.secret_access_key and region",
}
_DENIED_TRANSPORT = (
    sdk.NoCredentialsError,
    sdk.PartialCredentialsError,
    sdk.ProfileNotFound,
    sdk.NoAuthTokenError,
    sdk.SSOError,
)
_NEVER_SENT = (sdk.ConnectTimeoutError, sdk.ProxyConnectionError)


@dataclass(frozen=True, slots=True)
class Call:
    """One call, as an error names it. `write`: a lost answer leaves its outcome unknown."""

    operation: str
    store: str
    bucket: str = ""
    key: str | None = None
    write: bool = False

    def says(self, words: str) -> str:
        """One line: what was asked of whom, and what came of it."""
        place = f" s3://{self.bucket}/{self.key or ''}" if self.bucket else ""
        return f"{self.operation}{place} at store {self.store!r}: {_one_line(words)}"


@asynccontextmanager
async def asking(call: Call, deadline: float) -> AsyncIterator[None]:
    """Bound a call by `deadline` seconds and translate what goes wrong; cancellation passes untouched."""
    try:
        async with asyncio.timeout(deadline) as limit:
            yield
    except sdk.ClientError as error:
        raise from_answer(call, error.response) from error
    except UNANSWERED as error:
        if limit.expired():
            raise _lost(call, f"no answer within {deadline:.0f} s") from error
        raise from_transport(call, error) from error


def from_answer(call: Call, response: Mapping[str, Any]) -> MirrordError:
    """The error that an answered refusal means: by its code, else by its HTTP status."""
    fault = response.get("Error", {})
    meta = response.get("ResponseMetadata", {})
    code, status = str(fault.get("Code", "")), int(meta.get("HTTPStatusCode", 0))
    words = ": ".join(part for part in (code, str(fault.get("Message", "")).rstrip(". ")) if part)
    if advice := _ADVICE.get(code):
        words = f"{words}; {advice.format(bucket=call.bucket)}"
    headers = meta.get("HTTPHeaders", {})
    if headers.get("content-type", "").startswith("text/html"):
        words = f"{words}; the answer is a web page, not S3; check endpoint_url"
    kind = _kind(call, code, status)
    return kind(call.says(words or f"HTTP {status}"), retry_after=_retry_after(headers))


def from_transport(call: Call, error: Exception) -> MirrordError:
    """The error that a call without an answer means."""
    if isinstance(error, _DENIED_TRANSPORT):
        return StoreDenied(call.says(f"{error}; set the store's credentials or those of the AWS chain"))
    if isinstance(error, sdk.SSLError):
        return StoreRefused(call.says(f"no TLS: {_cause(error)}; set ca_file if the store's certificate is private"))
    if isinstance(error, ResponseParserError):
        return _lost(call, f"the answer is not S3: {error}")
    if isinstance(error, sdk.CredentialRetrievalError):
        return StoreUnavailable(call.says(str(error)))
    if isinstance(error, (sdk.HTTPClientError, *TRANSPORT_ERRORS)):
        words = f"the connection failed: {_cause(error)}"
        return StoreUnavailable(call.says(words)) if _never_sent(error) else _lost(call, words)
    return StoreRefused(call.says(str(error)))


def _kind(call: Call, code: str, status: int) -> Kind:
    if code in _CODES:
        return _CODES[code]
    if call.write and status in _UNSETTLED:
        return OutcomeUnknown
    return _STATUS.get(status) or (StoreUnavailable if status >= 500 else StoreRefused)


def _lost(call: Call, words: str) -> MirrordError:
    return (OutcomeUnknown if call.write else StoreUnavailable)(call.says(words))


def _never_sent(error: Exception) -> bool:
    """Whether no connection came about. The HTTP client's connector errors, and they alone, carry `os_error`."""
    return isinstance(error, _NEVER_SENT) or hasattr(_inner(error), "os_error")


def _inner(error: Exception) -> object:
    kwargs = getattr(error, "kwargs", {})
    return kwargs.get("error", error) if isinstance(kwargs, dict) else error


def _cause(error: Exception) -> str:
    inner = _inner(error)
    failed = getattr(inner, "os_error", None)
    if isinstance(failed, OSError) and failed.errno and not isinstance(failed, SSLError):
        words = os.strerror(failed.errno) if failed.errno > 0 else failed.strerror
        return f"{getattr(inner, 'host', '')}:{getattr(inner, 'port', '')}: {words}"
    return str(inner) or type(inner).__name__


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds of a Retry-After header (RFC 9110, 10.2.3); a date is measured against the answer's own Date."""
    asked = headers.get("retry-after", "").strip()
    if asked.isdecimal():
        return float(asked)
    try:
        wait = parsedate_to_datetime(asked) - parsedate_to_datetime(headers.get("date", ""))
    except (TypeError, ValueError):
        return None
    return max(0.0, wait.total_seconds())


def _one_line(words: str) -> str:
    line = " ".join(words.split())
    return line if len(line) <= 300 else f"{line[:299]}…"
