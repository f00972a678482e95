"""The origin of the demo conforms to RFC 9110, counts its body bytes, and keeps no large file in memory."""

import tracemalloc
from collections.abc import AsyncIterator
from hashlib import sha256

import aiohttp
import pytest

from mirrord.demo.sample_origin import Generated, SampleOrigin
from mirrord.units import GiB, MiB


@pytest.fixture
async def sample() -> AsyncIterator[SampleOrigin]:
    async with SampleOrigin() as sample:
        yield sample


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def test_each_file_is_served_whole_and_counted(sample: SampleOrigin, session: aiohttp.ClientSession) -> None:
    assert sample.files["large.bin"].content.size == 64 * MiB
    for name, published in sample.files.items():
        before, digest = sample.body_bytes, sha256()
        async with session.get(f"{sample.url}/{name}") as answer:
            assert answer.status == 200
            assert answer.headers["ETag"].startswith('"')
            assert int(answer.headers["Content-Length"]) == published.content.size
            async for chunk in answer.content.iter_any():
                digest.update(chunk)
        assert digest.hexdigest() == published.content.sha256()
        assert sample.body_bytes - before == published.content.size


async def test_a_known_file_costs_no_body(sample: SampleOrigin, session: aiohttp.ClientSession) -> None:
    url = f"{sample.url}/large.bin"
    async with session.head(url) as answer:
        etag, date = answer.headers["ETag"], answer.headers["Last-Modified"]
    for known in ({"If-None-Match": etag}, {"If-None-Match": f'"x", W/{etag}'}, {"If-Modified-Since": date}):
        async with session.get(url, headers=known) as answer:
            assert answer.status == 304
    for other in (
        {"If-None-Match": '"x"', "If-Modified-Since": date},
        {"If-Modified-Since": "Thu, 01 Jan 1970 00:00:00 GMT"},
    ):
        async with session.head(url, headers=other) as answer:
            assert answer.status == 200
    assert sample.body_bytes == 0


@pytest.mark.parametrize(
    ("asked", "status", "start", "end"),
    [
        ({"Range": "bytes=262140-262150"}, 206, 262_140, 262_151),
        ({"Range": "bytes=67108860-"}, 206, 67_108_860, 64 * MiB),
        ({"Range": "bytes=67108860-99999999"}, 206, 67_108_860, 64 * MiB),
        ({"Range": "bytes=0-9", "If-Range": '"large-67108864"'}, 206, 0, 10),
        ({"Range": "bytes=67108864-"}, 416, 0, 0),
    ],
)
async def test_a_range_is_that_part(
    sample: SampleOrigin, session: aiohttp.ClientSession, asked: dict[str, str], status: int, start: int, end: int
) -> None:
    async with session.get(f"{sample.url}/large.bin", headers=asked) as answer:
        assert answer.status == status
        assert await answer.read() == b"".join(sample.files["large.bin"].content.pieces(start, end))
        if status == 206:
            assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/{64 * MiB}"


async def test_a_range_of_another_version_is_the_whole(sample: SampleOrigin, session: aiohttp.ClientSession) -> None:
    headers = {"Range": "bytes=0-9", "If-Range": '"other"'}
    async with session.get(f"{sample.url}/hello.txt", headers=headers) as answer:
        assert answer.status == 200
        assert (await answer.text()).startswith("This file")


async def test_what_is_not_there_is_not_found(sample: SampleOrigin, session: aiohttp.ClientSession) -> None:
    async with session.get(f"{sample.url}/other") as answer:
        assert answer.status == 404


def test_generated_bytes_depend_on_place_and_seed_only() -> None:
    whole = b"".join(Generated(MiB, seed=7).pieces())
    assert len(whole) == MiB
    assert b"".join(Generated(MiB, seed=7).pieces(300_001, 900_000)) == whole[300_001:900_000]
    assert b"".join(Generated(MiB, seed=8).pieces()) != whole
    blocks = {whole[start : start + 256 * 1024] for start in range(0, MiB, 256 * 1024)}
    assert len(blocks) == 4  # so that a copy in another order differs


def test_a_huge_file_is_no_memory() -> None:
    tracemalloc.start()
    pieces = Generated(100 * GiB).pieces(99 * GiB)
    assert len(next(pieces)) == 256 * 1024
    assert tracemalloc.get_traced_memory()[1] < 4 * MiB
    tracemalloc.stop()
