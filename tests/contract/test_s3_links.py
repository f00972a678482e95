"""Presigned URLs of objects that need another region, or that nobody can fetch."""

import pytest
from aiohttp import ClientSession, web
from yarl import URL

from mirrord.declared import Credentials, RequestOptions
from mirrord.errors import LinkRefused, StoreDenied
from mirrord.model import ObjectOptions, Secret
from mirrord.s3.session import S3Store
from tests.support.elsewhere import Region, drain, refusal
from tests.support.proxy import Fault, Seen, StoreProxy

pytestmark = pytest.mark.usefixtures("both_wires")

_CUSTOMER_KEY = (
    "<Error><Code>InvalidRequest</Code><Message>The object was stored using a form of Server Side Encryption. The "
    "correct parameters must be provided to retrieve the object.</Message></Error>"
)


async def linked(proxy: StoreProxy, bucket: str, fault: Fault | None = None) -> str:
    """The link to a stored object, where `fault` precedes each later call."""
    at = proxy.server.destination(bucket, "a b/%.bin")
    async with S3Store(proxy.server.options()) as store:
        await store.put_object(at, memoryview(b"bytes"), ObjectOptions())
        proxy.before = fault
        link = await store.link(at, 600)
        proxy.before = None
        assert link.ends is not None
        return link.url


async def test_the_url_fetches_the_object(store_proxy: StoreProxy, bucket: str) -> None:
    url = await linked(store_proxy, bucket)
    async with ClientSession() as session, session.get(URL(url, encoded=True)) as answer:
        assert await answer.read() == b"bytes"


async def test_who_fetches_where_the_requester_pays_does_so_for_the_credentials(
    store_proxy: StoreProxy, bucket: str
) -> None:
    at = store_proxy.server.destination(bucket, "k")
    async with S3Store(store_proxy.server.options(requests=RequestOptions(requester_pays=True))) as store:
        await store.put_object(at, memoryview(b"bytes"), ObjectOptions())
        url = (await store.link(at, 600)).url
    assert "&x-amz-request-payer=requester&" in url
    async with ClientSession() as session, session.get(URL(url, encoded=True)) as answer:
        assert await answer.read() == b"bytes"


async def test_it_is_signed_for_the_region_that_the_store_names(store_proxy: StoreProxy, bucket: str) -> None:
    region = Region("eu-west-3", lambda _, name: refusal(400, headers={"x-amz-bucket-region": name}))
    url = await linked(store_proxy, bucket, region.fault)
    assert "%2Feu-west-3%2Fs3%2Faws4_request" in url


async def archived(seen: Seen, request: web.BaseRequest) -> web.StreamResponse:
    await drain(request)
    headers = {"ETag": '"e"', "x-amz-storage-class": "DEEP_ARCHIVE", "Last-Modified": "Sun, 29 Nov 2026 11:00:00 GMT"}
    return web.Response(headers=headers, body=b"12345")


async def with_a_key_of_the_writer(seen: Seen, request: web.BaseRequest) -> web.StreamResponse:
    await drain(request)
    return web.Response(status=400, text="" if request.method == "HEAD" else _CUSTOMER_KEY)


async def denied(seen: Seen, request: web.BaseRequest) -> web.StreamResponse:
    await drain(request)
    return refusal(403, "" if request.method == "HEAD" else "AccessDenied")


async def missing(seen: Seen, request: web.BaseRequest) -> web.StreamResponse:
    await drain(request)
    return refusal(404)


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        (archived, LinkRefused, "DEEP_ARCHIVE.*after the object was restored"),
        (with_a_key_of_the_writer, LinkRefused, r"only its writer has \(SSE-C\)"),
        (missing, LinkRefused, "no such object"),
        (denied, StoreDenied, "AccessDenied"),
    ],
)
async def test_an_object_that_nobody_could_fetch_has_no_url(
    store_proxy: StoreProxy, bucket: str, fault: Fault, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        await linked(store_proxy, bucket, fault)


async def public(seen: Seen, request: web.BaseRequest) -> web.StreamResponse:
    await drain(request)
    return web.Response(headers={"ETag": '"e"', "Last-Modified": "Sun, 29 Nov 2026 11:00:00 GMT"}, body=b"12345")


async def test_without_keys_there_is_no_signature(store_proxy: StoreProxy, bucket: str) -> None:
    store_proxy.before = public
    async with S3Store(store_proxy.server.options(credentials=Credentials(anonymous=True))) as store:
        link = await store.link(store_proxy.server.destination(bucket, "a b"), 600)
    assert (link.url, link.ends) == (f"{store_proxy.server.endpoint_url}/{bucket}/a%20b", None)


async def test_a_url_of_session_keys_has_their_token_and_may_end_with_them(
    store_proxy: StoreProxy, bucket: str
) -> None:
    store_proxy.before = public
    keys = Credentials(access_key_id=Secret("k"), secret_access_key=Secret("s"), session_token=Secret("t/1"))
    async with S3Store(store_proxy.server.options(credentials=keys)) as store:
        link = await store.link(store_proxy.server.destination(bucket, "a"), 600)
    assert link.keys_may_end
    assert "&X-Amz-Security-Token=t%2F1&" in link.url
