"""Proof of copies with the real command: declared digests, ownership, reading back."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from aiohttp import web

from mirrord.units import MiB
from tests.support.origin import Generated, Origin
from tests.support.proxy import Seen, StoreProxy
from tests.support.syncing import events, manifest, sync
from tests.support.weed import Server, fresh_bucket


def listed(s3_client: Any, bucket: str) -> dict[str, bytes]:
    found = s3_client.list_objects_v2(Bucket=bucket).get("Contents", [])
    return {one["Key"]: s3_client.get_object(Bucket=bucket, Key=one["Key"])["Body"].read() for one in found}


async def test_only_bytes_of_a_declared_checksum_are_stored(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, origin: Origin
) -> None:
    large = Generated(20 * MiB, seed=4)
    sums = origin.publish("/SUMS", f"{large.sha256()}  large.bin\n".encode())
    good = sha256(b"good").hexdigest()
    entries = [
        {"url": origin.publish("/good", b"good"), "to": f"s3://{bucket}/good", "checksum": f"sha256:{good.upper()}"},
        {"url": origin.publish("/bad", b"baad"), "to": f"s3://{bucket}/bad", "checksum": f"sha256:{good}"},
        {"url": origin.publish("/large.bin", large), "to": f"s3://{bucket}/large", "checksum": {"url": sums}},
        {
            "url": origin.publish("/large.bad", large),
            "to": f"s3://{bucket}/large.bad",
            "checksum": f"sha256:{good}",
        },
    ]
    s3_client.put_object(Bucket=bucket, Key="bad", Body=b"before")
    file = manifest(tmp_path, store_proxy.server, f"mirrors: {json.dumps(entries)}\n")
    done = await sync(tmp_path, file)
    assert done.code == 1, done.output
    assert {key: sha256(body).hexdigest() for key, body in listed(s3_client, bucket).items()} == {
        "good": good,
        "bad": sha256(b"before").hexdigest(),
        "large": large.sha256(),
    }
    assert s3_client.head_object(Bucket=bucket, Key="good")["Metadata"]["mirrord-sha256"] == good
    assert s3_client.head_object(Bucket=bucket, Key="large")["Metadata"]["mirrord-sha256"] == large.sha256()
    blocked = [line for line in done.out.splitlines() if line.startswith("Blocked ChecksumMismatch")]
    assert len(blocked) == 2
    assert sha256(b"baad").hexdigest() in blocked[0] + blocked[1]
    assert not s3_client.list_multipart_uploads(Bucket=bucket).get("Uploads")
    assert len(events(done, "transfer.failed")) == len(events(done, "transfer.completed")) == 2

    store_proxy.clear()
    origin.log.clear()
    again = await sync(tmp_path, file, "--only", "good", "--only", "large")
    assert "2 unchanged" in again.out, again.output
    assert (store_proxy.writes, origin.body_bytes(), len(origin.log)) == (0, 0, 2)


async def test_a_checksum_declared_later_is_proven_once(
    tmp_path: Path, weed: Server, bucket: str, s3_client: Any, origin: Origin
) -> None:
    url = origin.publish("/x", b"content")
    for declared, words in (
        (None, "1 copied"),
        (sha256(b"content").hexdigest(), "1 copied"),
        (sha256(b"content").hexdigest(), "1 unchanged"),
        (sha256(b"other").hexdigest(), "1 Blocked"),
    ):
        entry = {"url": url, "to": f"s3://{bucket}/x"} | ({"checksum": f"sha256:{declared}"} if declared else {})
        done = await sync(tmp_path, manifest(tmp_path, weed, f"mirrors: {json.dumps([entry])}\n"))
        assert words in done.out, done.output
    assert listed(s3_client, bucket) == {"x": b"content"}


async def test_a_copy_is_read_back_if_the_manifest_requires_it(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, origin: Origin
) -> None:
    large = Generated(12 * MiB, seed=5)
    cut = {"upload": {"multipart_threshold": "5MiB", "part_size": "5MiB"}}
    entries = [
        {"url": origin.publish("/small", b"small"), "to": f"s3://{bucket}/small", "verify": "readback"},
        {"url": origin.publish("/large", large), "to": f"s3://{bucket}/large", "verify": "readback", **cut},
        {"url": origin.publish("/other", b"other"), "to": f"s3://{bucket}/other"},
    ]
    file = manifest(tmp_path, store_proxy.server, f"mirrors: {json.dumps(entries)}\n")
    done = await sync(tmp_path, file)
    assert done.code == 0, done.output
    levels = {one["key"]: one["integrity"] for one in events(done, "transfer.completed")}
    assert levels == {"small": "readback", "large": "readback", "other": "full-object checksum"}
    assert store_proxy.counts["GetObject"] == 2
    store_proxy.clear()
    assert "3 unchanged" in (await sync(tmp_path, file)).out
    assert store_proxy.counts["GetObject"] == 0


async def test_what_reads_back_as_other_bytes_is_written_again(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, origin: Origin
) -> None:
    entry = {"url": origin.publish("/small", b"small"), "to": f"s3://{bucket}/small", "verify": "readback"}
    store_proxy.spoiled.add("GetObject")

    async def mend(seen: Seen, request: web.BaseRequest) -> None:
        if store_proxy.counts["GetObject"] > 1:
            store_proxy.spoiled.clear()

    store_proxy.before = mend  # type: ignore[assignment]
    done = await sync(tmp_path, manifest(tmp_path, store_proxy.server, f"mirrors: {json.dumps([entry])}\n"))
    assert done.code == 0, done.output
    (failed,) = events(done, "transfer.failed")
    assert failed["reason"] == "ChecksumMismatch"
    (completed,) = events(done, "transfer.completed")
    assert completed["integrity"] == "readback"
    assert (store_proxy.counts["PutObject"], store_proxy.counts["GetObject"]) == (2, 2)
    assert listed(s3_client, bucket) == {"small": b"small"}


async def test_a_poor_store_is_credited_with_what_it_shows(
    tmp_path: Path, rclone_serve: Server, origin: Origin
) -> None:
    client = rclone_serve.client()
    bucket = fresh_bucket(client)
    large = Generated(12 * MiB, seed=6)
    entries = [
        {"url": origin.publish("/small", b"small"), "to": f"s3://{bucket}/small"},
        {
            "url": origin.publish("/large", large),
            "to": f"s3://{bucket}/large",
            "upload": {"multipart_threshold": "5MiB", "part_size": "5MiB"},
        },
    ]
    text = f"mirrors: {json.dumps(entries)}\n"
    file = manifest(tmp_path, rclone_serve, text)
    file.write_text(content_of(file).replace("provider: seaweedfs", "provider: generic"))
    done = await sync(tmp_path, file)
    assert done.code == 0, done.output
    levels = {one["key"]: one["integrity"] for one in events(done, "transfer.completed")}
    assert levels == {"small": "md5", "large": "md5"}
    assert sha256(listed(client, bucket)["large"]).hexdigest() == large.sha256()
    client.close()


def content_of(file: Path) -> str:
    return file.read_text()


async def test_owned_objects_only(tmp_path: Path, weed: Server, bucket: str, s3_client: Any, origin: Origin) -> None:
    s3_client.put_object(Bucket=bucket, Key="theirs", Body=b"theirs")
    entries = [
        {"url": origin.publish("/x", b"one"), "to": f"s3://{bucket}/{key}", "overwrite": "owned"}
        for key in ("ours", "theirs")
    ]
    file = manifest(tmp_path, weed, f"mirrors: {json.dumps(entries)}\n")
    done = await sync(tmp_path, file)
    assert done.code == 1, done.output
    assert f"Blocked Conflict: s3://{bucket}/theirs" in done.out
    origin.publish("/x", b"two")
    assert (await sync(tmp_path, file, "--state", str(tmp_path / "another"))).code == 1  # the same without a journal
    assert listed(s3_client, bucket) == {"ours": b"two", "theirs": b"theirs"}
