"""The contract of the wire's HTTP client under TLS and through proxies; on real sockets."""

import asyncio
import os
import socket
import ssl
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import pytest
from botocore import exceptions as sdk

from mirrord.s3.wire import opening
from mirrord.s3.wire.http import WireClient, WireResponse
from mirrord.s3.wire.pool import ConnectionLimit
from mirrord.units import MiB
from tests.support.loops import on_both_loops
from tests.support.proxy import SELF_SIGNED, self_signed
from tests.support.scripted_store import ScriptedStore, ServedConnection, answer_of, scripted, serves

LARGE = 5_000_001


class Trust:
    """The contexts of a client; `replace` makes a new one, as after a change of ca_file."""

    def __init__(self, *, trusts: bool = True) -> None:
        self._trusts = trusts
        self.replace()

    def replace(self) -> None:
        self._context = ssl.create_default_context(cafile=str(SELF_SIGNED) if self._trusts else None)

    async def __call__(self) -> ssl.SSLContext:
        return self._context


async def put(client: WireClient, body: memoryview | bytes = b"x", *, target: str = "/k") -> WireResponse:
    return await client.send("PUT", target, [("Host", "store")], body, repeatable=False, max_body=1000)


# ── TLS ───────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@on_both_loops
async def test_bodies_arrive_over_tls_and_connections_are_kept(version: ssl.TLSVersion) -> None:
    served, store = self_signed(), ScriptedStore()
    served.minimum_version = served.maximum_version = version
    memory = bytearray(bytes(range(256)) * (LARGE // 256 + 1))
    expected = bytes(memory[:LARGE])
    async with scripted(serves(store), tls=served, into=store), WireClient(store.url, tls=Trust()) as client:
        for size in (1, 65536, LARGE):
            view = memoryview(memory)[:size]
            await put(client, view)
            view.release()
        memory.clear()  # BufferError: something has a view of it
    assert [one.body == expected[: len(one.body)] for one in store.requests] == [True] * 3
    assert [len(one.body) for one in store.requests] == [1, 65536, LARGE]
    assert store.connections == 1


@pytest.mark.parametrize("secure", [False, True])
@on_both_loops
async def test_a_large_body_is_not_copied_as_a_whole(secure: bool) -> None:
    body = memoryview(bytearray(16 * MiB))

    async def script(connection: ServedConnection) -> None:
        await connection.head()
        missing = len(body)
        while missing:
            missing -= len(await connection.reader.read(65536))
        await connection.answer()

    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(scripted(script, tls=self_signed() if secure else None))
        client = await stack.enter_async_context(WireClient(store.url, tls=Trust()))
        tracemalloc.start()
        stack.callback(tracemalloc.stop)
        await put(client, body)
        _, peak = tracemalloc.get_traced_memory()
    assert peak < 4 * MiB


@on_both_loops
async def test_the_name_is_sent_and_verified() -> None:
    names, served = [], self_signed()
    served.sni_callback = lambda connection, name, context: names.append(name)
    store = ScriptedStore()
    async with scripted(serves(store), tls=served, into=store):
        async with WireClient(store.url, tls=Trust()) as client:
            await put(client)
        for url, tls in ((store.url, Trust(trusts=False)), (f"https://127.0.0.1:{store.port}", Trust())):
            async with WireClient(url, tls=tls) as client:
                with pytest.raises(sdk.SSLError) as caught:
                    await put(client)
            assert isinstance(caught.value.kwargs["error"], ssl.SSLCertVerificationError)
    assert names == ["localhost", "localhost", None]
    assert len(store.requests) == 1


@on_both_loops
async def test_a_replaced_context_is_used_for_the_next_request() -> None:
    store, trust = ScriptedStore(), Trust()
    async with scripted(serves(store), tls=self_signed(), into=store), WireClient(store.url, tls=trust) as client:
        await put(client)
        trust.replace()
        await put(client)
        await put(client)
    assert store.connections == 2


@on_both_loops
async def test_a_missing_client_certificate_is_a_tls_error() -> None:
    """With TLS 1.3 the store refuses it only after the handshake."""
    served = self_signed()
    served.verify_mode = ssl.CERT_REQUIRED
    served.load_verify_locations(SELF_SIGNED)

    def refuse(listening: socket.socket) -> None:
        accepted, _ = listening.accept()
        with served.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False) as secured:
            with pytest.raises(ssl.SSLError):
                secured.do_handshake()
            with suppress(OSError):  # a close before all is read resets the connection, and the alert may be lost
                socket.socket.shutdown(secured, socket.SHUT_WR)
                while os.read(secured.fileno(), 65536):
                    pass

    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = asyncio.create_task(asyncio.to_thread(refuse, listening))
        async with WireClient(f"https://localhost:{listening.getsockname()[1]}", tls=Trust()) as client:
            with pytest.raises(sdk.SSLError) as caught:
                await put(client)
        await server
    assert "CERTIFICATE_REQUIRED" in str(caught.value.kwargs["error"])


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-OpenSSH_9.6\r\n", b""])
@on_both_loops
async def test_a_port_without_tls_is_a_tls_error(answer: bytes) -> None:
    async def script(connection: ServedConnection) -> None:
        await connection.reader.read(10)
        await connection.send(answer)

    async with scripted(script) as store, WireClient(f"https://localhost:{store.port}", tls=Trust()) as client:
        with pytest.raises((sdk.SSLError, sdk.EndpointConnectionError)):
            await put(client)


@on_both_loops
async def test_a_handshake_without_an_end_is_a_connect_timeout() -> None:
    async def script(connection: ServedConnection) -> None:
        await connection.reader.read()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(opening, "CONNECT_TIMEOUT", 0.2)
        async with scripted(script) as store, WireClient(f"https://localhost:{store.port}", tls=Trust()) as client:
            with pytest.raises(sdk.ConnectTimeoutError):
                await put(client)
            async with asyncio.timeout(20):
                while store.open:  # noqa: ASYNC110 - the script knows nothing of this
                    await asyncio.sleep(0.01)


@on_both_loops
async def test_a_cancelled_handshake_leaves_its_place_to_others() -> None:
    begun = asyncio.Event()

    async def script(connection: ServedConnection) -> None:
        await connection.reader.read(1)
        begun.set()
        await connection.reader.read()

    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(scripted(script))
        client = WireClient(f"https://localhost:{store.port}", tls=Trust(), limit=ConnectionLimit(1))
        await stack.enter_async_context(client)
        for _ in range(2):
            begun.clear()
            task = asyncio.create_task(put(client))
            async with asyncio.timeout(20):
                await begun.wait()
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()


@on_both_loops
async def test_a_cancelled_upload_over_tls_frees_the_body() -> None:
    begun = asyncio.Event()

    async def script(connection: ServedConnection) -> None:
        await connection.head()
        begun.set()
        await asyncio.sleep(60)

    memory = bytearray(LARGE * 4)
    async with scripted(script, tls=self_signed()) as store, WireClient(store.url, tls=Trust()) as client:
        task = asyncio.create_task(put(client, memoryview(memory)))
        await begun.wait()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert client._pool._in_use == set()
        assert client._pool.idle == []


@on_both_loops
async def test_an_answer_until_the_connection_closes_is_read_over_tls() -> None:
    async def script(connection: ServedConnection) -> None:
        await connection.request()
        await connection.send(b"HTTP/1.1 200 OK\r\n\r\nto the end")

    async with scripted(script, tls=self_signed()) as store, WireClient(store.url, tls=Trust()) as client:
        assert (await put(client)).body == b"to the end"


# ── proxies ───────────────────────────────────────────────────────────────────────────────────────
@asynccontextmanager
async def tunnelling(store: ScriptedStore, *, tls: bool = False, answer: bytes = b"") -> AsyncIterator[ScriptedStore]:
    """A proxy that connects every tunnel to the store, or sends `answer` and closes."""
    proxy = ScriptedStore()

    async def script(connection: ServedConnection) -> None:
        proxy.requests.append(await connection.head())
        if answer:
            await connection.send(answer)
            return
        reader, writer = await asyncio.open_connection("127.0.0.1", store.port)
        await connection.send(b"HTTP/1.0 200 Connection established\r\n\r\n")
        try:
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(pumped(connection.reader, writer))
                pumps.create_task(pumped(reader, connection.writer))
        finally:
            writer.close()

    async with scripted(script, tls=self_signed() if tls else None, into=proxy):
        yield proxy


async def pumped(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError, RuntimeError, ssl.SSLError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@pytest.mark.parametrize("secure_proxy", [False, True])
@on_both_loops
async def test_https_goes_through_a_tunnel(secure_proxy: bool) -> None:
    store, host = ScriptedStore(), "localhost" if secure_proxy else "localhost."  # certificates have no last dot
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(scripted(serves(store), tls=self_signed(), into=store))
        proxy = await stack.enter_async_context(tunnelling(store, tls=secure_proxy))
        through = proxy.url.replace("://", "://user:pass%2Dword@")
        client = await stack.enter_async_context(WireClient(f"https://{host}:{store.port}", tls=Trust(), proxy=through))
        for size in (1, LARGE):
            await put(client, bytes(size))
        (asked,) = proxy.requests
        place = f"{host}:{store.port}"
        assert (asked.method, asked.target, asked.field("Host")) == ("CONNECT", place, place)
        assert asked.field("Proxy-Authorization") == "Basic dXNlcjpwYXNzLXdvcmQ="
    assert [len(one.body) for one in store.requests] == [1, LARGE]
    assert store.requests[0].field("Proxy-Authorization") is None


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (answer_of(b"no", status=407), 407),
        (answer_of(b"no", status=502), 502),
        (b"HTTP/1.1 200 OK\r\n\r\nbytes of another server", None),
        (b"nonsense", None),
        (b"HTTP/1.1 200 OK\r\n", None),
    ],
)
@on_both_loops
async def test_a_tunnel_that_is_not_opened_is_the_proxys_error(answer: bytes, status: int | None) -> None:
    store = ScriptedStore(port=9)
    async with tunnelling(store, answer=answer) as proxy:
        through = proxy.url.replace("://", "://user:pass-word@")
        async with WireClient("https://store.invalid", tls=Trust(), proxy=through) as client:
            with pytest.raises(sdk.ProxyConnectionError) as caught:
                await put(client)
    assert getattr(caught.value.kwargs["error"], "status", None) == status
    assert "pass-word" not in str(caught.value)


@on_both_loops
async def test_a_proxy_without_an_answer_or_with_an_unknown_certificate(monkeypatch: pytest.MonkeyPatch) -> None:
    async def script(connection: ServedConnection) -> None:
        await connection.reader.read()

    async with scripted(script) as proxy, WireClient("https://store.invalid", tls=Trust(), proxy=proxy.url) as client:
        monkeypatch.setattr(opening, "CONNECT_TIMEOUT", 0.3)
        with pytest.raises(sdk.ProxyConnectionError) as silent:
            await put(client)
    assert str(silent.value.kwargs["error"]) == "no connection within 0 s"
    monkeypatch.undo()
    async with scripted(script, tls=self_signed()) as proxy:
        through = proxy.url.replace("://", "://user:pass-word@")
        async with WireClient("https://store.invalid", tls=Trust(trusts=False), proxy=through) as client:
            with pytest.raises(sdk.SSLError) as unknown:
                await put(client)
    assert isinstance(unknown.value.kwargs["error"], ssl.SSLCertVerificationError)
    assert unknown.value.kwargs["endpoint_url"] == proxy.url


@on_both_loops
async def test_http_goes_through_a_proxy_with_absolute_targets() -> None:
    proxy = ScriptedStore()
    async with scripted(serves(proxy), into=proxy):
        through = proxy.url.replace("://", "://user:pass-word@")
        async with WireClient("http://store.invalid:8080", proxy=through) as client:
            await put(client, target="/data/k?x=%20")
            await put(client)
        async with WireClient("http://store.invalid:80", proxy=proxy.url) as client:
            await put(client)
    assert [one.target for one in proxy.requests] == [
        "http://store.invalid:8080/data/k?x=%20",
        "http://store.invalid:8080/k",
        "http://store.invalid/k",
    ]
    signs_in = "Basic dXNlcjpwYXNzLXdvcmQ="
    assert [one.field("Proxy-Authorization") for one in proxy.requests] == [signs_in, signs_in, None]
    assert proxy.connections == 2


@pytest.mark.parametrize("scheme", ["http", "https"])
@on_both_loops
async def test_a_proxy_that_does_not_answer_is_named_without_its_password(scheme: str) -> None:
    proxy = "http://user:pass-word@127.0.0.1:9"
    async with WireClient(f"{scheme}://store.invalid", tls=Trust(), proxy=proxy) as client:
        with pytest.raises(sdk.ProxyConnectionError) as caught:
            await put(client)
    assert "http://127.0.0.1:9" in str(caught.value)
    assert "pass-word" not in str(caught.value)
