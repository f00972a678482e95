"""The contract of `ports.Source`, on every source: a URL, a local file, and the fake."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

import pytest

from mirrord.errors import SourceChanged, SourceMissing
from mirrord.model import Destination, File, ObjectOptions, Revision, S3Object
from mirrord.model import StoredObject as Stored
from mirrord.ports import Source
from mirrord.sources.file import file_source
from mirrord.sources.http import HttpSources
from mirrord.sources.stored.source import StoredSource
from mirrord.testing import MemoryObject, MemorySource, MemoryStore
from mirrord.units import MiB
from tests.support.origin import Generated, Origin
from tests.support.reading import drained, item_of, probed, read

BODY = b"".join(Generated(700_001, seed=4).pieces())


class Original(Protocol):
    """Bytes that a test can change, and the source that reads them."""

    def write(self, body: bytes) -> None: ...
    def remove(self) -> None: ...
    def source(self) -> Source: ...


class Url:
    def __init__(self, origin: Origin, sources: HttpSources) -> None:
        self._origin, self._sources = origin, sources

    def write(self, body: bytes) -> None:
        self._origin.publish("/it", body)

    def remove(self) -> None:
        self._origin.withdraw("/it")

    def source(self) -> Source:
        return self._sources.source(item_of(self._origin.url("/it")))


class LocalFile:
    def __init__(self, path: Path, root: Path | None, read_ahead: int = 0) -> None:
        self._path, self._root, self._read_ahead = path, root, read_ahead

    def write(self, body: bytes) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.with_name("new").write_bytes(body)
        self._path.with_name("new").rename(self._path)

    def remove(self) -> None:
        self._path.unlink()

    def source(self) -> Source:
        root, name = (str(self._root), self._path.relative_to(self._root)) if self._root else (None, self._path)
        return file_source(File(root, str(name)), read_ahead=self._read_ahead)


class InMemory:
    def __init__(self) -> None:
        self._source = MemorySource(content=None, address="/it")
        self._versions = 0

    def write(self, body: bytes) -> None:
        self._versions += 1
        self._source.content, self._source.etag = body, f'"{self._versions}"'

    def remove(self) -> None:
        self._source.content = None

    def source(self) -> Source:
        return self._source


class StoredObject:
    """An object of a store; each version has its own ETag, also with equal bytes."""

    AT = Destination("source", "http://source", "bucket", "it")

    def __init__(self) -> None:
        self._store = MemoryStore()
        self._store.buckets["bucket"] = {}
        self._versions = 0

    def write(self, body: bytes) -> None:
        self._versions += 1
        etag = f'"{self._versions}"'
        self._store.buckets["bucket"]["it"] = MemoryObject(body, Stored(size=len(body), etag=etag), ObjectOptions())

    def remove(self) -> None:
        del self._store.buckets["bucket"]["it"]

    def source(self) -> Source:
        async def store_at(_: Destination) -> MemoryStore:
            return self._store

        return StoredSource(S3Object(self.AT), store_at)


@pytest.fixture(params=["url", "file", "file in a folder", "small file in a folder", "object", "memory"])
async def original(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Original]:
    if request.param == "url":
        origin: Origin = request.getfixturevalue("origin")
        async with HttpSources() as sources:
            yield Url(origin, sources)
    elif request.param == "memory":
        yield InMemory()
    elif request.param == "object":
        yield StoredObject()
    else:
        root = tmp_path / "d" if request.param.endswith("folder") else None
        yield LocalFile(tmp_path / "d" / "e e" / "it", root, MiB if request.param.startswith("small") else 0)


async def test_the_whole_stream_is_the_source(original: Original) -> None:
    original.write(BODY)
    async with original.source() as source:
        observed = await probed(source)
        assert observed.revision.length == len(BODY)
        assert await read(source, observed) == BODY
        await source.confirm(observed)


async def test_an_empty_source_is_read_as_empty(original: Original) -> None:
    original.write(b"")
    async with original.source() as source:
        observed = await probed(source)
        assert observed.revision.length == 0
        assert await read(source, observed) == b""
        await source.confirm(observed)


@pytest.mark.parametrize("buffer", [1, 1000, 1 << 20])
async def test_a_buffer_of_any_size_gets_every_byte(original: Original, buffer: int) -> None:
    original.write(BODY[:3001])
    async with original.source() as source:
        observed = await probed(source)
        async with source.open(observed) as stream:
            assert await drained(stream, buffer) == BODY[:3001]
            assert await stream.readinto(memoryview(bytearray(1))) == 0  # and at the end again


@pytest.mark.parametrize(
    ("start", "end"), [(0, 1), (0, len(BODY)), (1, 600_000), (300_000, None), (len(BODY) - 1, None), (5, 5)]
)
async def test_a_range_is_that_part_of_the_source(original: Original, start: int, end: int | None) -> None:
    original.write(BODY)
    async with original.source() as source:
        observed = await probed(source)
        assert observed.ranges
        assert await read(source, observed, start, end) == BODY[start:end]


async def test_ranges_may_be_read_in_parallel(original: Original) -> None:
    original.write(BODY)
    async with original.source() as source:
        observed = await probed(source)
        async with source.open(observed, 0, 400_000) as first, source.open(observed, 400_000) as second:
            assert await drained(second) == BODY[400_000:]
            assert await drained(first) == BODY[:400_000]


async def test_a_known_revision_that_is_unchanged_gives_none(original: Original) -> None:
    original.write(BODY)
    async with original.source() as source:
        known = (await probed(source)).revision
    async with original.source() as source:
        assert await source.probe(known) is None
        assert await source.probe(known) is None


async def test_a_new_version_is_observed(original: Original) -> None:
    original.write(BODY)
    async with original.source() as source:
        known = (await probed(source)).revision
    original.write(BODY[::-1])
    async with original.source() as source:
        observed = await source.probe(known)
        assert observed is not None
        assert observed.revision != known
        assert await read(source, observed) == BODY[::-1]


async def test_a_known_revision_of_another_address_is_ignored(original: Original) -> None:
    original.write(BODY)
    async with original.source() as source:
        revision = (await probed(source)).revision
    other = Revision(
        address="0" * 16,
        etag=revision.etag,
        last_modified=revision.last_modified,
        length=revision.length,
        file=revision.file,
    )
    async with original.source() as source:
        observed = await source.probe(other)
        assert observed is not None
        assert observed.revision == revision


async def test_a_range_of_a_changed_source_is_refused(original: Original) -> None:
    original.write(BODY)
    async with original.source() as source:
        observed = await probed(source)
        original.write(BODY[::-1])
        with pytest.raises(SourceChanged):
            await read(source, observed, 1000)


async def test_a_changed_source_is_refused_by_a_later_open(original: Original) -> None:
    original.write(BODY)
    async with original.source() as source:
        observed = await probed(source)
    original.write(BODY[::-1])
    async with original.source() as source:  # a new source, without an open response
        with pytest.raises(SourceChanged):
            await read(source, observed)


async def test_a_missing_source_is_named_in_the_error(original: Original) -> None:
    original.write(BODY)
    original.remove()
    async with original.source() as source:
        with pytest.raises(SourceMissing, match="/it: "):
            await source.probe()


async def test_leaving_twice_and_leaving_early_are_no_error(original: Original) -> None:
    original.write(BODY)
    before = len(os.listdir("/proc/self/fd")) if isinstance(original, LocalFile) else None
    source = original.source()
    async with source:
        observed = await probed(source)
        async with source.open(observed) as stream:
            assert await stream.readinto(memoryview(bytearray(10))) == 10
    await source.__aexit__(None, None, None)
    if before is not None:
        assert len(os.listdir("/proc/self/fd")) == before


async def test_an_error_of_the_reader_passes_through(original: Original) -> None:
    original.write(BODY)

    async def broken_reader() -> None:
        async with original.source() as source, source.open(await probed(source)) as stream:
            await stream.readinto(memoryview(bytearray(10)))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await broken_reader()
