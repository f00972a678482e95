"""What makes a copy count, through the real command: declared digests, ownership, reading back."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from mirrord.units import MiB
from tests.integration.test_sync import events, manifest, sync
from tests.support.origin import Generated, Origin
from tests.support.proxy import StoreProxy
from tests.support.weed import Server


def listed(s3_client: Any, bucket: str) -> dict[str, bytes]:
    found = s3_client.list_objects_v2(Bucket=bucket).get("Contents", [])
    return {one["Key"]: s3_client.get_object(Bucket=bucket, Key=one["Key"])["Body"].read() for one in found}


async def test_a_declared_checksum_decides_what_becomes_visible(
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
    assert done.code == 1, done.said
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
    assert "2 unchanged" in again.out, again.said
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
        assert words in done.out, done.said
    assert listed(s3_client, bucket) == {"x": b"content"}
