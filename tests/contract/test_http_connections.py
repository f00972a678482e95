"""Redirects, refused addresses and connections of HTTP sources, with a real origin."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest

from mirrord.errors import SourceRefused, SourceUnavailable
from mirrord.sources.http import HttpSources
from mirrord.sources.http.addresses import AddressRules
from mirrord.sources.http.source import HttpSource
from tests.support import origin as misbehaviour
from tests.support.origin import Asked, Generated, Origin
from tests.support.reading import drained, item_of, probed, read

SIZE = 900_000
WHOLE = Generated(SIZE, seed=1)
BODY = b"".join(WHOLE.pieces())


@pytest.fixture
async def sources() -> AsyncIterator[HttpSources]:
    async with HttpSources(now=lambda: 1_800_000_000) as sources:
        yield sources


@pytest.fixture
def it(origin: Origin, sources: HttpSources) -> HttpSource:
    return sources.source(item_of(origin.publish("/it", WHOLE), idle_timeout=5.0))


async def over(asked: Asked) -> Asked:
    """The request, after the origin has ended its response."""
    assert await asyncio.to_thread(asked.over.wait, 5), "the origin still answers"
    return asked


# ── redirects and addresses ───────────────────────────────────────────────────────────────────────
async def test_headers_are_sent_to_the_entrys_own_origin_only(origin: Origin, sources: HttpSources) -> None:
    origin.publish("/it", BODY)
    origin.behave("/start", misbehaviour.redirects("/near"))
    origin.behave("/near", misbehaviour.redirects(origin.url("/it", host="localhost")))
    async with sources.source(item_of(origin.url("/start"), headers={"X-Token": "t"})) as source:
        assert await read(source, await probed(source)) == BODY
    assert ["x-token" in asked.headers for asked in origin.log] == [True, True, False]


async def test_validators_are_sent_only_to_the_url_that_sent_them(origin: Origin, sources: HttpSources) -> None:
    origin.publish("/v1", BODY)
    origin.publish("/v2", BODY)
    origin.behave("/latest", misbehaviour.redirects("/v1?X-Amz-Signature=1"))
    async with sources.source(item_of(origin.url("/latest"))) as source:
        known = (await probed(source)).revision
        origin.behave("/latest", misbehaviour.redirects("/v1?X-Amz-Signature=2"))
        assert await source.probe(known) is None
        origin.behave("/latest", misbehaviour.redirects("/v2?X-Amz-Signature=3"))
        assert await source.probe(known) is not None
    conditional = [asked.path for asked in origin.log if "if-none-match" in asked.headers]
    assert conditional == ["/v1"]


async def test_ranges_follow_redirects(origin: Origin, sources: HttpSources) -> None:
    origin.publish("/v1", BODY)
    origin.behave("/latest", misbehaviour.redirects("/v1"))
    async with sources.source(item_of(origin.url("/latest"))) as source:
        assert await read(source, await probed(source), 7, 77) == BODY[7:77]
    assert ["range" in asked.headers for asked in origin.log] == [False, False, False, True]


async def test_redirects_are_counted(origin: Origin, sources: HttpSources) -> None:
    origin.behave("/it", misbehaviour.redirects("/it"))
    async with sources.source(item_of(origin.url("/it"), max_redirects=3)) as source:
        with pytest.raises(SourceRefused, match="more than 3 redirects"):
            await source.probe()
    assert len(origin.log) == 4


@pytest.mark.parametrize("to", ["ftp://127.0.0.1/x", "file:///etc/passwd", "http://[bad/", "http://169.254.169.254/"])
async def test_a_redirect_to_a_forbidden_url_is_refused(origin: Origin, it: HttpSource, to: str) -> None:
    origin.behave("/it", misbehaviour.redirects(to))
    async with it:
        with pytest.raises(SourceRefused):
            await it.probe()


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "[fe80::1]", "[fd00:ec2::254]", "100.100.100.200", "[::ffff:a9fe:a9fe]"]
)
async def test_metadata_addresses_are_refused(sources: HttpSources, host: str) -> None:
    async with sources.source(item_of(f"http://{host}/latest?sig=s3cret")) as source:
        with pytest.raises(SourceRefused, match="metadata") as caught:
            await source.probe()
    assert "s3cret" not in str(caught.value)


async def test_a_redirect_from_a_public_to_a_private_address_is_refused(
    origin: Origin, it: HttpSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin.behave("/it", misbehaviour.redirects("/private"))
    origin.publish("/private", BODY)
    async with it:
        assert await it.probe() is not None  # from loopback to loopback; leaves a connection in the pool
        monkeypatch.setattr(AddressRules, "is_public", lambda *_: True)
        with pytest.raises(SourceRefused, match="from a public address to a private one"):
            await it.probe()


# ── connections ───────────────────────────────────────────────────────────────────────────────────
async def test_a_refused_connection(sources: HttpSources) -> None:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    async with sources.source(item_of(f"http://127.0.0.1:{port}/x?sig=s3cret")) as source:
        with pytest.raises(
            SourceUnavailable, match=rf"^http://127.0.0.1:{port}/x\?…: cannot connect: Connection refused$"
        ):
            await source.probe()


async def test_a_name_that_does_not_resolve(sources: HttpSources) -> None:
    async with sources.source(item_of("http://no-such-host.invalid/x")) as source:
        with pytest.raises(SourceUnavailable, match="does not resolve"):
            await source.probe()


async def test_a_self_signed_certificate_is_refused(sources: HttpSources) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(Path(__file__).parents[1] / "support" / "selfsigned.pem")
    async with await asyncio.start_server(lambda _, w: w.close(), "127.0.0.1", 0, ssl=context) as server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/x"
        async with sources.source(item_of(url)) as source:
            with pytest.raises(SourceRefused, match="TLS certificate is not valid"):
                await source.probe()


async def test_a_tls_handshake_without_an_answer_ends_in_time() -> None:
    closed = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await reader.read()
        closed.set()

    async with (
        await asyncio.start_server(silent, "127.0.0.1", 0) as server,
        HttpSources(connect_timeout=0.3) as sources,
    ):
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/x"
        async with sources.source(item_of(url)) as source:
            with pytest.raises(SourceUnavailable, match="cannot connect: timed out"):
                await source.probe()
        await asyncio.wait_for(closed.wait(), 10)


async def test_a_server_that_closes_within_the_tls_handshake(sources: HttpSources) -> None:
    async with await asyncio.start_server(lambda _, w: w.close(), "127.0.0.1", 0) as server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/x"
        async with sources.source(item_of(url)) as source:
            with pytest.raises(SourceUnavailable, match="cannot connect: Connection reset by peer"):
                await source.probe()


async def test_tls_to_a_plain_port_fails(origin: Origin, sources: HttpSources) -> None:
    async with sources.source(item_of(origin.url("/it").replace("http:", "https:"))) as source:
        with pytest.raises(SourceUnavailable, match="cannot connect"):
            await source.probe()


@pytest.mark.parametrize("url", ["http://[bad/x?sig=s3cret", "http:///x?sig=s3cret", "http://h:99999/x?sig=s3cret"])
async def test_a_malformed_url_is_refused_without_its_secret(sources: HttpSources, url: str) -> None:
    with pytest.raises(SourceRefused) as caught:
        async with sources.source(item_of(url)) as source:
            await source.probe()
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None


async def test_leaving_early_closes_the_connection(origin: Origin, sources: HttpSources) -> None:
    url = origin.publish("/it", Generated(64 << 20))
    async with sources.source(item_of(url)) as source:
        observed = await probed(source)
        async with source.open(observed) as stream:
            await stream.readinto(memoryview(bytearray(10)))
        assert (await over(origin.log[-1])).left
        await probed(source)  # open, never read
    assert (await over(origin.log[-1])).left


async def test_cancellation_is_not_translated(origin: Origin, it: HttpSource) -> None:
    origin.behave("/it", misbehaviour.stalls_after(1000))
    async with it:
        observed = await probed(it)
        async with it.open(observed) as stream:
            reading = asyncio.create_task(drained(stream))
            await asyncio.sleep(0)
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
    assert (await over(origin.log[-1])).left


async def test_connections_to_one_host_are_bounded(origin: Origin) -> None:
    url = origin.publish("/large", Generated(50_000_000, seed=2))
    async with HttpSources(per_host=2, connect_timeout=1.0) as sources, AsyncExitStack() as life:
        made = [await life.enter_async_context(sources.source(item_of(url, idle_timeout=1.0))) for _ in range(5)]
        probes = {asyncio.create_task(source.probe()): source for source in made}
        answered = 0
        while probes:  # a request that waits for a connection exceeds every deadline and is not sent
            pause = 2.5 if not answered else 0.1
            _, waiting = await asyncio.wait(probes, timeout=pause)
            while len(waiting) > max(0, len(probes) - 2):
                _, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            done = probes.keys() - waiting
            answered += len(done)
            assert len(done) == min(2, len(probes))
            assert len(origin.asked("/large")) == answered
            for probe in done:
                assert await probe is not None
                await probes.pop(probe).__aexit__(None, None, None)
