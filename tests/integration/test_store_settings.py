"""Settings that change requests or their concurrency, observed at a proxy in front of a real store."""

import asyncio
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from mirrord.units import MiB
from tests.support.command import mirrord
from tests.support.elsewhere import RedirectTarget, Region, always, refusal, serving
from tests.support.origin import Generated, Origin
from tests.support.proxy import Seen, StoreProxy


def manifest(home: Path, store: str, body: str, daemon: str = "") -> str:
    file = home / "m.yaml"
    file.write_text(f"{daemon}stores:\n  default: {store}\n{body}")
    return str(file)


def store_of(proxy: StoreProxy, **more: object) -> str:
    server = proxy.server
    keys = {"access_key_id": server.access_key_id, "secret_access_key": server.secret_access_key}
    return json.dumps({"provider": "seaweedfs", "endpoint_url": server.endpoint_url, "credentials": keys, **more})


async def test_transfers_bounds_what_runs_at_once(tmp_path: Path, store_proxy: StoreProxy, bucket: str) -> None:
    running = most = transfers = 0

    async def enter(seen: Seen, request: web.Request) -> None:
        nonlocal running, most
        if seen.operation == "PutObject":
            running += 1
            most = max(most, running)
            with suppress(TimeoutError):
                async with asyncio.timeout(20):
                    while most < transfers:  # noqa: ASYNC110 - the next call is from another process
                        await asyncio.sleep(0.005)
            await asyncio.sleep(0.05)  # long enough to detect a call above the limit

    async def leave(seen: Seen, request: web.Request) -> None:
        nonlocal running
        running -= seen.operation == "PutObject"

    store_proxy.before, store_proxy.after = enter, leave
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for n in range(12):
        (inbox / f"{n}.txt").write_bytes(b"x")
    folder = f"folders:\n  - {{path: inbox, to: 's3://{bucket}/', settle: 0s}}\n"
    for transfers in (1, 3):
        most = 0
        file = manifest(tmp_path, store_of(store_proxy), folder, f"daemon: {{transfers: {transfers}}}\n")
        done = await mirrord("sync", file, "--state", str(tmp_path / str(transfers)), home=tmp_path)
        assert done.code == 0, done.output
        for one in inbox.iterdir():  # new mtimes: the next pass has the same work
            one.write_bytes(b"y")
        assert most == transfers


async def test_the_region_is_signed_and_a_session_token_is_sent(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, origin: Origin
) -> None:
    signed: list[tuple[str, str | None]] = []

    async def answer(seen: Seen, request: web.Request) -> web.StreamResponse:
        signed.append((request.headers["Authorization"], request.headers.get("X-Amz-Security-Token")))
        return web.Response(status=403)

    store_proxy.before = answer
    keys = {"access_key_id": "AKIA1", "secret_access_key": "s", "session_token": "token-1"}
    store = store_of(store_proxy, region="eu-test-7", credentials=keys)
    body = f"mirrors:\n  {origin.publish('/a', b'a')}: s3://{bucket}/a\n"
    done = await mirrord("sync", manifest(tmp_path, store, body), home=tmp_path)
    assert done.code == 1, done.output
    assert signed
    for authorization, token in signed:
        assert "/eu-test-7/s3/aws4_request" in authorization
        assert token == "token-1"
    assert "token-1" not in done.out + done.err


@pytest.mark.parametrize("wire", ["auto", "sdk"])
async def test_wire_chooses_the_client(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, origin: Origin, wire: str
) -> None:
    seen_by_sdk: dict[str, set[bool]] = {}
    hashes: set[str] = set()

    async def look(seen: Seen, request: web.Request) -> None:
        seen_by_sdk.setdefault(seen.operation, set()).add("amz-sdk-request" in request.headers)
        hashes.add(request.headers["x-amz-content-sha256"])

    store_proxy.before = look
    store = store_of(store_proxy, wire=wire, payload_signing="always")
    small, large = origin.publish("/small", b"a"), origin.publish("/large", Generated(21 * MiB, seed=3))
    body = f"mirrors:\n  {small}: s3://{bucket}/small\n  {large}: s3://{bucket}/large\n"
    done = await mirrord("sync", manifest(tmp_path, store, body), home=tmp_path)
    assert done.code == 0, done.output
    assert seen_by_sdk["PutObject"] == seen_by_sdk["UploadPart"] == seen_by_sdk["HeadObject"] == {wire == "sdk"}
    assert seen_by_sdk["CreateMultipartUpload"] == {True}
    assert all(len(one) == 64 for one in hashes)


async def test_a_declared_bucket_is_created_in_its_region(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, origin: Origin
) -> None:
    asked: list[str] = []

    async def watch(seen: Seen, request: web.Request) -> web.StreamResponse | None:
        if seen.operation == "CreateBucket":
            asked.append((await request.read()).decode())
            return web.Response(status=200)
        return None

    store_proxy.before = watch
    new = f"new-{bucket}"
    store = store_of(store_proxy, buckets={new: {"create": True, "region": "eu-west-9"}})
    body = f"mirrors:\n  {origin.publish('/a', b'a')}: s3://{bucket}/a\n"
    done = await mirrord("sync", manifest(tmp_path, store, body), home=tmp_path)
    assert done.code == 0, done.output
    assert len(asked) == 1
    assert "<LocationConstraint>eu-west-9</LocationConstraint>" in asked[0]


async def test_sync_reaches_a_bucket_of_another_region(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, origin: Origin, s3_client: Any
) -> None:
    """Put and multipart: every call after the first is signed for the bucket's region."""
    region = Region("eu-west-9", lambda request, name: refusal(301, "PermanentRedirect", {"x-amz-bucket-region": name}))
    store_proxy.before = region.fault
    small, large = origin.publish("/small", b"a"), origin.publish("/large", Generated(21 * MiB, seed=3))
    body = f"mirrors:\n  {small}: s3://{bucket}/small\n  {large}: s3://{bucket}/large\n"
    done = await mirrord("sync", manifest(tmp_path, store_of(store_proxy), body), home=tmp_path)
    assert done.code == 0, done.output
    assert 1 <= region.refused.total() <= 2  # both were sent before the first answer
    sizes = {one["Key"]: one["Size"] for one in s3_client.list_objects_v2(Bucket=bucket)["Contents"]}
    assert sizes == {"small": 1, "large": 21 * MiB}


async def test_sync_follows_no_redirect_to_another_host(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, origin: Origin
) -> None:
    there = RedirectTarget()
    keys = {"access_key_id": "AKIA1", "secret_access_key": "s", "session_token": "token-1"}
    body = f"mirrors:\n  {origin.publish('/a', b'a')}: s3://{bucket}/a\n"
    async with serving(there.answer) as place:
        store_proxy.before = always(lambda: refusal(307, headers={"Location": f"http://{place}/{bucket}/a"}))
        done = await mirrord("sync", manifest(tmp_path, store_of(store_proxy, credentials=keys), body), home=tmp_path)
    assert done.code == 1, done.output
    assert f"redirects to http://{place}/" in done.out + done.err
    assert there.asked == []


@pytest.mark.parametrize("embedded", [False, True], ids=["loopback", "embedded"])
async def test_no_proxy_of_the_environment_is_used_for_a_local_store(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, origin: Origin, embedded: bool
) -> None:
    """Invalid AWS variables have no effect on a store with its own keys either."""
    proxy = RedirectTarget()
    store = json.dumps({"provider": "embedded", "buckets": {bucket: {"create": True}}})
    body = f"mirrors:\n  {origin.publish('/a', b'a')}: s3://{bucket}/a\n"
    async with serving(proxy.answer) as place:
        names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
        env = dict.fromkeys(names, f"http://{place}") | dict.fromkeys(("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"), "/no/ca")
        env["AWS_PROFILE"] = "nobody"
        file = manifest(tmp_path, store if embedded else store_of(store_proxy), body)
        done = await mirrord("sync", file, home=tmp_path, env=env)
    assert done.code == 0, done.output
    assert proxy.asked == []


async def test_a_proxy_that_fails_is_named_without_its_password(tmp_path: Path, origin: Origin) -> None:
    keys = {"access_key_id": "AKIA1", "secret_access_key": "s"}
    store = json.dumps({"provider": "generic", "endpoint_url": "http://store.invalid", "credentials": keys})
    body = f"mirrors:\n  {origin.publish('/a', b'a')}: s3://bucket/a\n"
    env = {"HTTP_PROXY": "http://user:pass-word@127.0.0.1:9"}
    done = await mirrord("plan", manifest(tmp_path, store, body), home=tmp_path, env=env)
    assert done.code == 1, done.output
    assert "through the proxy http://127.0.0.1:9: the proxy does not answer" in done.out + done.err
    assert "pass-word" not in done.out + done.err
