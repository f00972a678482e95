"""Object lock by the real command, at a store that enforces it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.command import mirrord
from tests.support.killing import HeldCalls, kill_at
from tests.support.origin import Generated, Origin
from tests.support.proxy import StoreProxy
from tests.support.syncing import manifest, sync, with_store_field

DAY = timedelta(days=1)


@pytest.fixture
def name(s3_client: Any) -> Any:
    """A bucket that is emptied past its locks."""
    bucket = "test-object-lock"
    yield bucket
    for page in s3_client.get_paginator("list_object_versions").paginate(Bucket=bucket):
        for one in [*page.get("DeleteMarkers", []), *page.get("Versions", [])]:
            s3_client.delete_object(
                Bucket=bucket, Key=one["Key"], VersionId=one["VersionId"], BypassGovernanceRetention=True
            )
    s3_client.delete_bucket(Bucket=bucket)


def locked(s3_client: Any, bucket: str, key: str) -> tuple[str, timedelta]:
    head = s3_client.head_object(Bucket=bucket, Key=key)
    return head["ObjectLockMode"], head["ObjectLockRetainUntilDate"] - datetime.now(UTC)


async def test_objects_are_locked_and_a_lock_is_extended_and_never_shortened(
    tmp_path: Path, store_proxy: StoreProxy, name: str, s3_client: Any, origin: Origin
) -> None:
    small, large = origin.publish("/small", b"small"), origin.publish("/large.bin", Generated(17 << 20, seed=1))
    mirrors = f"{{{small}: 's3://{name}/small', {large}: 's3://{name}/large'}}\n"

    def file(lock: str, more: str = "") -> Path:
        body = f"defaults: {{prune: {{max: 100%}}, object: {{{lock}{more}}}}}\nmirrors: {mirrors}"
        made = manifest(tmp_path, store_proxy.server, body)
        with_store_field(made, f"buckets: {{{name}: {{create: true, lock: {{retain: 1d}}}}}}")
        return made

    done = await sync(tmp_path, file("lock: {mode: GOVERNANCE, retain: 10d}"))
    assert done.code == 0, done.output
    rule = s3_client.get_object_lock_configuration(Bucket=name)["ObjectLockConfiguration"]["Rule"]
    assert rule["DefaultRetention"] == {"Mode": "GOVERNANCE", "Days": 1}
    for key in ("small", "large"):
        mode, left = locked(s3_client, name, key)
        assert (mode, 9.9 * DAY < left < 10.1 * DAY) == ("GOVERNANCE", True)
    version = s3_client.head_object(Bucket=name, Key="small")["VersionId"]
    with pytest.raises(ClientError):
        s3_client.delete_object(Bucket=name, Key="small", VersionId=version)

    store_proxy.clear()
    longer = file("lock: {mode: GOVERNANCE, retain: 20d}")
    plan = await mirrord("plan", str(longer), home=tmp_path)
    assert "its lock is set to" in plan.out
    assert (await sync(tmp_path, longer)).code == 0
    assert store_proxy.counts["PutObjectRetention"] == 2
    assert locked(s3_client, name, "large")[1] > 19.9 * DAY
    assert s3_client.head_object(Bucket=name, Key="small")["VersionId"] == version, "no new version"

    shorter = file("lock: {mode: GOVERNANCE, retain: 5d}")
    assert "a lock is never made shorter" in (await mirrord("plan", str(shorter), home=tmp_path)).out
    done = await sync(tmp_path, shorter)
    assert (done.code, "it stays locked until" in done.err) == (0, True), done.output
    assert locked(s3_client, name, "small")[1] > 19.9 * DAY
    store_proxy.clear()
    done = await sync(tmp_path, shorter)
    assert (done.code, store_proxy.counts["CopyObject"], store_proxy.counts["PutObjectRetention"]) == (0, 0, 0)

    assert (await sync(tmp_path, file("lock: {mode: GOVERNANCE, retain: 40d}", ", cache_control: no-store"))).code == 0
    head = s3_client.head_object(Bucket=name, Key="small")
    assert (head["CacheControl"], head["VersionId"] != version) == ("no-store", True)
    assert 39.9 * DAY < locked(s3_client, name, "small")[1] < 40.1 * DAY, "a new version, locked from its write on"
    assert locked_version(s3_client, name, "small", version) > 19.9 * DAY


def locked_version(s3_client: Any, bucket: str, key: str, version: str) -> timedelta:
    head = s3_client.head_object(Bucket=bucket, Key=key, VersionId=version)
    left: timedelta = head["ObjectLockRetainUntilDate"] - datetime.now(UTC)
    return left


async def test_compliance_is_never_weakened_and_outlasts_pruning(
    tmp_path: Path, store_proxy: StoreProxy, s3_client: Any, origin: Origin
) -> None:
    """The bucket stays until the session's store ends: nobody deletes such a version."""
    bucket = "test-compliance"
    kept = f"  - {{url: '{origin.publish('/other', b'other')}', to: 's3://{bucket}/other'}}\n"
    gone = f"  - {{url: '{origin.publish('/small', b'small')}', to: 's3://{bucket}/small'}}\n"

    def file(lock: str, entries: str = kept + gone) -> Path:
        body = f"defaults: {{prune: {{max: 100%}}, object: {{lock: {lock}}}}}\nmirrors:\n{entries}"
        made = manifest(tmp_path, store_proxy.server, body)
        with_store_field(made, f"buckets: {{{bucket}: {{create: true, lock: {{}}}}}}")
        return made

    for lock, days in (
        ("GOVERNANCE, retain: 10d", 10),
        ("COMPLIANCE, retain: 10d", 10),
        ("GOVERNANCE, retain: 30d", 30),
    ):
        done = await sync(tmp_path, file(f"{{mode: {lock}}}"))
        assert done.code == 0, done.output
        mode, left = locked(s3_client, bucket, "small")
        assert mode == ("GOVERNANCE" if lock.startswith("GOVERNANCE, retain: 10d") else "COMPLIANCE")
        assert (days - 0.1) * DAY < left < (days + 0.1) * DAY
    version = s3_client.head_object(Bucket=bucket, Key="small")["VersionId"]
    asked = {"Bucket": bucket, "Key": "small", "VersionId": version}
    with pytest.raises(ClientError):
        s3_client.delete_object(**asked, BypassGovernanceRetention=True)
    done = await sync(tmp_path, file("{mode: GOVERNANCE, retain: 30d}", kept))
    assert done.code == 0, done.output
    assert [one["Key"] for one in s3_client.list_objects_v2(Bucket=bucket)["Contents"]] == ["other"]
    assert s3_client.get_object(**asked)["Body"].read() == b"small"


async def test_what_the_store_copies_is_locked_as_the_manifest_says(
    tmp_path: Path, store_proxy: StoreProxy, name: str, bucket: str, s3_client: Any, origin: Origin
) -> None:
    """A restored version, and an object of another bucket: SeaweedFS ignores the lock of a copy."""
    s3_client.put_object(Bucket=bucket, Key="of-others", Body=b"of others")
    url = origin.publish("/small", b"first")

    def file(lock: str) -> Path:
        mirrors = f"{{{url}: 's3://{name}/small', 's3://{bucket}/of-others': 's3://{name}/copy'}}"
        made = manifest(tmp_path, store_proxy.server, f"defaults: {{object: {{lock: {lock}}}}}\nmirrors: {mirrors}\n")
        with_store_field(made, f"buckets: {{{name}: {{create: true, lock: {{retain: 1d}}}}}}")
        return made

    assert (await sync(tmp_path, file("{mode: GOVERNANCE, retain: 2d}"))).code == 0
    assert store_proxy.counts["CopyObject"] == 1
    assert 1.9 * DAY < locked(s3_client, name, "copy")[1] < 2.1 * DAY
    first = s3_client.head_object(Bucket=name, Key="small")["VersionId"]
    origin.publish("/small", b"second")
    longer = file("{mode: GOVERNANCE, retain: 9d}")
    assert (await sync(tmp_path, longer)).code == 0
    restored = await mirrord(
        "restore", f"s3://{name}/small", "--version", first, "--config", str(longer), home=tmp_path
    )
    assert restored.code == 0, restored.output
    assert s3_client.get_object(Bucket=name, Key="small")["Body"].read() == b"first"
    assert 8.9 * DAY < locked(s3_client, name, "small")[1] < 9.1 * DAY
    store_proxy.clear()
    assert "2 unchanged" in (await sync(tmp_path, longer)).out
    assert store_proxy.writes == 0


async def test_a_copy_that_is_killed_before_its_lock_is_set_is_locked_by_the_next_pass(
    tmp_path: Path, store_proxy: StoreProxy, name: str, s3_client: Any, origin: Origin
) -> None:
    mirrors = f"{{{origin.publish('/small', b'small')}: 's3://{name}/small'}}\n"

    def file(options: str) -> Path:
        made = manifest(tmp_path, store_proxy.server, f"defaults: {{object: {{{options}}}}}\nmirrors: {mirrors}")
        with_store_field(made, f"buckets: {{{name}: {{create: true, lock: {{retain: 1d}}}}}}")
        return made

    assert (await sync(tmp_path, file("lock: {mode: GOVERNANCE, retain: 2d}"))).code == 0
    longer = file("lock: {mode: GOVERNANCE, retain: 9d}, cache_control: no-store")
    assert await kill_at(HeldCalls("PutObjectRetention", 1), store_proxy, tmp_path, longer)
    version = s3_client.head_object(Bucket=name, Key="small")["VersionId"]
    assert locked(s3_client, name, "small")[1] < 3 * DAY
    done = await sync(tmp_path, longer)
    assert done.code == 0, done.output
    assert locked(s3_client, name, "small")[1] > 8.9 * DAY
    assert s3_client.head_object(Bucket=name, Key="small")["VersionId"] == version, "no second copy"
    store_proxy.clear()
    assert (await sync(tmp_path, longer)).code == 0
    assert not store_proxy.counts["PutObjectRetention"] + store_proxy.counts["CopyObject"]
