"""The calls of ports.ObjectStore for an object that is a source: at SeaweedFS by both S3 clients, and for the fake."""

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from mirrord.declared import RequestOptions
from mirrord.errors import PreconditionFailed, StoreRefused
from mirrord.model import ChecksumKind, Destination, ObjectOptions, StoredObject
from mirrord.ports import ObjectStore
from mirrord.s3.session import S3Store
from mirrord.testing import MemoryStore
from mirrord.units import MiB
from tests.support.weed import Server

PARTS = (bytes(range(256)) * (5 * MiB // 256), b"the last part may be small")
OPTIONS = ObjectOptions(
    content_type="text/x-it",
    cache_control="max-age=60",
    content_disposition="inline",
    content_encoding="br",
    content_language="de",
    metadata={"team": "data", "mirrord-transfer": "of another"},
    tags={"tier": "hot", "a b": "c+d"},
)


@dataclass
class Subject:
    store: ObjectStore
    bucket: str

    def at(self, key: str = "source.bin") -> Destination:
        return Destination("default", "http://store", self.bucket, key)

    async def put(self, body: bytes = b"0123456789", options: ObjectOptions = OPTIONS) -> StoredObject:
        return await self.store.put_object(self.at(), memoryview(body), options)

    async def read(self, if_match: str, start: int = 0, end: int | None = None) -> bytes:
        view = memoryview(bytearray(100))
        async with self.store.get_object(self.at(), start, end, if_match=if_match) as stream:
            return bytes(view[: await stream.readinto(view)])


@pytest.fixture(params=["auto", "sdk", "memory"])
async def subject(request: pytest.FixtureRequest) -> AsyncIterator[Subject]:
    bucket = f"contract-{uuid.uuid4().hex[:12]}"
    if request.param == "memory":
        fake = MemoryStore()
        fake.buckets[bucket] = {}
        yield Subject(fake, bucket)
        return
    server: Server = request.getfixturevalue("weed")
    cleaner = request.getfixturevalue("s3_client")
    async with S3Store(server.options(requests=RequestOptions(wire=request.param))) as store:
        assert await store.ensure_bucket(bucket)
        yield Subject(store, bucket)
    cleaner.delete_bucket(Bucket=bucket)


async def test_all_that_a_copy_keeps_is_shown(subject: Subject) -> None:
    put = await subject.put()
    found = await subject.store.inspect_object(subject.at())
    assert found is not None
    assert (found.stored.etag, found.stored.size, found.stored.from_head) == (put.etag, 10, True)
    kept = found.kept
    assert (kept.content_type, kept.cache_control, kept.content_disposition) == ("text/x-it", "max-age=60", "inline")
    assert (kept.content_encoding, kept.content_language) == ("br", "de")
    assert kept.metadata == {"team": "data"}, "the id of an earlier transfer is not kept"
    assert (found.tags, kept.tags, found.archived) == (2, {}, None)
    assert await subject.store.get_tags(subject.at()) == OPTIONS.tags


async def test_there_is_nothing_to_show_without_an_object(subject: Subject) -> None:
    assert await subject.store.inspect_object(subject.at("none")) is None


async def test_an_archived_object_is_shown(subject: Subject) -> None:
    await subject.put(options=ObjectOptions(storage_class="GLACIER"))
    found = await subject.store.inspect_object(subject.at())
    assert found is not None
    assert found.archived == "GLACIER"


async def test_bytes_are_pinned_to_an_etag(subject: Subject) -> None:
    first = await subject.put(b"the first")
    assert await subject.read(first.etag, 4, 9) == b"first"
    await subject.put(b"another")
    with pytest.raises(PreconditionFailed):
        await subject.read(first.etag)
    await subject.store.delete_object(subject.at())
    with pytest.raises(PreconditionFailed):
        await subject.read(first.etag, 0, 3)


async def multipart(subject: Subject) -> StoredObject:
    at, store = subject.at(), subject.store
    upload_id = await store.create_upload(at, OPTIONS)
    parts = [await store.upload_part(at, upload_id, number, memoryview(one)) for number, one in enumerate(PARTS, 1)]
    return await store.complete_upload(at, upload_id, parts)


async def test_copies_of_the_same_parts_have_the_same_etag(subject: Subject) -> None:
    source, store, at = await multipart(subject), subject.store, subject.at("copy.bin")
    first = await store.inspect_object(subject.at(), part=1)
    assert first is not None
    assert (first.stored.size, first.parts) == (len(PARTS[0]), 2)

    upload_id = await store.create_upload(at, ObjectOptions(), ChecksumKind.CRC64NVME)
    edges = [0, len(PARTS[0]), len(PARTS[0]) + len(PARTS[1])]
    parts = [
        await store.copy_part(
            subject.at(), at, upload_id, number, edges[number - 1], edges[number], if_match=source.etag
        )
        for number in (1, 2)
    ]
    assert [part.size for part in parts] == [len(one) for one in PARTS]
    stored = await store.complete_upload(at, upload_id, parts)
    assert stored.etag == source.etag


async def test_a_copied_part_is_pinned_to_an_etag(subject: Subject) -> None:
    await subject.put(bytes(5 * MiB))
    upload_id = await subject.store.create_upload(subject.at("copy.bin"), ObjectOptions())
    with pytest.raises(PreconditionFailed):
        await subject.store.copy_part(subject.at(), subject.at("copy.bin"), upload_id, 1, 0, 5 * MiB, if_match='"0123"')
    with pytest.raises(StoreRefused):
        await subject.store.copy_part(
            subject.at("none"), subject.at("copy.bin"), upload_id, 1, 0, 5 * MiB, if_match='"0123"'
        )
    await subject.store.abort_upload(subject.at("copy.bin"), upload_id)
