"""Error responses without an S3 error code, and answers that are not S3: each error has a reason and advice."""

import asyncio
import ssl
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from email.utils import formatdate

import pytest
from aiohttp import web

from mirrord.declared import Credentials, StoreOptions
from mirrord.errors import (
    BucketMissing,
    MirrordError,
    OutcomeUnknown,
    StoreDenied,
    StoreRefused,
    StoreUnavailable,
)
from mirrord.model import ConnectionOptions, Destination, ObjectOptions, Secret
from mirrord.s3.session import S3Store
from mirrord.units import MiB
from tests.support.elsewhere import drain, refusal, serving
from tests.support.proxy import SELF_SIGNED, self_signed
from tests.support.weed import Server
from tests.support.wires import request_options

pytestmark = pytest.mark.usefixtures("both_wires")

AT = Destination("s", "http://s", "data", "k")
PLAIN = ObjectOptions()
Answer = Callable[[web.BaseRequest], web.Response]


def at(url: str, **more: object) -> StoreOptions:
    keys = Credentials.of("AKIA", "s")
    return StoreOptions(name="s", endpoint_url=url, credentials=keys, requests=request_options(), **more)  # type: ignore[arg-type]


@asynccontextmanager
async def answering(answers: dict[str, Answer]) -> AsyncIterator[tuple[S3Store, list[str]]]:
    """A store that answers by method; which methods it was asked with."""
    asked: list[str] = []

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        asked.append(request.method)
        await drain(request)
        return answers[request.method](request)

    async with serving(answer) as place, S3Store(at(f"http://{place}")) as store:
        yield store, asked


def says(status: int, code: str = "", headers: dict[str, str] | None = None) -> Answer:
    return lambda request: refusal(status, code if request.method != "HEAD" else "", headers)


# ── HEAD ──────────────────────────────────────────────────────────────────────────────────────────
HEADS: list[tuple[str, Callable[[S3Store], Awaitable[object]]]] = [
    ("HeadObject", lambda store: store.head_object(AT)),
    ("HeadBucket", lambda store: store.has_bucket("data")),
]


@pytest.mark.parametrize("head", [one[1] for one in HEADS], ids=[one[0] for one in HEADS])
@pytest.mark.parametrize(
    ("status", "code", "advice"),
    [
        (400, "ExpiredToken", "renew the session token"),
        (403, "InvalidAccessKeyId", "check credentials.access_key_id"),
        (403, "SignatureDoesNotMatch", "check credentials.secret_access_key"),
        (403, "RequestTimeTooSkewed", "set this machine's clock"),
        (403, "AccessDenied", "planted"),
        (401, "Unauthorized", "planted"),
    ],
)
async def test_one_get_finds_the_reason_of_a_refused_head(
    head: Callable[[S3Store], Awaitable[object]], status: int, code: str, advice: str
) -> None:
    async with answering({"HEAD": says(status), "GET": says(status, code)}) as (store, asked):
        with pytest.raises(StoreDenied, match=f"{code}.*{advice}"):
            await head(store)
    assert asked == ["HEAD", "GET"]


@pytest.mark.parametrize("code", ["InvalidAccessKeyId", "SignatureDoesNotMatch"])
async def test_minio_sends_the_reason_with_the_head(code: str) -> None:
    headers = {"x-minio-error-code": code, "x-minio-error-desc": '"The key you gave is not right."'}
    async with answering({"HEAD": says(403, headers=headers)}) as (store, asked):
        with pytest.raises(StoreDenied, match=f"{code}: The key you gave is not right; check credentials"):
            await store.head_object(AT)
    assert asked == ["HEAD"]


@pytest.mark.parametrize("get", [says(206), says(416), says(503, "SlowDown"), says(403)])
async def test_a_get_without_a_code_changes_nothing(get: Answer) -> None:
    async with answering({"HEAD": says(403), "GET": get}) as (store, _):
        with pytest.raises(StoreDenied, match=r"HTTP 403 Forbidden|SlowDown") as caught:
            await store.head_object(AT)
    assert "None" not in str(caught.value)


@pytest.mark.parametrize("hours", [-25, -1, 1, 48])
async def test_a_wrong_clock_shows_in_the_date_of_a_refusal(hours: int) -> None:
    headers = {"Date": formatdate(time.time() + hours * 3600, usegmt=True)}
    words = f"{'behind' if hours > 0 else 'ahead of'} the store's"
    async with answering({"HEAD": says(403, headers=headers), "GET": says(403, headers=headers)}) as (store, _):
        with pytest.raises(StoreDenied, match=rf"clock is \d+ s {words}; set this machine's clock"):
            await store.head_object(AT)


async def test_a_missing_bucket_is_distinguished_from_an_unknown_key() -> None:
    """versitygw answers 404 to a HEAD with an unknown access key."""
    async with answering({"HEAD": says(404), "GET": says(404, "NoSuchBucket")}) as (store, _):
        assert not await store.has_bucket("data")
    async with answering({"HEAD": says(404), "GET": says(403, "InvalidAccessKeyId")}) as (store, _):
        with pytest.raises(StoreDenied, match="InvalidAccessKeyId"):
            await store.ensure_bucket("data")


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"access_key_id": Secret("nobody")}, "InvalidAccessKeyId"),
        ({"secret_access_key": Secret("x")}, "SignatureDoesNotMatch"),
    ],
)
async def test_a_real_store_distinguishes_a_wrong_key_from_a_wrong_secret(
    weed: Server, bucket: str, wrong: dict[str, Secret], code: str
) -> None:
    async with S3Store(weed.options(credentials=replace(weed.credentials, **wrong))) as store:
        for call in (store.head_object(weed.destination(bucket, "k")), store.has_bucket(bucket)):
            with pytest.raises(StoreDenied, match=code) as caught:
                await call
            assert not isinstance(caught.value, BucketMissing)


# ── documents ─────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    "body",
    [
        b"<Error><Code>InvalidArgument</Code></Error>",
        b"<Error><Code>InvalidArgument</Code><Message/></Error>",
        b"<Error><Code>InvalidArgument</Code><Message></Message></Error>",
    ],
)
async def test_a_document_without_a_message_shows_its_code(body: bytes) -> None:
    answer: Answer = lambda request: web.Response(status=400, body=body)  # noqa: E731
    async with answering({"PUT": answer}) as (store, _):
        with pytest.raises(StoreRefused, match=r"InvalidArgument$"):
            await store.put_object(AT, memoryview(b"x"), PLAIN)


@pytest.mark.parametrize(
    "body", [b"<Error><Code/></Error>", b"<Error/>", b"<Error><Message>m</Message></Error>", b"<x"]
)
async def test_a_document_without_a_code_shows_the_status(body: bytes) -> None:
    answer: Answer = lambda request: web.Response(status=400, body=body, content_type="application/xml")  # noqa: E731
    async with answering({"PUT": answer}) as (store, _):
        with pytest.raises(StoreRefused, match="HTTP 400 Bad Request") as caught:
            await store.put_object(AT, memoryview(b"x"), PLAIN)
    assert "None" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "kind", "body"),
    [
        (404, "text/plain", b"404 page not found\n"),
        (404, "application/json", b'{"error": "no route"}'),
        (405, "text/html", b"<html><body>405</body></html>"),
        (403, "text/html", b"<!doctype html><p>not closed"),
        (400, "text/html", b"<html/>"),
    ],
)
async def test_an_answer_that_is_not_s3_gets_a_hint(status: int, kind: str, body: bytes) -> None:
    answer: Answer = lambda request: web.Response(status=status, body=body, content_type=kind)  # noqa: E731
    async with answering({"PUT": answer}) as (store, _):
        with pytest.raises((StoreRefused, StoreDenied), match=f"HTTP {status} .*not S3; check endpoint_url"):
            await store.put_object(AT, memoryview(b"x"), PLAIN)


# ── 413 ───────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("operation", ["put", "part"])
async def test_a_proxys_413_is_permanent_and_explained(operation: str) -> None:
    """Answered to the head of the request, as nginx does, which then throws the body away."""
    over = asyncio.Event()

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            page = b"<html><head><title>413 Request Entity Too Large</title></head></html>"
            head = b"HTTP/1.1 413 Request Entity Too Large\r\nContent-Type: text/html\r\nConnection: close\r\n"
            writer.write(head + b"Content-Length: %d\r\n\r\n%s" % (len(page), page))
            await writer.drain()
            while await reader.read(65536):
                pass
        writer.close()
        over.set()

    body = memoryview(bytes(16 * MiB))
    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with server, S3Store(at(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")) as store:
        call = store.put_object(AT, body, PLAIN) if operation == "put" else store.upload_part(AT, "u", 1, body)
        with pytest.raises(StoreRefused, match=r"HTTP 413 .*a proxy in front of the store.*client_max_body_size"):
            await call
        await asyncio.wait_for(over.wait(), 20)


# ── schemes ───────────────────────────────────────────────────────────────────────────────────────
async def _silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


def _raw(answer: bytes) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(answer)
        with suppress(ConnectionError):
            await writer.drain()
        writer.close()

    return serve


TLS_PORTS = {
    "Go": _raw(b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"),
    "nginx": _raw(
        b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n"
        b"<html><center>The plain HTTP request was sent to HTTPS port</center></html>"
    ),
    "an alert": _raw(b"\x15\x03\x01\x00\x02\x02\x46"),
}
CALLS: dict[str, Callable[[S3Store], Awaitable[object]]] = {
    "head": lambda store: store.head_object(AT),
    "put": lambda store: store.put_object(AT, memoryview(b"x"), PLAIN),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
@pytest.mark.parametrize("port", [*TLS_PORTS, "OpenSSL"])
async def test_http_to_a_tls_port_is_reported_at_once(port: str, call: Callable[[S3Store], Awaitable[object]]) -> None:
    tls = self_signed() if port == "OpenSSL" else None  # which closes without a word
    server = await asyncio.start_server(TLS_PORTS.get(port, _silent), "127.0.0.1", 0, ssl=tls)
    async with server, S3Store(at(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")) as store:
        with pytest.raises(StoreRefused, match="the port speaks TLS; write https:// in endpoint_url"):
            await asyncio.wait_for(call(store), 20)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-OpenSSH_9.6\r\n", b"?"])
async def test_https_to_a_plain_port_is_reported_at_once(answer: bytes) -> None:
    server = await asyncio.start_server(_raw(answer), "127.0.0.1", 0)
    async with server, S3Store(at(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}")) as store:
        with pytest.raises((StoreRefused, StoreUnavailable), match="TLS") as caught:
            await asyncio.wait_for(store.head_object(AT), 20)
    assert "ca_file" not in str(caught.value)
    if answer.startswith(b"HTTP"):
        assert isinstance(caught.value, StoreRefused)
        assert "write http:// in endpoint_url" in str(caught.value)


async def test_ca_file_is_proposed_only_for_an_unknown_authority() -> None:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return refusal(404)

    async with serving(answer, ssl_context=self_signed()) as place:
        port = place.partition(":")[2]
        async with S3Store(at(f"https://localhost:{port}")) as store:
            with pytest.raises(StoreRefused, match="set ca_file if the store's certificate is private"):
                await store.head_object(AT)
        async with S3Store(
            at(f"https://127.0.0.1:{port}", connection=ConnectionOptions(ca_file=str(SELF_SIGNED)))
        ) as store:
            with pytest.raises(StoreRefused, match="write a name of the store's certificate") as caught:
                await store.head_object(AT)
    assert "ca_file" not in str(caught.value)
    wants_ours = self_signed()
    wants_ours.verify_mode = ssl.CERT_REQUIRED
    wants_ours.minimum_version = wants_ours.maximum_version = ssl.TLSVersion.TLSv1_2
    async with (
        serving(answer, ssl_context=wants_ours) as place,
        S3Store(
            at(f"https://localhost:{place.partition(':')[2]}", connection=ConnectionOptions(ca_file=str(SELF_SIGNED)))
        ) as store,
    ):
        with pytest.raises((StoreRefused, StoreUnavailable), match="TLS") as caught:
            await store.head_object(AT)
    assert "ca_file" not in str(caught.value)


# ── answers without end ───────────────────────────────────────────────────────────────────────────
def _endless(status: bytes) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(
                b"HTTP/1.1 " + status + b"\r\nContent-Type: application/xml\r\n\r\n<Error><Code>SlowDown</Code>"
            )
            while True:
                writer.write(b" " * 65536)
                await writer.drain()
        writer.close()

    return serve


@pytest.mark.parametrize("status", [b"500 Internal Server Error", b"403 Forbidden", b"301 Moved", b"200 OK"])
@pytest.mark.parametrize("operation", ["put", "complete", "list", "create"])
async def test_an_endless_answer_uses_bounded_memory(status: bytes, operation: str) -> None:
    server = await asyncio.start_server(_endless(status), "127.0.0.1", 0)
    calls: dict[str, Callable[[S3Store], Awaitable[object]]] = {
        "put": lambda store: store.put_object(AT, memoryview(b"x"), PLAIN),
        "complete": lambda store: store.complete_upload(AT, "u", []),
        "list": lambda store: store.list_buckets(),
        "create": lambda store: store.create_upload(AT, PLAIN),
    }
    async with server, S3Store(at(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")) as store:
        tracemalloc.start()
        try:
            with pytest.raises(MirrordError) as caught:
                await asyncio.wait_for(calls[operation](store), 60)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < (40 * MiB if status.startswith(b"200") else 4 * MiB)
    if status.startswith(b"200"):
        assert isinstance(caught.value, OutcomeUnknown if operation != "list" else StoreUnavailable)
        assert "longer than 16 MiB" in str(caught.value)
