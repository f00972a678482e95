"""Answers that say 200 and prove nothing: what S3Store makes of a missing or empty ETag."""

from collections.abc import Awaitable, Callable

import pytest

from mirrord.errors import MirrordError, OutcomeUnknown, StoreUnavailable
from mirrord.model import ObjectOptions, Part
from mirrord.s3.session import S3Store
from tests.contract.test_s3_store import AT, BODY, answering

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
async def test_an_etag_that_is_blank_or_twice_there_is_none(operation: str, etag: bytes) -> None:
    call, error = CALLS[operation]
    async with answering(answer(operation, etag)) as options, S3Store(options) as store:
        with pytest.raises(error, match="the answer has no ETag"):
            await call(store)


@pytest.mark.parametrize("etag", [None, b"", b'""', b'W/""'])
@pytest.mark.parametrize("operation", CALLS)
async def test_an_answer_without_an_etag_is_no_success(operation: str, etag: bytes | None) -> None:
    call, error = CALLS[operation]
    async with answering(answer(operation, etag)) as options, S3Store(options) as store:
        with pytest.raises(error, match=f"{operation} s3://data/a/key .*check that endpoint_url"):
            await call(store)


@pytest.mark.parametrize("operation", CALLS)
async def test_an_answer_with_one_is(operation: str) -> None:
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
async def test_half_a_list_of_versions_does_not_pass_for_the_whole(markers: str) -> None:
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
