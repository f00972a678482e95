"""What is HTTP's own in a source, against a real origin: what is asked, which answers count, where secrets go."""

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path

import pytest

from mirrord.errors import (
    Recovery,
    SourceChanged,
    SourceDenied,
    SourceError,
    SourceMissing,
    SourceRefused,
    SourceUnavailable,
)
from mirrord.sources.http import HttpSource, HttpSources
from mirrord.sources.http.addresses import AddressRules
from mirrord.testing import ManualClock
from mirrord.units import KiB, MiB
from tests.support import origin as misbehaviour
from tests.support.origin import Asked, Behaviour, Generated, Origin
from tests.support.reading import drained, item_of, looked, read

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


def both(first: Behaviour, second: Behaviour) -> Behaviour:
    def behave(reply: misbehaviour.Reply, asked: Asked) -> None:
        first(reply, asked)
        second(reply, asked)

    return behave


async def over(asked: Asked) -> Asked:
    """The request once the origin is done with it."""
    assert await asyncio.to_thread(asked.over.wait, 5), "the origin still answers"
    return asked


# ── requests ──────────────────────────────────────────────────────────────────────────────────────
async def test_look_and_copy_cost_one_request(origin: Origin, it: HttpSource) -> None:
    async with it:
        assert await read(it, await looked(it)) == BODY
    assert [asked.status for asked in origin.log] == [200]


async def test_an_unchanged_source_costs_one_request_and_no_body(origin: Origin, it: HttpSource) -> None:
    async with it:
        known = (await looked(it)).revision
    await over(origin.log[-1])
    sent = origin.body_bytes()
    async with it:
        assert await it.probe(known) is None
    assert [asked.status for asked in origin.log] == [200, 304]
    assert origin.body_bytes() == sent
    assert origin.log[-1].headers["if-none-match"] == known.etag
    assert "if-modified-since" not in origin.log[-1].headers


async def test_a_date_alone_is_asked_about_too(origin: Origin, it: HttpSource) -> None:
    origin.behave("/it", misbehaviour.without("ETag"))
    async with it:
        known = (await looked(it)).revision
        assert known.etag is None
        assert await it.probe(known) is None


async def test_the_same_strong_etag_is_unchanged_even_with_200(origin: Origin, it: HttpSource) -> None:
    async with it:
        known = (await looked(it)).revision
    origin.publish("/it", b"new bytes under the old tag")
    origin.behave("/it", misbehaviour.says(ETag=known.etag or ""))
    async with it:
        assert await it.probe(known) is None


async def test_validators_of_another_url_are_not_sent(origin: Origin, it: HttpSource, sources: HttpSources) -> None:
    async with it:
        known = (await looked(it)).revision
    other = sources.source(item_of(origin.publish("/other", BODY)))
    async with other:
        assert await other.probe(known) is not None
    assert not {"if-none-match", "if-modified-since"} & origin.log[-1].headers.keys()


async def test_a_signed_url_arrives_as_it_was_written(origin: Origin, sources: HttpSources) -> None:
    origin.behave("/a/b c", misbehaviour.answers(404))
    source = sources.source(item_of(origin.url("/a%2Fb%20c?X-Sig=a%2Fb%3D%2b&x=%41+~")))
    async with source:
        with pytest.raises(SourceMissing):
            await source.probe()
    assert origin.log[0].query == "X-Sig=a%2Fb%3D%2b&x=%41+~"


async def test_userinfo_becomes_a_header_and_no_message(origin: Origin, sources: HttpSources) -> None:
    origin.behave("/it", misbehaviour.answers(403))
    url = origin.url("/it?token=s3cret").replace("://", "://me:pa%40ss@")
    async with sources.source(item_of(url)) as source:
        with pytest.raises(SourceDenied) as caught:
            await source.probe()
    assert origin.log[0].headers["authorization"] == "Basic bWU6cGFAc3M="
    assert str(caught.value) == f"{origin.url('/it')}: answered 403 Forbidden"


async def test_identity_is_asked_for_whatever_the_entry_says(origin: Origin, sources: HttpSources) -> None:
    url = origin.publish("/it", BODY)
    async with sources.source(item_of(url, headers={"accept-encoding": "gzip", "X-Token": "t"})) as source:
        await source.probe()
    assert origin.log[0].headers["accept-encoding"] == "identity"
    assert origin.log[0].headers["x-token"] == "t"
    assert origin.log[0].headers["user-agent"].startswith("mirrord/")


async def test_no_cookie_is_kept(origin: Origin, sources: HttpSources) -> None:
    origin.publish("/it", BODY)
    origin.behave("/it", misbehaviour.says(Set_Cookie="a=b; Path=/"))
    async with sources.source(item_of(origin.url("/it", host="localhost"))) as source:  # an address has no cookies
        await source.probe()
        await source.probe()
    assert "cookie" not in origin.log[-1].headers


# ── answers ───────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("status", "headers", "error", "retry_after"),
    [
        (401, {}, SourceDenied, None),
        (403, {}, SourceDenied, None),
        (404, {}, SourceMissing, None),
        (410, {}, SourceMissing, None),
        (408, {}, SourceUnavailable, None),
        (425, {}, SourceUnavailable, None),
        (429, {"Retry_After": "17"}, SourceUnavailable, 17.0),
        (500, {}, SourceUnavailable, None),
        (503, {"Retry_After": "Fri, 15 Jan 2027 08:01:00 GMT"}, SourceUnavailable, 60.0),
        (503, {"Retry_After": "99999999999"}, SourceUnavailable, 3600.0),
        (400, {}, SourceRefused, None),
        (451, {}, SourceRefused, None),
        (204, {}, SourceRefused, None),
        (206, {}, SourceRefused, None),
        (304, {}, SourceRefused, None),
        (302, {}, SourceRefused, None),
        (799, {}, SourceUnavailable, None),
    ],
)
async def test_a_status_is_an_error_that_says_what_to_do(
    origin: Origin,
    it: HttpSource,
    status: int,
    headers: dict[str, str],
    error: type[SourceError],
    retry_after: float | None,
) -> None:
    origin.behave("/it", misbehaviour.answers(status, **headers))
    async with it:
        with pytest.raises(error, match=r"^http://127\.0\.0\.1:\d+/it: ") as caught:
            await it.probe()
    assert type(caught.value) is error
    assert caught.value.retry_after == retry_after


async def test_a_forced_coding_is_reported_and_its_bytes_kept(origin: Origin, it: HttpSource) -> None:
    origin.behave("/it", misbehaviour.forces_gzip())
    async with it:
        observed = await looked(it)
        assert observed.content_encoding == "gzip"
        assert observed.content_type == "text/plain"
        coded = await read(it, observed)
    assert observed.revision.length == len(coded)
    assert gzip.decompress(coded) == BODY


@pytest.mark.parametrize("framing", [misbehaviour.chunked(), misbehaviour.unframed()])
async def test_a_body_of_unknown_length_is_read_to_its_end(origin: Origin, it: HttpSource, framing: Behaviour) -> None:
    origin.behave("/it", framing)
    async with it:
        observed = await looked(it)
        assert observed.revision.length is None
        assert not observed.ranges
        assert await read(it, observed) == BODY


@pytest.mark.parametrize("framing", [misbehaviour.says(), misbehaviour.chunked()])
@pytest.mark.parametrize("size", [0, 1, 500_000, SIZE - 1])
async def test_a_body_cut_short_is_no_end(origin: Origin, it: HttpSource, framing: Behaviour, size: int) -> None:
    origin.behave("/it", framing, misbehaviour.cut_after(size))
    async with it:
        observed = await looked(it)
        with pytest.raises(SourceUnavailable, match=f"cut short at {size} of"):
            await read(it, observed)


async def test_silence_ends_at_the_idle_timeout(origin: Origin, sources: HttpSources) -> None:
    url = origin.publish("/it", WHOLE)
    origin.behave("/it", misbehaviour.stalls_after(1000))
    async with sources.source(item_of(url, idle_timeout=1.0)) as source:
        observed = await looked(source)
        with pytest.raises(SourceUnavailable, match=r"silent for 1 s at 1000 of 900000 bytes"):
            await read(source, observed)


async def test_a_drip_ends_at_the_least_rate(origin: Origin) -> None:
    url = origin.publish("/it", WHOLE)
    origin.behave("/it", misbehaviour.drips(0.001))
    seconds = count()  # each question to the clock finds it a second later: every read waited one
    item = item_of(url, idle_timeout=20.0, min_rate=KiB)
    async with HttpSources(monotonic=lambda: float(next(seconds))) as sources, sources.source(item) as source:
        observed = await looked(source)
        with pytest.raises(SourceUnavailable, match=r"/it: slower than min_rate \(1\.0 KiB/s\) at \d+ of 900000"):
            await read(source, observed)
    assert 40 <= next(seconds) <= 44  # one window, and no more


async def test_a_slow_reader_makes_no_slow_source(origin: Origin) -> None:
    clock = ManualClock()
    url = origin.publish("/it", WHOLE)
    item = item_of(url, idle_timeout=20.0, min_rate=MiB)
    async with (
        HttpSources(monotonic=clock.monotonic) as sources,
        sources.source(item) as source,
        source.open(await looked(source)) as stream,
    ):
        view, size = memoryview(bytearray(64 * KiB)), 0
        while came := await stream.readinto(view):
            size += came
            await clock.advance(60.0)
    assert size == SIZE


async def test_connections_to_one_host_are_bounded(origin: Origin) -> None:
    url = origin.publish("/large", Generated(50_000_000, seed=2))
    async with HttpSources(per_host=2, connect_timeout=1.0) as sources, AsyncExitStack() as life:
        made = [await life.enter_async_context(sources.source(item_of(url, idle_timeout=1.0))) for _ in range(5)]
        looks = {asyncio.create_task(source.probe()): source for source in made}
        answered = 0
        while looks:  # who waits for a turn waits longer than every deadline, and is asked for nothing
            pause = 2.5 if not answered else 0.1
            _, waiting = await asyncio.wait(looks, timeout=pause)
            while len(waiting) > max(0, len(looks) - 2):
                _, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            done = looks.keys() - waiting
            answered += len(done)
            assert len(done) == min(2, len(looks))
            assert len(origin.asked("/large")) == answered
            for look in done:
                assert await look is not None
                await looks.pop(look).__aexit__(None, None, None)


async def test_an_origin_that_never_answers_is_left(sources: HttpSources) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server, HttpSources(connect_timeout=0.1) as hasty:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/x"
        async with hasty.source(item_of(url, idle_timeout=0.1)) as source:
            with pytest.raises(SourceUnavailable, match="no answer in time"):
                await source.probe()


@pytest.mark.parametrize(
    "answer", [b"", b"SSH-2.0-OpenSSH_9.9\r\n\r\n", b"\x15\x03\x03\x00\x02\x02\x28", b"HTTP/1.1 2"]
)
async def test_what_is_not_http_is_one_clear_line(sources: HttpSources, answer: bytes) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(babble, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/x"
        async with sources.source(item_of(f"{url}?sig=s3cret")) as source:
            with pytest.raises(SourceUnavailable, match=f"^{url}: [a-zA-Z ]+$") as caught:
                await source.probe()
    assert "s3cret" not in repr(caught.value.__cause__)


# ── ranges ────────────────────────────────────────────────────────────────────────────────────────
async def test_a_range_is_pinned_by_its_strong_etag(origin: Origin, it: HttpSource) -> None:
    async with it:
        observed = await looked(it)
        assert await read(it, observed, 10, 20) == BODY[10:20]
    assert origin.log[-1].headers["range"] == "bytes=10-19"
    assert origin.log[-1].headers["if-range"] == observed.revision.etag


@pytest.mark.parametrize(
    "behaviour",
    [
        misbehaviour.ignores_range(),
        misbehaviour.shifts_range(),
        misbehaviour.rotating_etag(),
        misbehaviour.weak_etag(),
        misbehaviour.without("ETag"),
        misbehaviour.without("Content-Range"),
        misbehaviour.says(Content_Range="bytes 1000-899999/900001"),
        misbehaviour.answers(416),
        both(misbehaviour.ignores_range(), misbehaviour.says(Content_Range="bytes 1000-899999/900000")),
    ],
    ids=[
        "200",
        "shifted",
        "another etag",
        "weak etag",
        "no etag",
        "no content-range",
        "another total",
        "416",
        "200 that says 206",
    ],
)
async def test_any_other_range_than_asked_is_refused(origin: Origin, it: HttpSource, behaviour: Behaviour) -> None:
    async with it:
        observed = await looked(it)
        origin.behave("/it", behaviour)
        with pytest.raises(SourceChanged) as caught:
            await read(it, observed, 1000)
    assert caught.value.recovery is Recovery.RESTART


@pytest.mark.parametrize(
    "behaviour",
    [misbehaviour.weak_etag(), misbehaviour.without("ETag"), misbehaviour.says(Accept_Ranges="none")],
    ids=["weak", "none", "not offered"],
)
async def test_without_a_pin_there_are_no_ranges(origin: Origin, it: HttpSource, behaviour: Behaviour) -> None:
    origin.behave("/it", behaviour)
    async with it:
        observed = await looked(it)
        assert not observed.ranges
        with pytest.raises(SourceRefused):
            await read(it, observed, 1000)


async def test_a_range_cut_short_is_no_end(origin: Origin, it: HttpSource) -> None:
    async with it:
        observed = await looked(it)
        origin.behave("/it", misbehaviour.cut_after(99))
        with pytest.raises(SourceUnavailable, match="cut short at 99 of 800000 bytes"):
            await read(it, observed, 100_000)


@pytest.mark.parametrize(("by", "words"), [(-1, "cut short at 3999 of 4000 bytes"), (1, "more than the 4000 bytes")])
async def test_a_range_of_another_size_than_it_says(origin: Origin, it: HttpSource, by: int, words: str) -> None:
    async with it:
        observed = await looked(it)
        origin.behave("/it", misbehaviour.resizes_body(by))
        with pytest.raises(SourceUnavailable, match=words):
            await read(it, observed, 1000, 5000)


# ── redirects and addresses ───────────────────────────────────────────────────────────────────────
async def test_headers_go_to_the_entrys_own_origin_only(origin: Origin, sources: HttpSources) -> None:
    origin.publish("/it", BODY)
    origin.behave("/start", misbehaviour.redirects("/near"))
    origin.behave("/near", misbehaviour.redirects(origin.url("/it", host="localhost")))
    async with sources.source(item_of(origin.url("/start"), headers={"X-Token": "t"})) as source:
        assert await read(source, await looked(source)) == BODY
    assert ["x-token" in asked.headers for asked in origin.log] == [True, True, False]


async def test_validators_go_back_where_they_came_from(origin: Origin, sources: HttpSources) -> None:
    origin.publish("/v1", BODY)
    origin.publish("/v2", BODY)
    origin.behave("/latest", misbehaviour.redirects("/v1?X-Amz-Signature=1"))
    async with sources.source(item_of(origin.url("/latest"))) as source:
        known = (await looked(source)).revision
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
        assert await read(source, await looked(source), 7, 77) == BODY[7:77]
    assert ["range" in asked.headers for asked in origin.log] == [False, False, False, True]


async def test_redirects_are_counted(origin: Origin, sources: HttpSources) -> None:
    origin.behave("/it", misbehaviour.redirects("/it"))
    async with sources.source(item_of(origin.url("/it"), max_redirects=3)) as source:
        with pytest.raises(SourceRefused, match="more than 3 redirects"):
            await source.probe()
    assert len(origin.log) == 4


@pytest.mark.parametrize("to", ["ftp://127.0.0.1/x", "file:///etc/passwd", "http://[bad/", "http://169.254.169.254/"])
async def test_a_redirect_to_where_nothing_should_be_asked(origin: Origin, it: HttpSource, to: str) -> None:
    origin.behave("/it", misbehaviour.redirects(to))
    async with it:
        with pytest.raises(SourceRefused):
            await it.probe()


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "[fe80::1]", "[fd00:ec2::254]", "100.100.100.200", "[::ffff:a9fe:a9fe]"]
)
async def test_metadata_addresses_are_never_asked(sources: HttpSources, host: str) -> None:
    async with sources.source(item_of(f"http://{host}/latest?sig=s3cret")) as source:
        with pytest.raises(SourceRefused, match="metadata") as caught:
            await source.probe()
    assert "s3cret" not in str(caught.value)


async def test_a_public_address_leads_to_no_private_one(
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
async def test_nothing_listens(sources: HttpSources) -> None:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    async with sources.source(item_of(f"http://127.0.0.1:{port}/x?sig=s3cret")) as source:
        with pytest.raises(SourceUnavailable, match=f"^http://127.0.0.1:{port}/x: cannot connect: Connection refused$"):
            await source.probe()


async def test_a_name_that_does_not_resolve(sources: HttpSources) -> None:
    async with sources.source(item_of("http://no-such-host.invalid/x")) as source:
        with pytest.raises(SourceUnavailable, match="does not resolve"):
            await source.probe()


async def test_a_certificate_that_nobody_vouches_for(sources: HttpSources) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(Path(__file__).parents[1] / "support" / "selfsigned.pem")
    async with await asyncio.start_server(lambda _, w: w.close(), "127.0.0.1", 0, ssl=context) as server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/x"
        async with sources.source(item_of(url)) as source:
            with pytest.raises(SourceRefused, match="TLS certificate is not valid"):
                await source.probe()


async def test_tls_asked_of_a_plain_port(origin: Origin, sources: HttpSources) -> None:
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


async def test_leaving_early_leaves_no_connection(origin: Origin, sources: HttpSources) -> None:
    url = origin.publish("/it", Generated(64 << 20))
    async with sources.source(item_of(url)) as source:
        observed = await looked(source)
        async with source.open(observed) as stream:
            await stream.readinto(memoryview(bytearray(10)))
        assert (await over(origin.log[-1])).left
        await looked(source)  # held, never opened
    assert (await over(origin.log[-1])).left


async def test_cancellation_is_cancellation(origin: Origin, it: HttpSource) -> None:
    origin.behave("/it", misbehaviour.stalls_after(1000))
    async with it:
        observed = await looked(it)
        async with it.open(observed) as stream:
            reading = asyncio.create_task(drained(stream))
            await asyncio.sleep(0)
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
    assert (await over(origin.log[-1])).left
