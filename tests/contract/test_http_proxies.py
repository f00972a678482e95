"""HTTP sources through real proxies: plain, CONNECT and TLS ones, their credentials, their faults, and the rules."""

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from mirrord.errors import SourceDenied, SourceError, SourceRefused, SourceUnavailable
from mirrord.model import ConnectionOptions, secret_of
from mirrord.proxies import EnvironmentProxies
from mirrord.sources.http import HttpSources, routes
from tests.support.http_proxy import HttpProxy, http_proxy
from tests.support.proxy import SELF_SIGNED, self_signed
from tests.support.raw_origin import RawOrigin, raw_origin, response
from tests.support.reading import item_of, probed, read

BODY = bytes(range(256)) * 4096
ANSWER = response(f"Content-Length: {len(BODY)}", 'ETag: "1"', body=BODY)
SMALL = response("Content-Length: 2", body=b"hi")
CA = str(SELF_SIGNED)


def environment(**variables: str) -> EnvironmentProxies:
    return EnvironmentProxies.read(variables)


def through(proxy: str | None = None, **more: str) -> ConnectionOptions:
    return ConnectionOptions(proxy=secret_of(proxy), **more)


async def fetched(url: str, proxies: EnvironmentProxies | None = None, **connection: Any) -> bytes:
    item = item_of(url, connection=through(**connection))
    async with HttpSources(proxies=proxies or environment()) as sources, sources.source(item) as source:
        return await read(source, await probed(source))


@pytest.fixture
async def life() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


@pytest.mark.parametrize("secure_proxy", [False, True])
@pytest.mark.parametrize("secure", [False, True])
async def test_bytes_pass_each_kind_of_proxy(secure: bool, secure_proxy: bool) -> None:
    tls, of_proxy = self_signed() if secure else None, self_signed() if secure_proxy else None
    async with raw_origin(ANSWER, tls=tls) as origin, http_proxy(tls=of_proxy) as proxy:
        assert await fetched(origin.url, proxy=proxy.url, ca_file=CA) == BODY
    place = origin.url.partition("://")[2].removesuffix("/it")
    assert proxy.requests == [("CONNECT", place) if secure else ("GET", origin.url)]
    assert "Proxy-" not in origin.requests[0]


@pytest.mark.parametrize("secure", [False, True])
async def test_credentials_go_to_the_proxy_only_and_are_in_no_error(secure: bool) -> None:
    async with (
        raw_origin(SMALL, tls=self_signed() if secure else None) as origin,
        http_proxy(credentials="me:p@ss/w:rd") as proxy,
    ):
        with_password = proxy.url_with("me:p%40ss%2Fw:rd")
        assert await fetched(origin.url, proxy=with_password, ca_file=CA) == b"hi"
        for url in (proxy.url, proxy.url_with("me:s3cret")):
            with pytest.raises(
                SourceDenied, match=f"through the proxy {proxy.url}: it answered 407: set its"
            ) as caught:
                await fetched(origin.url, proxy=url, ca_file=CA)
            assert "s3cret" not in str(caught.value)
    assert len(origin.requests) == 1
    assert "Proxy-" not in origin.requests[0]


@pytest.mark.parametrize(
    ("status", "error"),
    [(403, SourceRefused), (502, SourceUnavailable), (503, SourceUnavailable), (429, SourceUnavailable)],
)
async def test_a_proxy_that_opens_no_tunnel(status: int, error: type[SourceError]) -> None:
    async with http_proxy() as proxy:
        proxy.refuse = status
        with pytest.raises(
            error, match=f"^https://far.invalid/x through the proxy {proxy.url}: it answered {status} to"
        ):
            await fetched("https://far.invalid/x", proxy=proxy.url)


async def test_the_error_of_a_plain_proxys_answer_names_it() -> None:
    async with http_proxy() as proxy:
        proxy.refuse = 503
        with pytest.raises(SourceUnavailable, match=f"through the proxy {proxy.url}.*503"):
            await fetched("http://far.invalid/x", proxy=proxy.url)


@pytest.mark.parametrize("url", ["http://far.invalid/x", "https://far.invalid/x"])
@pytest.mark.parametrize(
    ("proxy", "reason"),
    [
        ("http://me:s3cret@127.0.0.1:9", "it does not answer: Connection refused"),
        ("http://me:s3cret@nowhere.invalid:9", "its name does not resolve"),
    ],
)
async def test_a_proxy_that_cannot_be_reached_is_named(url: str, proxy: str, reason: str) -> None:
    with pytest.raises(SourceUnavailable, match=f"^{url} through the proxy http://.*{reason}") as caught:
        await fetched(url, proxy=proxy)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "answer", [b"odd s3cret\r\n\r\n", b"", b"HTTP/1.1 200 OK\r\n\r\nbytes before TLS", b"x" * 70_000]
)
async def test_a_proxy_that_speaks_no_http(answer: bytes) -> None:
    async with raw_origin(answer) as proxy:
        with pytest.raises(SourceUnavailable, match=r"through the proxy http://127.0.0.1") as caught:
            await fetched("https://far.invalid/x", proxy=proxy.url.removesuffix("/it"))
    assert "s3cret" not in str(caught.value)


async def test_a_proxy_that_stays_silent_ends_in_time() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        proxy = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        item = item_of("https://far.invalid/x", connection=through(proxy=proxy))
        async with HttpSources(connect_timeout=0.3) as sources, sources.source(item) as source:
            with pytest.raises(SourceUnavailable, match=f"through the proxy {proxy}.*timed out"):
                await source.probe()


async def test_the_certificate_of_an_https_proxy_is_verified() -> None:
    async with http_proxy(tls=self_signed()) as proxy:
        with pytest.raises(SourceUnavailable, match=r"through the proxy .*TLS certificate is not valid"):
            await fetched("http://far.invalid/x", proxy=proxy.url)


async def test_the_certificate_of_a_host_behind_a_tunnel_is_verified_for_its_own_name() -> None:
    """Not for that of the proxy, which has the same name as the certificate."""
    async with raw_origin(SMALL, tls=self_signed()) as origin, http_proxy() as proxy:
        assert proxy.url.startswith("http://localhost:")
        with pytest.raises(SourceRefused, match=r"far\.invalid.*TLS certificate is not valid"):
            await fetched(origin.url.replace("localhost", "far.invalid"), proxy=proxy.url, ca_file=CA)
        assert await fetched(origin.url, proxy=proxy.url, ca_file=CA) == b"hi"
    assert len(origin.requests) == 1


async def test_the_certificate_of_an_https_proxy_is_verified_for_its_name() -> None:
    async with http_proxy(tls=self_signed()) as proxy:
        with pytest.raises(SourceUnavailable, match=r"through the proxy .*TLS certificate is not valid"):
            await fetched("http://far.invalid/x", proxy=proxy.url.replace("localhost", "127.0.0.1"), ca_file=CA)
    assert proxy.requests == []


@pytest.mark.parametrize("secure", [False, True])
async def test_a_proxy_that_dies_within_a_body_is_a_broken_connection(secure: bool, life: AsyncExitStack) -> None:
    """What was read before stays valid: `transfer.resuming` continues it by a range."""
    large = BODY * 8
    answer = response(f"Content-Length: {len(large)}", 'ETag: "1"', "Accept-Ranges: bytes", body=large)
    origin = await life.enter_async_context(raw_origin(answer, tls=self_signed() if secure else None))
    proxy = await life.enter_async_context(http_proxy())
    proxy.die_after = 1_000_000
    with pytest.raises(SourceUnavailable, match=f"through the proxy {proxy.url}"):
        await fetched(origin.url, proxy=proxy.url, ca_file=CA)
    assert proxy.died == 1
    assert await fetched(origin.url, proxy=proxy.url, ca_file=CA) == large


# ── which proxy ───────────────────────────────────────────────────────────────────────────────────
@pytest.fixture
async def proxy(life: AsyncExitStack) -> HttpProxy:
    return await life.enter_async_context(http_proxy())


@pytest.fixture
async def origin(life: AsyncExitStack) -> RawOrigin:
    return await life.enter_async_context(raw_origin(SMALL))


async def test_the_environments_proxy_is_used_for_names_but_not_for_loopback(
    origin: RawOrigin, proxy: HttpProxy
) -> None:
    far = origin.url.replace("127.0.0.1", "far.invalid")
    proxies = environment(HTTP_PROXY=proxy.url)
    assert await fetched(far, proxies) == b"hi"
    assert await fetched(origin.url, proxies) == b"hi"
    assert await fetched(origin.url.replace("127.0.0.1", "localhost"), proxies) == b"hi"
    assert proxy.requests == [("GET", far)]
    with pytest.raises(SourceUnavailable, match="does not resolve"):
        await fetched(far, proxies, proxy="none")
    with pytest.raises(SourceUnavailable, match="does not resolve"):
        await fetched(far, environment(HTTP_PROXY=proxy.url, NO_PROXY=".invalid"))
    with pytest.raises(
        SourceRefused, match="the environment's proxy socks5://h:1 cannot be used: mirrord supports http"
    ):
        await fetched(far, environment(ALL_PROXY="socks5://me:s3cret@h:1"))


async def test_connections_of_two_routes_are_kept_apart(proxy: HttpProxy) -> None:
    """Each is kept open, and another request of its own route uses it."""
    async with raw_origin(SMALL, stays=True) as origin, HttpSources(proxies=environment()) as sources:
        for connection in (through(), through(proxy=proxy.url), through(proxy="none"), through(proxy=proxy.url)):
            async with sources.source(item_of(origin.url, connection=connection)) as source:
                assert await read(source, await probed(source)) == b"hi"
    assert len(proxy.requests) == 1
    assert (origin.connections, len(origin.requests)) == (2, 4)


# ── the rules ─────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    "host", ["169.254.169.254", "[fe80::1]", "[::ffff:169.254.169.254]", "100.100.100.200", "0xa9fea9fe", "2852039166"]
)
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_metadata_literals_are_refused_behind_a_proxy(host: str, scheme: str, proxy: HttpProxy) -> None:
    with pytest.raises(SourceRefused, match="metadata"):
        await fetched(f"{scheme}://{host}/latest", proxy=proxy.url)
    assert proxy.requests == []


async def test_a_name_that_leads_to_metadata_here_is_refused(proxy: HttpProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *a, **o: real("169.254.169.254" if host == "evil.test" else host, *a, **o)
    )
    with pytest.raises(SourceRefused, match="metadata"):
        await fetched("http://evil.test/", proxy=proxy.url)
    assert proxy.requests == []


async def test_a_name_that_does_not_resolve_here_in_time_is_left_to_the_proxy(
    origin: RawOrigin, proxy: HttpProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, end = socket.getaddrinfo, threading.Event()

    def slow(host: str, *given: Any, **more: Any) -> Any:
        if host == "slow.test":
            end.wait(60)
        return real(host, *given, **more)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    monkeypatch.setattr(routes, "_NAME_WAIT", 0.05)
    try:
        async with asyncio.timeout(30):
            assert await fetched(origin.url.replace("127.0.0.1", "slow.test"), proxy=proxy.url) == b"hi"
    finally:
        end.set()


@pytest.mark.parametrize(
    "to", ["http://127.0.0.1:1/", "http://localhost:1/", "http://10.0.0.1/", "http://0x7f000001:1/"]
)
@pytest.mark.parametrize("explicit", [False, True])
async def test_a_redirect_from_behind_a_proxy_to_a_private_literal_is_refused(
    to: str, explicit: bool, proxy: HttpProxy
) -> None:
    async with raw_origin(response(f"Location: {to}", "Content-Length: 0", status="HTTP/1.1 302 F")) as origin:
        far = origin.url.replace("127.0.0.1", "far.invalid")
        with pytest.raises(SourceRefused, match=r"from a public address to a private one|malformed"):
            await fetched(far, environment(HTTP_PROXY=proxy.url), **({"proxy": proxy.url} if explicit else {}))
    assert proxy.requests == [("GET", far)]


# ── TLS ───────────────────────────────────────────────────────────────────────────────────────────
async def test_a_ca_file_is_trusted(life: AsyncExitStack) -> None:
    origin = await life.enter_async_context(raw_origin(SMALL, tls=self_signed()))
    assert await fetched(origin.url, ca_file=CA) == b"hi"
    with pytest.raises(SourceRefused, match="TLS certificate is not valid"):
        await fetched(origin.url)
    with pytest.raises(SourceRefused, match=r"ca_file /no/such.pem cannot be read: No such file"):
        await fetched(origin.url, ca_file="/no/such.pem")


async def test_a_client_certificate_is_for_the_own_origin(life: AsyncExitStack) -> None:
    demanding = self_signed()
    demanding.verify_mode = ssl.CERT_REQUIRED
    demanding.load_verify_locations(CA)
    origin = await life.enter_async_context(raw_origin(SMALL, tls=demanding))
    elsewhere = response(f"Location: {origin.url}", "Content-Length: 0", status="HTTP/1.1 302 F")
    other = await life.enter_async_context(raw_origin(elsewhere, tls=self_signed()))
    assert await fetched(origin.url, ca_file=CA, client_cert=CA) == b"hi"
    for url in (other.url, origin.url):
        with pytest.raises(SourceUnavailable):
            await fetched(url, ca_file=CA, **({"client_cert": CA} if url == other.url else {}))
    assert len(origin.requests) == 1
    with pytest.raises(SourceRefused, match=r"client_cert /no/such.pem cannot be read"):
        await fetched(origin.url, client_cert="/no/such.pem")


@pytest.mark.parametrize(("tls_min", "works"), [(None, True), ("1.2", True), ("1.3", False)])
async def test_an_older_tls_than_the_minimum_is_refused(tls_min: str | None, works: bool, life: AsyncExitStack) -> None:
    old = self_signed()
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    origin = await life.enter_async_context(raw_origin(SMALL, tls=old))
    if works:
        assert await fetched(origin.url, ca_file=CA, tls_min=tls_min) == b"hi"
        return
    with pytest.raises(SourceUnavailable, match="cannot connect"):
        await fetched(origin.url, ca_file=CA, tls_min=tls_min)
