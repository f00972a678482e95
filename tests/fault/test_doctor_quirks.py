"""What `doctor --store` reports of a store double is what the double does: a table of quirks."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from multidict import CIMultiDict

from mirrord.model import ProviderName
from mirrord.programs.doctor.findings import FindingLevel
from mirrord.programs.doctor.measuring import StoreMeasurement, measure
from mirrord.providers.facts import FactValue
from mirrord.s3.probed_store import ProbedStore
from tests.support.proxy import Seen, StoreProxy
from tests.support.rights import ACTIONS, Rights
from tests.support.store_doubles import (
    Quirks,
    at_most,
    ceph,
    changing,
    exact_prefix,
    ignoring,
    minio,
    part_sizes,
    r2,
    refusing,
    refusing_call,
    repeated_complete_is_404,
    storj,
)

CHECKSUMS = "x-amz-(sdk-)?checksum-.*|content-md5"
OTHER_ETAG = b"<ETag>&quot;0123456789abcdef0123456789abcdef&quot;</ETag>"


@dataclass
class Case:
    """A double, the measurement that meets its quirk, and the values that it must find."""

    measurement: str
    quirks: Callable[[], Quirks]
    found: dict[str, FactValue] = field(default_factory=dict)


def strips(pattern: str, *operations: str) -> Callable[[], Quirks]:
    return lambda: Quirks(strips=[ignoring(pattern, *operations)])


def refuses(pattern: str, code: str = "NotImplemented") -> Callable[[], Quirks]:
    return lambda: Quirks(refuses=[refusing(pattern, 501, code)])


def without(call: str) -> Callable[[], Quirks]:
    return lambda: Quirks(refuses=[refusing_call(call)])


def changes(call: str, pattern: bytes, by: bytes) -> Callable[[], Quirks]:
    return lambda: Quirks(rewrites=[changing(call, pattern, by)])


CASES = {
    "If-None-Match of a put is ignored": Case(
        "conditional_puts",
        strips("if-none-match", "PutObject"),
        {"conditional_puts": False, "refuses_conditions": False},
    ),
    "If-None-Match is refused": Case(
        "conditional_puts", refuses("if-none-match: .*"), {"conditional_puts": False, "refuses_conditions": True}
    ),
    "a conditional put is answered by 500, and not done": Case(
        "conditional_puts",
        lambda: Quirks(refuses=[refusing("if-none-match: .*", 500, "InternalError")]),
        {"conditional_puts": False, "refuses_conditions": True},
    ),
    "If-Match of a put is ignored": Case(
        "conditional_puts", strips("if-match", "PutObject"), {"conditional_puts": True, "conditional_replaces": False}
    ),
    "If-None-Match of a Complete is ignored": Case(
        "conditional_completes",
        strips("if-none-match", "CompleteMultipartUpload"),
        {"conditional_completes": False, "conditional_replacing_completes": True},
    ),
    "If-Match of a Complete is ignored": Case(
        "conditional_completes",
        strips("if-match", "CompleteMultipartUpload"),
        {"conditional_completes": True, "conditional_replacing_completes": False},
    ),
    "If-Match of a delete is ignored (MinIO)": Case("conditional_deletes", minio, {"conditional_deletes": False}),
    "checksum headers are ignored": Case(
        "checksums", strips("x-amz-checksum-.*", "PutObject"), {"checksums": ("md5",)}
    ),
    "no checksum is compared": Case("checksums", strips(CHECKSUMS, "PutObject"), {"checksums": ()}),
    "some checksums are compared (R2)": Case(
        "checksums", lambda: r2(limited=False), {"checksums": ("crc64nvme", "md5")}
    ),
    "aws-chunked is refused (B2)": Case(
        "checksums", refuses("content-encoding: .*aws-chunked.*"), {"trailer_checksums": ()}
    ),
    "checksums of uploads are ignored": Case(
        "upload_checksums",
        strips("x-amz-(sdk-)?checksum-.*", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"),
        {"upload_checksums": ()},
    ),
    "Complete shows an empty ETag (Ceph)": Case("multipart", ceph, {"complete_etag": False, "multipart": True}),
    "conditions of a Complete whose ETag is empty (Ceph)": Case(
        "conditional_completes", ceph, {"conditional_completes": True, "conditional_replacing_completes": True}
    ),
    "ignored conditions of a Complete whose ETag is empty": Case(
        "conditional_completes",
        lambda: Quirks([*ceph().strips, ignoring("if-(none-)?match", "CompleteMultipartUpload")], [], ceph().rewrites),
        {"conditional_completes": False, "conditional_replacing_completes": False},
    ),
    "Complete shows another ETag": Case(
        "multipart", changes("CompleteMultipartUpload", rb"<ETag>.*?</ETag>", OTHER_ETAG), {"complete_etag": False}
    ),
    "listings show another ETag": Case(
        "objects", changes("ListObjectsV2", rb"<ETag>.*?</ETag>", OTHER_ETAG), {"listed_etag": False, "put_etag": True}
    ),
    "listings show another ETag of an upload": Case(
        "multipart", changes("ListObjectsV2", rb"<ETag>.*?</ETag>", OTHER_ETAG), {"listed_upload_etag": False}
    ),
    "uploads are found by their exact key (MinIO)": Case(
        "multipart", lambda: Quirks(rewrites=[exact_prefix]), {"listed_uploads": False, "listed_parts": True}
    ),
    "a repeated Complete is 404": Case(
        "multipart", lambda: Quirks(refuses=[repeated_complete_is_404()]), {"repeated_completes": False}
    ),
    "ListParts shows nothing": Case(
        "multipart", changes("ListParts", rb"<Part>.*?</Part>", b""), {"listed_parts": False}
    ),
    "parts must be equal (R2)": Case("part_limits", lambda: r2(limited=False), {"equal_parts": True}),
    "parts have 64 MiB (Storj)": Case("part_limits", storj, {"min_part": 0}),
    "at most 1,000 parts (Scaleway)": Case(
        "part_limits", lambda: Quirks(refuses=[at_most(1_000)]), {"max_parts": 1_000, "equal_parts": False}
    ),
    "parts of any size": Case(
        "part_limits", lambda: Quirks(refuses=[part_sizes(lambda _: True, "")]), {"min_part": 5 * 1024 * 1024}
    ),
    "no UploadPartCopy": Case("copies", without("UploadPartCopy"), {"copies": True, "checked_part_copies": False}),
    "no CopyObject": Case("copies", without("CopyObject"), {"copies": False, "checked_part_copies": True}),
    "metadata is dropped": Case("objects", strips("x-amz-meta-.*"), {"metadata": False, "objects": True}),
    "ranges are ignored": Case("objects", strips("range", "GetObject"), {"ranges": False, "objects": True}),
    "bodies are damaged": Case("objects", changes("GetObject", rb"probe", b"prove"), {"objects": False}),
    "tags are dropped": Case("tags", strips("x-amz-tagging"), {"tags": "ignored"}),
    "tags are refused": Case("tags", refuses("x-amz-tagging: .*"), {"tags": "refused"}),
    "SSE-C is refused": Case(
        "customer_keys",
        refuses("x-amz-server-side-encryption-customer-key: .*", "AccessDenied"),
        {"customer_keys": "refused"},
    ),
    "SSE-C is ignored": Case(
        "customer_keys", strips("x-amz-server-side-encryption-customer-.*"), {"customer_keys": "ignored"}
    ),
}
GOOD: dict[str, FactValue] = {
    "conditional_puts": True,
    "refuses_conditions": False,
    "conditional_replaces": True,
    "conditional_completes": True,
    "conditional_replacing_completes": True,
    "conditional_deletes": True,
    "checksums": ("crc64nvme", "crc32c", "crc32", "sha256", "md5"),
    "trailer_checksums": ("crc64nvme", "crc32c", "crc32", "sha256"),
    "upload_checksums": ("crc64nvme", "crc32c", "crc32"),
    "multipart": True,
    "complete_etag": True,
    "objects": True,
    "listed_etag": True,
    "put_etag": True,
    "deletes": True,
    "listed_upload_etag": True,
    "listed_uploads": True,
    "listed_parts": True,
    "repeated_completes": True,
    "min_part": 5 * 1024 * 1024,
    "equal_parts": False,
    "max_parts": 10_000,
    "copies": True,
    "checked_part_copies": True,
    "metadata": True,
    "ranges": True,
    "tags": "kept",
    "customer_keys": "kept",
}
"""Of SeaweedFS without a quirk."""


async def measured(proxy: StoreProxy, bucket: str, *names: str, left: list[str] | None = None) -> StoreMeasurement:
    options = proxy.server.options(provider=ProviderName.SEAWEEDFS)
    said: list[str] = []
    async with ProbedStore(options) as probe:
        result = await measure(probe, options, bucket, said.append, names)
    assert left is not None or not said
    if left is not None:
        left += said
    return result


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_the_quirk_is_measured(case: Case, store_proxy: StoreProxy, s3_client: Any, bucket: str) -> None:
    case.quirks().install(store_proxy)
    result = await measured(store_proxy, bucket, case.measurement)
    assert {name: result.values[name] for name in case.found} == case.found
    assert s3_client.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    assert "Uploads" not in s3_client.list_multipart_uploads(Bucket=bucket)


async def test_without_a_quirk_all_is_well(store_proxy: StoreProxy, s3_client: Any, bucket: str) -> None:
    result = await measured(store_proxy, bucket)
    assert GOOD.items() <= result.values.items()
    assert {one.name for one in result.findings if one.verdict is FindingLevel.WARNING} <= {"merges_slashes"}
    assert result.server.startswith("SeaweedFS")
    assert s3_client.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    assert "Uploads" not in s3_client.list_multipart_uploads(Bucket=bucket)


async def test_another_etag_of_a_put_is_measured(store_proxy: StoreProxy, bucket: str) -> None:
    def other(seen: Seen, headers: CIMultiDict[str], body: bytes) -> bytes:
        if seen.operation == "PutObject":
            headers["ETag"] = '"0123456789abcdef0123456789abcdef"'
        return body

    store_proxy.rewrite = other
    assert (await measured(store_proxy, bucket, "objects")).values["put_etag"] is False


async def test_a_delete_that_keeps_the_object_is_measured_and_its_objects_are_named(
    store_proxy: StoreProxy, s3_client: Any, bucket: str
) -> None:
    async def deletes_nothing(seen: Seen, request: web.BaseRequest) -> web.Response | None:
        return web.Response(status=204) if seen.operation == "DeleteObject" else None

    store_proxy.before = deletes_nothing  # type: ignore[assignment]
    left: list[str] = []
    result = await measured(store_proxy, bucket, "objects", left=left)
    assert result.values["deletes"] is False
    (kept,) = (one["Key"] for one in s3_client.list_objects_v2(Bucket=bucket)["Contents"])
    assert [f"s3://{bucket}/{kept}" in line for line in left] == [True]
    assert [one.verdict for one in result.findings if one.name == "removal"] == [FindingLevel.FAILED]
    s3_client.delete_object(Bucket=bucket, Key=kept)


@pytest.mark.parametrize(
    ("missing", "measurement", "named"),
    [
        ("s3:PutObject", "objects", "objects"),
        ("s3:GetObject", "objects", "objects"),
        ("s3:ListMultipartUploadParts", "multipart", "multipart"),
        ("s3:PutObjectTagging", "tags", "tags"),
    ],
)
async def test_a_missing_right_is_named(
    missing: str, measurement: str, named: str, store_proxy: StoreProxy, s3_client: Any, bucket: str
) -> None:
    every = {*ACTIONS.values(), "s3:PutObjectTagging", "s3:PutObjectAcl", "s3:PutObjectRetention"}
    Rights(store_proxy, every - {missing})
    result = await measured(store_proxy, bucket, measurement)
    assert [one.name for one in result.findings if missing in one.message] == [named]
    assert s3_client.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


async def test_what_cannot_be_deleted_is_named(store_proxy: StoreProxy, s3_client: Any, bucket: str) -> None:
    Rights(store_proxy, set(ACTIONS.values()) - {"s3:DeleteObject"})
    left: list[str] = []
    await measured(store_proxy, bucket, "objects", left=left)
    kept = [one["Key"] for one in s3_client.list_objects_v2(Bucket=bucket)["Contents"]]
    assert [f"s3://{bucket}/{key}: DeleteObject" in line for key, line in zip(kept, left, strict=True)] == [True]
    assert "s3:DeleteObject" in left[0]
    for key in kept:
        s3_client.delete_object(Bucket=bucket, Key=key)
