"""A legal hold of the manifest by the real command, at a store that enforces it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.command import mirrord
from tests.support.killing import HeldCalls, kill_at
from tests.support.origin import Origin
from tests.support.proxy import StoreProxy
from tests.support.syncing import manifest, sync, with_store_field

NAME = "test-holds"


@pytest.fixture
def name(s3_client: Any) -> Iterator[str]:
    """A bucket whose versions are released and deleted."""
    yield NAME
    for page in s3_client.get_paginator("list_object_versions").paginate(Bucket=NAME):
        for one in page.get("Versions", []):
            asked = {"Bucket": NAME, "Key": one["Key"], "VersionId": one["VersionId"]}
            s3_client.put_object_legal_hold(**asked, LegalHold={"Status": "OFF"})
            s3_client.delete_object(**asked)
        for one in page.get("DeleteMarkers", []):
            s3_client.delete_object(Bucket=NAME, Key=one["Key"], VersionId=one["VersionId"])
    s3_client.delete_bucket(Bucket=NAME)


def file(directory: Path, server: Any, url: str, lock: str, more: str = "") -> Path:
    body = f"defaults: {{object: {{{lock}{more}}}}}\nmirrors: {{{url}: 's3://{NAME}/small'}}\n"
    made = manifest(directory, server, body)
    with_store_field(made, f"buckets: {{{NAME}: {{create: true, lock: {{}}}}}}")
    return made


def held(s3_client: Any, version: str | None = None) -> str | None:
    asked = {} if version is None else {"VersionId": version}
    status: str | None = s3_client.head_object(Bucket=NAME, Key="small", **asked).get("ObjectLockLegalHoldStatus")
    return status


async def test_a_hold_is_set_kept_and_released(
    tmp_path: Path, store_proxy: StoreProxy, name: str, s3_client: Any, origin: Origin
) -> None:
    url = origin.publish("/small", b"small")

    def written(lock: str, more: str = "") -> Path:
        return file(tmp_path, store_proxy.server, url, lock, more)

    assert (await sync(tmp_path, written("lock: {legal_hold: false}"))).code == 0
    first = s3_client.head_object(Bucket=name, Key="small")["VersionId"]
    asked = {"Bucket": name, "Key": "small", "VersionId": first}
    store_proxy.clear()
    plan = await mirrord("plan", str(written("lock: {legal_hold: true}")), home=tmp_path)
    assert "it gets a legal hold" in plan.out
    done = await sync(tmp_path, written("lock: {legal_hold: true}"))
    assert (done.code, held(s3_client, first)) == (0, "ON"), done.output
    assert (store_proxy.counts["PutObjectLegalHold"], store_proxy.counts["CopyObject"]) == (1, 0)
    with pytest.raises(ClientError):
        s3_client.delete_object(**asked)

    store_proxy.clear()
    done = await sync(tmp_path, written("acl: private"))
    assert (done.code, held(s3_client, first)) == (0, "ON"), done.output
    done = await sync(tmp_path, written("acl: private, lock: {mode: GOVERNANCE, retain: 1s, legal_hold: true}"))
    second = s3_client.head_object(Bucket=name, Key="small")["VersionId"]
    assert (done.code, held(s3_client), second != first) == (0, "ON", True), done.output
    for lock in ("acl: private", "acl: private, lock: {legal_hold: false}"):
        done = await sync(tmp_path, written(lock))
        assert (done.code, held(s3_client)) == (0, "ON"), done.output
    assert "its legal hold stays" not in done.err, "nothing is done a second time"
    assert store_proxy.counts["CopyObject"] == 1

    again = written("acl: private, lock: {legal_hold: true}")
    assert (await sync(tmp_path, again)).code == 0
    free = written("acl: private, lock: {legal_hold: false}")
    assert "its legal hold is released" in (await mirrord("plan", str(free), home=tmp_path)).out
    done = await sync(tmp_path, free)
    assert (done.code, held(s3_client)) == (0, "OFF"), done.output
    assert held(s3_client, first) == "ON", "a former version stays as it is"
    store_proxy.clear()
    assert (await sync(tmp_path, free)).code == 0
    assert store_proxy.writes == 0


async def test_a_new_version_and_a_copy_of_the_store_are_held(
    tmp_path: Path, store_proxy: StoreProxy, name: str, s3_client: Any, origin: Origin
) -> None:
    """SeaweedFS ignores the hold of CopyObject: it is set after the copy."""
    url = origin.publish("/small", b"one")
    wanted = "lock: {legal_hold: true}"
    done = await sync(tmp_path, file(tmp_path, store_proxy.server, url, wanted))
    first = s3_client.head_object(Bucket=name, Key="small")["VersionId"]
    assert (done.code, held(s3_client)) == (0, "ON"), done.output
    origin.publish("/small", b"two")
    for more in ("", ", cache_control: no-store"):
        made = file(tmp_path, store_proxy.server, url, wanted, more)
        done = await sync(tmp_path, made)
        assert (done.code, held(s3_client)) == (0, "ON"), done.output
    restored = await mirrord("restore", f"s3://{name}/small", "--version", first, "--config", str(made), home=tmp_path)
    assert (restored.code, held(s3_client)) == (0, "ON"), restored.output
    assert s3_client.get_object(Bucket=name, Key="small")["Body"].read() == b"one"


@pytest.mark.parametrize("answered", [False, True])
async def test_killed_while_a_hold_is_set_or_released(
    tmp_path: Path, store_proxy: StoreProxy, name: str, s3_client: Any, origin: Origin, answered: bool
) -> None:
    url = origin.publish("/small", b"small")
    assert (await sync(tmp_path, file(tmp_path, store_proxy.server, url, ""))).code == 0
    version = s3_client.head_object(Bucket=name, Key="small")["VersionId"]
    for wanted, status in (("true", "ON"), ("false", "OFF")):
        made = file(tmp_path, store_proxy.server, url, f"lock: {{legal_hold: {wanted}}}")
        assert await kill_at(HeldCalls("PutObjectLegalHold", answered=answered), store_proxy, tmp_path, made)
        done = await sync(tmp_path, made)
        assert (done.code, held(s3_client)) == (0, status), done.output
    assert s3_client.head_object(Bucket=name, Key="small")["VersionId"] == version
