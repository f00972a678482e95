"""The contract of S3Store beyond the port: errors, deadlines, unknown outcomes, the requests that it sends."""

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from urllib.parse import urlsplit

import aiobotocore.session
import pytest
from aiohttp import web

from mirrord.declared import ConnectionOptions, Credentials, StoreOptions
from mirrord.errors import (
    BucketMissing,
    MirrordError,
    OutcomeUnknown,
    Recovery,
    StoreDenied,
    StoreRefused,
    StoreUnavailable,
)
from mirrord.model import ObjectOptions, ProviderName, Secret
from mirrord.ports import ByteStream
from mirrord.providers import profile
from mirrord.s3.bounded_calls import MIN_RATE
from mirrord.s3.probed_store import ProbedStore
from mirrord.s3.session import S3Store
from tests.support.proxy import Seen, StoreProxy
from tests.support.raw_store import AT, BODY, answering, store_at
from tests.support.weed import Server
from tests.support.wires import request_options

pytestmark = pytest.mark.usefixtures("both_wires")

PLAIN = ObjectOptions()


def connected_to(endpoint_url: str | None) -> int:
    """How many sockets of this process are connected to the endpoint."""
    peer = ("127.0.0.1", urlsplit(endpoint_url or "").port)
    found = 0
    for number in os.listdir("/proc/self/fd"):
        with suppress(OSError), socket.socket(fileno=os.dup(int(number))) as one:
            found += one.getpeername() == peer
    return found


async def _read_to_end(stream: ByteStream) -> None:
    while await stream.readinto(memoryview(bytearray(64))):
        pass


# ── refusals ──────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("wrong", [{"access_key_id": Secret("nobody")}, {"secret_access_key": Secret("not-it")}])
async def test_wrong_credentials_are_denied(weed: Server, bucket: str, wrong: dict[str, Secret]) -> None:
    options = weed.options(credentials=replace(weed.credentials, **wrong))
    async with S3Store(options) as store:
        with pytest.raises(StoreDenied, match="check credentials"):
            await store.put_object(weed.destination(bucket, "k"), BODY, PLAIN)
        with pytest.raises(StoreDenied):
            await store.head_object(weed.destination(bucket, "k"))
        with pytest.raises(StoreDenied):
            await store.ensure_bucket(bucket)


async def test_an_anonymous_call_is_not_signed(weed: Server, store_proxy: StoreProxy, bucket: str) -> None:
    signed: list[bool] = []

    async def look(seen: Seen, request: web.Request) -> None:
        signed.append("Authorization" in request.headers)

    store_proxy.before = look
    async with S3Store(store_proxy.server.options(credentials=Credentials(anonymous=True))) as store:
        with pytest.raises(StoreDenied):
            await store.put_object(weed.destination(bucket, "k"), BODY, PLAIN)
    assert signed == [False]


async def test_no_credentials_at_all_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", f"{tmp_path}/credentials")
    monkeypatch.setenv("AWS_CONFIG_FILE", f"{tmp_path}/config")
    async with S3Store(
        StoreOptions(name="default", endpoint_url="http://127.0.0.1:9", requests=request_options())
    ) as store:
        with pytest.raises(StoreDenied, match="Unable to locate credentials"):
            await store.head_object(AT)


async def test_the_aws_chain_signs_when_nothing_is_declared(
    weed: Server, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", weed.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", weed.secret_access_key)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # never used: the manifest names the endpoint
    async with S3Store(weed.options(credentials=None)) as store:
        assert (await store.put_object(weed.destination(bucket, "k"), BODY, PLAIN)).size == len(BODY)


@pytest.mark.parametrize(
    ("changed", "kind", "words"),
    [
        ({"credentials": Credentials(profile="nobody")}, StoreDenied, "nobody"),
        ({"endpoint_url": "nonsense"}, StoreRefused, "nonsense"),
        ({"connection": ConnectionOptions(ca_file="/no/such/ca.pem")}, StoreRefused, "/no/such/ca.pem"),
    ],
)
async def test_the_error_of_a_store_that_cannot_be_opened_has_the_reason(
    weed: Server, changed: dict[str, object], kind: type[MirrordError], words: str
) -> None:
    with pytest.raises(kind, match=words):
        async with S3Store(weed.options(**changed)):
            pytest.fail("it opened")


# ── silence ───────────────────────────────────────────────────────────────────────────────────────
async def test_a_refused_connection_sent_nothing() -> None:
    async with answering(None) as options:
        pass  # its port is free again
    async with S3Store(options) as store:
        with pytest.raises(StoreUnavailable, match=r"PutObject s3://data/a/key at store 'elsewhere'.*refused"):
            await store.put_object(AT, BODY, PLAIN)


async def test_a_store_that_never_answers_hits_the_deadline() -> None:
    async with answering(None) as options, S3Store(options, deadline=0.2) as store:
        with pytest.raises(OutcomeUnknown, match="no answer within"):
            await store.put_object(AT, BODY, PLAIN)
        with pytest.raises(OutcomeUnknown):
            await store.create_upload(AT, PLAIN)
        with pytest.raises(StoreUnavailable):
            await store.head_object(AT)
        with pytest.raises(StoreUnavailable):  # to abort again is always right
            await store.abort_upload(AT, "upload")


async def test_a_store_that_stops_reading_hits_the_deadline() -> None:
    """The body is larger than the sockets' buffers, so the call hangs in writing (FIELD_NOTES 1)."""
    large = memoryview(bytes(32 * 1024 * 1024))
    base = 0.5 - len(large) / MIN_RATE  # half a second in all
    async with answering(None) as options, S3Store(options, deadline=base) as store:
        with pytest.raises(OutcomeUnknown):
            await asyncio.wait_for(store.put_object(AT, large, PLAIN), 20)


async def test_a_write_that_was_given_up_frees_its_socket() -> None:
    """Its unsent bytes are dropped: else a store that stops reading keeps a socket and a buffer for each attempt."""
    large = memoryview(bytes(32 * 1024 * 1024))
    async with answering(None) as options, S3Store(options, deadline=0.5 - len(large) / MIN_RATE) as store:
        with pytest.raises(OutcomeUnknown):
            await store.put_object(AT, large, PLAIN)
        for _ in range(3):  # iterations of the loop, in which asyncio closes the socket of an aborted transport
            await asyncio.sleep(0)
        assert not connected_to(options.endpoint_url)


@pytest.mark.parametrize("raw", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"], ids=["closed", "cut short"])
async def test_a_write_whose_answer_was_lost_is_unknown(raw: bytes) -> None:
    async with answering(raw) as options, S3Store(options) as store:
        with pytest.raises(OutcomeUnknown) as caught:
            await store.create_upload(AT, PLAIN)
        with pytest.raises(StoreUnavailable):
            await store.ensure_bucket("data")
    assert caught.value.recovery is Recovery.RETRY


async def test_a_put_that_landed_without_an_answer_is_unknown(
    weed: Server, store_proxy: StoreProxy, bucket: str
) -> None:
    async def lose(seen: Seen, request: web.Request) -> None:
        if seen.operation == "PutObject":
            assert request.transport is not None
            request.transport.abort()
            raise ConnectionResetError

    store_proxy.after = lose
    at = weed.destination(bucket, "k")
    async with S3Store(store_proxy.server.options()) as store:
        with pytest.raises(OutcomeUnknown):
            await store.put_object(at, BODY, PLAIN)
        head = await store.head_object(at)
    assert head is not None
    assert store_proxy.counts["PutObject"] == 1  # nobody tried again behind our back


async def test_an_answer_that_is_not_s3_is_named() -> None:
    page = b"<html>welcome"
    raw = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%s" % (len(page), page)
    async with answering(raw) as options, S3Store(options) as store:
        with pytest.raises(StoreUnavailable, match="a web page, not S3; check endpoint_url"):
            await store.list_buckets()


async def test_a_body_that_is_cut_short_is_an_error() -> None:
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this"
    async with answering(raw) as options, S3Store(options) as store, store.get_object(AT) as stream:
        with pytest.raises(StoreUnavailable):
            await _read_to_end(stream)


@pytest.mark.parametrize(
    "framed",
    [
        b"Transfer-Encoding: chunked\r\n\r\n4\r\nonly\r\n5\r\n this\r\n0\r\n\r\n",
        b"Connection: close\r\n\r\nonly this",
    ],
    ids=["chunked", "until the connection is closed"],
)
async def test_a_body_without_a_length_is_read_to_its_end(framed: bytes) -> None:
    raw = b"HTTP/1.1 200 OK\r\n" + framed
    async with answering(raw) as options, S3Store(options) as store, store.get_object(AT) as stream:
        view, content = memoryview(bytearray(4)), b""
        while count := await stream.readinto(view):
            content += view[:count]
        assert await stream.readinto(view) == 0
    assert content == b"only this"


async def test_a_body_in_chunks_that_is_cut_short_is_an_error() -> None:
    raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nonly\r\n"
    async with answering(raw) as options, S3Store(options) as store, store.get_object(AT) as stream:
        with pytest.raises(StoreUnavailable):
            await _read_to_end(stream)


async def test_a_slow_object_hits_the_deadline_of_its_bytes() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        with suppress(ConnectionError):
            while True:  # each byte well within the deadline of a read
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.02)
        writer.close()
        left.set()

    left = asyncio.Event()
    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    options = store_at(server.sockets[0].getsockname()[1])
    async with server, S3Store(options, deadline=0.5) as store, store.get_object(AT) as stream:
        with pytest.raises(StoreUnavailable, match="no answer within"):
            await asyncio.wait_for(_read_to_end(stream), 60)
    await asyncio.wait_for(left.wait(), 60)  # the connection was closed, with most of the body unread


async def test_time_between_reads_does_not_count() -> None:
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" + bytes(2000)
    async with answering(raw) as options, S3Store(options) as store, store.get_object(AT) as stream:
        store._calls = replace(store._calls, deadline=1.0)
        view, size = memoryview(bytearray(500)), 0
        while count := await stream.readinto(view):
            size += count
            await asyncio.sleep(0.4)  # more than the deadline in all
    assert size == 2000


async def test_an_error_has_the_retry_after_of_the_answer() -> None:
    raw = b"HTTP/1.1 503 Slow Down\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n"
    async with answering(raw) as options, S3Store(options) as store:
        with pytest.raises(StoreUnavailable) as caught:
            await store.put_object(AT, BODY, PLAIN)
    assert caught.value.retry_after == 7.0


async def test_a_cancellation_is_not_translated() -> None:
    async with answering(None) as options, S3Store(options) as store:
        task = asyncio.create_task(store.put_object(AT, BODY, PLAIN))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


# ── the wire ──────────────────────────────────────────────────────────────────────────────────────
async def test_a_put_is_one_call_unsigned_on_loopback_and_waits_for_nothing(
    weed: Server, store_proxy: StoreProxy, bucket: str
) -> None:
    heads: list[dict[str, str]] = []

    async def look(seen: Seen, request: web.Request) -> None:
        heads.append({name.lower(): text for name, text in request.headers.items()})

    store_proxy.before = look
    async with S3Store(store_proxy.server.options()) as store:
        await store.put_object(weed.destination(bucket, "k"), BODY, PLAIN)
    (head,) = heads
    assert head["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"
    assert head["content-length"] == str(len(BODY))
    assert head["user-agent"].startswith("mirrord/")
    assert not {"expect", "transfer-encoding", "x-amz-trailer"} & head.keys()
    assert store_proxy.counts == {"PutObject": 1}


async def test_the_secret_is_in_no_error_and_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with answering(b"") as options, S3Store(options) as store:
        with pytest.raises(OutcomeUnknown) as caught:
            await store.put_object(AT, BODY, PLAIN)
    for text in (str(caught.value), repr(options), caplog.text):
        assert "a-secret-of-the-test" not in text


# ── a client of somebody else's ───────────────────────────────────────────────────────────────────
async def test_the_calls_work_over_a_bare_client(weed: Server, bucket: str) -> None:
    session = aiobotocore.session.get_session()
    async with session.create_client(
        "s3",
        endpoint_url=weed.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id=weed.access_key_id,
        aws_secret_access_key=weed.secret_access_key,
    ) as client:
        store = S3Store.over(client, profile(ProviderName.SEAWEEDFS))
        at = weed.destination(bucket, "k")
        await store.put_object(at, memoryview(b"x" * 1_000_000), PLAIN)
        head = await store.head_object(at)
        assert head is not None
        assert head.size == 1_000_000
        with pytest.raises(BucketMissing):
            await store.put_object(replace(at, bucket="no-such-bucket"), BODY, PLAIN)


CALLS: dict[str, Callable[[ProbedStore], Awaitable[object]]] = {
    "HeadObject": lambda store: store.head_object(AT),
    "PutObject": lambda store: store.put_object(AT, BODY, PLAIN),
    "CreateMultipartUpload": lambda store: store.create_upload(AT, PLAIN),
    "UploadPart": lambda store: store.upload_part(AT, "an id", 1, BODY),
    "CompleteMultipartUpload": lambda store: store.complete_upload(AT, "an id", []),
    "AbortMultipartUpload": lambda store: store.abort_upload(AT, "an id"),
    "CopyObject": lambda store: store.copy_object(AT, AT, PLAIN, if_match="x", size=1),
    "DeleteObject": lambda store: store.delete_object(AT),
    "GetObject": lambda store: store.get_object(AT).__aenter__(),
    "ListObjectsV2": lambda store: anext(store.list_objects("bucket", "")),
    "HeadBucket": lambda store: store.has_bucket("bucket"),
    "HeadBucket of doctor": lambda store: store.bucket_answer("bucket"),
    "GetObjectLockConfiguration": lambda store: store.bucket_lock("bucket"),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_a_call_on_a_store_that_is_not_open_is_a_mistake_of_the_caller(
    call: Callable[[ProbedStore], Awaitable[object]],
) -> None:
    """No StoreError: that a write has an unknown outcome, or that the answer is not S3, would be untrue."""
    store = ProbedStore(store_at("http://127.0.0.1:9"))
    with pytest.raises(RuntimeError, match="async with"):
        await call(store)
    async with store:
        pass
    with pytest.raises(RuntimeError, match="async with"):
        await call(store)
