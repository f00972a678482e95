"""A store that redirects: a call for another region is signed and sent again; any other redirect is an error."""

from base64 import b64encode
from collections.abc import Awaitable, Callable
from dataclasses import replace
from hashlib import md5

import pytest
from aiohttp import web

from mirrord import S3Client
from mirrord.declared import Credentials
from mirrord.errors import StoreRefused
from mirrord.model import Checksum, ChecksumKind, Destination, ObjectOptions
from mirrord.s3.session import S3Store
from tests.support.elsewhere import RedirectTarget, Region, Reply, always, refusal, serving
from tests.support.proxy import Seen, StoreProxy
from tests.support.weed import Server

pytestmark = pytest.mark.usefixtures("both_wires")

PLAIN = ObjectOptions()
BODY = memoryview(b"x" * (5 * 1024 * 1024))
THERE = "http://bucket.s3.eu-west-9.elsewhere.example/key"


def named(status: int, code: str) -> Reply:
    return lambda request, region: refusal(status, code, {"x-amz-bucket-region": region, "Location": THERE})


REFUSALS: dict[str, Reply] = {
    "301 with the header": named(301, "PermanentRedirect"),
    "307 with the header": named(307, "TemporaryRedirect"),
    "302 with the header": named(302, ""),
    "400 with the header": named(400, ""),
    "403 with the header": named(403, "AccessDenied"),
    "400 AuthorizationHeaderMalformed": lambda request, region: refusal(
        400,
        "AuthorizationHeaderMalformed",
        {"x-amz-bucket-region": region} if request.method == "HEAD" else {},
        Region=region,
    ),
    "400 in words": lambda request, region: web.Response(
        status=400,
        headers={"x-amz-bucket-region": region} if request.method == "HEAD" else {},
        body=b"<Error><Code>AuthorizationHeaderMalformed</Code><Message>The authorization header is malformed; the "
        b"region is wrong; expecting '" + region.encode() + b"'.</Message></Error>",
    ),
}


async def put(store: S3Store, at: Destination) -> None:
    await store.put_object(at, BODY, PLAIN, Checksum(ChecksumKind.MD5, b64encode(md5(BODY).digest()).decode()))


async def multipart(store: S3Store, at: Destination) -> None:
    upload = await store.create_upload(at, PLAIN)
    part = await store.upload_part(at, upload, 1, BODY)
    assert [one.size async for one in store.list_parts(at, upload)] == [len(BODY)]
    assert [one.upload_id async for one in store.list_uploads(at.bucket, at.key)] == [upload]
    await store.complete_upload(at, upload, [part])


async def part_first(store: S3Store, at: Destination) -> None:
    """A client that knows nothing of the bucket goes on with an upload of another's."""
    async with S3Store(replace(store._options, region="eu-west-9")) as other:
        upload = await other.create_upload(at, PLAIN)
    part = await store.upload_part(at, upload, 1, BODY)
    await store.complete_upload(at, upload, [part])


async def head(store: S3Store, at: Destination) -> None:
    assert await store.head_object(at) is None
    assert await store.has_bucket(at.bucket)
    await put(store, at)


STORIES: list[Callable[[S3Store, Destination], Awaitable[None]]] = [put, multipart, part_first, head]


@pytest.mark.parametrize("story", STORIES, ids=lambda one: one.__name__)
@pytest.mark.parametrize("refuse", REFUSALS.values(), ids=REFUSALS.keys())
async def test_the_region_of_a_bucket_is_used_for_all_later_calls(
    store_proxy: StoreProxy, bucket: str, refuse: Reply, story: Callable[[S3Store, Destination], Awaitable[None]]
) -> None:
    region = Region("eu-west-9", refuse)
    store_proxy.before = region.fault
    at = store_proxy.server.destination(bucket, "k")
    async with S3Store(store_proxy.server.options()) as store:
        await story(store, at)
        assert sum(region.refused.values()) == 1
        stood = await store.head_object(at)
        async with store.get_object(at, 0, 3) as stream:
            assert await stream.readinto(memoryview(bytearray(3))) == 3
        await store.copy_object(
            at, replace(at, key="copy"), PLAIN, if_match=stood.etag if stood else "", size=len(BODY)
        )
        await store.delete_object(at)
        await store.delete_object(replace(at, key="copy"))
    assert stood is not None
    assert stood.size == len(BODY)
    assert sum(region.refused.values()) == 1


async def test_the_library_reaches_a_bucket_of_another_region(
    store_proxy: StoreProxy, bucket: str, s3_client: object
) -> None:
    region = Region("eu-west-9", REFUSALS["301 with the header"])
    store_proxy.before = region.fault
    server = store_proxy.server
    client = S3Client(server.endpoint_url, server.access_key_id, server.secret_access_key, region_name="us-west-2")
    await client.upload_file(bucket, "k", b"some bytes")
    assert region.refused == {"PutObject": 1}


async def test_a_bucket_is_created_at_the_endpoint_of_its_region(store_proxy: StoreProxy, bucket: str) -> None:
    """As AWS, whose regional endpoints create buckets of their own region only."""
    region = Region("eu-west-9", lambda request, name: refusal(400, "IllegalLocationConstraintException"))

    async def create(seen: Seen, request: web.BaseRequest) -> web.StreamResponse | None:
        if seen.operation == "HeadBucket":
            return refusal(404)
        if seen.operation == "CreateBucket":
            return await region.fault(seen, request) or web.Response()
        return refusal(404, "NoSuchBucket")

    store_proxy.before = create
    async with S3Store(store_proxy.server.options()) as store:
        assert await store.ensure_bucket("new", region="eu-west-9")
    assert store_proxy.counts["CreateBucket"] == 2


async def test_a_store_that_always_names_another_region_gets_two_calls(store_proxy: StoreProxy, bucket: str) -> None:
    store_proxy.before = always(lambda: refusal(301, "PermanentRedirect", {"x-amz-bucket-region": "eu-west-9"}))
    async with S3Store(store_proxy.server.options()) as store:
        with pytest.raises(StoreRefused, match="PermanentRedirect"):
            await store.put_object(store_proxy.server.destination(bucket, "k"), BODY, PLAIN)
    assert store_proxy.counts == {"PutObject": 2}


@pytest.mark.parametrize("region", ["", "eu-west-9.evil.example/#", "evil.example", "a b", "-x", "X" * 64])
async def test_an_invalid_region_is_not_used(store_proxy: StoreProxy, bucket: str, region: str) -> None:
    store_proxy.before = always(lambda: refusal(301, "PermanentRedirect", {"x-amz-bucket-region": region}))
    async with S3Store(store_proxy.server.options()) as store:
        with pytest.raises(StoreRefused, match="redirects without naming a region"):
            await store.put_object(store_proxy.server.destination(bucket, "k"), BODY, PLAIN)
    assert store_proxy.counts == {"PutObject": 1}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("bare", [True, False], ids=["no document", "a document"])
async def test_no_other_redirect_is_followed(weed: Server, store_proxy: StoreProxy, status: int, bare: bool) -> None:
    """No signature and no session token is sent to another host; the error names the target without secrets."""
    there = RedirectTarget()
    token = Credentials.of("AKIA", "s", "a-token-of-the-test")
    async with serving(there.answer) as place:
        location = {"Location": f"http://user:secret@{place}/b/k?X-Amz-Signature=sig"}
        store_proxy.before = always(lambda: refusal(status, "" if bare else "TemporaryRedirect", location))
        async with S3Store(store_proxy.server.options(credentials=token)) as store:
            at = weed.destination("bucket", "k")
            for call in (
                store.put_object(at, BODY, PLAIN),
                store.create_upload(at, PLAIN),
                store.upload_part(at, "u", 1, BODY),
                store.head_object(at),
                store.has_bucket("bucket"),
                store.delete_object(at),
                store.list_buckets(),
            ):
                with pytest.raises(StoreRefused, match=rf"redirects to http://{place}/b/k\?…,") as caught:
                    await call
                assert not {"secret", "sig", "a-token"} & set(str(caught.value).replace("=", " ").split())
    assert there.asked == []
    assert set(store_proxy.counts.values()) == {1}
