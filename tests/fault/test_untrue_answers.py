"""The real command with stores whose answers prove nothing: endpoints without S3, other ETags, wrong copies."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from mirrord.client import MultipartUploader, S3Client
from mirrord.errors import ChecksumMismatch, LengthMismatch
from mirrord.units import MiB
from tests.support.command import Completed, mirrord
from tests.support.daemon import running
from tests.support.origin import Generated, Origin
from tests.support.proxy import Seen, StoreProxy
from tests.support.syncing import events, sync
from tests.support.weed import Server, fresh_bucket

PARTS = {"multipart_threshold": "5MiB", "part_size": "5MiB"}
LARGE = Generated(12 * MiB, seed=7)
Answer = Callable[[Seen, web.Request], Awaitable[web.StreamResponse | None]]


def manifest(home: Path, server: Server, provider: str = "seaweedfs", checksum: str = "auto", **sections: Any) -> Path:
    keys = {"access_key_id": server.access_key_id, "secret_access_key": server.secret_access_key}
    store = {"provider": provider, "endpoint_url": server.endpoint_url, "region": "us-east-1", "credentials": keys}
    (home / "m.yaml").write_text(json.dumps({"stores": {"default": store | {"checksum": checksum}}, **sections}))
    return home / "m.yaml"


def levels(done: Completed) -> dict[str, str]:
    return {one["key"]: one["integrity"] for one in events(done, "transfer.completed")}


# ── endpoints without S3 ──────────────────────────────────────────────────────────────────────
async def empty_200(seen: Seen, request: web.Request) -> web.StreamResponse:
    await request.read()
    return web.Response(status=404 if request.method == "HEAD" else 200)


async def all_200(seen: Seen, request: web.Request) -> web.StreamResponse:
    await request.read()
    return web.Response(status=200)


async def echo(seen: Seen, request: web.Request) -> web.StreamResponse:
    """Answers with an ETag and the checksum of the request, and stores nothing."""
    await request.read()
    sums = {name: value for name, value in request.headers.items() if name.lower().startswith("x-amz-checksum-")}
    return web.Response(status=404 if request.method == "HEAD" else 200, headers={"ETag": '"e"', **sums})


async def empty_etag(seen: Seen, request: web.Request) -> web.StreamResponse:
    await request.read()
    return web.Response(status=404 if request.method == "HEAD" else 200, headers={"ETag": '""'})


@pytest.mark.parametrize(
    ("provider", "answer", "after"),
    [
        *((provider, empty_200, "delete") for provider in ("seaweedfs", "minio", "aws", "r2", "generic")),
        ("seaweedfs", all_200, "delete"),
        ("r2", empty_etag, "delete"),
    ],
)
async def test_an_endpoint_that_stores_nothing_has_no_copy_and_the_file_stays(
    tmp_path: Path, proxied: Callable[[Server], StoreProxy], provider: str, answer: Answer, after: Any
) -> None:
    proxy = proxied(Server("http://127.0.0.1:9"))  # never requested
    proxy.before = answer
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "a.csv").write_bytes(b"1;2\n")
    folder = {"path": "inbox", "to": "s3://bucket/", "settle": "50ms", "after_upload": after}
    file = manifest(tmp_path, proxy.server, provider, folders=[folder])
    async with running(tmp_path, str(file)) as daemon:

        async def tried() -> Any:
            return (await daemon.items()).get("a.csv", {}).get("state") == "Retrying"

        await daemon.wait_for(tried, 60, "Retrying")
        assert "check" in (item := (await daemon.items())["a.csv"])["message"], item
        assert item["integrity"] is None
        assert not daemon.logged("transfer.completed")
    assert [path.name for path in inbox.iterdir()] == ["a.csv"]
    assert not (tmp_path / "done").exists()


@pytest.mark.parametrize("after", ["delete", {"move": "done"}])
async def test_a_repeated_checksum_is_no_proof_of_an_object_and_the_file_stays(
    tmp_path: Path, proxied: Callable[[Server], StoreProxy], after: Any
) -> None:
    proxy = proxied(Server("http://127.0.0.1:9"))
    proxy.before = echo
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "a.csv").write_bytes(b"1;2\n")
    folder = {"path": "inbox", "to": "s3://bucket/", "settle": "50ms", "after_upload": after}
    done = await sync(tmp_path, manifest(tmp_path, proxy.server, "aws", folders=[folder]))
    assert "the object was deleted" in done.output
    assert (inbox / "a.csv").read_bytes() == b"1;2\n"
    assert not (tmp_path / "done").exists()


async def test_if_head_is_refused_after_the_write_the_file_stays(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any
) -> None:
    """Credentials that may only put, at a store that answers 404 for missing objects."""
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "a.csv").write_bytes(b"1;2\n")

    async def put_only(seen: Seen, request: web.Request) -> web.StreamResponse | None:
        denied = seen.operation == "HeadObject" and store_proxy.counts["PutObject"]
        return web.Response(status=403) if denied else None

    store_proxy.before = put_only
    folder = {"path": "inbox", "to": f"s3://{bucket}/", "settle": "50ms", "after_upload": "delete"}
    done = await sync(tmp_path, manifest(tmp_path, store_proxy.server, folders=[folder]))
    assert levels(done) == {"a.csv": "full-object checksum"}, done.output
    assert (inbox / "a.csv").read_bytes() == b"1;2\n"
    assert "uploaded, but the file could not be deleted: HeadObject" in done.output
    assert s3_client.get_object(Bucket=bucket, Key="a.csv")["Body"].read() == b"1;2\n"


async def test_a_part_without_an_etag_is_sent_again(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, origin: Origin
) -> None:
    async def silent(seen: Seen, request: web.Request) -> web.StreamResponse | None:
        if seen.operation == "UploadPart" and store_proxy.counts["UploadPart"] == 1:
            async for _ in request.content.iter_any():
                pass
            return web.Response(status=200)
        return None

    store_proxy.before = silent
    entry = {"url": origin.publish("/x", LARGE), "to": f"s3://{bucket}/x", "upload": PARTS}
    done = await sync(tmp_path, manifest(tmp_path, store_proxy.server, mirrors=[entry]))
    assert done.code == 0, done.output
    assert store_proxy.counts["UploadPart"] == 4
    assert s3_client.head_object(Bucket=bucket, Key="x")["ContentLength"] == 12 * MiB


# ── other ETags than HEAD shows ───────────────────────────────────────────────────────────────────
@pytest.fixture
async def rclone(
    proxied: Callable[[Server], StoreProxy], rclone_serve: Server
) -> AsyncIterator[tuple[StoreProxy, str]]:
    """`rclone serve s3` behind a proxy, and one of its buckets: Complete answers `"…-3"`, HEAD shows the MD5."""
    client = rclone_serve.client()
    yield proxied(rclone_serve), fresh_bucket(client)
    client.close()


def older(state: Path) -> None:
    """The journal of a version without the HEAD after Complete, as the migration leaves it."""
    with closing(sqlite3.connect(state)) as journal:
        journal.execute("""UPDATE items SET etag = '"0123456789abcdef0123456789abcdef-3"', etag_from_head = 0""")
        journal.commit()


@pytest.mark.parametrize("provider", ["generic", "ceph", "seaweedfs"])
async def test_an_object_whose_etag_is_not_that_of_the_answer_is_sent_once(
    tmp_path: Path, rclone: tuple[StoreProxy, str], origin: Origin, provider: str
) -> None:
    proxy, bucket = rclone
    client = proxy.upstream.client()
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "large").write_bytes(b"".join(LARGE.pieces()))
    (inbox / "small").write_bytes(b"small")
    folder = {"path": "inbox", "to": f"s3://{bucket}/", "settle": "50ms", "delete": "mirror", "upload": PARTS}
    file = manifest(tmp_path, proxy.server, provider, folders=[folder])
    state = tmp_path / "state.db"
    where = ("--state", f"sqlite://{state}")
    done = await sync(tmp_path, file, *where)
    assert done.code == 0, done.output
    md5 = {"large": "md5", "small": "md5"}
    assert levels(done) == (md5 if provider != "seaweedfs" else {"large": "readback", "small": "full-object checksum"})
    for age in ("new", "old", "healed"):
        if age == "old":
            older(state)
        proxy.clear()
        again = await sync(tmp_path, file, *where)
        assert "2 unchanged" in again.out, (age, again.output)
        assert (proxy.writes, events(again, "item.drifted")) == (0, [])
        assert proxy.counts["GetObject"] == 0
    checked = await mirrord("verify", str(file), *where, home=tmp_path)
    assert checked.code == 0, checked.output

    client.put_object(Bucket=bucket, Key="large", Body=b"x" * 12 * MiB)
    drifted = await sync(tmp_path, file, *where)
    assert len(events(drifted, "item.drifted")) == 1, drifted.output
    (inbox / "large").unlink()
    gone = await sync(tmp_path, file, *where)
    assert gone.code == 0, gone.output
    assert [one["Key"] for one in client.list_objects_v2(Bucket=bucket)["Contents"]] == ["small"]
    client.close()


async def test_an_empty_etag_in_the_answer_to_complete_is_resolved_by_head(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, origin: Origin
) -> None:
    """The answer of Ceph RGW 16."""

    async def empty(seen: Seen, request: web.Request) -> web.StreamResponse | None:
        if seen.operation != "CompleteMultipartUpload":
            return None
        body = b'<?xml version="1.0"?><CompleteMultipartUploadResult><ETag></ETag></CompleteMultipartUploadResult>'
        return web.Response(status=200, body=body, content_type="application/xml")

    store_proxy.after = empty
    entry = {"url": origin.publish("/x", LARGE), "to": f"s3://{bucket}/x", "upload": PARTS}
    file = manifest(tmp_path, store_proxy.server, "ceph", mirrors=[entry])
    done = await sync(tmp_path, file)
    assert levels(done) == {"x": "md5"}, done.output
    assert store_proxy.counts["CompleteMultipartUpload"] == 1
    store_proxy.clear()
    assert "1 unchanged" in (await sync(tmp_path, file)).out
    assert store_proxy.writes == 0


async def test_the_etag_of_a_put_may_differ_too(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, origin: Origin
) -> None:
    async def another(seen: Seen, request: web.Request) -> web.StreamResponse | None:
        return web.Response(status=200, headers={"ETag": '"another"'}) if seen.operation == "PutObject" else None

    store_proxy.after = another
    entries = [{"url": origin.publish(f"/{key}", b"x"), "to": f"s3://{bucket}/{key}"} for key in "ab"]
    file = manifest(tmp_path, store_proxy.server, mirrors=entries)
    assert levels(await sync(tmp_path, file)) == dict.fromkeys("ab", "full-object checksum")
    store_proxy.clear()
    again = await sync(tmp_path, file)
    assert "2 unchanged" in again.out, again.output
    assert store_proxy.writes == 0


# ── levels ────────────────────────────────────────────────────────────────────────────────────────
async def test_sha256_in_parts_is_a_composite_checksum_that_head_shows(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, origin: Origin
) -> None:
    asked: list[tuple[str | None, str | None]] = []

    async def strict(seen: Seen, request: web.Request) -> web.StreamResponse | None:
        """AWS refuses parts with a checksum that the upload was not created for."""
        if seen.operation == "CreateMultipartUpload":
            headers = request.headers
            asked.append((headers.get("x-amz-checksum-algorithm"), headers.get("x-amz-checksum-type")))
        return None

    store_proxy.before = strict
    entry = {"url": origin.publish("/x", LARGE), "to": f"s3://{bucket}/x", "upload": PARTS}
    done = await sync(tmp_path, manifest(tmp_path, store_proxy.server, "aws", "sha256", mirrors=[entry]))
    assert levels(done) == {"x": "composite checksum"}, done.output
    assert asked == [("SHA256", "COMPOSITE")]
    shown = s3_client.head_object(Bucket=bucket, Key="x", ChecksumMode="ENABLED")
    assert (shown["ChecksumType"], shown["ChecksumSHA256"][-2:]) == ("COMPOSITE", "-3")
    assert store_proxy.counts["GetObject"] == 0


async def test_a_checksum_that_no_head_shows_means_read_back_and_plan_shows_how_much(
    tmp_path: Path, rclone: tuple[StoreProxy, str], origin: Origin
) -> None:
    proxy, bucket = rclone
    url = origin.publish("/x", LARGE)
    for checksum in ("sha256", "crc64nvme"):
        entry = {"url": url, "to": f"s3://{bucket}/{checksum}", "upload": PARTS}
        file = manifest(tmp_path, proxy.server, "aws", checksum, mirrors=[entry])
        done = await sync(tmp_path, file, "--state", f"sqlite://{tmp_path}/{checksum}.db")
        assert levels(done) == {checksum: "readback"}, done.output
    origin.publish("/x", Generated(13 * MiB, seed=8))
    planned = await mirrord("plan", str(file), "--state", f"sqlite://{tmp_path}/crc64nvme.db", home=tmp_path)
    assert "13.0 MiB to read back" in planned.out, planned.output
    assert "then read back" in planned.out


@pytest.mark.parametrize(
    ("shown", "error"),
    [
        ({"x-amz-checksum-crc64nvme": "AAAAAAAAAAA="}, ChecksumMismatch),
        ({"Content-Length": "7"}, LengthMismatch),
        ({}, None),
    ],
)
async def test_the_library_raises_if_the_store_has_other_bytes(
    store_proxy: StoreProxy, bucket: str, s3_client: Any, shown: dict[str, str], error: type[Exception] | None
) -> None:
    async def other(seen: Seen, request: web.Request) -> web.StreamResponse | None:
        if seen.operation != "HeadObject":
            return None
        head = await asyncio.to_thread(s3_client.head_object, Bucket=bucket, Key=seen.key, ChecksumMode="ENABLED")
        headers = {name.lower(): value for name, value in head["ResponseMetadata"]["HTTPHeaders"].items()}
        response = web.StreamResponse(headers=headers | {name.lower(): value for name, value in shown.items()})
        await response.prepare(request)
        await response.write_eof()
        return response

    store_proxy.before = other
    server = store_proxy.server
    client = S3Client(server.endpoint_url, server.access_key_id, server.secret_access_key, provider="seaweedfs")
    uploader = MultipartUploader(client, bucket, "x")
    with pytest.raises(error) if error else nullcontext():
        async with uploader:
            await uploader.upload_part(b"x" * 6 * MiB)
    assert uploader.is_loading is bool(error)
    assert store_proxy.counts["AbortMultipartUpload"] == 0


@pytest.mark.parametrize("framing", ["chunked", "until closed"])
async def test_an_object_without_content_length_is_read_back(
    tmp_path: Path, rclone: tuple[StoreProxy, str], origin: Origin, framing: str
) -> None:
    proxy, bucket = rclone
    client = proxy.upstream.client()

    async def unmeasured(seen: Seen, request: web.Request) -> web.StreamResponse | None:
        if seen.operation != "GetObject":
            return None
        content = (await asyncio.to_thread(client.get_object, Bucket=bucket, Key=seen.key))["Body"].read()
        response = web.StreamResponse()
        if framing == "chunked":
            response.enable_chunked_encoding()
        else:
            response.force_close()
        await response.prepare(request)
        await response.write(content)
        await response.write_eof()
        return response

    proxy.before = unmeasured
    urls = {"large": origin.publish("/large", LARGE), "small": origin.publish("/small", b"x")}
    entries = [{"url": url, "to": f"s3://{bucket}/{key}", "upload": PARTS} for key, url in urls.items()]
    file = manifest(tmp_path, proxy.server, "aws", mirrors=[entry | {"verify": "readback"} for entry in entries])
    planned = await mirrord("plan", str(file), home=tmp_path)
    assert "12.0 MiB to read back" in planned.out, planned.output
    done = await sync(tmp_path, file)
    assert levels(done) == {"large": "readback", "small": "readback"}, done.output
    client.close()


# ── copies by the store ───────────────────────────────────────────────────────────────────────────
async def test_a_copy_with_another_checksum_does_not_count(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any
) -> None:
    """As MinIO with compression: the bytes are correct, but SDK clients refuse them because of the wrong checksum."""

    async def false(seen: Seen, request: web.Request) -> web.StreamResponse | None:
        copied = store_proxy.counts["CopyObject"] and not store_proxy.counts["PutObject"]
        if seen.operation != "HeadObject" or seen.key != "new" or not copied:
            return None
        head = await asyncio.to_thread(s3_client.head_object, Bucket=bucket, Key=seen.key)
        headers = {**head["ResponseMetadata"]["HTTPHeaders"], "x-amz-checksum-crc64nvme": "AAAAAAAAAAA="}
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        await response.write_eof()
        return response

    store_proxy.before = false
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "old").write_bytes(b"1;2\n")
    folder = {"path": "inbox", "to": f"s3://{bucket}/", "settle": "50ms", "delete": "mirror"}
    file = manifest(tmp_path, store_proxy.server, folders=[folder])
    assert (await sync(tmp_path, file)).code == 0
    (inbox / "old").rename(inbox / "new")
    store_proxy.clear()
    done = await sync(tmp_path, file)
    assert levels(done) == {"new": "full-object checksum"}, done.output
    assert (store_proxy.counts["CopyObject"], store_proxy.counts["PutObject"]) == (1, 1)
    assert [one["Key"] for one in s3_client.list_objects_v2(Bucket=bucket)["Contents"]] == ["new"]
    assert s3_client.get_object(Bucket=bucket, Key="new")["Body"].read() == b"1;2\n"
    checked = await mirrord("verify", str(file), home=tmp_path)
    assert checked.code == 0, checked.output
