"""ports.ObjectStore: one suite for S3Store at SeaweedFS (by both S3 clients), at moto, at `rclone serve s3`, for the
fake, and at a store that MIRRORD_TEST_STORE_… names (`tests.support.named_store`).

`rclone serve s3` is a poor store on purpose: what only a good one refuses or tells is asked of `able_store` alone. What
moto does otherwise than S3 is named in `tests.support.moto_store`.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from mirrord.checksums import compute
from mirrord.declared import RequestOptions
from mirrord.errors import (
    BucketMissing,
    ChecksumMismatch,
    EntityTooSmall,
    InvalidPart,
    InvalidPartOrder,
    NoSuchUpload,
    PreconditionFailed,
    StoreError,
    StoreRefused,
)
from mirrord.model import Checksum, ChecksumKind, Destination, ObjectOptions, Part, version_at
from mirrord.ports import ObjectStore
from mirrord.s3.session import S3Store
from mirrord.testing import MemoryStore
from mirrord.units import MiB
from tests.support.moto_store import expect_unfaithful
from tests.support.named_store import NAMED
from tests.support.weed import Server

PLAIN = ObjectOptions()
SDK, MOTO = " by the SDK", "moto_server"


@dataclass
class Subject:
    store: ObjectStore
    bucket: str

    def at(self, key: str = "key.bin") -> Destination:
        return Destination("default", "http://store", self.bucket, key)


async def _bucket_at(store: ObjectStore) -> str:
    bucket = f"contract-{uuid.uuid4().hex[:12]}"
    assert await store.ensure_bucket(bucket)
    return bucket


@pytest.fixture
async def subject(request: pytest.FixtureRequest) -> AsyncIterator[Subject]:
    if request.param == "memory":
        fake = MemoryStore()
        yield Subject(fake, await _bucket_at(fake))
        return
    if request.param == MOTO:
        expect_unfaithful(request)
    server: Server = request.getfixturevalue(request.param.removesuffix(SDK))
    wire = "sdk" if request.param.endswith(SDK) else "auto"
    # weed has no room for a bucket of every test: see tests.support.weed.
    cleaner = request.getfixturevalue("s3_client") if request.param.startswith("weed") else None
    async with S3Store(server.options(requests=RequestOptions(wire=wire))) as store:
        bucket = await _bucket_at(store)
        yield Subject(store, bucket)
    if cleaner is not None:
        cleaner.delete_bucket(Bucket=bucket)


ABLE = ["weed", f"weed{SDK}", "memory", MOTO, *NAMED]
every_store = pytest.mark.parametrize("subject", [*ABLE, "rclone_serve"], indirect=True)
able_store = pytest.mark.parametrize("subject", ABLE, indirect=True)


def crc(content: bytes) -> Checksum:
    checksum = compute(ChecksumKind.CRC64NVME, memoryview(content))
    assert checksum is not None
    return checksum


async def read(store: ObjectStore, at: Destination, start: int = 0, end: int | None = None) -> bytes:
    content, buffer = bytearray(), memoryview(bytearray(64 * 1024))
    async with store.get_object(at, start, end) as stream:
        while count := await stream.readinto(buffer):
            content += buffer[:count]
    return bytes(content)


async def upload(subject: Subject, *pieces: bytes, key: str = "key.bin") -> tuple[str, list[Part]]:
    """An open upload with these parts."""
    at = subject.at(key)
    upload_id = await subject.store.create_upload(at, PLAIN, ChecksumKind.CRC64NVME)
    parts = [
        await subject.store.upload_part(at, upload_id, number, memoryview(piece), crc(piece))
        for number, piece in enumerate(pieces, 1)
    ]
    return upload_id, parts


BIG = bytes(range(256)) * (5 * MiB // 256)
SMALL = b"the last part may be small"


# ── single objects ────────────────────────────────────────────────────────────────────────────────
@every_store
@pytest.mark.parametrize("content", [b"", b"x", b"hello" * 100_000], ids=["empty", "one byte", "500 kB"])
async def test_get_returns_the_bytes_of_a_put(subject: Subject, content: bytes) -> None:
    put = await subject.store.put_object(subject.at(), memoryview(content), PLAIN)
    head = await subject.store.head_object(subject.at())
    assert head is not None
    assert (head.size, head.etag) == (len(content), put.etag)
    assert head.etag.startswith('"')
    assert await read(subject.store, subject.at()) == content


@every_store
@pytest.mark.parametrize(
    "key", ["with space/and+plus", "ünï/çødé 漢字.bin", "a%2Fb%20c", "q?x=1&y=#z", "~tilde/(paren)'quote"]
)
async def test_keys_are_not_changed(subject: Subject, key: str) -> None:
    await subject.store.put_object(subject.at(key), memoryview(key.encode()), PLAIN)
    assert await read(subject.store, subject.at(key)) == key.encode()
    await subject.store.delete_object(subject.at(key))
    assert await subject.store.head_object(subject.at(key)) is None


@every_store
async def test_a_second_put_replaces_the_object(subject: Subject) -> None:
    first = await subject.store.put_object(subject.at(), memoryview(b"first"), PLAIN)
    second = await subject.store.put_object(subject.at(), memoryview(b"second"), PLAIN)
    assert first.etag != second.etag
    assert await read(subject.store, subject.at()) == b"second"


@every_store
async def test_a_range_is_half_open(subject: Subject) -> None:
    await subject.store.put_object(subject.at(), memoryview(b"0123456789"), PLAIN)
    assert await read(subject.store, subject.at(), 2, 5) == b"234"
    assert await read(subject.store, subject.at(), 7) == b"789"


@every_store
async def test_metadata_comes_back_decoded_and_in_lower_case(subject: Subject) -> None:
    given = {"Team": "geo", "mirrord-transfer": "t1", "city": "Zürich 漢字", "spaced": " x ", "looks": "=?x?="}
    await subject.store.put_object(subject.at(), memoryview(b"x"), ObjectOptions(metadata=given))
    head = await subject.store.head_object(subject.at())
    assert head is not None
    assert {name: head.metadata[name.lower()] for name in given} == given


@every_store
async def test_a_missing_object_is_none(subject: Subject) -> None:
    assert await subject.store.head_object(subject.at("absent")) is None
    await subject.store.delete_object(subject.at("absent"))
    with pytest.raises(StoreRefused):
        await read(subject.store, subject.at("absent"))


@able_store
async def test_the_content_type_is_kept(subject: Subject) -> None:
    await subject.store.put_object(subject.at(), memoryview(b"x"), ObjectOptions(content_type="application/x-mmdb"))
    head = await subject.store.head_object(subject.at())
    assert head is not None
    assert head.content_type == "application/x-mmdb"


@able_store
@pytest.mark.parametrize("kind", [kind for kind in ChecksumKind if kind is not ChecksumKind.NONE])
async def test_bytes_that_differ_from_their_checksum_never_become_visible(subject: Subject, kind: ChecksumKind) -> None:
    wrong = compute(kind, memoryview(b"other bytes"))
    with pytest.raises(ChecksumMismatch):
        await subject.store.put_object(subject.at(), memoryview(b"bytes"), PLAIN, wrong)
    assert await subject.store.head_object(subject.at()) is None


@able_store
async def test_the_store_shows_the_full_object_checksum(subject: Subject) -> None:
    put = await subject.store.put_object(subject.at(), memoryview(b"bytes"), PLAIN, crc(b"bytes"))
    head = await subject.store.head_object(subject.at())
    assert head is not None
    assert put.checksum == head.checksum == crc(b"bytes")


@every_store
async def test_a_wrong_md5_is_refused_even_by_a_poor_store(subject: Subject) -> None:
    wrong = compute(ChecksumKind.MD5, memoryview(b"other bytes"))
    with pytest.raises(ChecksumMismatch):
        await subject.store.put_object(subject.at(), memoryview(b"bytes"), PLAIN, wrong)


@every_store
async def test_a_copy_has_the_bytes_and_options_of_its_own(subject: Subject) -> None:
    source = subject.at("dir/with space+ü%20.bin")
    before = ObjectOptions(content_type="text/plain", cache_control="no-store", metadata={"mirrord-transfer": "t1"})
    put = await subject.store.put_object(source, memoryview(SMALL), before)
    options = ObjectOptions(content_type="application/gzip", metadata={"mirrord-transfer": "t2", "team": "dätá"})
    copied = await subject.store.copy_object(source, subject.at(), options, if_match=put.etag, size=len(SMALL))
    assert await read(subject.store, subject.at()) == SMALL
    head = await subject.store.head_object(subject.at())
    assert head is not None
    assert (head.size, head.etag, head.content_type) == (len(SMALL), copied.etag, "application/gzip")
    assert {**head.metadata} | {"mirrord-transfer": "t2", "team": "dätá"} == {**head.metadata}
    assert await read(subject.store, source) == SMALL


@able_store
async def test_a_copy_shows_the_checksum_that_its_source_was_stored_with(subject: Subject) -> None:
    """Of a put, and of an upload in parts, whose checksum is of the whole."""
    kind = ChecksumKind.CRC64NVME
    put = await subject.store.put_object(subject.at("put"), memoryview(SMALL), PLAIN, crc(SMALL))
    upload_id, parts = await upload(subject, BIG, SMALL, key="parts")
    whole = await subject.store.complete_upload(subject.at("parts"), upload_id, parts, crc(BIG + SMALL))
    for name, etag, content in (("put", put.etag, SMALL), ("parts", whole.etag, BIG + SMALL)):
        to = subject.at(f"{name}.copy")
        await subject.store.copy_object(subject.at(name), to, PLAIN, kind, if_match=etag, size=len(content))
        head = await subject.store.head_object(to)
        assert head is not None
        assert (head.size, head.checksum, head.metadata) == (len(content), crc(content), {})
        await subject.store.delete_object(subject.at(name))
        assert await read(subject.store, to) == content


@able_store
async def test_a_copy_of_an_object_that_changed_or_is_gone_is_refused(subject: Subject) -> None:
    source = subject.at("source")
    put = await subject.store.put_object(source, memoryview(b"first"), PLAIN)
    await subject.store.put_object(source, memoryview(b"other"), PLAIN)
    with pytest.raises(PreconditionFailed):
        await subject.store.copy_object(source, subject.at(), PLAIN, if_match=put.etag, size=5)
    await subject.store.delete_object(source)
    with pytest.raises(StoreRefused):
        await subject.store.copy_object(source, subject.at(), PLAIN, if_match=put.etag, size=5)
    assert await subject.store.head_object(subject.at()) is None


@pytest.mark.parametrize("subject", ["rclone_serve"], indirect=True)
async def test_a_poor_store_copies_whatever_stands_and_tells_no_checksum(subject: Subject) -> None:
    """Why `planning.decisions.reuse` asks for no copy there."""
    put = await subject.store.put_object(subject.at("source"), memoryview(b"first"), PLAIN)
    await subject.store.put_object(subject.at("source"), memoryview(b"other"), PLAIN)
    kind = ChecksumKind.CRC64NVME
    await subject.store.copy_object(subject.at("source"), subject.at(), PLAIN, kind, if_match=put.etag, size=5)
    head = await subject.store.head_object(subject.at())
    assert head is not None
    assert head.checksum is None
    assert await read(subject.store, subject.at()) == b"other"


@able_store
async def test_if_none_match_refuses_to_replace(subject: Subject) -> None:
    await subject.store.put_object(subject.at(), memoryview(b"first"), PLAIN, if_none_match=True)
    with pytest.raises(PreconditionFailed):
        await subject.store.put_object(subject.at(), memoryview(b"second"), PLAIN, if_none_match=True)
    assert await read(subject.store, subject.at()) == b"first"


# ── multipart uploads ─────────────────────────────────────────────────────────────────────────────
@every_store
async def test_parts_become_one_object_only_when_completed(subject: Subject) -> None:
    upload_id, parts = await upload(subject, BIG, SMALL)
    assert await subject.store.head_object(subject.at()) is None
    done = await subject.store.complete_upload(subject.at(), upload_id, parts, crc(BIG + SMALL))
    assert done.size == len(BIG + SMALL)
    assert await read(subject.store, subject.at()) == BIG + SMALL


@able_store
async def test_the_whole_of_an_upload_is_proven(subject: Subject) -> None:
    upload_id, parts = await upload(subject, BIG, SMALL)
    with pytest.raises(ChecksumMismatch):
        await subject.store.complete_upload(subject.at(), upload_id, parts, crc(SMALL + BIG))
    assert await subject.store.head_object(subject.at()) is None
    await subject.store.complete_upload(subject.at(), upload_id, parts, crc(BIG + SMALL))
    head = await subject.store.head_object(subject.at())
    assert head is not None
    assert head.checksum == crc(BIG + SMALL)


@able_store
async def test_a_part_that_differs_from_its_checksum_is_refused(subject: Subject) -> None:
    upload_id, _ = await upload(subject)
    with pytest.raises(ChecksumMismatch):
        await subject.store.upload_part(subject.at(), upload_id, 1, memoryview(b"bytes"), crc(b"other bytes"))


@able_store
async def test_one_empty_part_makes_an_empty_object(subject: Subject) -> None:
    """Without the checksum of the whole: MinIO refuses it for this object."""
    upload_id, parts = await upload(subject, b"")
    done = await subject.store.complete_upload(subject.at(), upload_id, parts)
    assert done.size == 0
    assert await read(subject.store, subject.at()) == b""


@able_store
async def test_a_part_sent_twice_counts_once(subject: Subject) -> None:
    upload_id, _ = await upload(subject, b"first attempt")
    part = await subject.store.upload_part(subject.at(), upload_id, 1, memoryview(SMALL), crc(SMALL))
    await subject.store.complete_upload(subject.at(), upload_id, [part], crc(SMALL))
    assert await read(subject.store, subject.at()) == SMALL


@able_store
async def test_a_small_part_before_the_last_is_named(subject: Subject) -> None:
    upload_id, parts = await upload(subject, SMALL, SMALL)
    with pytest.raises(EntityTooSmall):
        await subject.store.complete_upload(subject.at(), upload_id, parts)


@able_store
async def test_an_unknown_part_is_named(subject: Subject) -> None:
    upload_id, parts = await upload(subject, BIG, SMALL)
    stranger = replace(parts[1], etag='"00000000000000000000000000000000"')
    with pytest.raises(InvalidPart):
        await subject.store.complete_upload(subject.at(), upload_id, [parts[0], stranger])


@able_store
async def test_parts_out_of_order_are_named(subject: Subject) -> None:
    upload_id, parts = await upload(subject, BIG, BIG)
    with pytest.raises(InvalidPartOrder):
        await subject.store.complete_upload(subject.at(), upload_id, parts[::-1])


@able_store
async def test_an_upload_that_is_gone_is_named(subject: Subject) -> None:
    upload_id, parts = await upload(subject, SMALL)
    await subject.store.abort_upload(subject.at(), upload_id)
    with pytest.raises(NoSuchUpload):
        await subject.store.upload_part(subject.at(), upload_id, 2, memoryview(SMALL))
    with pytest.raises(NoSuchUpload):
        await subject.store.complete_upload(subject.at(), upload_id, parts)


@every_store
async def test_a_second_abort_is_no_error(subject: Subject) -> None:
    upload_id, _ = await upload(subject, SMALL)
    await subject.store.abort_upload(subject.at(), upload_id)
    await subject.store.abort_upload(subject.at(), upload_id)
    assert await subject.store.head_object(subject.at()) is None


@able_store
async def test_a_completion_may_refuse_to_replace(subject: Subject) -> None:
    await subject.store.put_object(subject.at(), memoryview(b"first"), PLAIN)
    upload_id, parts = await upload(subject, SMALL)
    with pytest.raises(PreconditionFailed):
        await subject.store.complete_upload(subject.at(), upload_id, parts, crc(SMALL), if_none_match=True)
    assert await read(subject.store, subject.at()) == b"first"


@able_store
async def test_open_uploads_are_listed_by_their_key(subject: Subject) -> None:
    """The exact key, as every listing of mirrord asks: MinIO finds nothing by a shorter prefix."""
    wanted, _ = await upload(subject, SMALL, key="in/a b+ü")
    done, parts = await upload(subject, SMALL, key="in/done")
    await subject.store.complete_upload(subject.at("in/done"), done, parts)
    found = [(entry.key, entry.upload_id) async for entry in subject.store.list_uploads(subject.bucket, "in/a b+ü")]
    assert found == [("in/a b+ü", wanted)]
    assert not [entry async for entry in subject.store.list_uploads(subject.bucket, "in/done")]


@pytest.mark.parametrize("subject", ["weed", f"weed{SDK}", "memory"], indirect=True)
async def test_open_uploads_are_listed_by_prefix(subject: Subject) -> None:
    wanted, _ = await upload(subject, SMALL, key="in/a b+ü")
    done, parts = await upload(subject, SMALL, key="in/done")
    await upload(subject, SMALL, key="out/x")
    await subject.store.complete_upload(subject.at("in/done"), done, parts)
    found = [(entry.key, entry.upload_id) async for entry in subject.store.list_uploads(subject.bucket, "in/")]
    assert found == [("in/a b+ü", wanted)]


async def keys_of(subject: Subject, prefix: str) -> dict[str, tuple[int, str]]:
    found = [one async for page in subject.store.list_objects(subject.bucket, prefix) for one in page]
    assert len({one.key for one in found}) == len(found)
    return {one.key: (one.size, one.etag.strip('"')) for one in found}


@every_store
async def test_objects_are_listed_as_a_head_shows_them(subject: Subject) -> None:
    for name in ("in/a", "in/deep/b c", "in/ünï+plus", "in/per%20cent", "in/q?x=1&y=#z", "inside", "out/a"):
        await subject.store.put_object(subject.at(name), memoryview(name.encode()), PLAIN)
    listed = await keys_of(subject, "in/")
    assert set(listed) == {"in/a", "in/deep/b c", "in/ünï+plus", "in/per%20cent", "in/q?x=1&y=#z"}
    for key, (size, etag) in listed.items():
        head = await subject.store.head_object(subject.at(key))
        assert head is not None
        assert (size, etag) == (head.size, head.etag.strip('"'))


@pytest.mark.parametrize("subject", [one for one in ABLE if one != MOTO], indirect=True)  # moto takes 6 s of CPU for it
async def test_a_listing_has_more_than_one_page(subject: Subject) -> None:
    names = {f"in/{number:04}" for number in range(1_003)}
    async with asyncio.TaskGroup() as group:
        for name in names:
            group.create_task(subject.store.put_object(subject.at(name), memoryview(b"x"), PLAIN))
    pages = [page async for page in subject.store.list_objects(subject.bucket, "in/")]
    assert [len(page) for page in pages] == [1_000, 3]
    assert {one.key for page in pages for one in page} == names
    async with asyncio.TaskGroup() as group:
        for name in names:
            group.create_task(subject.store.delete_object(subject.at(name)))
    assert await keys_of(subject, "in/") == {}


@every_store
async def test_a_missing_bucket_cannot_be_listed(subject: Subject) -> None:
    with pytest.raises(BucketMissing):
        _ = [page async for page in subject.store.list_objects("no-such-bucket-here", "")]


@every_store
async def test_the_parts_of_an_open_upload_are_listed(subject: Subject) -> None:
    upload_id, parts = await upload(subject, BIG, BIG[::-1], SMALL)
    found = [part async for part in subject.store.list_parts(subject.at(), upload_id)]
    assert found == [replace(part, checksum=None) for part in parts]


@every_store
async def test_the_parts_of_an_upload_that_is_gone_cannot_be_listed(subject: Subject) -> None:
    upload_id, _ = await upload(subject, SMALL)
    await subject.store.abort_upload(subject.at(), upload_id)
    with pytest.raises(NoSuchUpload):
        _ = [part async for part in subject.store.list_parts(subject.at(), upload_id)]


@able_store
async def test_a_part_sent_twice_is_completed_as_the_one_that_is_named(subject: Subject) -> None:
    upload_id, parts = await upload(subject, BIG, SMALL)
    other = await subject.store.upload_part(subject.at(), upload_id, 1, memoryview(BIG[::-1]), crc(BIG[::-1]))
    again = await subject.store.upload_part(subject.at(), upload_id, 1, memoryview(BIG), crc(BIG))
    found = [part async for part in subject.store.list_parts(subject.at(), upload_id)]
    assert replace(again, checksum=None) in found
    assert {part.etag for part in found if part.number == 1} <= {other.etag, again.etag}
    await subject.store.complete_upload(subject.at(), upload_id, [again, parts[1]], crc(BIG + SMALL))
    assert await read(subject.store, subject.at()) == BIG + SMALL


# ── buckets ───────────────────────────────────────────────────────────────────────────────────────
@every_store
async def test_a_bucket_is_created_once(subject: Subject) -> None:
    await subject.store.put_object(subject.at(), memoryview(b"x"), PLAIN)
    assert not await subject.store.ensure_bucket(subject.bucket)
    assert await read(subject.store, subject.at()) == b"x"


@every_store
async def test_has_bucket_shows_whether_a_bucket_exists(subject: Subject) -> None:
    assert await subject.store.has_bucket(subject.bucket)
    assert not await subject.store.has_bucket("no-such-bucket")


@able_store
async def test_a_versioned_bucket_gives_version_ids(subject: Subject) -> None:
    made = f"versions-{uuid.uuid4().hex[:12]}"
    assert await subject.store.ensure_bucket(made, versioning=True)
    at = replace(subject.at(), bucket=made)
    first = await subject.store.put_object(at, memoryview(b"x"), ObjectOptions(metadata={"mirrord-transfer": "t1"}))
    second = await subject.store.put_object(at, memoryview(b"xy"), PLAIN)
    await subject.store.put_object(replace(at, key="key.bin2"), memoryview(b"x"), PLAIN)
    assert first.version_id
    assert await subject.store.bucket_versioning(made) == "Enabled"
    found = [one async for one in subject.store.list_versions(at)]
    assert [(one.version_id, one.size, one.current) for one in found] == [
        (second.version_id, 2, True),
        (first.version_id, 1, False),
    ]
    assert [one.etag.strip('"') for one in found] == [second.etag.strip('"'), first.etag.strip('"')]
    older = await subject.store.head_version(at, first.version_id)
    assert older is not None
    assert (older.size, older.metadata["mirrord-transfer"]) == (1, "t1")
    await subject.store.delete_object(replace(at, key="key.bin2"))
    listed = [one async for page in subject.store.list_objects(made, "") for one in page]
    assert [(one.key, one.size, one.etag.strip('"')) for one in listed] == [("key.bin", 2, second.etag.strip('"'))]


@able_store
async def test_an_older_version_is_read_and_copied_also_below_a_delete_marker(subject: Subject) -> None:
    made = f"versions-{uuid.uuid4().hex[:12]}"
    assert await subject.store.ensure_bucket(made, versioning=True)
    at = replace(subject.at(), bucket=made)
    options = ObjectOptions(content_type="text/x", metadata={"a": "b"}, tags={"t": "1"})
    first = await subject.store.put_object(at, memoryview(b"older"), options)
    await subject.store.put_object(at, memoryview(b"newer bytes"), PLAIN)
    await subject.store.delete_object(at)
    listed = [one async for one in subject.store.list_versions(at)]
    assert sorted((one.deleted, one.current, one.size) for one in listed) == [
        (False, False, 5),
        (False, False, 11),
        (True, True, 0),
    ]
    older = version_at(at, first.version_id or "")
    details = await subject.store.inspect_object(older)
    assert details is not None
    assert (details.stored.size, details.kept.metadata, details.kept.content_type) == (5, {"a": "b"}, "text/x")
    assert await subject.store.get_tags(older) == {"t": "1"}
    await subject.store.copy_object(older, at, PLAIN, if_match=details.stored.etag, size=5)
    current = await subject.store.head_object(at)
    assert current is not None
    assert current.size == 5
    with pytest.raises(StoreError):
        await subject.store.copy_object(version_at(at, "no-such-version"), at, PLAIN, if_match=first.etag, size=5)


@able_store
async def test_versioning_is_switched_on_only_for_a_bucket_that_is_created(subject: Subject) -> None:
    assert not await subject.store.ensure_bucket(subject.bucket, versioning=True)
    assert await subject.store.bucket_versioning(subject.bucket) is None
    put = await subject.store.put_object(subject.at(), memoryview(b"x"), PLAIN)
    assert put.version_id is None


@pytest.mark.parametrize("subject", ["rclone_serve"], indirect=True)
async def test_a_bucket_of_a_store_without_versions_has_no_versioning(subject: Subject) -> None:
    assert await subject.store.bucket_versioning(subject.bucket) is None


@every_store
async def test_a_missing_bucket_is_named_with_what_to_do(subject: Subject) -> None:
    at = replace(subject.at(), bucket="no-such-bucket")
    with pytest.raises(BucketMissing, match=r"no-such-bucket.*buckets\.no-such-bucket\.create: true"):
        await subject.store.put_object(at, memoryview(b"x"), PLAIN)
    with pytest.raises(BucketMissing):
        await subject.store.create_upload(at, PLAIN)
    assert await subject.store.head_object(at) is None


@able_store
async def test_options_survive_a_multipart_upload(subject: Subject) -> None:
    options = ObjectOptions(content_type="text/x-test", metadata={"Team": "gëo"})
    upload_id = await subject.store.create_upload(subject.at(), options, ChecksumKind.CRC64NVME)
    part = await subject.store.upload_part(subject.at(), upload_id, 1, memoryview(SMALL), crc(SMALL))
    await subject.store.complete_upload(subject.at(), upload_id, [part], crc(SMALL))
    head = await subject.store.head_object(subject.at())
    assert head is not None
    assert (head.content_type, dict(head.metadata)) == ("text/x-test", {"team": "gëo"})


async def test_every_option_reaches_the_store(store: S3Store, bucket: str, weed: Server, s3_client: Any) -> None:
    """boto3, which knows nothing of mirrord, reads back what was asked for."""
    options = ObjectOptions(
        content_type="application/x-test",
        cache_control="max-age=300",
        content_disposition='attachment; filename="x"',
        content_encoding="gzip",
        content_language="de",
        expires="2030-01-31T12:00:00Z",
        metadata={"team": "geo"},
        tags={"tier": "hot & cold", "a b": "c=d"},
        storage_class="STANDARD_IA",
        acl="public-read",
    )
    await store.put_object(weed.destination(bucket, "k"), memoryview(b"x"), options)
    head = s3_client.head_object(Bucket=bucket, Key="k")
    tags = s3_client.get_object_tagging(Bucket=bucket, Key="k")["TagSet"]
    assert head["ContentType"] == "application/x-test"
    assert head["CacheControl"] == "max-age=300"
    assert head["ContentDisposition"] == 'attachment; filename="x"'
    assert head["ContentEncoding"] == "gzip"
    assert head["ContentLanguage"] == "de"
    assert head["ExpiresString"] == "Thu, 31 Jan 2030 12:00:00 GMT"
    assert head["Metadata"] == {"team": "geo"}
    assert head["StorageClass"] == "STANDARD_IA"
    assert {tag["Key"]: tag["Value"] for tag in tags} == options.tags
