"""Tests of the counting proxy that other tests rely on."""

from typing import Any

import pytest
from aiohttp import web

from tests.support.operations import WRITES, operation
from tests.support.proxy import Seen, StoreProxy


@pytest.mark.parametrize(
    ("method", "path", "named"),
    [
        ("GET", "/", ("ListBuckets", "", "")),
        ("PUT", "/b", ("CreateBucket", "b", "")),
        ("HEAD", "/b", ("HeadBucket", "b", "")),
        ("GET", "/b?list-type=2&prefix=x", ("ListObjectsV2", "b", "")),
        ("GET", "/b?uploads", ("ListMultipartUploads", "b", "")),
        ("PUT", "/b?versioning", ("PutBucketVersioning", "b", "")),
        ("PUT", "/b/a%20b/c%2Bd?x-id=PutObject", ("PutObject", "b", "a b/c+d")),
        ("PUT", "/b/k?partNumber=1&uploadId=u", ("UploadPart", "b", "k")),
        ("POST", "/b/k?uploads", ("CreateMultipartUpload", "b", "k")),
        ("POST", "/b/k?uploadId=u", ("CompleteMultipartUpload", "b", "k")),
        ("DELETE", "/b/k?uploadId=u", ("AbortMultipartUpload", "b", "k")),
        ("DELETE", "/b/k", ("DeleteObject", "b", "k")),
        ("HEAD", "/b/k", ("HeadObject", "b", "k")),
        ("GET", "/b/k", ("GetObject", "b", "k")),
        ("GET", "/b/k?uploadId=u", ("ListParts", "b", "k")),
        ("PATCH", "/b/k?odd", ("PATCH ?odd", "b", "k")),
    ],
)
def test_an_operation_is_named(method: str, path: str, named: tuple[str, str, str]) -> None:
    assert operation(method, path, {}) == named


def test_a_copy_is_distinguished_from_a_put() -> None:
    assert operation("PUT", "/b/k", {"X-Amz-Copy-Source": "/b/j"})[0] == "CopyObject"
    assert "CopyObject" in WRITES


def test_another_clients_signed_calls_pass_and_are_counted(store_proxy: StoreProxy, bucket: str) -> None:
    """boto3 signs host, path and query: the store would refuse a request if the proxy changed one of them."""
    client, key = store_proxy.server.client(), "a b+c/ü%20.bin"
    client.put_object(Bucket=bucket, Key=key, Body=b"x" * 300_000)
    assert client.get_object(Bucket=bucket, Key=key)["Body"].read() == b"x" * 300_000
    assert client.head_object(Bucket=bucket, Key=key)["ContentLength"] == 300_000
    assert [entry["Key"] for entry in client.list_objects_v2(Bucket=bucket, Prefix="a b+")["Contents"]] == [key]
    client.close()
    assert store_proxy.counts == {"PutObject": 1, "GetObject": 1, "HeadObject": 1, "ListObjectsV2": 1}
    assert (store_proxy.writes, store_proxy.bytes_sent) == (1, 300_000)
    assert [call.key for call in store_proxy.calls[:3]] == [key] * 3


def test_a_fault_answers_in_the_stores_stead(store_proxy: StoreProxy, bucket: str, s3_client: Any) -> None:
    async def slow_down(seen: Seen, request: web.Request) -> web.Response | None:
        return web.Response(status=503) if seen.operation == "PutObject" else None

    store_proxy.before = slow_down
    client = store_proxy.server.client()
    with pytest.raises(client.exceptions.ClientError, match="503"):
        client.put_object(Bucket=bucket, Key="k", Body=b"x")
    client.close()
    assert [call.status for call in store_proxy.calls] == [503]
    assert "Contents" not in s3_client.list_objects_v2(Bucket=bucket)
