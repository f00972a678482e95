"""`object:` is edited, by the real command: the store rewrites the objects, and no byte of the sources moves."""

from pathlib import Path
from typing import Any

import pytest

from mirrord.units import MiB
from tests.support.command import mirrord
from tests.support.killing import HeldCalls, kill_at, open_uploads
from tests.support.origin import Generated, Origin
from tests.support.proxy import StoreProxy
from tests.support.syncing import digest_of, events, manifest, sync

SIZE = 20 * MiB
NEW = "{cache_control: no-store, metadata: {team: data}, tags: {tier: hot}, storage_class: STANDARD_IA}"


def edited(home: Path, proxy: StoreProxy, mirrors: str, options: str) -> Path:
    """The manifest with these options of the objects."""
    return manifest(home, proxy.server, f"defaults: {{object: {options}}}\n{mirrors}")


async def test_objects_of_urls_files_lists_and_folders_are_rewritten(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, origin: Origin
) -> None:
    inbox, urls = tmp_path / "inbox", [origin.publish(f"/{n}", b"%d" % n) for n in range(20)]
    inbox.mkdir()
    for number in range(30):
        (inbox / f"{number}.csv").write_bytes(b"1;2\n" * number)
    (tmp_path / "list.txt").write_text("\n".join(urls))
    large = Generated(SIZE, seed=1)
    mirrors = (
        f"mirrors:\n"
        f"  - {{url: '{origin.publish('/large.bin', large, content_type='text/large')}', to: 's3://{bucket}/large'}}\n"
        f"  - {{list: list.txt, to: 's3://{bucket}/l/', name: rows}}\n"
        f"folders:\n  - {{path: inbox, to: 's3://{bucket}/in/', settle: 0s}}\n"
    )
    assert (await sync(tmp_path, edited(tmp_path, store_proxy, mirrors, "{cache_control: max-age=1}"))).code == 0
    sent = origin.body_bytes()
    store_proxy.clear()
    file = edited(tmp_path, store_proxy, mirrors, NEW)
    plan = await mirrord("plan", str(file), home=tmp_path)
    lines = plan.out.splitlines()
    changed = "cache_control, metadata, storage_class, tags"
    assert lines[0].startswith("~ ")
    assert f"~ rows: 20 of 20 objects would be rewritten, because their options changed ({changed})" in lines[:2]
    assert sum("rewrite s3://" in line for line in lines) == 51, plan.output
    assert "0 to copy (0 B), 51 to rewrite" in lines[-1]
    assert not store_proxy.counts["CopyObject"]

    done = await sync(tmp_path, file)
    assert done.code == 0, done.output
    assert "0 copied (0 B), 51 rewritten with new options, 0 unchanged" in done.output
    assert len(events(done, "transfer.failed")) == 0
    assert (store_proxy.counts["CopyObject"], store_proxy.counts["PutObject"]) == (51, 0)
    assert store_proxy.counts["UploadPart"] == store_proxy.counts["CreateMultipartUpload"] == 0
    assert origin.body_bytes() == sent
    for key, kind in (("large", "text/large"), ("l/3", "text/plain"), ("in/7.csv", "text/csv")):
        head = s3_client.head_object(Bucket=bucket, Key=key)
        assert (head["CacheControl"], head["ContentType"], head["Metadata"]["team"]) == ("no-store", kind, "data")
        assert head["StorageClass"] == "STANDARD_IA"
        tags = s3_client.get_object_tagging(Bucket=bucket, Key=key)["TagSet"]
        assert tags == [{"Key": "tier", "Value": "hot"}]
    assert digest_of(s3_client, bucket, "large") == large.sha256()

    store_proxy.clear()
    assert "0 to copy (0 B), 51 unchanged" in (await mirrord("plan", str(file), home=tmp_path)).out
    assert (await sync(tmp_path, file)).code == 0
    assert not store_proxy.counts["CopyObject"]


@pytest.mark.parametrize(("operation", "after", "copies"), [("CopyObject", False, 2), ("CopyObject", True, 1)])
async def test_killed_in_mid_rewrite(
    tmp_path: Path,
    store_proxy: StoreProxy,
    bucket: str,
    s3_client: Any,
    origin: Origin,
    operation: str,
    after: bool,
    copies: int,
) -> None:
    large = Generated(SIZE, seed=1)
    mirrors = f"mirrors:\n  {origin.publish('/large.bin', large)}: s3://{bucket}/large\n"
    assert (await sync(tmp_path, edited(tmp_path, store_proxy, mirrors, "{}"))).code == 0
    sent = origin.body_bytes()
    store_proxy.clear()
    file = edited(tmp_path, store_proxy, mirrors, NEW)
    held = HeldCalls(operation, 1, answered=after)
    assert await kill_at(held, store_proxy, tmp_path, file)
    done = await sync(tmp_path, file)
    assert done.code == 0, done.output
    assert store_proxy.counts["PutObject"] == store_proxy.counts["UploadPart"] == 0
    assert store_proxy.counts["CopyObject"] == copies
    assert origin.body_bytes() == sent
    assert digest_of(s3_client, bucket, "large") == large.sha256()
    assert s3_client.head_object(Bucket=bucket, Key="large")["CacheControl"] == "no-store"
    assert open_uploads(s3_client, bucket) == []
