"""S3's own features by the real command, at a SeaweedFS with a KMS: encryption, and locks that others set."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.command import mirrord
from tests.support.killing import HeldCalls, kill_at, open_uploads
from tests.support.origin import Generated, Origin
from tests.support.proxy import StoreProxy
from tests.support.syncing import digest_of, manifest, sync, with_store_field
from tests.support.weed import KMS_KEY

LARGE = Generated(17 << 20, seed=3)
KMS = f"encryption: {{mode: 'aws:kms', kms_key_id: {KMS_KEY}}}"


def mirrors_of(origin: Origin, bucket: str) -> str:
    small, large = origin.publish("/small", b"small"), origin.publish("/large.bin", LARGE)
    return f"mirrors: {{{small}: 's3://{bucket}/small', {large}: 's3://{bucket}/large'}}\n"


async def test_encrypted_objects_are_kept_in_sync_rewritten_and_restored(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, origin: Origin
) -> None:
    s3_client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    mirrors = mirrors_of(origin, bucket)

    def file(options: str) -> Path:
        return manifest(tmp_path, store_proxy.server, f"defaults: {{object: {{{options}}}}}\n{mirrors}")

    def shown() -> list[str]:
        return [s3_client.head_object(Bucket=bucket, Key=key)["ServerSideEncryption"] for key in ("small", "large")]

    done = await sync(tmp_path, file(KMS))
    assert done.code == 0, done.output
    assert shown() == ["aws:kms", "aws:kms"]
    first = s3_client.head_object(Bucket=bucket, Key="small")["VersionId"]
    assert digest_of(s3_client, bucket, "large") == LARGE.sha256()
    store_proxy.clear()
    assert "2 unchanged" in (await sync(tmp_path, file(KMS))).out
    assert (await mirrord("verify", str(file(KMS)), home=tmp_path)).code == 0
    assert store_proxy.writes == 0

    sent = origin.body_bytes()
    done = await sync(tmp_path, file("encryption: {mode: AES256}"))
    assert done.code == 0, done.output
    assert (shown(), origin.body_bytes()) == (["AES256", "AES256"], sent)
    assert digest_of(s3_client, bucket, "large") == LARGE.sha256()

    origin.publish("/small", b"another")
    assert (await sync(tmp_path, file(KMS))).code == 0
    asked = ("restore", f"s3://{bucket}/small", "--version", first, "--config", str(file(KMS)))
    restored = await mirrord(*asked, home=tmp_path)
    assert restored.code == 0, restored.output
    assert s3_client.get_object(Bucket=bucket, Key="small")["Body"].read() == b"small"
    assert shown() == ["aws:kms", "aws:kms"]
    empty(s3_client, bucket)


def empty(s3_client: Any, bucket: str) -> None:
    for page in s3_client.get_paginator("list_object_versions").paginate(Bucket=bucket):
        for one in [*page.get("DeleteMarkers", []), *page.get("Versions", [])]:
            s3_client.delete_object(Bucket=bucket, Key=one["Key"], VersionId=one["VersionId"])


async def test_a_version_under_a_legal_hold_stays_and_everything_else_goes_on(
    tmp_path: Path, store_proxy: StoreProxy, s3_client: Any, origin: Origin
) -> None:
    """A new revision is a new version, a rewrite too, and a pruned object is hidden by a delete marker."""
    bucket = "test-legal-hold"
    url = origin.publish("/a", b"one")
    keep = f"  - {{url: '{origin.publish('/b', b'two')}', to: 's3://{bucket}/b'}}\n"

    def file(options: str, *, gone: bool = False) -> Path:
        entries = keep if gone else f"{keep}  - {{url: '{url}', to: 's3://{bucket}/a'}}\n"
        body = f"defaults: {{prune: {{max: 100%}}, object: {{{options}}}}}\nmirrors:\n{entries}"
        made = manifest(tmp_path, store_proxy.server, body)
        with_store_field(made, f"buckets: {{{bucket}: {{create: true, lock: {{}}}}}}")
        return made

    assert (await sync(tmp_path, file(""))).code == 0
    held = s3_client.head_object(Bucket=bucket, Key="a")["VersionId"]
    hold = {"Bucket": bucket, "Key": "a", "VersionId": held}
    s3_client.put_object_legal_hold(**hold, LegalHold={"Status": "ON"})
    for change in (lambda: origin.publish("/a", b"changed"), lambda: None):
        change()
        done = await sync(tmp_path, file("cache_control: no-store"))
        assert done.code == 0, done.output
    head = s3_client.head_object(Bucket=bucket, Key="a")
    assert (head["CacheControl"], head["VersionId"] != held) == ("no-store", True)
    done = await sync(tmp_path, file("cache_control: no-store", gone=True))
    assert done.code == 0, done.output
    listed = [one["Key"] for one in s3_client.list_objects_v2(Bucket=bucket)["Contents"]]
    assert listed == ["b"]
    assert s3_client.get_object(**hold)["Body"].read() == b"one"
    s3_client.put_object_legal_hold(**hold, LegalHold={"Status": "OFF"})
    empty(s3_client, bucket)
    s3_client.delete_bucket(Bucket=bucket)


@pytest.mark.parametrize(("nth", "answered"), [(1, False), (3, True)])
async def test_killed_while_the_store_copies_a_part_of_a_rewritten_object(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, origin: Origin, nth: int, answered: bool
) -> None:
    """Objects over 5 GiB are rewritten so; here the store has only an ETag of parts, which decides for parts, too."""

    mirrors = mirrors_of(origin, bucket)

    def file(options: str) -> Path:
        body = f"defaults: {{object: {{{options}}}, upload: {{part_size: 5MiB}}}}\n{mirrors}"
        made = manifest(tmp_path, store_proxy.server, body)
        with_store_field(made, "checksum: md5")
        return made

    assert (await sync(tmp_path, file(""))).code == 0
    sent, before = origin.body_bytes(), s3_client.head_object(Bucket=bucket, Key="large")["ETag"]
    store_proxy.clear()
    new = file("cache_control: no-store, tags: {a: b}, encryption: {mode: AES256}")
    assert await kill_at(HeldCalls("UploadPartCopy", nth, answered=answered), store_proxy, tmp_path, new)
    assert s3_client.head_object(Bucket=bucket, Key="large")["ETag"] == before, "the object of before is whole"
    done = await sync(tmp_path, new)
    assert done.code == 0, done.output
    head = s3_client.head_object(Bucket=bucket, Key="large")
    assert (head["CacheControl"], head["ServerSideEncryption"]) == ("no-store", "AES256")
    assert s3_client.get_object_tagging(Bucket=bucket, Key="large")["TagSet"] == [{"Key": "a", "Value": "b"}]
    assert digest_of(s3_client, bucket, "large") == LARGE.sha256()
    assert (store_proxy.counts["UploadPart"], origin.body_bytes()) == (0, sent)
    assert open_uploads(s3_client, bucket) == []
