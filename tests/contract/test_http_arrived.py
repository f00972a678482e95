"""Small bodies that came with the response to a probe: which are taken as they arrived, which are read as streams."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import aiohttp
import pytest

from mirrord.sources.http import HttpSources
from mirrord.sources.http.source import LARGEST_ARRIVED, HttpSource
from tests.support.raw_origin import Sends, chunks, raw_origin, response
from tests.support.reading import item_of, probed, read

LARGEST = bytes(LARGEST_ARRIVED)


@pytest.fixture
async def sources() -> AsyncIterator[HttpSources]:
    async with HttpSources() as sources:
        yield sources


def answer(body: bytes) -> bytes:
    return response(f"Content-Length: {len(body)}", 'ETag: "1"', "Accept-Ranges: bytes", body=body)


async def settle(source: HttpSource) -> None:
    """Wait until the body of the response to the probe is complete."""
    assert source._probed is not None
    await asyncio.wait_for(source._probed[0].content.wait_eof(), 10)


@pytest.mark.parametrize("body", [b"x", LARGEST])
async def test_a_small_whole_body_is_taken_once_and_its_connection_is_free(sources: HttpSources, body: bytes) -> None:
    async with raw_origin(answer(body), stays=True) as origin:
        for _ in range(2):
            async with sources.source(item_of(origin.url)) as source:
                observed = await probed(source)
                await settle(source)
                assert source.arrived(observed) == body
                assert source.arrived(observed) is None
        assert (len(origin.requests), origin.connections) == (2, 1)


@pytest.mark.parametrize(
    ("sent", "body"),
    [
        (answer(b""), b""),
        (answer(LARGEST + b"x"), LARGEST + b"x"),
        (response("Transfer-Encoding: chunked", body=chunks(b"body", 2)), b"body"),
        (response(body=b"body"), b"body"),
    ],
    ids=["empty", "large", "chunked", "ended by the connection"],
)
async def test_other_bodies_are_streams(sources: HttpSources, sent: bytes, body: bytes) -> None:
    async with raw_origin(sent) as origin, sources.source(item_of(origin.url)) as source:
        observed = await probed(source)
        await settle(source)
        assert source.arrived(observed) is None
        assert await read(source, observed) == body


@pytest.mark.parametrize("sent", [b"", b"bod"], ids=["nothing", "a part"])
async def test_a_body_that_is_not_complete_is_a_stream(sources: HttpSources, sent: bytes) -> None:
    rest = asyncio.Event()

    async def slow(writer: asyncio.StreamWriter) -> None:
        writer.write(answer(b"body")[: -4 or None] + sent)
        await rest.wait()
        writer.write(b"body"[len(sent) :])

    sends: Sends = slow
    async with raw_origin(sends) as origin, sources.source(item_of(origin.url)) as source:
        observed = await probed(source)
        assert source.arrived(observed) is None
        rest.set()
        assert await read(source, observed) == b"body"


async def test_a_body_that_was_cut_short_is_not_taken(sources: HttpSources) -> None:
    async with raw_origin(answer(b"body")[:-1]) as origin, sources.source(item_of(origin.url)) as source:
        observed = await probed(source)
        with pytest.raises(aiohttp.ClientPayloadError):
            await settle(source)
        assert source.arrived(observed) is None


async def test_a_body_of_another_revision_is_not_taken(sources: HttpSources) -> None:
    async with raw_origin(answer(b"body")) as origin, sources.source(item_of(origin.url)) as source:
        observed = await probed(source)
        await settle(source)
        other = replace(observed, revision=replace(observed.revision, etag='"2"'))
        assert source.arrived(other) is None
        assert source.arrived(observed) == b"body"


async def test_a_released_body_is_not_taken(sources: HttpSources) -> None:
    async with raw_origin(answer(b"body")) as origin, sources.source(item_of(origin.url)) as source:
        observed = await probed(source)
        source.release()
        assert source.arrived(observed) is None
