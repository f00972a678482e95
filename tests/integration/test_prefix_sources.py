"""All objects of a prefix by the real command: copies, unchanged passes, and listings that prove nothing."""

from pathlib import Path
from typing import Any

import pytest

from mirrord.s3.session import S3Store
from mirrord.units import GiB, MiB
from tests.support.command import mirrord
from tests.support.filling import put_all, put_parts
from tests.support.measuring import SOAK
from tests.support.proxy import StoreProxy
from tests.support.syncing import manifest, sync
from tests.support.weed import Server

OBJECTS = 5_000 if SOAK else 40
LARGE = 6 * GiB if SOAK else 11 * MiB
PART = 512 * MiB if SOAK else 5 * MiB
LONGEST = 1500 if SOAK else 120
"""Seconds for a pass: weed copies each byte of a part on its disk."""


async def filled(store: S3Store, server: Server, bucket: str) -> None:
    """Small objects, a marker of a directory, and one large object of zeros that is uploaded in parts."""
    bodies = {f"data/{number % 7}/{number:05}.txt": b"%d" % number for number in range(OBJECTS - 1)}
    await put_all(store, server, bucket, bodies | {"data/3/": b""})
    zeros = bytes(PART)
    parts = [zeros[: min(PART, LARGE - start)] for start in range(0, LARGE, PART)]
    await put_parts(store, server, bucket, "data/large.bin", parts)


def keys(client: Any, bucket: str, prefix: str) -> list[str]:
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return [one["Key"] for page in pages for one in page.get("Contents", [])]


@pytest.mark.timeout(1800 if SOAK else 240)
async def test_a_prefix_is_copied_by_its_store_and_an_unchanged_pass_costs_listings_only(
    tmp_path: Path, store_proxy: StoreProxy, weed: Server, store: S3Store, bucket: str, s3_client: Any
) -> None:
    await filled(store, weed, bucket)
    file = manifest(tmp_path, store_proxy.server, f"mirrors:\n  s3://{bucket}/data/: s3://{bucket}/copy/\n")
    done = await sync(tmp_path, file, seconds=LONGEST)
    assert done.code == 0, done.output
    copies = keys(s3_client, bucket, "copy/")
    assert len(copies) == OBJECTS
    body_bytes = sum(call.sent for call in store_proxy.calls if call.operation in ("PutObject", "UploadPart"))
    assert body_bytes == 0
    assert store_proxy.counts["GetObject"] == 0
    assert store_proxy.counts["CopyObject"] == OBJECTS - 1
    assert s3_client.head_object(Bucket=bucket, Key="copy/large.bin")["ContentLength"] == LARGE
    assert s3_client.get_object(Bucket=bucket, Key="copy/0/00007.txt")["Body"].read() == b"7"

    store_proxy.clear()
    done = await sync(tmp_path, file, seconds=LONGEST)
    assert done.code == 0, done.output
    assert f"0 copied (0 B), {OBJECTS} unchanged" in done.out
    pages = -(-OBJECTS // 1000) + 1  # and a page for what is not below the prefix of the copies
    assert store_proxy.counts.keys() == {"ListObjectsV2"}
    assert store_proxy.counts["ListObjectsV2"] <= 2 * pages

    s3_client.put_object(Bucket=bucket, Key="data/0/00007.txt", Body=b"changed")
    store_proxy.clear()
    assert (await sync(tmp_path, file, seconds=LONGEST)).code == 0
    assert store_proxy.counts["CopyObject"] == 1
    assert s3_client.get_object(Bucket=bucket, Key="copy/0/00007.txt")["Body"].read() == b"changed"


async def test_keys_with_spaces_are_copied_like_others(
    tmp_path: Path, store_proxy: StoreProxy, weed: Server, store: S3Store, bucket: str, s3_client: Any
) -> None:
    """A listing shows a space as a plus sign, and no plus sign shows what that means."""
    bodies = {"data/my file.txt": b"1", "data/a directory/x.txt": b"2"}
    await put_all(store, weed, bucket, bodies)
    file = manifest(tmp_path, store_proxy.server, f"mirrors:\n  s3://{bucket}/data/: s3://{bucket}/copy/\n")
    done = await sync(tmp_path, file)
    assert done.code == 0, done.output
    assert keys(s3_client, bucket, "copy/") == ["copy/a directory/x.txt", "copy/my file.txt"]
    done = await sync(tmp_path, file)
    assert "0 copied (0 B), 2 unchanged" in done.out


async def test_only_a_complete_listing_lets_objects_go(
    tmp_path: Path, store_proxy: StoreProxy, weed: Server, store: S3Store, bucket: str, s3_client: Any
) -> None:
    await put_all(store, weed, bucket, {key: key.encode() for key in ("data/a", "data/b", "data/c")})
    body = f"mirrors:\n  s3://{bucket}/data/: {{to: s3://{bucket}/copy/, prune: {{max: 100%}}}}\n"
    file = manifest(tmp_path, store_proxy.server, body)
    assert (await sync(tmp_path, file)).code == 0
    assert keys(s3_client, bucket, "copy/") == ["copy/a", "copy/b", "copy/c"]

    s3_client.delete_object(Bucket=bucket, Key="data/c")
    assert (await sync(tmp_path, file)).code == 0
    assert keys(s3_client, bucket, "copy/") == ["copy/a", "copy/b"]

    for key in ("data/a", "data/b"):
        s3_client.delete_object(Bucket=bucket, Key=key)
    done = await sync(tmp_path, file)
    assert (done.code, keys(s3_client, bucket, "copy/")) == (1, ["copy/a", "copy/b"])
    assert f"incomplete: s3://{bucket}/data/ has no rows: nothing leaves because of it" in done.out


async def test_a_missing_bucket_and_an_overlap_are_reported(tmp_path: Path, store_proxy: StoreProxy) -> None:
    file = manifest(tmp_path, store_proxy.server, "mirrors:\n  s3://no-such-bucket/data/: s3://copy/data/\n")
    done = await mirrord("plan", str(file), home=tmp_path)
    assert done.code == 1
    assert "NoSuchBucket" in done.out
    file = manifest(tmp_path, store_proxy.server, "mirrors:\n  s3://bucket/data/: s3://bucket/data/x/\n")
    done = await mirrord("validate", str(file), home=tmp_path)
    assert done.code == 78
    assert "s3://bucket/data/x/ is below its own source s3://bucket/data/" in done.output
