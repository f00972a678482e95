"""Answers with status 200 that prove no success: a missing or empty ETag, invalid fields."""

from collections.abc import Awaitable, Callable

import pytest

from mirrord.errors import MirrordError, NoSuchUpload, OutcomeUnknown, StoreUnavailable
from mirrord.model import ObjectOptions, Part
from mirrord.s3.session import S3Store
from tests.support.raw_store import AT, BODY, answering

pytestmark = pytest.mark.usefixtures("both_wires")

PLAIN = ObjectOptions()
PARTS = [Part(number=1, size=5, etag='"e"')]

CALLS: dict[str, tuple[Callable[[S3Store], Awaitable[object]], type[MirrordError]]] = {
    "PutObject": (lambda store: store.put_object(AT, BODY, PLAIN), OutcomeUnknown),
    "CopyObject": (lambda store: store.copy_object(AT, AT, PLAIN, if_match='"e"', size=1), OutcomeUnknown),
    "UploadPart": (lambda store: store.upload_part(AT, "u", 1, BODY), StoreUnavailable),
    "CompleteMultipartUpload": (lambda store: store.complete_upload(AT, "u", PARTS), OutcomeUnknown),
}
XML = {
    "CopyObject": b"<CopyObjectResult><ETag>%s</ETag></CopyObjectResult>",
    "CompleteMultipartUpload": b"<CompleteMultipartUploadResult><ETag>%s</ETag></CompleteMultipartUploadResult>",
}


def answer(operation: str, etag: bytes | None) -> bytes:
    """200, with that ETag where this operation has it; None: without a word."""
    body, header = b"", b""
    if etag is not None and operation in XML:
        body = XML[operation] % etag
    elif etag is not None:
        header = b"ETag: %s\r\n" % etag
    return b"HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (header, len(body), body)


@pytest.mark.parametrize("operation", XML)
@pytest.mark.parametrize("etag", [b"\n  \n", b'"e"</ETag><ETag>"f"'], ids=["blank", "two"])
async def test_a_blank_or_repeated_etag_counts_as_missing(operation: str, etag: bytes) -> None:
    call, error = CALLS[operation]
    async with answering(answer(operation, etag)) as options, S3Store(options) as store:
        with pytest.raises(error, match="the answer has no ETag"):
            await call(store)


@pytest.mark.parametrize("etag", [None, b"", b'""', b'W/""'])
@pytest.mark.parametrize("operation", CALLS)
async def test_an_answer_without_an_etag_is_an_error(operation: str, etag: bytes | None) -> None:
    call, error = CALLS[operation]
    async with answering(answer(operation, etag)) as options, S3Store(options) as store:
        with pytest.raises(error, match=f"{operation} s3://data/a/key .*check that endpoint_url"):
            await call(store)


@pytest.mark.parametrize("operation", CALLS)
async def test_an_answer_with_an_etag_is_a_success(operation: str) -> None:
    call, _ = CALLS[operation]
    async with answering(answer(operation, b'"e"')) as options, S3Store(options) as store:
        assert await call(store)


def versions(*, markers: str = "", truncated: str = "true", entry: str = "<VersionId>7</VersionId>") -> bytes:
    body = (
        f"<ListVersionsResult><IsTruncated>{truncated}</IsTruncated>{markers}"
        f"<Version><Key>{AT.key}</Key>{entry}</Version></ListVersionsResult>"
    ).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body)


@pytest.mark.parametrize(
    "markers",
    [
        "",
        "<NextVersionIdMarker>7</NextVersionIdMarker>",
        f"<NextKeyMarker>{AT.key}</NextKeyMarker>",  # for ever the same
        f"<NextKeyMarker>{AT.key}</NextKeyMarker><NextVersionIdMarker></NextVersionIdMarker>",
    ],
)
async def test_a_truncated_list_of_versions_without_a_marker_is_an_error(markers: str) -> None:
    async with answering(versions(markers=markers)) as options, S3Store(options) as store:
        with pytest.raises(StoreUnavailable, match="ListObjectVersions s3://data/a/key: the list is cut off"):
            assert [one.version_id async for one in store.list_versions(AT)]


@pytest.mark.parametrize(
    ("entry", "shown"),
    [
        ("<VersionId>7</VersionId>", "7"),
        ("", "null"),
        ("<VersionId>7</VersionId></Version><Version><VersionId>8</VersionId>", "7"),
    ],
)
async def test_versions_without_a_key_or_an_id(entry: str, shown: str) -> None:
    async with answering(versions(truncated="false", entry=entry)) as options, S3Store(options) as store:
        assert [one.version_id async for one in store.list_versions(AT)] == [shown]


def odd(headers: bytes = b"", body: bytes = b"", status: bytes = b"200 OK") -> bytes:
    framing = b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
    return b'HTTP/1.1 %s\r\nETag: "e"\r\n%s%s%s' % (status, headers, framing, body)


@pytest.mark.parametrize("date", [b"", b"yesterday", b"0000-00-00T00:00:00Z"])
async def test_an_invalid_date_is_none(date: bytes) -> None:
    async with answering(odd(b"Last-Modified: %s\r\n" % date)) as options, S3Store(options) as store:
        head = await store.head_object(AT)
        assert head is not None
        assert (head.etag, head.last_modified) == ('"e"', None)
    created = b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
    async with answering(odd(b"x-amz-abort-date: %s\r\n" % date, created)) as options, S3Store(options) as store:
        assert await store.create_upload(AT, PLAIN) == "u"
    listed = b"<L><Upload><Key>a/key</Key><UploadId>u</UploadId><Initiated>%s</Initiated></Upload></L>" % date
    async with answering(odd(b"", listed)) as options, S3Store(options) as store:
        assert [(one.upload_id, one.initiated) async for one in store.list_uploads("data", "a/key")] == [("u", 0.0)]


@pytest.mark.parametrize(
    ("raw", "call", "error"),
    [
        (odd(b"x-amz-missing-meta: x\r\n"), lambda store: store.head_object(AT), StoreUnavailable),
        (odd(b"x-amz-object-size: x\r\n"), lambda store: store.put_object(AT, BODY, PLAIN), OutcomeUnknown),
        (
            odd(body=b"<Error><Code><a>b</a></Code></Error>", status=b"400 Bad Request"),
            lambda store: store.create_upload(AT, PLAIN),
            OutcomeUnknown,
        ),
    ],
    ids=["number of a head", "number of a put", "code"],
)
async def test_a_field_of_another_type_is_an_error(
    raw: bytes, call: Callable[[S3Store], Awaitable[object]], error: type[MirrordError]
) -> None:
    async with answering(raw) as options, S3Store(options) as store:
        with pytest.raises(error, match="the answer is not S3"):
            await call(store)


async def test_an_error_code_may_be_indented() -> None:
    raw = odd(body=b"<Error><Code>\n  NoSuchUpload\n</Code></Error>", status=b"404 Not Found")
    async with answering(raw) as options, S3Store(options) as store:
        with pytest.raises(NoSuchUpload):
            await store.upload_part(AT, "u", 1, BODY)
