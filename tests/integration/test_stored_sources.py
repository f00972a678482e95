"""`s3://` sources by the real command: copied by their store, or streamed between stores. The proxy counts the bytes.

The store behind the proxy and the same store at its own address are two stores to mirrord, with two endpoints.
"""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from mirrord.model import ObjectOptions
from mirrord.s3.session import S3Store
from mirrord.units import MiB
from tests.support.command import mirrord
from tests.support.filling import put_parts
from tests.support.killing import HeldCalls, kill_at, open_uploads
from tests.support.origin import Generated
from tests.support.proxy import Seen, StoreProxy
from tests.support.syncing import digest_of, events, manifest, sync
from tests.support.weed import Server

SIZE, PART = 20 * MiB, 5 * MiB


async def stored(store: S3Store, server: Server, bucket: str, size: int = SIZE) -> str:
    """Upload `a/large.bin` in parts of 5 MiB; returns its digest."""
    source = Generated(size, seed=1)
    body = b"".join(source.pieces())
    parts = [body[start : start + PART] for start in range(0, size, PART)]
    options = ObjectOptions(content_type="text/x-it", metadata={"team": "data"})
    await put_parts(store, server, bucket, "a/large.bin", parts, options)
    return source.sha256()


def two_stores(home: Path, to: StoreProxy, source: Server, mirrors: str) -> Path:
    """A manifest with the store `default` behind the proxy, and the store `source`."""
    keys = f"{{access_key_id: {source.access_key_id}, secret_access_key: {source.secret_access_key}}}"
    other = f"  source: {{provider: seaweedfs, endpoint_url: '{source.endpoint_url}', credentials: {keys}}}\n"
    file = manifest(home, to.server, mirrors)
    file.write_text(file.read_text().replace("stores:\n", f"stores:\n{other}", 1))
    return file


@pytest.mark.parametrize("overwrite", ["always", "never"])
async def test_objects_of_the_same_store_are_copied_without_a_byte(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, store: S3Store, s3_client: Any, overwrite: str
) -> None:
    """Under `overwrite: never` also: the copy in parts has If-None-Match."""
    digest = await stored(store, store_proxy.upstream, bucket)
    file = manifest(
        tmp_path,
        store_proxy.server,
        f"mirrors:\n  s3://{bucket}/a/large.bin: {{to: s3://{bucket}/b/, overwrite: {overwrite}}}\n",
    )
    plan = await mirrord("plan", str(file), home=tmp_path)
    assert f"copied by the store from s3://{bucket}/a/large.bin, no bytes sent" in plan.output
    done = await sync(tmp_path, file)
    assert done.code == 0, done.output
    assert store_proxy.counts["UploadPartCopy"] == 4
    assert sum(call.sent + call.received for call in store_proxy.calls) < 20_000, "only documents of S3"
    assert digest_of(s3_client, bucket, "b/large.bin") == digest
    head = s3_client.head_object(Bucket=bucket, Key="b/large.bin")
    assert (head["ContentType"], head["Metadata"]["team"]) == ("text/x-it", "data")
    assert head["ETag"] == s3_client.head_object(Bucket=bucket, Key="a/large.bin")["ETag"]

    store_proxy.clear()
    assert (await sync(tmp_path, file)).code == 0
    assert store_proxy.counts == {"HeadObject": 2}


async def test_an_object_of_another_store_is_streamed(
    tmp_path: Path, store_proxy: StoreProxy, weed: Server, bucket: str, store: S3Store, s3_client: Any
) -> None:
    digest = await stored(store, store_proxy.upstream, bucket)
    mirror = f"mirrors:\n  - {{url: s3://{bucket}/a/large.bin, from_store: source, to: s3://{bucket}/b/}}\n"
    done = await sync(tmp_path, two_stores(tmp_path, store_proxy, weed, mirror))
    assert done.code == 0, done.output
    assert store_proxy.counts["UploadPartCopy"] == 0
    assert digest_of(s3_client, bucket, "b/large.bin") == digest
    assert s3_client.head_object(Bucket=bucket, Key="b/large.bin")["Metadata"]["team"] == "data"


@pytest.mark.parametrize(("operation", "nth", "parts"), [("UploadPart", 5, 6), ("UploadPartCopy", 9, 9)])
async def test_killed_in_mid_transfer_only_missing_parts_follow(
    tmp_path: Path,
    store_proxy: StoreProxy,
    weed: Server,
    bucket: str,
    store: S3Store,
    s3_client: Any,
    operation: str,
    nth: int,
    parts: int,
) -> None:
    digest = await stored(store, weed, bucket, 45 * MiB)
    source = ", from_store: source" if operation == "UploadPart" else ""
    mirror = f"mirrors:\n  - {{url: s3://{bucket}/a/large.bin, to: s3://{bucket}/b/{source}}}\n"
    file = two_stores(tmp_path, store_proxy, weed, mirror)
    assert await kill_at(HeldCalls(operation, nth), store_proxy, tmp_path, file)
    before = store_proxy.counts[operation]
    done = await sync(tmp_path, file)
    assert done.code == 0, done.output
    (resumed,) = events(done, "transfer.resumed")
    assert resumed["parts"] >= 1
    assert store_proxy.counts[operation] - before == parts - resumed["parts"]
    assert digest_of(s3_client, bucket, "b/large.bin") == digest
    assert open_uploads(s3_client, bucket) == []


@pytest.mark.parametrize("same", [True, False])
async def test_a_source_that_is_replaced_meanwhile_is_one_version_and_never_a_mixture(
    tmp_path: Path, proxied: Any, weed: Server, bucket: str, store: S3Store, s3_client: Any, same: bool
) -> None:
    await stored(store, weed, bucket)
    proxy = proxied(weed)
    operation = "UploadPartCopy" if same else "UploadPart"
    digests: list[str] = []

    async def replace(seen: Seen, request: web.Request) -> None:
        if seen.operation == operation and not digests:
            source = Generated(SIZE, seed=2)
            digests.append(source.sha256())
            body = b"".join(source.pieces())
            await asyncio.to_thread(s3_client.put_object, Bucket=bucket, Key="a/large.bin", Body=body)

    proxy.before = replace
    source = "" if same else ", from_store: source"
    mirror = (
        f"mirrors:\n  - {{url: s3://{bucket}/a/large.bin, to: s3://{bucket}/b/{source}, http: {{connections: 1}}}}\n"
    )
    done = await sync(tmp_path, two_stores(tmp_path, proxy, weed, mirror))
    assert done.code == 0, done.output
    found = digest_of(s3_client, bucket, "b/large.bin")
    assert found in {*digests, Generated(SIZE, seed=1).sha256()}
    assert (await sync(tmp_path, two_stores(tmp_path, proxy, weed, mirror))).code == 0
    assert digest_of(s3_client, bucket, "b/large.bin") == digests[0]
    assert open_uploads(s3_client, bucket) == []


async def test_an_unknown_store_of_a_source_is_an_error(tmp_path: Path, store_proxy: StoreProxy) -> None:
    mirror = "mirrors:\n  - {url: s3://bucket/a, from_store: sorce, to: s3://bucket/b/}\n"
    done = await mirrord(
        "validate", str(two_stores(tmp_path, store_proxy, store_proxy.upstream, mirror)), home=tmp_path
    )
    assert done.code == 78
    assert "mirrors[0].from_store: no store is called sorce; declared are default, source" in done.output
    assert 'did you mean "source"' in done.output or "source" in done.output


async def test_copy_takes_an_object_as_its_source(
    tmp_path: Path, store_proxy: StoreProxy, weed: Server, bucket: str, store: S3Store, s3_client: Any
) -> None:
    digest = await stored(store, store_proxy.upstream, bucket)
    file = two_stores(tmp_path, store_proxy, weed, "")
    common = (f"s3://{bucket}/a/large.bin", f"s3://{bucket}/c/", "--config", str(file), "--store", "default")
    streamed = await mirrord("copy", *common, "--from-store", "source", home=tmp_path)
    assert streamed.code == 0, streamed.output
    assert digest_of(s3_client, bucket, "c/large.bin") == digest
    assert (await mirrord("copy", *common, home=tmp_path)).code == 0
