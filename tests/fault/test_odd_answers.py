"""Stores with odd answers to multipart calls: keys that XML cannot carry, no UploadId, gzip. Nothing is orphaned."""

import gzip
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from multidict import CIMultiDict

from mirrord.client import MultipartUploader, S3Client
from mirrord.errors import OutcomeUnknown
from mirrord.s3.session import S3Store
from mirrord.units import MiB
from tests.support.proxy import Rewrite, Seen, StoreProxy
from tests.support.syncing import manifest, sync

KEY = "ring\x07the bell"
CONTENT = b"bell" * (3 * MiB)
LISTS = "ListMultipartUploads"


def named(key: str) -> Rewrite:
    """Every answer has the key as it is written here; the real one comes back percent-encoded or mangled."""

    def rewrite(seen: Seen, headers: CIMultiDict[str], body: bytes) -> bytes:
        written = key if seen.operation != LISTS or b"<EncodingType>url" not in body else quote(KEY)
        return re.sub(rb"<Key>[^<]*</Key>", f"<Key>{written}</Key>".encode(), body)

    return rewrite


def zipped(seen: Seen, headers: CIMultiDict[str], body: bytes) -> bytes:
    if not body or seen.operation == "GetObject":
        return body
    headers["Content-Encoding"] = "gzip"
    return gzip.compress(body, mtime=0)


def without_upload_id(seen: Seen, headers: CIMultiDict[str], body: bytes) -> bytes:
    if seen.operation != "CreateMultipartUpload":
        return body
    return re.sub(rb"<UploadId>.*</UploadId>", b"", body)


def blank(seen: Seen, headers: CIMultiDict[str], body: bytes) -> bytes:
    if seen.operation != "CreateMultipartUpload":
        return body
    return re.sub(rb"<UploadId>.*</UploadId>", b"<UploadId>\n </UploadId>", body)


def twice(seen: Seen, headers: CIMultiDict[str], body: bytes) -> bytes:
    if seen.operation != "CreateMultipartUpload":
        return body
    return re.sub(rb"(<UploadId>.*</UploadId>)", rb"\1<UploadId>2</UploadId>", body)


def indented(seen: Seen, headers: CIMultiDict[str], body: bytes) -> bytes:
    if not seen.operation.endswith(("MultipartUpload", "MultipartUploads", "Parts")):
        return body
    return re.sub(rb"<(UploadId|ETag)>(.*?)</", rb"<\1>\n    \2\n  </", body)


def empty(seen: Seen, headers: CIMultiDict[str], body: bytes) -> bytes:
    return b"" if seen.operation == "CreateMultipartUpload" else body


def uploads(s3_client: Any, bucket: str) -> list[str]:
    return [one["UploadId"] for one in s3_client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])]


def folder(home: Path, proxy: StoreProxy, bucket: str) -> Path:
    inbox = home / "inbox"
    inbox.mkdir()
    (inbox / KEY).write_bytes(CONTENT)
    body = f"folders:\n  - {{path: {inbox}, to: 's3://{bucket}/', settle: 0s, "
    return manifest(home, proxy.server, body + "upload: {part_size: 5MiB, multipart_threshold: 6MiB}}\n")


@pytest.mark.parametrize(
    "rewrite", [named(KEY), named("ring&#x7;the bell"), named("ring&#7;the bell"), zipped, indented]
)
async def test_such_a_file_is_uploaded_in_parts_once(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, rewrite: Rewrite
) -> None:
    store_proxy.rewrite = rewrite
    done = await sync(tmp_path, folder(tmp_path, store_proxy, bucket))
    assert done.code == 0, done.output
    assert store_proxy.counts["CreateMultipartUpload"] == 1, done.output
    assert uploads(s3_client, bucket) == []
    assert s3_client.head_object(Bucket=bucket, Key=KEY)["ContentLength"] == len(CONTENT)


@pytest.mark.parametrize("rewrite", [without_upload_id, empty, blank, twice])
async def test_uploads_whose_ids_are_not_said_are_swept(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, rewrite: Rewrite
) -> None:
    store_proxy.rewrite = rewrite
    file = folder(tmp_path, store_proxy, bucket)
    done = await sync(tmp_path, file, speed=10.0)
    assert done.code == 1, done.output
    assert "the answer has no UploadId" in done.out + done.err
    assert "internal error" not in done.out + done.err
    assert store_proxy.counts["CreateMultipartUpload"] > 1
    assert uploads(s3_client, bucket) == []

    store_proxy.rewrite = None
    done = await sync(tmp_path, file)
    assert done.code == 0, done.output
    assert uploads(s3_client, bucket) == []


@pytest.mark.parametrize("rewrite", [named(KEY), named("ring&#x7;the bell"), zipped, indented, None])
async def test_open_uploads_at_such_a_key_are_listed(
    store_proxy: StoreProxy, bucket: str, s3_client: Any, rewrite: Rewrite | None
) -> None:
    opened = s3_client.create_multipart_upload(Bucket=bucket, Key=KEY)["UploadId"]
    store_proxy.rewrite = rewrite
    async with S3Store(store_proxy.server.options()) as store:
        found = [one async for one in store.list_uploads(bucket, KEY)]
        assert [(one.key, one.upload_id) for one in found] == [(KEY, opened)]
        await store.abort_upload(store_proxy.server.destination(bucket, KEY), opened)
    assert uploads(s3_client, bucket) == []


@pytest.mark.parametrize("key", ["with space/and+plus", "ünï/çødé 漢字", "a%2Fb%20c", "tab\tand\nline"])
async def test_open_uploads_at_odd_keys_are_listed(
    store_proxy: StoreProxy, bucket: str, s3_client: Any, key: str
) -> None:
    opened = s3_client.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    async with S3Store(store_proxy.server.options()) as store:
        assert [one.upload_id async for one in store.list_uploads(bucket, key)] == [opened]
        await store.abort_upload(store_proxy.server.destination(bucket, key), opened)


async def test_the_library_says_that_it_got_no_id(store_proxy: StoreProxy, bucket: str) -> None:
    store_proxy.rewrite = without_upload_id
    server = store_proxy.server
    client = S3Client(server.endpoint_url, server.access_key_id, server.secret_access_key)
    with pytest.raises(OutcomeUnknown, match="no UploadId"):
        async with MultipartUploader(client=client, bucket=bucket, key="key") as uploader:
            await uploader.upload_part(b"x")
