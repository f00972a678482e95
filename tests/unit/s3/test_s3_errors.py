"""One table: the errors of answers and of missing answers, for a read and for a write."""

import importlib
import ssl
from typing import Any

import pytest
from botocore import exceptions as sdk
from botocore.parsers import ResponseParserError

from mirrord import errors
from mirrord.s3.answers.errors import from_answer
from mirrord.s3.answers.transport import from_transport
from mirrord.s3.call import StoreCall

importlib.import_module("aiobotocore.endpoint")  # without it, errors of the SDK's parser cannot occur
READ = StoreCall("HeadObject", "default", "data", "k")
WRITE = StoreCall("PutObject", "default", "data", "k", write=True)


def answer(code: str, status: int, message: str = "", **headers: str) -> dict[str, Any]:
    meta = {"HTTPStatusCode": status, "HTTPHeaders": {name.replace("_", "-"): text for name, text in headers.items()}}
    return {"Error": {"Code": code, "Message": message, "StringToSign": "a-secret"}, "ResponseMetadata": meta}


@pytest.mark.parametrize(
    ("code", "status", "read", "write"),
    [
        ("AccessDenied", 403, errors.ActionDenied, errors.ActionDenied),
        ("InvalidAccessKeyId", 403, errors.StoreDenied, errors.StoreDenied),
        ("SignatureDoesNotMatch", 403, errors.StoreDenied, errors.StoreDenied),
        ("RequestTimeTooSkewed", 403, errors.StoreDenied, errors.StoreDenied),
        ("ExpiredToken", 400, errors.StoreDenied, errors.StoreDenied),
        ("403", 403, errors.StoreDenied, errors.StoreDenied),
        ("SomethingNew", 401, errors.StoreDenied, errors.StoreDenied),
        ("NoSuchBucket", 404, errors.BucketMissing, errors.BucketMissing),
        ("NoSuchUpload", 404, errors.NoSuchUpload, errors.NoSuchUpload),
        ("NoSuchKey", 404, errors.StoreRefused, errors.StoreRefused),
        ("EntityTooSmall", 400, errors.EntityTooSmall, errors.EntityTooSmall),
        ("InvalidPart", 400, errors.InvalidPart, errors.InvalidPart),
        ("InvalidPartOrder", 400, errors.InvalidPartOrder, errors.InvalidPartOrder),
        ("PreconditionFailed", 412, errors.PreconditionFailed, errors.PreconditionFailed),
        ("412", 412, errors.PreconditionFailed, errors.PreconditionFailed),
        ("ConditionalRequestConflict", 409, errors.StoreUnavailable, errors.StoreUnavailable),
        ("BadDigest", 400, errors.ChecksumMismatch, errors.ChecksumMismatch),
        ("XAmzContentChecksumMismatch", 400, errors.ChecksumMismatch, errors.ChecksumMismatch),
        ("InvalidDigest", 400, errors.ChecksumMismatch, errors.ChecksumMismatch),
        ("SlowDown", 503, errors.StoreUnavailable, errors.StoreUnavailable),
        ("SlowDown", 200, errors.StoreUnavailable, errors.StoreUnavailable),
        ("RequestTimeout", 400, errors.StoreUnavailable, errors.StoreUnavailable),
        ("", 429, errors.StoreUnavailable, errors.StoreUnavailable),
        ("", 503, errors.StoreUnavailable, errors.StoreUnavailable),
        ("InternalError", 500, errors.StoreUnavailable, errors.OutcomeUnknown),
        ("", 502, errors.StoreUnavailable, errors.OutcomeUnknown),
        ("", 504, errors.StoreUnavailable, errors.OutcomeUnknown),
        ("NotImplemented", 501, errors.StoreRefused, errors.StoreRefused),
        ("InvalidRequest", 400, errors.StoreRefused, errors.StoreRefused),
        ("EntityTooLarge", 400, errors.StoreRefused, errors.StoreRefused),
    ],
)
def test_an_answer_is_translated(code: str, status: int, read: type[Exception], write: type[Exception]) -> None:
    assert type(from_answer(READ, answer(code, status))) is read
    assert type(from_answer(WRITE, answer(code, status))) is write


class ConnectorError(OSError):
    """Like the error of the HTTP client's connector, which alone has `os_error`, host and port."""

    def __init__(self, failed: OSError) -> None:
        super().__init__(failed.errno, "long words")
        self.os_error, self.host, self.port = failed, "store.example", 9000


REFUSED = ConnectorError(ConnectionRefusedError(111, "Connect call failed"))
URL = "http://store.example:9000/data/k"


@pytest.mark.parametrize(
    ("error", "read", "write"),
    [
        (sdk.EndpointConnectionError(endpoint_url=URL, error=REFUSED), errors.StoreUnavailable, None),
        (sdk.ConnectTimeoutError(endpoint_url=URL, error=TimeoutError()), errors.StoreUnavailable, None),
        (sdk.ProxyConnectionError(proxy_url="http://proxy"), errors.StoreUnavailable, None),
        (
            sdk.EndpointConnectionError(endpoint_url=URL, error=ConnectionResetError(104, "reset")),
            errors.StoreUnavailable,
            errors.OutcomeUnknown,
        ),
        (sdk.ConnectionClosedError(endpoint_url=URL), errors.StoreUnavailable, errors.OutcomeUnknown),
        (sdk.ReadTimeoutError(endpoint_url=URL), errors.StoreUnavailable, errors.OutcomeUnknown),
        (sdk.HTTPClientError(error=ValueError("odd")), errors.StoreUnavailable, errors.OutcomeUnknown),
        (ResponseParserError("not XML"), errors.StoreUnavailable, errors.OutcomeUnknown),
        (sdk.SSLError(endpoint_url=URL, error=ssl.SSLError("bad")), errors.StoreRefused, None),
        (sdk.NoCredentialsError(), errors.StoreDenied, None),
        (sdk.ProfileNotFound(profile="nobody"), errors.StoreDenied, None),
        (sdk.CredentialRetrievalError(provider="x", error_msg="y"), errors.StoreUnavailable, None),
        (sdk.ParamValidationError(report="Invalid bucket name"), errors.StoreRefused, None),
    ],
)
def test_a_missing_answer_is_translated(error: Exception, read: type[Exception], write: type[Exception] | None) -> None:
    """`None`: the same for a write, since nothing of it was sent."""
    assert type(from_transport(READ, error)) is read
    assert type(from_transport(WRITE, error)) is (write or read)


def test_a_refused_connection_names_host_and_cause() -> None:
    error = sdk.EndpointConnectionError(endpoint_url=URL, error=REFUSED)
    words = "PutObject s3://data/k at store 'default': the connection failed: store.example:9000: Connection refused"
    assert str(from_transport(WRITE, error)) == words


def test_a_message_is_one_line_with_the_stores_message_and_advice() -> None:
    said = str(from_answer(WRITE, answer("NoSuchBucket", 404, "The bucket\n does not exist.")))
    assert said == (
        "PutObject s3://data/k at store 'default': NoSuchBucket: The bucket does not exist; "
        "create it or set buckets.data.create: true"
    )


def test_a_long_message_is_cut() -> None:
    assert len(str(from_answer(WRITE, answer("InvalidRequest", 400, "word " * 1000)))) < 400


def test_signed_strings_of_an_answer_are_not_in_the_message() -> None:
    assert "a-secret" not in str(from_answer(WRITE, answer("SignatureDoesNotMatch", 403, "no match")))


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({}, None),
        ({"retry_after": "7"}, 7.0),
        ({"retry_after": "nonsense"}, None),
        ({"retry_after": "Wed, 21 Oct 2026 07:28:30 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 30.0),
        ({"retry_after": "Wed, 21 Oct 2026 07:28:00 GMT", "date": "Wed, 21 Oct 2026 07:28:30 GMT"}, 0.0),
        ({"retry_after": "Wed, 21 Oct 2026 07:28:30 GMT"}, None),
    ],
)
def test_retry_after_in_seconds_or_as_a_date(headers: dict[str, str], wait: float | None) -> None:
    assert from_answer(READ, answer("SlowDown", 503, **headers)).retry_after == wait
