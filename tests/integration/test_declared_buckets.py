"""Buckets that a manifest declares, through the real commands and a real store."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aiohttp import web

from tests.support.command import mirrord
from tests.support.daemon import TOKEN, running, store_section
from tests.support.origin import Origin
from tests.support.proxy import Seen, StoreProxy
from tests.support.store_faults import denied
from tests.support.syncing import sync


@pytest.fixture
def new_bucket(s3_client: Any) -> Iterator[str]:
    """An unused bucket name; the bucket is deleted at the end if it exists."""
    name = f"made-{uuid4().hex[:12]}"
    yield name
    remove(s3_client, name)


def remove(s3_client: Any, bucket: str) -> None:
    if bucket not in [one["Name"] for one in s3_client.list_buckets()["Buckets"]]:
        return
    for one in s3_client.list_object_versions(Bucket=bucket).get("Versions", []):
        s3_client.delete_object(Bucket=bucket, Key=one["Key"], VersionId=one["VersionId"])
    s3_client.delete_bucket(Bucket=bucket)


def manifest(home: Path, proxy: StoreProxy, buckets: str, mirrors: str) -> Path:
    file = home / "m.yaml"
    file.write_text(f"{store_section(proxy.server)}    buckets: {buckets}\nmirrors:\n{mirrors}")
    return file


async def test_a_bucket_that_cannot_be_created_blocks_only_its_own_items(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, origin: Origin
) -> None:
    async def refuse(seen: Seen, request: web.Request) -> web.StreamResponse | None:
        refused = seen.bucket == "forbidden" and denied.before is not None
        return await denied.before(store_proxy, request) if refused and denied.before else None

    store_proxy.before = refuse
    url = origin.publish("/a", b"content")
    file = manifest(
        tmp_path,
        store_proxy,
        f"{{forbidden: {{create: true}}, {bucket}: {{create: true}}}}",
        f"  - {{url: '{url}', to: 's3://{bucket}/a'}}\n  - {{url: '{url}?b', to: 's3://forbidden/b'}}\n",
    )
    done = await sync(tmp_path, file)
    assert done.code == 1, done.output
    assert s3_client.get_object(Bucket=bucket, Key="a")["Body"].read() == b"content"
    assert "s3://forbidden/b" in done.out
    assert f"s3://{bucket}/a" not in done.out


async def test_a_bucket_that_disappears_is_created_again_by_the_next_check(
    tmp_path: Path, store_proxy: StoreProxy, new_bucket: str, s3_client: Any, origin: Origin
) -> None:
    url = origin.publish("/a", b"content")
    file = manifest(tmp_path, store_proxy, f"{{{new_bucket}: {{create: true}}}}", f"  {url}: s3://{new_bucket}/a\n")
    async with running(tmp_path, str(file), env={"MIRRORD_API_TOKEN": TOKEN}) as daemon:
        await daemon.synced("a")
        remove(s3_client, new_bucket)
        mark, item = daemon.mark, (await daemon.items())["a"]["id"]
        assert (await daemon.ask(f"/api/v1/items/{item}/sync", "POST", token=TOKEN))[0] in (200, 202)
        await daemon.log("transfer.completed", since=mark)
        await daemon.synced("a")
        assert daemon.logged("item.blocked") == []
    assert s3_client.get_object(Bucket=new_bucket, Key="a")["Body"].read() == b"content"


async def test_versioning_of_a_bucket_that_exists_is_named_and_not_changed(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, new_bucket: str, s3_client: Any, origin: Origin
) -> None:
    url = origin.publish("/a", b"content")
    versioned = "{create: true, versioning: true}"
    file = manifest(
        tmp_path,
        store_proxy,
        f"{{{bucket}: {versioned}, {new_bucket}: {versioned}}}",
        f"  - {{url: '{url}', to: 's3://{bucket}/a'}}\n  - {{url: '{url}?b', to: 's3://{new_bucket}/b'}}\n",
    )
    words = f"s3://{bucket} at store 'default' exists and has no versioning"
    plan = await mirrord("plan", str(file), home=tmp_path)
    assert f"! differs {words}" in plan.out, plan.output
    asked = await mirrord("plan", "--json", str(file), home=tmp_path)
    assert [words in one for one in json.loads(asked.out)["differences"]] == [True], asked.output

    async with running(tmp_path, str(file)) as daemon:
        await daemon.synced("a", "b")
        (difference,) = (await daemon.api("status"))["differences"]
        assert words in difference
        status = await mirrord("status", "--url", daemon.url, home=tmp_path)
        assert words in status.out, status.output
    assert s3_client.get_bucket_versioning(Bucket=bucket).get("Status") is None
    assert s3_client.get_bucket_versioning(Bucket=new_bucket)["Status"] == "Enabled"
