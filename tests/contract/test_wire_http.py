"""The contract of the wire's HTTP client: connections, bodies, early answers, cancellation, errors; on real sockets."""

import asyncio
import gc
import socket
import struct
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from typing import Any

import pytest
from botocore import exceptions as sdk

from mirrord.s3.http_errors import AnswerTooLong, PlainHttpAtTls, UrlUnusable
from mirrord.s3.wire import pool as pools
from mirrord.s3.wire.http import WireClient, WireResponse
from mirrord.s3.wire.opening import Opener
from mirrord.s3.wire.pool import ConnectionLimit
from mirrord.sockets import Stream
from mirrord.units import MiB
from tests.support.loops import on_both_loops
from tests.support.scripted_store import ScriptedStore, ServedConnection, answer_of, scripted, serves

HEADERS = [("Host", "store"), ("X-Odd", "a b:c")]
LARGE = 16 * MiB


async def get(client: WireClient, *, repeatable: bool = True, max_body: int = MiB) -> WireResponse:
    return await client.send("GET", "/k", HEADERS, repeatable=repeatable, max_body=max_body)


async def put(client: WireClient, body: memoryview | bytes = b"x", *, repeatable: bool = False) -> WireResponse:
    return await client.send("PUT", "/k", HEADERS, body, repeatable=repeatable, max_body=MiB)


async def until(holds: Callable[[], object]) -> None:
    """Wait until it holds; TimeoutError after 20 s. What the server has written then is in the client's socket."""
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - conditions of several kinds
            await asyncio.sleep(0.005)


# ── requests and answers ──────────────────────────────────────────────────────────────────────────
@on_both_loops
async def test_a_request_is_sent_as_it_is_given() -> None:
    store = ScriptedStore()
    async with scripted(serves(store), into=store), WireClient(store.url + "/ignored") as client:
        answer = await client.send("PUT", "/a%2Fb?x=%20&y", HEADERS, b"body", repeatable=False, max_body=9)
        assert (answer.status, answer.body, answer.headers) == (200, b"1", {"content-length": "1"})
        for method in ("PUT", "POST", "GET", "HEAD", "DELETE"):
            await client.send(method, "/", HEADERS, repeatable=False, max_body=9)
    first, *more = store.requests
    assert (first.method, first.target, first.body) == ("PUT", "/a%2Fb?x=%20&y", b"body")
    assert first.lines == ("Host: store", "X-Odd: a b:c", "Content-Length: 4", "Accept-Encoding: identity")
    lengths = [(one.method, one.field("Content-Length")) for one in more]
    assert lengths == [("PUT", "0"), ("POST", "0"), ("GET", None), ("HEAD", None), ("DELETE", None)]


@on_both_loops
async def test_a_head_that_would_be_two_requests_is_refused() -> None:
    async with WireClient("http://127.0.0.1:9") as client:
        for headers, target in (
            ([("X", "a\r\nY: b")], "/"),
            ([("X", "a\nY: b")], "/"),
            ([("X", "a\rY: b")], "/"),
            ([], "/ HTTP/1.1\r\nX:"),
            ([], "/a b"),
        ):
            with pytest.raises(UrlUnusable):
                await client.send("GET", target, headers, repeatable=True, max_body=1)


@pytest.mark.parametrize("url", ["nonsense", "ftp://x", "http://", "http://x:port", "http://x:99999", "http://x:0"])
def test_an_endpoint_that_is_no_http_url_is_refused(url: str) -> None:
    with pytest.raises(UrlUnusable):
        WireClient(url)
    with pytest.raises(UrlUnusable):
        WireClient("http://x", proxy=url)


@on_both_loops
async def test_an_answer_in_single_bytes_is_read() -> None:
    async def script(connection: ServedConnection) -> None:
        await connection.request()
        raw = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        for byte in raw:
            await connection.send(bytes([byte]))
            await asyncio.sleep(0)
        await connection.request()

    async with scripted(script) as store, WireClient(store.url) as client:
        assert (await put(client)).body == b"abc"


@on_both_loops
async def test_bounds_of_answers() -> None:
    raw = answer_of(bytes(200_000))

    async def script(connection: ServedConnection) -> None:
        head = await connection.head()
        await connection.send(raw.replace(b" 200 ", b" 500 ") if head.method == "DELETE" else raw)

    async with scripted(script) as store, WireClient(store.url) as client:
        with pytest.raises(AnswerTooLong, match=r"longer than 97\.7 KiB"):
            await get(client, max_body=100_000)
        refused = await client.send("DELETE", "/", HEADERS, repeatable=False, max_body=MiB)
        assert (refused.status, len(refused.body)) == (500, 65536)
        await until(lambda: store.open == 0)


# ── kept connections ──────────────────────────────────────────────────────────────────────────────
@on_both_loops
async def test_a_connection_is_kept_and_the_most_recently_used_one_is_taken() -> None:
    store, carried = ScriptedStore(), []

    async def script(connection: ServedConnection) -> None:
        while True:
            await connection.request()
            carried.append(connection.number)
            await asyncio.sleep(0.01 * connection.number)
            await connection.answer()

    async with scripted(script, into=store), WireClient(store.url) as client:
        for _ in range(3):
            await get(client)
        assert carried == [0, 0, 0]
        await asyncio.gather(*(get(client) for _ in range(3)))
        last = carried[-1]
        for _ in range(3):
            await get(client)
        assert carried[-3:] == [2, 2, 2], (carried, last)
        assert store.connections == 3
        assert store.open == 3
        client._pool.close()
        await until(lambda: store.open == 0)


@on_both_loops
async def test_connections_are_bounded_and_served_in_order() -> None:
    gate, running, most, served = asyncio.Event(), 0, 0, list[str]()

    async def script(connection: ServedConnection) -> None:
        nonlocal running, most
        while True:
            request = await connection.request()
            served.append(request.target)
            running += 1
            most = max(most, running)
            await gate.wait()
            running -= 1
            await connection.answer()

    async with scripted(script) as store, WireClient(store.url, limit=ConnectionLimit(2)) as client:
        sent = [
            asyncio.create_task(client.send("GET", f"/{n}", HEADERS, repeatable=True, max_body=1)) for n in range(8)
        ]
        await until(lambda: len(served) == 2)
        for task in (sent[3], sent[5]):
            task.cancel()
        gate.set()
        await asyncio.gather(*sent, return_exceptions=True)
        assert most == 2
        assert sorted(served[:2]) == ["/0", "/1"]
        assert served[2:] == ["/2", "/4", "/6", "/7"]
        assert [task.cancelled() for task in sent] == [n in (3, 5) for n in range(8)]
        await asyncio.gather(*(get(client) for _ in range(5)))  # no place was lost
        assert store.connections == 2


@on_both_loops
async def test_the_origins_of_a_store_share_its_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that has been idle longest is closed for a new one; a request to any origin waits for a free one."""
    monkeypatch.setattr(pools, "IDLE_LIMIT", 1000.0)
    limit, stores = ConnectionLimit(2), [ScriptedStore() for _ in range(3)]
    async with AsyncExitStack() as life:
        for store in stores:
            await life.enter_async_context(scripted(serves(store), into=store))
        first, second, third = [await life.enter_async_context(WireClient(one.url, limit=limit)) for one in stores]
        for client in (first, second, first, third):
            assert (await get(client)).status == 200
            await asyncio.sleep(0.01)  # the clock of uvloop has milliseconds
        await until(lambda: [store.open for store in stores] == [1, 0, 1])
        await get(first)
        assert [store.connections for store in stores] == [1, 1, 1]
        await asyncio.gather(*(get(client) for client in (first, second, third) * 4))
        await until(lambda: sum(store.open for store in stores) <= 2)


@on_both_loops
async def test_an_idle_connection_that_the_store_closed_is_not_used() -> None:
    store = ScriptedStore()
    async with scripted(serves(store, until=1), into=store), WireClient(store.url) as client:
        for n in range(3):
            assert (await put(client)).body == str(n + 1).encode()
            await until(lambda: store.open == 0)
    assert (store.connections, len(store.requests)) == (3, 3)


@pytest.mark.parametrize("stray", [answer_of(b"of another"), b"H", b"\r\n"])
@pytest.mark.parametrize("later", [False, True])
@on_both_loops
async def test_bytes_that_no_request_asked_for_end_the_connection(stray: bytes, later: bool) -> None:
    sent = 0

    async def script(connection: ServedConnection) -> None:
        nonlocal sent
        while True:
            await connection.request()
            await connection.send(answer_of(b"own") + (b"" if later else stray))
            if later:
                await asyncio.sleep(0.01)
                await connection.send(stray)
            sent += 1

    async with scripted(script) as store, WireClient(store.url) as client:
        for n in range(3):
            assert (await put(client)).body == b"own"
            await until(lambda n=n: sent > n)
        assert store.connections == 3


@on_both_loops
async def test_a_store_that_speaks_first_is_refused() -> None:
    """Its bytes were sent before the request, so they are no answer to it."""

    async def script(connection: ServedConnection) -> None:
        await connection.send(answer_of(b"of another"))
        spoken.set()
        await connection.request()

    spoken, opened = asyncio.Event(), Opener.open

    async def open_and_wait(self: Opener, context: Any) -> Stream:
        stream = await opened(self, context)
        await spoken.wait()
        return stream

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Opener, "open", open_and_wait)
        await _expect_a_refusal(script)


async def _expect_a_refusal(script: Any) -> None:
    async with scripted(script) as store, WireClient(store.url) as client:
        with pytest.raises(sdk.EndpointConnectionError) as caught:
            await put(client)
    assert "bytes before the request" in str(caught.value.kwargs["error"])


@on_both_loops
async def test_connection_close_is_obeyed() -> None:
    async def script(connection: ServedConnection) -> None:
        while True:
            await connection.request()
            await connection.answer(b"", "Connection: close")

    async with scripted(script) as store, WireClient(store.url) as client:
        for _ in range(3):
            await put(client)
        await until(lambda: store.open == 0)
        assert store.connections == 3


@on_both_loops
async def test_idle_connections_are_closed_after_a_time() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pools, "IDLE_LIMIT", 0.1)
        store = ScriptedStore()
        async with scripted(serves(store), into=store), WireClient(store.url) as client:
            await asyncio.gather(*(get(client) for _ in range(3)))
            assert store.open == 3
            await until(lambda: store.open == 0)
            await get(client)
        assert store.connections == 4


# ── connections that close ────────────────────────────────────────────────────────────────────────
def closes_reused(store: ScriptedStore, *, partly: bytes = b"") -> Any:
    """Answers a connection's first request; closes it at the second one."""

    async def script(connection: ServedConnection) -> None:
        store.requests.append(await connection.request())
        await connection.answer()
        store.requests.append(await connection.request())
        await connection.send(partly)

    return script


@pytest.mark.parametrize("partly", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc"])
@on_both_loops
async def test_a_repeatable_request_is_sent_again_once_on_a_new_connection(partly: bytes) -> None:
    store = ScriptedStore()
    async with scripted(closes_reused(store, partly=partly), into=store), WireClient(store.url) as client:
        await put(client)
        assert (await put(client, repeatable=True)).status == 200
        assert (len(store.requests), store.connections) == (3, 2)
        for _ in range(3):  # for some time each connection is used once
            await put(client)
        assert (len(store.requests), store.connections) == (6, 5)


@on_both_loops
async def test_another_request_is_not_sent_again() -> None:
    store = ScriptedStore()
    async with scripted(closes_reused(store), into=store), WireClient(store.url) as client:
        await put(client)
        with pytest.raises(sdk.ConnectionClosedError):
            await put(client)
        assert len(store.requests) == 2


@on_both_loops
async def test_a_new_connection_that_closes_is_an_error() -> None:
    store = ScriptedStore()

    async def script(connection: ServedConnection) -> None:
        store.requests.append(await connection.request())

    async with scripted(script, into=store), WireClient(store.url) as client:
        with pytest.raises(sdk.ConnectionClosedError):
            await put(client, repeatable=True)
    assert len(store.requests) == 1


@on_both_loops
async def test_if_no_byte_was_sent_any_request_is_sent_again() -> None:
    store = ScriptedStore()
    async with scripted(serves(store), into=store), WireClient(store.url) as client:
        await put(client)
        (connection,) = client._pool.idle
        broken: Any = connection._stream
        broken.send = _refuse
        assert (await put(client)).body == b"2"
    assert store.connections == 2


def _refuse(data: object) -> int:
    raise BrokenPipeError(32, "Broken pipe")


@on_both_loops
async def test_a_refused_connection_sent_nothing() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with WireClient(f"http://127.0.0.1:{port}") as client:
        with pytest.raises(sdk.EndpointConnectionError) as caught:
            await put(client)
    failed = caught.value.kwargs["error"]
    assert (failed.host, failed.port, type(failed.os_error)) == ("127.0.0.1", port, ConnectionRefusedError)


@pytest.mark.parametrize(
    "raw", [b"\x15\x03\x01\x00\x02\x02\x46", b"HTTP/1.0 400 Bad\r\n\r\nHTTP request to an HTTPS server"]
)
@on_both_loops
async def test_a_tls_port_is_recognised(raw: bytes) -> None:
    async def script(connection: ServedConnection) -> None:
        await connection.reader.read(10)
        await connection.send(raw)

    async with scripted(script) as store, WireClient(store.url) as client:
        with pytest.raises(PlainHttpAtTls):
            await put(client)


# ── bodies ────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("size", [1, 65535, 65536, 65537, 5_000_001])
@on_both_loops
async def test_a_body_arrives_whole_and_its_memory_is_free_afterwards(size: int) -> None:
    store = ScriptedStore()
    memory = bytearray(bytes(range(256)) * (size // 256 + 1))
    expected = bytes(memory[:size])
    async with scripted(serves(store), into=store), WireClient(store.url) as client:
        view = memoryview(memory)[:size]
        await put(client, view)
        view[:] = bytes(size)  # the next part
        view.release()
        memory.clear()  # BufferError: something has a view of it
    assert [one.body == expected for one in store.requests] == [True]


@on_both_loops
async def test_an_early_refusal_is_returned_and_the_rest_is_not_sent() -> None:
    received = []

    async def script(connection: ServedConnection) -> None:
        await connection.head()
        await connection.answer(b"too large", status=413)
        with suppress(ConnectionError):
            while data := await connection.reader.read(65536):
                received.append(len(data))

    async with scripted(script) as store, WireClient(store.url) as client:
        answer = await put(client, bytes(LARGE))
        assert (answer.status, answer.body) == (413, b"too large")
        await until(lambda: store.open == 0)
        assert sum(received) < LARGE


@on_both_loops
async def test_an_early_success_is_an_error() -> None:
    async def script(connection: ServedConnection) -> None:
        await connection.head()
        await connection.answer()
        await asyncio.sleep(60)

    async with scripted(script) as store, WireClient(store.url) as client:
        with pytest.raises(sdk.ConnectionClosedError) as it:
            await put(client, bytes(LARGE), repeatable=True)
    assert "answered 200 before it had the whole request" in str(it.value.kwargs["error"])
    assert store.connections == 1, "a port that answers in HTTP was asked for TLS"


@on_both_loops
async def test_an_early_refusal_is_read_although_the_store_closed() -> None:
    async def script(connection: ServedConnection) -> None:
        await connection.head()
        await connection.answer(b"no", status=403)

    async with scripted(script) as store, WireClient(store.url) as client:
        assert (await put(client, bytes(LARGE))).status == 403


@on_both_loops
async def test_an_early_refusal_is_read_although_writing_failed() -> None:
    refused, failures = asyncio.Event(), list[int]()

    async def script(connection: ServedConnection) -> None:
        await connection.head()
        await refused.wait()
        await connection.answer(b"no", status=403)

    opened = Opener.open

    async def open_broken(self: Opener, context: Any) -> Stream:
        stream: Any = await opened(self, context)
        parts = iter([stream.send])

        def send(data: memoryview) -> int:
            if first := next(parts, None):
                return first(data)
            failures.append(len(data))
            refused.set()
            raise BrokenPipeError(32, "Broken pipe")

        stream.send = send
        return stream

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Opener, "open", open_broken)
        async with scripted(script) as store, WireClient(store.url) as client:
            assert (await put(client, bytes(LARGE))).status == 403
    assert len(failures) == 1


@on_both_loops
async def test_a_refusal_until_the_connection_ends_may_end_with_a_reset() -> None:
    """As after a 400 for a request that was not read to its end. A success that ends so is cut."""
    statuses = iter([400, 200])

    async def script(connection: ServedConnection) -> None:
        await connection.head()
        await connection.send(b"HTTP/1.1 %d R\r\n\r\nsome" % next(statuses))
        sock = connection.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.writer.transport.abort()

    async with scripted(script) as store, WireClient(store.url) as client:
        assert (await get(client)).body == b"some"
        with pytest.raises(sdk.ConnectionClosedError):
            await get(client)


# ── cancellation ──────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("size", [1, LARGE])
@on_both_loops
async def test_a_cancelled_request_resets_its_connection_and_frees_the_body(size: int) -> None:
    begun, reset = asyncio.Event(), asyncio.Event()

    async def script(connection: ServedConnection) -> None:
        await connection.head()
        begun.set()
        if size > 1:
            await asyncio.sleep(0.1)  # reads nothing: the client waits until it can write
        try:
            while await connection.reader.read(65536):
                pass
        except ConnectionResetError:
            reset.set()

    memory = bytearray(size)
    async with scripted(script) as store, WireClient(store.url) as client:
        task = asyncio.create_task(put(client, memoryview(memory)))
        await begun.wait()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        del task
        gc.collect()  # the traceback of the cancellation
        memory.clear()  # BufferError: something has a view of it
        assert client._pool.idle == []
        await asyncio.wait_for(reset.wait(), 20)


@on_both_loops
async def test_a_request_cancelled_at_any_step_leaves_the_client_usable() -> None:
    store = ScriptedStore()
    async with scripted(serves(store), into=store), WireClient(store.url, limit=ConnectionLimit(1)) as client:
        for steps in range(12):
            task = asyncio.create_task(put(client, bytes(300_000)))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            async with asyncio.timeout(20):
                before = len(store.requests)
                assert int((await put(client, b"mine")).body) > before
                assert store.requests[-1].body == b"mine"


@on_both_loops
async def test_leaving_the_client_ends_connections_that_are_opened() -> None:
    store, begun, opened = ScriptedStore(), asyncio.Event(), Opener.open

    async def open_late(self: Opener, context: Any) -> Stream:
        stream = await opened(self, context)
        begun.set()
        await asyncio.sleep(0.05)
        return stream

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Opener, "open", open_late)
        async with scripted(serves(store), into=store):
            async with WireClient(store.url) as client:
                task = asyncio.create_task(put(client))
                await begun.wait()
            with pytest.raises(RuntimeError, match="async with"):
                await task
            await until(lambda: store.open == 0)
    assert not store.requests


@on_both_loops
async def test_leaving_the_client_ends_requests_that_run() -> None:
    async def script(connection: ServedConnection) -> None:
        await connection.request()
        begun.set()
        await asyncio.sleep(60)

    begun = asyncio.Event()
    async with scripted(script) as store:
        async with WireClient(store.url) as client:
            task = asyncio.create_task(put(client))
            await begun.wait()
        with pytest.raises(sdk.ConnectionClosedError):
            await task
        with pytest.raises(RuntimeError, match="async with"):
            await put(client)
