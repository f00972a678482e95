"""Each answer means the same with the own client as with the SDK: the result, or the error with its message."""

import gzip
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from mirrord.declared import Credentials, RequestOptions, StoreOptions
from mirrord.errors import MirrordError
from mirrord.model import ChecksumKind, Destination, ObjectOptions
from mirrord.s3.session import S3Store
from tests.support.recorded_requests import GivenAnswer, Recorded, RecordedRequests

KEYS = Credentials.of("AKIA", "a-secret")
AT = Destination("s", "", "data", "a/key")
BODY = memoryview(b"some bytes")
PLAIN = ObjectOptions()
DATE = {"date": "Sat, 28 Nov 2026 19:30:00 GMT"}

CALLS: dict[str, Callable[[S3Store], Awaitable[Any]]] = {
    "put": lambda store: store.put_object(AT, BODY, PLAIN),
    "part": lambda store: store.upload_part(AT, "u", 1, BODY),
    "head": lambda store: store.head_object(AT),
    "copy": lambda store: store.copy_object(AT, AT, PLAIN, ChecksumKind.CRC32, if_match='"e"', size=3),
    "list": lambda store: _all(store.list_objects("data", "")),
}


def error(code: str, message: str = "the reason", more: str = "") -> bytes:
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message>{more}</Error>".encode()


def copied(inner: str) -> bytes:
    return f"<CopyObjectResult>{inner}</CopyObjectResult>".encode()


def answer(status: int, body: bytes = b"", **headers: str) -> GivenAnswer:
    return GivenAnswer(status, {name.replace("_", "-"): text for name, text in headers.items()}, body)


FULL = {
    "etag": '"e"',
    "content_length": "12",
    "last_modified": "Sat, 28 Nov 2026 19:30:00 GMT",
    "x_amz_version_id": "v1",
    "x_amz_checksum_crc64nvme": "AAAAAAAAAAA=",
    "x_amz_checksum_type": "FULL_OBJECT",
    "x_amz_meta_mirrord_transfer": "t",
    "x_amz_meta_odd": "=?UTF-8?B?w7w=?=",
    "content_type": "text/plain",
}


def full(**changed: str) -> GivenAnswer:
    return answer(200, b"", **(FULL | changed))


ANSWERS = {
    "all headers": full(),
    "a composite checksum": full(x_amz_checksum_crc32="AAAA-7", x_amz_checksum_type="COMPOSITE"),
    "a date of ISO 8601": full(last_modified="2026-11-28T19:30:00Z"),
    "a date that is none": full(last_modified="yesterday"),
    "a length that is none": full(content_length="twelve"),
    "no ETag": answer(200),
    "204": answer(204, etag='"e"'),
    "an error in a 200": answer(200, error("InternalError"), etag='"e"'),
    "no XML in a 200": answer(200, b"welcome", etag='"e"'),
    "a page in a 200": answer(200, b"<html>welcome", etag='"e"', content_type="text/html"),
    "copied": answer(200, copied("<ETag>&quot;e&quot;</ETag><ChecksumCRC32>AAAAAA==</ChecksumCRC32>")),
    "copied, bare ETag": answer(200, copied("<ETag>e</ETag><LastModified>never</LastModified>"), x_amz_version_id="v"),
    "copied, two ETags": answer(200, copied("<ETag>e</ETag><ETag>f</ETag>")),
    "copied, compressed": answer(200, gzip.compress(copied("<ETag>e</ETag>")), content_encoding="gzip"),
    "copied, after white space": answer(200, b" \n \r\n" + b"<?xml version='1.0'?>" + copied("<ETag>e</ETag>")),
    "copied, cut": answer(200, copied("<ETag>e</ETag>")[:-9]),
    "301": answer(301, error("PermanentRedirect", more="<Endpoint>other.example</Endpoint>")),
    "307 without a document": answer(307, location="https://user:secret@other.example/x"),
    "400 without a document": answer(400),
    "403": answer(403, error("AccessDenied", more="<RequestId>r</RequestId><HostId>h</HostId>")),
    "403 of a stale key": answer(403, error("InvalidAccessKeyId")),
    "403 without a document": answer(403),
    "403 as a page": answer(403, b"<html>no", content_type="text/html"),
    "404": answer(404, error("NoSuchKey")),
    "404 without a document": answer(404),
    "404 of an upload": answer(404, error("NoSuchUpload")),
    "400 with MinIO's headers": answer(400, x_minio_error_code="InvalidDigest", x_minio_error_desc='"wrong"'),
    "409": answer(409, error("OperationAborted")),
    "412": answer(412, error("PreconditionFailed")),
    "412 without a document": answer(412),
    "500": answer(500, error("InternalError")),
    "501": answer(501, error("NotImplemented")),
    "503": answer(503, error("SlowDown"), retry_after="7"),
    "503 with a date": answer(503, b"", retry_after="Sat, 28 Nov 2026 19:30:09 GMT", **DATE),
    "an error in gzip": answer(403, gzip.compress(error("AccessDenied"))),
    "an error with a forbidden character": answer(403, error("AccessDenied", "\x07&#x7;")),
    "an error that is too long": answer(403, error("AccessDenied", "x" * 70_000)),
    "an error that is cut": answer(403, error("AccessDenied")[:-9]),
    "a strange status": answer(599, error("Odd")),
}


async def _all(pages: Any) -> list[Any]:
    return [one async for page in pages for one in page]


def _given(given: GivenAnswer, request: Recorded) -> GivenAnswer:
    return replace(given, body=b"") if request.method == "HEAD" else given


async def _outcomes(
    recorded: RecordedRequests, call: Callable[[S3Store], Awaitable[Any]], wire: str, answers: dict[str, GivenAnswer]
) -> dict[str, Any]:
    """The outcome of the call for each answer, and the methods of its requests."""
    requests = RequestOptions(wire=wire)
    options = StoreOptions(name="s", endpoint_url="https://h", region="r", credentials=KEYS, requests=requests)
    outcomes: dict[str, Any] = {}
    async with S3Store(options) as store:
        for name, given in answers.items():
            recorded.requests.clear()
            recorded.answer = partial(_given, given)
            try:
                outcome: Any = await call(store)
            except MirrordError as failed:
                outcome = type(failed), str(failed), failed.retry_after, failed.answered
            outcomes[name] = outcome, [request.method for request in recorded.requests]
            assert recorded.requests[0].wire is (wire == "auto")
    return outcomes


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_answers_mean_what_they_mean_to_the_sdk(
    recorded: RecordedRequests, call: Callable[[S3Store], Awaitable[Any]]
) -> None:
    wire, sdk = [await _outcomes(recorded, call, wire, ANSWERS) for wire in ("auto", "sdk")]
    assert wire == sdk


async def test_header_values_are_utf_8(recorded: RecordedRequests) -> None:
    odd = {"odd": full(x_amz_meta_odd="ü".encode().decode("latin-1"))}
    (head, _) = (await _outcomes(recorded, CALLS["head"], "auto", odd))["odd"]
    assert head.metadata["odd"] == "ü"
