"""Requests and responses of HTTP sources, with a real origin: what is sent, which responses count, ranges."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from itertools import count

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
from mirrord.sources.http import HttpSources
from mirrord.sources.http.source import HttpSource
from mirrord.testing import ManualClock
from mirrord.units import KiB, MiB
from tests.support import origin as misbehaviour
from tests.support.origin import Asked, Behaviour, Generated, Origin
from tests.support.reading import item_of, probed, read

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
    """The request, after the origin has ended its response."""
    assert await asyncio.to_thread(asked.over.wait, 5), "the origin still answers"
    return asked


# ── requests ──────────────────────────────────────────────────────────────────────────────────────
async def test_probe_and_copy_cost_one_request(origin: Origin, it: HttpSource) -> None:
    async with it:
        assert await read(it, await probed(it)) == BODY
    assert [asked.status for asked in origin.log] == [200]


async def test_an_unchanged_source_costs_one_request_and_no_body(origin: Origin, it: HttpSource) -> None:
    async with it:
        known = (await probed(it)).revision
    await over(origin.log[-1])
    sent = origin.body_bytes()
    async with it:
        assert await it.probe(known) is None
    assert [asked.status for asked in origin.log] == [200, 304]
    assert origin.body_bytes() == sent
    assert origin.log[-1].headers["if-none-match"] == known.etag
    assert "if-modified-since" not in origin.log[-1].headers


async def test_a_date_without_an_etag_is_sent(origin: Origin, it: HttpSource) -> None:
    origin.behave("/it", misbehaviour.without("ETag"))
    async with it:
        known = (await probed(it)).revision
        assert known.etag is None
        assert await it.probe(known) is None


async def test_a_200_with_the_same_strong_etag_is_unchanged(origin: Origin, it: HttpSource) -> None:
    async with it:
        known = (await probed(it)).revision
    origin.publish("/it", b"new bytes under the old tag")
    origin.behave("/it", misbehaviour.says(ETag=known.etag or ""))
    async with it:
        assert await it.probe(known) is None


async def test_validators_of_another_url_are_not_sent(origin: Origin, it: HttpSource, sources: HttpSources) -> None:
    async with it:
        known = (await probed(it)).revision
    other = sources.source(item_of(origin.publish("/other", BODY)))
    async with other:
        assert await other.probe(known) is not None
    assert not {"if-none-match", "if-modified-since"} & origin.log[-1].headers.keys()


async def test_a_signed_url_is_sent_unchanged(origin: Origin, sources: HttpSources) -> None:
    origin.behave("/a/b c", misbehaviour.answers(404))
    source = sources.source(item_of(origin.url("/a%2Fb%20c?X-Sig=a%2Fb%3D%2b&x=%41+~")))
    async with source:
        with pytest.raises(SourceMissing):
            await source.probe()
    assert origin.log[0].query == "X-Sig=a%2Fb%3D%2b&x=%41+~"


async def test_userinfo_is_sent_as_a_header_and_is_in_no_message(origin: Origin, sources: HttpSources) -> None:
    origin.behave("/it", misbehaviour.answers(403))
    url = origin.url("/it?token=s3cret").replace("://", "://me:pa%40ss@")
    async with sources.source(item_of(url)) as source:
        with pytest.raises(SourceDenied) as caught:
            await source.probe()
    assert origin.log[0].headers["authorization"] == "Basic bWU6cGFAc3M="
    assert str(caught.value) == f"{origin.url('/it?…')}: answered 403 Forbidden"


async def test_accept_encoding_is_always_identity(origin: Origin, sources: HttpSources) -> None:
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
async def test_each_status_raises_its_error(
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


async def test_a_forced_content_coding_is_reported_and_not_decoded(origin: Origin, it: HttpSource) -> None:
    origin.behave("/it", misbehaviour.forces_gzip())
    async with it:
        observed = await probed(it)
        assert observed.content_encoding == "gzip"
        assert observed.content_type == "text/plain"
        coded = await read(it, observed)
    assert observed.revision.length == len(coded)
    assert gzip.decompress(coded) == BODY


@pytest.mark.parametrize("framing", [misbehaviour.chunked(), misbehaviour.unframed()])
async def test_a_body_of_unknown_length_is_read_to_its_end(origin: Origin, it: HttpSource, framing: Behaviour) -> None:
    origin.behave("/it", framing)
    async with it:
        observed = await probed(it)
        assert observed.revision.length is None
        assert not observed.ranges
        assert await read(it, observed) == BODY


@pytest.mark.parametrize("framing", [misbehaviour.says(), misbehaviour.chunked()])
@pytest.mark.parametrize("size", [0, 1, 500_000, SIZE - 1])
async def test_a_body_cut_short_fails(origin: Origin, it: HttpSource, framing: Behaviour, size: int) -> None:
    origin.behave("/it", framing, misbehaviour.cut_after(size))
    async with it:
        observed = await probed(it)
        with pytest.raises(SourceUnavailable, match=f"cut short at {size} of"):
            await read(it, observed)


async def test_silence_fails_after_the_idle_timeout(origin: Origin, sources: HttpSources) -> None:
    url = origin.publish("/it", WHOLE)
    origin.behave("/it", misbehaviour.stalls_after(1000))
    async with sources.source(item_of(url, idle_timeout=1.0)) as source:
        observed = await probed(source)
        with pytest.raises(SourceUnavailable, match=r"silent for 1 s at 1000 of 900000 bytes"):
            await read(source, observed)


async def test_a_body_below_the_minimum_rate_fails(origin: Origin) -> None:
    url = origin.publish("/it", WHOLE)
    origin.behave("/it", misbehaviour.drips(0.001))
    calls = count()  # each call of the clock is 0.04 s later: every read waited as long
    item = item_of(url, idle_timeout=0.8, min_rate=10 * KiB)
    async with HttpSources(monotonic=lambda: next(calls) * 0.04) as sources, sources.source(item) as source:
        observed = await probed(source)
        with pytest.raises(SourceUnavailable, match=r"/it: slower than min_rate \(10\.0 KiB/s\) at \d+ of 900000"):
            await read(source, observed)
    assert 40 <= next(calls) <= 44  # one window


async def test_a_slow_reader_does_not_count_as_a_slow_source(origin: Origin) -> None:
    clock = ManualClock()
    url = origin.publish("/it", WHOLE)
    item = item_of(url, idle_timeout=20.0, min_rate=MiB)
    async with (
        HttpSources(monotonic=clock.monotonic) as sources,
        sources.source(item) as source,
        source.open(await probed(source)) as stream,
    ):
        view, size = memoryview(bytearray(64 * KiB)), 0
        while came := await stream.readinto(view):
            size += came
            await clock.advance(60.0)
    assert size == SIZE


async def test_an_origin_that_never_answers_times_out(sources: HttpSources) -> None:
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
async def test_a_response_that_is_not_http_has_a_one_line_error(sources: HttpSources, answer: bytes) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(babble, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/x"
        async with sources.source(item_of(f"{url}?sig=s3cret")) as source:
            with pytest.raises(SourceUnavailable, match=rf"^{url}\?…: [a-zA-Z ]+$") as caught:
                await source.probe()
    assert "s3cret" not in repr(caught.value.__cause__)


# ── ranges ────────────────────────────────────────────────────────────────────────────────────────
async def test_a_range_is_pinned_by_its_strong_etag(origin: Origin, it: HttpSource) -> None:
    async with it:
        observed = await probed(it)
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
        "200 with Content-Range",
    ],
)
async def test_any_other_range_than_requested_is_refused(origin: Origin, it: HttpSource, behaviour: Behaviour) -> None:
    async with it:
        observed = await probed(it)
        origin.behave("/it", behaviour)
        with pytest.raises(SourceChanged) as caught:
            await read(it, observed, 1000)
    assert caught.value.recovery is Recovery.RESTART


@pytest.mark.parametrize(
    "behaviour",
    [misbehaviour.weak_etag(), misbehaviour.without("ETag"), misbehaviour.says(Accept_Ranges="none")],
    ids=["weak", "none", "not offered"],
)
async def test_without_a_strong_etag_there_are_no_ranges(origin: Origin, it: HttpSource, behaviour: Behaviour) -> None:
    origin.behave("/it", behaviour)
    async with it:
        observed = await probed(it)
        assert not observed.ranges
        with pytest.raises(SourceRefused):
            await read(it, observed, 1000)


async def test_a_range_cut_short_fails(origin: Origin, it: HttpSource) -> None:
    async with it:
        observed = await probed(it)
        origin.behave("/it", misbehaviour.cut_after(99))
        with pytest.raises(SourceUnavailable, match="cut short at 99 of 800000 bytes"):
            await read(it, observed, 100_000)


@pytest.mark.parametrize(("by", "words"), [(-1, "cut short at 3999 of 4000 bytes"), (1, "more than the 4000 bytes")])
async def test_a_range_of_another_size_than_announced_fails(
    origin: Origin, it: HttpSource, by: int, words: str
) -> None:
    async with it:
        observed = await probed(it)
        origin.behave("/it", misbehaviour.resizes_body(by))
        with pytest.raises(SourceUnavailable, match=words):
            await read(it, observed, 1000, 5000)
