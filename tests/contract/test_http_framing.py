"""Malformed and unusual framings from an origin of raw bytes: accepted as other clients accept them, or refused.

They never count as an outage: a refused response is SourceRefused, with the reason and without a quote of the response.
"""

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator, Callable
from time import monotonic

import pytest

from mirrord.errors import SourceError, SourceRefused, SourceUnavailable
from mirrord.sources.http import HttpSources
from mirrord.sources.http.protocol import LARGEST_HEAD, MOST_INTERIM
from mirrord.units import KiB, MiB
from tests.support.raw_origin import Sends, chunks, raw_origin, response
from tests.support.reading import drained, item_of, probed, read

BODY = b"some bytes of a body\n" * 40
LENGTH = f"Content-Length: {len(BODY)}"
EARLY = response("Link: </a.css>; rel=preload", status="HTTP/1.1 103 Early Hints")


@pytest.fixture
async def sources() -> AsyncIterator[HttpSources]:
    async with HttpSources() as sources:
        yield sources


async def fetched(sources: HttpSources, answer: bytes | Sends, *, stays: bool = False) -> bytes:
    async with raw_origin(answer, stays=stays) as origin, sources.source(item_of(origin.url, idle_timeout=5.0)) as it:
        return await read(it, await probed(it))


def raw_deflate(body: bytes) -> bytes:
    return zlib.compress(body)[2:-4]


ACCEPTED = {
    "equal lengths": response(LENGTH, LENGTH, body=BODY),
    "one length twice": response(f"{LENGTH}, {len(BODY)}", body=BODY),
    "identity": response("Transfer-Encoding: identity", LENGTH, body=BODY),
    "identity alone": response("Transfer-Encoding: identity", body=BODY),
    "identity, chunked": response("Transfer-Encoding: identity, chunked", body=chunks(BODY, 100)),
    "chunked twice": response("Transfer-Encoding: chunked", "Transfer-Encoding: chunked", body=chunks(BODY, 100)),
    "chunked and a length": response("Transfer-Encoding: chunked", LENGTH, body=chunks(BODY, 100)),
    "space before the colon": response(f"Content-Length : {len(BODY)}", "X-A\t: b", body=BODY),
    "150 headers": response(*(f"X-{n}: {n}" for n in range(150)), LENGTH, body=BODY),
    "long header": response("Set-Cookie: " + "a" * 60 * KiB, LENGTH, body=BODY),
    "folded": response("X-A: a", "  b", LENGTH, body=BODY),
    "line feeds": response(LENGTH, body=BODY).replace(b"\r\n", b"\n"),
    "no reason": response(LENGTH, body=BODY, status="HTTP/1.1 200"),
    "1.0": response(body=BODY, status="HTTP/1.0 200 OK"),
    "203": response(LENGTH, body=BODY, status="HTTP/1.1 203 Non-Authoritative Information"),
    "longer than announced": response(LENGTH, body=BODY + b"rubbish"),
    "longer than announced, close": response(LENGTH, "Connection: close", body=BODY + b"\r\n\r\nrubbish"),
    "another answer behind": response(LENGTH, body=BODY) * 3,
    "early hints": EARLY * 3 + response(LENGTH, body=BODY),
    "blank lines first": b"\r\n\r\n" + response(LENGTH, body=BODY),
    "gzip, chunked": response("Transfer-Encoding: gzip, chunked", body=chunks(gzip.compress(BODY, mtime=0), 10)),
    "gzip in two lines": response(
        "Transfer-Encoding: GZip", "Transfer-Encoding: chunked", body=chunks(gzip.compress(BODY, mtime=0), 1)
    ),
    "x-gzip": response("Transfer-Encoding: x-gzip", body=gzip.compress(BODY, mtime=0)),
    "deflate": response("Transfer-Encoding: deflate, chunked", body=chunks(zlib.compress(BODY), 7)),
    "raw deflate": response("Transfer-Encoding: deflate, chunked", body=chunks(raw_deflate(BODY), 7)),
    "gzip of gzip": response(
        "Transfer-Encoding: gzip, gzip, chunked", body=chunks(gzip.compress(gzip.compress(BODY, mtime=0), mtime=0), 7)
    ),
}


@pytest.mark.parametrize("name", ACCEPTED)
@pytest.mark.parametrize("stays", [False, True], ids=["closes", "stays"])
async def test_framings_that_other_clients_accept_are_accepted(sources: HttpSources, name: str, stays: bool) -> None:
    lasts = b"\r\nContent-Length" in ACCEPTED[name] or b"chunked" in ACCEPTED[name]
    assert await fetched(sources, ACCEPTED[name], stays=stays and lasts) == BODY


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (response(LENGTH, "Content-Length: 3", body=BODY), "Content-Length"),
        (response("Content-Length: -3", body=BODY), "Content-Length"),
        (response("Content-Length: x", body=BODY), "Content-Length"),
        (response("Content-Length:", body=BODY), "Content-Length"),
        (response("Transfer-Encoding: br, chunked", body=chunks(BODY, 9)), "transfer coding br is not supported"),
        (response("Transfer-Encoding: chunked, gzip", body=BODY), "transfer coding chunked is not supported"),
        (response("Transfer-Encoding: gzip", LENGTH, body=BODY), "Content-Length can't be present"),
        (response("Transfer-Encoding: gzip, chunked", body=chunks(BODY, 9)), "not in the transfer coding gzip"),
        (response("Set-Cookie: s3cret\x00", LENGTH, body=BODY), "Invalid HTTP header"),
        (response("s3cret", LENGTH, body=BODY), "Invalid header token"),
        (response("X: s3cret" + "a" * 70 * KiB, LENGTH, body=BODY), "Got more than 65536 bytes"),
        (response(*("X: s3cret" for _ in range(2000)), LENGTH, body=BODY), "Too many headers"),
        (response("Transfer-Encoding: chunked", body=b"0xs3cret\r\n"), "Invalid character in chunk size"),
        (response("Transfer-Encoding: chunked", body=b"3\r\nabcs3cret\r\n"), "Expected"),
    ],
)
async def test_ambiguous_framings_are_refused_with_the_reason(sources: HttpSources, answer: bytes, words: str) -> None:
    with pytest.raises(SourceRefused, match=r"^http://127\.0\.0\.1:\d+/it: ") as caught:
        await fetched(sources, answer)
    assert words in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert "s3cret" not in repr(caught.value.__cause__)


async def test_an_encoded_body_cut_short_fails(sources: HttpSources) -> None:
    whole = gzip.compress(BODY, mtime=0)
    with pytest.raises(SourceUnavailable, match="cut short in its transfer coding gzip"):
        await fetched(sources, response("Transfer-Encoding: gzip", body=whole[:-4]))


async def test_a_decompression_bomb_does_not_block_the_loop(sources: HttpSources) -> None:
    bomb = gzip.compress(bytes(64 * MiB), mtime=0)
    answer = response("Transfer-Encoding: gzip, chunked", body=chunks(bomb, MiB))
    worst, total = await beside(lambda: fetched(sources, answer))
    assert total == 64 * MiB
    assert worst < 1.0


# ── floods ────────────────────────────────────────────────────────────────────────────────────────
async def test_too_many_interim_responses_are_refused(sources: HttpSources) -> None:
    async def flood(writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(EARLY * 1000)
            await writer.drain()

    with pytest.raises(SourceRefused, match=f"more than {MOST_INTERIM} interim"):
        await fetched(sources, flood)


async def test_a_head_without_end_is_refused(sources: HttpSources) -> None:
    async def flood(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"X-A: b\r\n" * 1000)
            await writer.drain()

    with pytest.raises(SourceRefused, match=f"a response head of more than {LARGEST_HEAD // KiB} KiB"):
        await fetched(sources, flood)


async def test_unrequested_responses_close_the_connection(sources: HttpSources) -> None:
    left = asyncio.Event()

    async def flood(writer: asyncio.StreamWriter) -> None:
        writer.write(response(LENGTH, body=BODY))
        try:
            while True:
                writer.write(response("Content-Length: 0") * 1000)
                await writer.drain()
        finally:
            left.set()

    async with raw_origin(flood) as origin, sources.source(item_of(origin.url)) as it:
        assert await read(it, await probed(it)) == BODY
        async with asyncio.timeout(10):
            await left.wait()


async def test_the_body_of_a_redirect_is_not_read(sources: HttpSources) -> None:
    sent, left = 0, asyncio.Event()

    async def flood(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(response("Location: ftp://127.0.0.1/x", "Content-Length: 9999999999", status="HTTP/1.1 302 Found"))
        try:
            while True:
                writer.write(bytes(MiB))
                await writer.drain()
                sent += MiB
        finally:
            left.set()

    with pytest.raises(SourceRefused, match="another scheme"):
        await fetched(sources, flood)
    async with asyncio.timeout(10):
        await left.wait()
    assert sent < 32 * MiB  # the buffers of the kernel and one of the client


# ── the loop ────────────────────────────────────────────────────────────────────────────────────────
async def beside(work: Callable[[], object]) -> tuple[float, int]:
    """The longest time that the loop was blocked while `work` ran, and the number of bytes that `work` returned."""
    worst, last, done = 0.0, monotonic(), asyncio.Event()

    async def watch() -> None:
        nonlocal worst, last
        while not done.is_set():
            await asyncio.sleep(0)
            now = monotonic()
            worst, last = max(worst, now - last), now

    watching = asyncio.create_task(watch())
    result = await work()  # type: ignore[misc]
    done.set()
    await watching
    return worst, len(result) if isinstance(result, bytes) else result


async def test_bodies_in_chunks_of_one_byte_do_not_block_the_loop(sources: HttpSources) -> None:
    answer = response("Transfer-Encoding: chunked", body=chunks(b"x" * 300_000, 1))
    healthy = response("Content-Length: 8000000", body=bytes(8_000_000))

    async def all_of_them() -> int:
        drips = [asyncio.create_task(fetched(sources, answer)) for _ in range(10)]
        assert len(await fetched(sources, healthy)) == 8_000_000
        return sum(map(len, await asyncio.gather(*drips)))

    worst, total = await beside(all_of_them)
    assert total == 3_000_000
    assert worst < 1.0, "the loop was blocked"


async def test_a_body_in_chunks_of_one_byte_cut_short_fails(sources: HttpSources) -> None:
    answer = response("Transfer-Encoding: chunked", body=chunks(b"x" * 5000, 1)[:-5])
    async with raw_origin(answer) as origin, sources.source(item_of(origin.url)) as it:
        with pytest.raises(SourceError, match="cut short"):
            async with it.open(await probed(it)) as stream:
                await drained(stream)
