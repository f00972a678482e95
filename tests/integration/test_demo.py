"""`mirrord demo --once`: two passes, against its own store and against one behind a counting proxy."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from mirrord.demo.sample_origin import SampleOrigin
from mirrord.s3.embedded.store import EmbeddedStore
from mirrord.units import MiB
from tests.support.command import mirrord
from tests.support.proxy import StoreProxy

PASS = re.compile(r"^pass (\d): (\d+) copied \(([^)]*)\), (\d+) unchanged in \S+; the origin sent (.*)$", re.MULTILINE)

KEYS = {"hello.txt", "news.txt", "downloads/large.bin", "inbox/note.txt"}
PARTS = ("one", "two", "three")


def sha256_of(body: Any) -> str:
    digest = hashlib.sha256()
    for piece in body.iter_chunks(MiB):
        digest.update(piece)
    return digest.hexdigest()


def assert_equal_to_the_originals(client: Any, bucket: str, keys: set[str], inbox: Path) -> None:
    files = SampleOrigin().files
    listed = {one["Key"] for one in client.list_objects_v2(Bucket=bucket)["Contents"]}
    assert listed == keys
    for key in listed - {"inbox/note.txt"}:
        digest = files[key.rpartition("/")[2]].content.sha256()
        assert sha256_of(client.get_object(Bucket=bucket, Key=key)["Body"]) == digest, key
    note = client.get_object(Bucket=bucket, Key="inbox/note.txt")["Body"].read()
    assert note == (inbox / "note.txt").read_bytes()


async def test_two_passes_on_the_embedded_store_and_every_object_equals_its_source(tmp_path: Path) -> None:
    for run in (1, 2):
        done = await mirrord("demo", "--once", home=tmp_path)
        assert done.code == 0, done.output
        passes = PASS.findall(done.out)
        assert [number for number, *_ in passes] == ["1", "2"], done.output
        if run == 1:
            assert passes[0][1:] == ("7", "64.0 MiB", "0", "64.0 MiB of bodies")
        assert passes[1][1:] == ("0", "0 B", "7", "no body bytes")
    place = tmp_path / "demo"
    async with EmbeddedStore(place / "state") as embedded:
        keys = json.loads((place / "state" / "embedded.json").read_text())
        client = boto3.client(
            "s3",
            endpoint_url=embedded.endpoint_url,
            region_name="us-east-1",
            aws_access_key_id=keys["access_key_id"],
            aws_secret_access_key=keys["secret_access_key"],
            config=Config(s3={"addressing_style": "path"}),
        )
        try:
            assert_equal_to_the_originals(
                client, "demo", KEYS | {*map("parts/part-{}.txt".format, PARTS)}, place / "inbox"
            )
        finally:
            client.close()


async def test_the_second_pass_writes_nothing_as_a_proxy_before_the_store_counts(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any
) -> None:
    place = tmp_path / "demo"
    (place / "inbox").mkdir(parents=True)
    (place / "inbox" / "note.txt").write_text("mine\n")
    server = store_proxy.server
    keys = json.dumps({"access_key_id": server.access_key_id, "secret_access_key": server.secret_access_key})
    (place / "mirrord.yaml").write_text(
        "stores:\n  default:\n    provider: seaweedfs\n"
        f"    endpoint_url: {server.endpoint_url}\n    credentials: {keys}\n"
        "mirrors:\n"
        f"  - {{url: '${{MIRRORD_DEMO_ORIGIN}}/hello.txt', to: 's3://{bucket}/hello.txt'}}\n"
        f"  - {{url: '${{MIRRORD_DEMO_ORIGIN}}/large.bin', to: 's3://{bucket}/downloads/', http: {{connections: 1}}}}\n"
        f"folders:\n  - {{path: inbox, to: 's3://{bucket}/inbox/', settle: 100ms}}\n"
    )
    done = await mirrord("demo", "--once", home=tmp_path)
    assert done.code == 0, done.output
    first, second = PASS.findall(done.out)
    assert first[1:] == ("3", "64.0 MiB", "0", "64.0 MiB of bodies")
    assert second[1:] == ("0", "0 B", "3", "no body bytes")
    counts = store_proxy.counts
    assert counts["UploadPart"] == 8
    # Pass 1 makes all these writes; any write of pass 2 would add to them.
    assert (counts["PutObject"], counts["CreateMultipartUpload"], counts["CompleteMultipartUpload"]) == (2, 1, 1)
    assert store_proxy.writes == 8 + 2 + 1 + 1
    assert_equal_to_the_originals(s3_client, bucket, KEYS - {"news.txt"}, place / "inbox")
