"""Translates S3's error responses into mirrord's errors, in one place.

Owns the tables of S3 error codes and HTTP status codes (S3 API Reference, "Error responses"), and the advice for them.
A message is one line with the operation, the object, the store and the store's own message. Response fields that may
contain secrets (signed strings, tokens) are never read. `transport` translates the errors of calls without an answer.
"""

from collections.abc import Mapping
from http import HTTPStatus
from types import TracebackType
from typing import Any

from botocore import exceptions as sdk

from mirrord.aio import TimeLimit, TimeLimits
from mirrord.errors import (
    ActionDenied,
    BucketMissing,
    ChecksumMismatch,
    ConditionRefused,
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
from mirrord.s3.answers.error_response import (
    MAX_CLOCK_SKEW,
    STALE_CREDENTIALS,
    clock_skew,
    code_of,
    headers_of,
    is_s3,
    message_of,
    status_of,
)
from mirrord.s3.answers.rights import missing_right
from mirrord.s3.answers.transport import from_transport, is_unanswered, no_answer
from mirrord.s3.call import NotOpen, StoreCall

ErrorType = type[MirrordError]

_CODES: dict[str, ErrorType] = {
    **dict.fromkeys(STALE_CREDENTIALS, StoreDenied),
    "AccessDenied": ActionDenied,
    "AccountProblem": StoreDenied,
    "AllAccessDisabled": StoreDenied,
    "AuthorizationHeaderMalformed": StoreDenied,
    "RequestTimeTooSkewed": StoreDenied,
    "UnauthorizedAccess": StoreDenied,
    "NoSuchBucket": BucketMissing,
    "NoSuchUpload": NoSuchUpload,
    "EntityTooSmall": EntityTooSmall,
    "InvalidObjectState": StoreRefused,
    "InvalidPart": InvalidPart,
    "InvalidPartOrder": InvalidPartOrder,
    "PreconditionFailed": PreconditionFailed,
    "BadDigest": ChecksumMismatch,
    "InvalidDigest": ChecksumMismatch,
    "XAmzContentChecksumMismatch": ChecksumMismatch,
    "XAmzContentSHA256Mismatch": ChecksumMismatch,
    # AWS: another write to the key was in progress; none has succeeded yet, so this write may be tried again.
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
_THROTTLED = frozenset({429, 503})
_THROTTLED_CODES = frozenset(
    {"RequestLimitExceeded", "SlowDown", "Throttling", "ThrottlingException", "TooManyRequests"}
)
"""Also within an answer with status 200. AWS: "Reduce your request rate"."""
_UNREADABLE = (ValueError, TypeError, RuntimeError)
"""The SDK's parser raises these if a field has another type than in S3's definition (RuntimeError: a time that no
calendar has). The call was answered."""
_UNKNOWN_OUTCOME = frozenset({500, 502, 504})
"""Answers to a write that may have happened: a part of the store, or a gateway, stopped waiting."""
_CONDITION_REFUSED = frozenset({400, 501})
"""Answers of stores without conditional writes, and of others: the write is repeated without the condition."""

_ADVICE: dict[str, str] = {
    "AuthorizationHeaderMalformed": "set the store's region",
    "ExpiredToken": "renew the session token",
    "InvalidAccessKeyId": "check credentials.access_key_id",
    "InvalidObjectState": "restore the archived object first",
    "NoSuchBucket": "create it or set buckets.{bucket}.create: true",
    "RequestTimeTooSkewed": "set this machine's clock",
    "SignatureDoesNotMatch": "check credentials.secret_access_key and region",
}
_STATUS_ADVICE: dict[int, str] = {
    407: "set the proxy's user and password in its URL",
    413: "a proxy in front of the store limits the size of requests: raise its limit (nginx: client_max_body_size), "
    "or set upload.multipart_threshold and upload.part_size below it",
}
"""For answers without an S3 error code."""
_PROXY_STATUSES = frozenset({407, 413})
"""Statuses that come from a proxy in front of a store."""


class Bounded(TimeLimit):
    """`with` it to limit a call to `deadline` seconds and to translate its errors. Not translated: a cancellation, and
    a call of a store that is not open."""

    __slots__ = ("_call",)

    def __init__(self, call: StoreCall, limits: TimeLimits, deadline: float) -> None:
        super().__init__(limits, deadline)
        self._call = call

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            super().__exit__(kind, error, trace)
        except TimeoutError as expired:
            error = expired
        if error is not None:
            self._raise_translated(error)

    def _raise_translated(self, error: BaseException) -> None:
        if isinstance(error, sdk.ClientError):
            raise from_answer(self._call, error.response) from error
        if isinstance(error, Exception) and is_unanswered(error):
            if self.expired:
                raise no_answer(self._call, f"no answer within {self.seconds:.0f} s") from error
            raise from_transport(self._call, error) from error
        if isinstance(error, _UNREADABLE) and not isinstance(error, NotOpen):
            raise no_answer(self._call, f"the answer is not S3: {error}", answered=True) from error


def from_answer(call: StoreCall, response: Mapping[str, Any]) -> MirrordError:
    """The error of an error response: by its S3 error code, else by its HTTP status."""
    code, status, headers = code_of(response), status_of(response), headers_of(response)
    error_type = _error_type(call, code, status)
    reasons = [_description(code, status, message_of(response)), *_advice(call, code, status, response)]
    # A date in Retry-After is compared with the Date of the same answer: the store's clock may differ from this one.
    wait = retry_after(headers.get("retry-after"), http_date(headers.get("date")))
    throttled = code in _THROTTLED_CODES or status in _THROTTLED
    return error_type(call.message("; ".join(reasons)), retry_after=wait, answered=True, throttled=throttled)


def _description(code: str | None, status: int, message: str) -> str:
    first = code or f"HTTP {status} {_phrase(status)}".rstrip()
    message = message.rstrip(". ")
    return f"{first}: {message}" if message else first


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _advice(call: StoreCall, code: str | None, status: int, response: Mapping[str, Any]) -> list[str]:
    """What the operator can do, for the most likely cause."""
    if _is_redirect(status):
        return [_redirect_advice(response)]
    ahead = clock_skew(response)
    if code == "RequestTimeTooSkewed" or (not code and status in (400, 403) and abs(ahead) > MAX_CLOCK_SKEW):
        return [_skew_advice(ahead), _ADVICE["RequestTimeTooSkewed"]]
    if not is_s3(response) and status not in _PROXY_STATUSES:
        return [_not_s3_advice(response)]
    if code == "AccessDenied" or (not code and status == HTTPStatus.FORBIDDEN):
        return [missing_right(call.operation)]
    advice = _ADVICE.get(code, "").format(bucket=call.bucket) if code else _STATUS_ADVICE.get(status)
    return [advice] if advice else []


def _is_redirect(status: int) -> bool:
    return 300 <= status < 400 and status != 304


def _redirect_advice(response: Mapping[str, Any]) -> str:
    target = headers_of(response).get("location", "") or str(response.get("Error", {}).get("Endpoint") or "")
    redirect = f"the store redirects to {shown(target)}" if target else "the store redirects without naming a region"
    return f"{redirect}, which is not followed; if that is the store, set endpoint_url or region to it"


def _skew_advice(ahead: float) -> str:
    return f"this machine's clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} the store's"


def _not_s3_advice(response: Mapping[str, Any]) -> str:
    kind = headers_of(response).get("content-type", "").partition(";")[0].strip()
    what = "a web page" if kind == "text/html" else f"of type {kind}"
    return f"the answer is {what}, not S3; check endpoint_url"


def _error_type(call: StoreCall, code: str | None, status: int) -> ErrorType:
    if code in _CODES:
        return _CODES[code]
    if call.write and status in _UNKNOWN_OUTCOME:
        return OutcomeUnknown
    if call.conditional and status in _CONDITION_REFUSED:
        return ConditionRefused
    return _STATUS.get(status) or (StoreUnavailable if status >= 500 else StoreRefused)


def status_of_cause(error: MirrordError) -> int:
    """The HTTP status of the answer that caused the error; 0: no answer did."""
    return status_of(response_of_cause(error))


def code_of_cause(error: MirrordError) -> str | None:
    """The S3 error code of the answer that caused the error; None: no answer did, or it has no code."""
    return code_of(response_of_cause(error))


def response_of_cause(error: MirrordError) -> Mapping[str, Any]:
    """The answer that caused the error, as the SDK reads it; empty: no answer did."""
    return getattr(error.__cause__, "response", None) or {}
