"""What a store's answer means: S3's refusals translated into mirrord's errors, in one place.

Owns the tables of S3 error codes and HTTP status codes (S3 API Reference, "Error responses"), and the advice for them.
Hands on one line naming operation, object, store and the store's own words; response fields that may hold secrets
(signed strings, tokens) are never read. What no answer means is in `transport`.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from botocore import exceptions as sdk

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
from mirrord.headers import http_date, retry_after
from mirrord.model import shown
from mirrord.s3.call import StoreCall
from mirrord.s3.error_response import (
    MAX_CLOCK_SKEW,
    STALE_CREDENTIALS,
    clock_skew,
    code_of,
    headers_of,
    is_s3,
    message_of,
    status_of,
)
from mirrord.s3.transport import UNANSWERED, from_transport, lost

__all__ = ["UNANSWERED", "StoreCall", "asking", "from_answer", "from_transport"]

ErrorType = type[MirrordError]

_CODES: dict[str, ErrorType] = {
    **dict.fromkeys(STALE_CREDENTIALS, StoreDenied),
    "AccessDenied": StoreDenied,
    "AccountProblem": StoreDenied,
    "AllAccessDisabled": StoreDenied,
    "AuthorizationHeaderMalformed": StoreDenied,
    "RequestTimeTooSkewed": StoreDenied,
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
_STATUS: dict[int, ErrorType] = {
    401: StoreDenied,
    403: StoreDenied,
    408: StoreUnavailable,
    412: PreconditionFailed,
    429: StoreUnavailable,
    501: StoreRefused,
}
_UNREADABLE = (ValueError, TypeError)
"""What the SDK's parser raises for a field of another type than S3 says: the call was answered all the same."""
_UNSETTLED = frozenset({500, 502, 504})
"""Answers to a write after which it may have happened all the same: a part of the store, or a gateway, gave up."""

_ADVICE: dict[str, str] = {
    "AuthorizationHeaderMalformed": "set the store's region",
    "ExpiredToken": "renew the session token",
    "InvalidAccessKeyId": "check credentials.access_key_id",
    "NoSuchBucket": "create it or set buckets.{bucket}.create: true",
    "RequestTimeTooSkewed": "set this machine's clock",
    "SignatureDoesNotMatch": "check credentials.secret_access_key and region",
}
_STATUS_ADVICE: dict[int, str] = {
    # AWS says 403 even for a missing object where s3:ListBucket is not granted.
    403: "check the store's credentials, and that they may read and list the bucket",
    407: "set the proxy's user and password in its URL",
    413: "a proxy in front of the store limits the size of requests: raise its limit (nginx: client_max_body_size), "
    "or set upload.multipart_threshold and upload.part_size below it",
}
"""For answers without an error code of S3's."""
_PROXYS = frozenset({407, 413})
"""What a proxy in front of a store answers in its stead."""


@asynccontextmanager
async def asking(call: StoreCall, deadline: float) -> AsyncIterator[None]:
    """Bound a call by `deadline` seconds and translate what goes wrong; cancellation passes untouched."""
    try:
        async with asyncio.timeout(deadline) as limit:
            yield
    except sdk.ClientError as error:
        raise from_answer(call, error.response) from error
    except UNANSWERED as error:
        if limit.expired():
            raise lost(call, f"no answer within {deadline:.0f} s") from error
        raise from_transport(call, error) from error
    except _UNREADABLE as error:
        raise lost(call, f"the answer is not S3: {error}", answered=True) from error


def from_answer(call: StoreCall, response: Mapping[str, Any]) -> MirrordError:
    """The error that an answered refusal means: by its code, else by its HTTP status."""
    code, status, headers = code_of(response), status_of(response), headers_of(response)
    kind = _kind(call, code, status)
    words = [_said(code, status, message_of(response)), *_advice(call, code, status, response)]
    # A date in Retry-After is compared with the answer's own Date: the store's clock may differ from ours.
    wait = retry_after(headers.get("retry-after"), http_date(headers.get("date")))
    return kind(call.message("; ".join(words)), retry_after=wait, answered=True)


def _said(code: str | None, status: int, message: str) -> str:
    first = code or f"HTTP {status} {_phrase(status)}".rstrip()
    message = message.rstrip(". ")
    return f"{first}: {message}" if message else first


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _advice(call: StoreCall, code: str | None, status: int, response: Mapping[str, Any]) -> list[str]:
    """What to do about it, the likeliest cause first."""
    if _redirects(status):
        return [_redirected(response)]
    ahead = clock_skew(response)
    if code == "RequestTimeTooSkewed" or (not code and status in (400, 403) and abs(ahead) > MAX_CLOCK_SKEW):
        return [_skewed(ahead), _ADVICE["RequestTimeTooSkewed"]]
    if not is_s3(response) and status not in _PROXYS:
        return [_foreign(response)]
    return _known(_ADVICE.get(code, "").format(bucket=call.bucket) if code else _STATUS_ADVICE.get(status))


def _known(advice: str | None) -> list[str]:
    return [advice] if advice else []


def _redirects(status: int) -> bool:
    return 300 <= status < 400 and status != 304


def _redirected(response: Mapping[str, Any]) -> str:
    place = headers_of(response).get("location", "") or str(response.get("Error", {}).get("Endpoint") or "")
    leads = f"the store redirects to {shown(place)}" if place else "the store redirects without naming a region"
    return f"{leads}, which is not followed; if that is the store, set endpoint_url or region to it"


def _skewed(ahead: float) -> str:
    return f"this machine's clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} the store's"


def _foreign(response: Mapping[str, Any]) -> str:
    kind = headers_of(response).get("content-type", "").partition(";")[0].strip()
    what = "a web page" if kind == "text/html" else f"of type {kind}"
    return f"the answer is {what}, not S3; check endpoint_url"


def _kind(call: StoreCall, code: str | None, status: int) -> ErrorType:
    if code in _CODES:
        return _CODES[code]
    if call.write and status in _UNSETTLED:
        return OutcomeUnknown
    return _STATUS.get(status) or (StoreUnavailable if status >= 500 else StoreRefused)
