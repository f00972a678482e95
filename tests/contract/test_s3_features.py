"""S3's own features: every way of writing an object carries its options, read back by boto3, which knows nothing of
mirrord. The ways: one put, an upload in parts, and the store's own copy, at once and in parts.

At SeaweedFS with a KMS, by both S3 clients, and at a store that MIRRORD_TEST_STORE_… names (see
`tests.support.named_store`): it needs object lock and a KMS with the key `test-key` (MinIO: MINIO_KMS_SECRET_KEY).
"""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from mirrord.checksums import compute
from mirrord.declared import BucketLock, RequestOptions
from mirrord.errors import StoreDenied, StoreRefused
from mirrord.model import (
    UNREADABLE,
    Checksum,
    ChecksumKind,
    Destination,
    ObjectOptions,
    ProviderName,
    StoredObject,
)
from mirrord.providers import facts_of
from mirrord.providers.facts import IGNORED, FactName
from mirrord.s3.session import S3Store
from mirrord.units import MiB
from tests.support.customer_keys import DIGEST_OF_FIRST, DIGEST_OF_SECOND, KEYS, UNDECLARED, with_key
from tests.support.customer_keys import FIRST as FIRST_KEY
from tests.support.named_store import NAMED
from tests.support.weed import KMS_KEY, Server

FIRST, LAST = bytes(range(256)) * (5 * MiB // 256), b"the last part may be small"
WHOLE = FIRST + LAST
DAY = 86_400.0
SDK = " by the SDK"


@dataclass
class Subject:
    store: S3Store
    client: Any
    bucket: str
    provider: ProviderName

    def at(self, key: str = "k") -> Destination:
        return Destination("default", "http://store", self.bucket, key)

    def head(self, key: str = "k") -> Any:
        return self.client.head_object(Bucket=self.bucket, Key=key)

    def body(self, key: str = "k") -> Any:
        return self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read()


@pytest.fixture(params=["weed", f"weed{SDK}", *NAMED])
async def subject(request: pytest.FixtureRequest) -> AsyncIterator[Subject]:
    server: Server = request.getfixturevalue(request.param.removesuffix(SDK))
    wire = "sdk" if request.param.endswith(SDK) else "auto"
    client, bucket = server.client(), f"contract-{uuid.uuid4().hex[:12]}"
    async with S3Store(server.options(requests=RequestOptions(wire=wire), customer_keys=KEYS)) as store:
        made = Subject(store, client, bucket, server.provider)
        yield made
    if request.param.startswith("weed"):
        empty(client, made.bucket)
    client.close()


def empty(client: Any, bucket: str) -> None:
    """Delete a bucket past locks in the mode GOVERNANCE: weed has no room for a bucket of every test."""
    for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket):
        for one in [*page.get("DeleteMarkers", []), *page.get("Versions", [])]:
            with_bypass = {"BypassGovernanceRetention": True} if "lock" in bucket else {}
            client.delete_object(Bucket=bucket, Key=one["Key"], VersionId=one["VersionId"], **with_bypass)
    client.delete_bucket(Bucket=bucket)


# ── the ways of writing an object ─────────────────────────────────────────────────────────────────
def crc(content: bytes) -> Checksum | None:
    return compute(ChecksumKind.CRC64NVME, memoryview(content))


Way = Callable[[S3Store, Destination, ObjectOptions], Awaitable[StoredObject]]


async def put(store: S3Store, at: Destination, options: ObjectOptions) -> StoredObject:
    return await store.put_object(at, memoryview(WHOLE), options, crc(WHOLE))


async def in_parts(store: S3Store, at: Destination, options: ObjectOptions) -> StoredObject:
    upload = await store.create_upload(at, options, ChecksumKind.CRC64NVME)
    parts = [
        await store.upload_part(at, upload, number, memoryview(one), crc(one))
        for number, one in enumerate((FIRST, LAST), 1)
    ]
    return await store.complete_upload(at, upload, parts, crc(WHOLE))


async def copied(store: S3Store, at: Destination, options: ObjectOptions) -> StoredObject:
    """The object to itself, as a rewrite of its options does it."""
    first = await put(store, at, ObjectOptions(metadata={"before": "x"}))
    kind = ChecksumKind.CRC64NVME
    return await store.copy_object(at, at, options, kind, if_match=first.etag, size=len(WHOLE))


async def copied_in_parts(store: S3Store, at: Destination, options: ObjectOptions) -> StoredObject:
    first = await in_parts(store, at, ObjectOptions(metadata={"before": "x"}))
    kind = ChecksumKind.CRC64NVME if store.provider.checked_part_copies else ChecksumKind.NONE
    upload, size = await store.create_upload(at, options, kind), len(FIRST)
    parts = [
        await store.copy_part(at, at, upload, number, start, end, if_match=first.etag)
        for number, start, end in ((1, 0, size), (2, size, len(WHOLE)))
    ]
    return await store.complete_upload(at, upload, parts)


every_way = pytest.mark.parametrize("way", [put, in_parts, copied, copied_in_parts])


# ── what arrives ──────────────────────────────────────────────────────────────────────────────────
@every_way
async def test_standard_headers_metadata_and_tags(subject: Subject, way: Way) -> None:
    options = ObjectOptions(
        content_type="text/x-test",
        cache_control="max-age=300",
        content_disposition="attachment; filename*=UTF-8''%C3%A4.txt",
        content_encoding="br",
        content_language="de",
        expires="2030-01-31T12:00:00Z",
        metadata={"Team": "gëo 漢字", "plain": "a b", "spaces": " a "},
        tags={"tier": "hot", "a b": "c=d +"},
    )
    await subject.store.ensure_bucket(subject.bucket)
    await way(subject.store, subject.at(), options)
    head = subject.head()
    assert (head["ContentType"], head["CacheControl"], head["ContentEncoding"]) == ("text/x-test", "max-age=300", "br")
    assert head["ContentDisposition"] == options.content_disposition
    assert (head["ContentLanguage"], head["ExpiresString"]) == ("de", "Thu, 31 Jan 2030 12:00:00 GMT")
    assert head["Metadata"] == {
        "team": "=?UTF-8?B?Z8OrbyDmvKLlrZc=?=",
        "plain": "a b",
        "spaces": "=?UTF-8?B?IGEg?=",
    }
    tags = subject.client.get_object_tagging(Bucket=subject.bucket, Key="k")["TagSet"]
    assert {one["Key"]: one["Value"] for one in tags} == options.tags
    details = await subject.store.inspect_object(subject.at())
    assert details is not None
    assert details.kept.metadata == {name.lower(): text for name, text in options.metadata.items()}
    assert subject.body() == WHOLE


@every_way
async def test_a_storage_class(subject: Subject, way: Way) -> None:
    wanted = "REDUCED_REDUNDANCY" if subject.provider is ProviderName.MINIO else "STANDARD_IA"
    await subject.store.ensure_bucket(subject.bucket)
    await way(subject.store, subject.at(), ObjectOptions(storage_class=wanted))
    assert subject.head()["StorageClass"] == wanted
    details = await subject.store.inspect_object(subject.at())
    assert details is not None
    assert details.storage_class == wanted


@every_way
async def test_a_canned_acl(subject: Subject, way: Way) -> None:
    """MinIO and SeaweedFS ignore it in these calls: the table of facts says so."""
    await subject.store.ensure_bucket(subject.bucket)
    await way(subject.store, subject.at(), ObjectOptions(acl="public-read"))
    grants = subject.client.get_object_acl(Bucket=subject.bucket, Key="k")["Grants"]
    public = [one["Permission"] for one in grants if one["Grantee"].get("URI", "").endswith("/global/AllUsers")]
    assert public == ([] if facts_of(subject.provider).value(FactName.ACL) == IGNORED else ["READ"])


@every_way
@pytest.mark.parametrize(("mode", "key"), [("AES256", None), ("aws:kms", KMS_KEY)])
async def test_encryption_at_rest(subject: Subject, way: Way, mode: str, key: str | None) -> None:
    await subject.store.ensure_bucket(subject.bucket)
    written = await way(subject.store, subject.at(), ObjectOptions(encryption=mode, kms_key_id=key))
    head = subject.head()
    assert head["ServerSideEncryption"] == mode
    assert head.get("SSEKMSKeyId", "").endswith(key or "")
    details = await subject.store.inspect_object(subject.at())
    assert details is not None
    assert (details.encryption, details.stored.has_key) == (mode, key is not None)
    assert (details.stored.etag, details.stored.size) == (written.etag, len(WHOLE))
    assert details.stored.checksum == crc(WHOLE) or way is copied_in_parts
    assert subject.body() == WHOLE


ONE, TWO = DIGEST_OF_FIRST, DIGEST_OF_SECOND


def refuses_copied_parts(subject: Subject, way: Way) -> bool:
    """SeaweedFS 4.48 answers UploadPartCopy of encrypted parts with 501: then mirrord sends the bytes."""
    return way is copied_in_parts and subject.provider is ProviderName.SEAWEEDFS


@every_way
async def test_a_key_of_the_customer(subject: Subject, way: Way) -> None:
    at, options = subject.at().keyed(ONE), ObjectOptions(metadata={"a": "b"}, customer_key=ONE)
    await subject.store.ensure_bucket(subject.bucket)
    if refuses_copied_parts(subject, way):
        with pytest.raises(StoreRefused, match="NotImplemented"):
            await way(subject.store, at, options)
        return
    written = await way(subject.store, at, options)
    with pytest.raises(ClientError):
        subject.head()
    found = subject.client.get_object(Bucket=subject.bucket, Key="k", **with_key(FIRST_KEY))
    assert (found["Body"].read(), found["SSECustomerAlgorithm"]) == (WHOLE, "AES256")
    details = await subject.store.inspect_object(at)
    assert details is not None
    assert (details.customer_key, details.stored.has_key, details.kept.metadata) == (True, True, {"a": "b"})
    assert details.stored.checksum == crc(WHOLE) or way is copied_in_parts
    assert await subject.store.head_object(at) == details.stored
    assert (details.stored.etag, details.stored.size, details.stored.other_key) == (written.etag, len(WHOLE), False)
    async with subject.store.get_object(at, 5, 100) as stream:
        view = memoryview(bytearray(200))
        assert view[: await stream.readinto(view)] == WHOLE[5:100]


async def test_listing_parts_and_their_completion_need_the_key(subject: Subject) -> None:
    """AWS: where the upload has a checksum."""
    await subject.store.ensure_bucket(subject.bucket)
    at = subject.at().keyed(ONE)
    upload = await subject.store.create_upload(at, ObjectOptions(customer_key=ONE), ChecksumKind.CRC64NVME)
    part = await subject.store.upload_part(at, upload, 1, memoryview(LAST), crc(LAST))
    assert [(one.size, one.etag) async for one in subject.store.list_parts(at, upload)] == [(len(LAST), part.etag)]
    await subject.store.complete_upload(at, upload, [part], crc(LAST))
    assert subject.client.get_object(Bucket=subject.bucket, Key="k", **with_key(FIRST_KEY))["Body"].read() == LAST


@pytest.mark.parametrize(("before", "after"), [(None, ONE), (ONE, TWO), (TWO, None)])
async def test_the_store_copies_an_object_to_itself_with_another_key(
    subject: Subject, before: str | None, after: str | None
) -> None:
    await subject.store.ensure_bucket(subject.bucket)
    old, new = subject.at().keyed(before), subject.at().keyed(after)
    first = await in_parts(subject.store, old, ObjectOptions())
    kind, size = ChecksumKind.CRC64NVME, len(WHOLE)
    await subject.store.copy_object(old, new, ObjectOptions(), kind, if_match=first.etag, size=size)
    found = await subject.store.inspect_object(new)
    assert found is not None
    assert (found.customer_key, found.stored.size, found.stored.checksum) == (after is not None, size, crc(WHOLE))
    async with subject.store.get_object(new, len(FIRST) - 5) as stream:
        view = memoryview(bytearray(200))
        assert view[: await stream.readinto(view)] == WHOLE[len(FIRST) - 5 :]


async def test_an_object_with_another_key_is_shown_as_such(subject: Subject) -> None:
    """By any declared key, so that its metadata tells whose it is. SeaweedFS ignores the key where none is needed."""
    await subject.store.ensure_bucket(subject.bucket)
    for written_with in (None, ONE):
        at = subject.at(f"k{written_with}").keyed(written_with)
        await subject.store.put_object(at, memoryview(LAST), ObjectOptions(metadata={"a": "b"}), crc(LAST))
        for asked_with in {None, ONE, TWO} - {written_with}:
            shown = await subject.store.head_object(at.keyed(asked_with))
            assert shown is not None
            assert (shown.unreadable, shown.metadata) == (False, {"a": "b"})
            assert shown.other_key or (written_with is None and not shown.has_key)
    for asked_with in (None, TWO):
        with pytest.raises((StoreRefused, StoreDenied)):
            async with subject.store.get_object(at.keyed(asked_with)):
                pass
    subject.client.put_object(Bucket=subject.bucket, Key="theirs", Body=b"x", **with_key(UNDECLARED))
    for asked_with in (None, ONE):
        assert await subject.store.head_object(subject.at("theirs").keyed(asked_with)) is UNREADABLE
        assert await subject.store.head_object(subject.at("nothing").keyed(asked_with)) is None


async def test_nothing_is_written_with_a_key_that_is_not_declared(subject: Subject) -> None:
    await subject.store.ensure_bucket(subject.bucket)
    with pytest.raises(StoreRefused, match="is not in the customer_keys of the store 'default'"):
        await put(subject.store, subject.at().keyed("unknown"), ObjectOptions())
    assert await subject.store.head_object(subject.at().keyed("unknown")) is None


LOCKING = [put, in_parts, copied_in_parts]
"""SeaweedFS ignores a lock in CopyObject: mirrord sets it after such a copy (tests/integration/test_object_lock.py)."""


@pytest.mark.parametrize("way", LOCKING)
async def test_a_lock_in_the_mode_governance(subject: Subject, way: Way) -> None:
    subject.bucket = f"lock-{subject.bucket}"
    await subject.store.ensure_bucket(subject.bucket, lock=BucketLock())
    await way(subject.store, subject.at(), ObjectOptions(lock_mode="GOVERNANCE", retain=DAY))
    head = subject.head()
    left = (head["ObjectLockRetainUntilDate"] - datetime.now(UTC)).total_seconds()
    assert (head["ObjectLockMode"], DAY - 600 < left <= DAY + 1) == ("GOVERNANCE", True)
    with pytest.raises(ClientError):
        subject.client.delete_object(Bucket=subject.bucket, Key="k", VersionId=head["VersionId"])


@pytest.mark.parametrize("way", LOCKING)
async def test_a_legal_hold(subject: Subject, way: Way) -> None:
    subject.bucket = f"lock-{subject.bucket}"
    await subject.store.ensure_bucket(subject.bucket, lock=BucketLock())
    await way(subject.store, subject.at(), ObjectOptions(legal_hold=True))
    head = subject.head()
    version = head["VersionId"]
    assert head["ObjectLockLegalHoldStatus"] == "ON"
    for held in (False, True, False):
        await subject.store.put_legal_hold(subject.at(), version, held)
        details = await subject.store.inspect_object(subject.at())
        assert details is not None
        assert (details.legal_hold, details.lock) == (held, None)
        if held:
            with pytest.raises(ClientError):
                subject.client.delete_object(Bucket=subject.bucket, Key="k", VersionId=version)


async def test_a_lock_in_the_mode_compliance(subject: Subject) -> None:
    """Not even its owner deletes such a version, so the bucket stays until the session's store ends."""
    bucket = f"lock-{subject.bucket}-stays"
    await subject.store.ensure_bucket(subject.bucket)
    await subject.store.ensure_bucket(bucket, lock=BucketLock())
    for way in LOCKING:
        at = replace(subject.at(way.__name__), bucket=bucket)
        await way(subject.store, at, ObjectOptions(lock_mode="COMPLIANCE", retain=DAY))
        head = subject.client.head_object(Bucket=bucket, Key=at.key)
        assert head["ObjectLockMode"] == "COMPLIANCE"
        with pytest.raises(ClientError):
            subject.client.delete_object(
                Bucket=bucket, Key=at.key, VersionId=head["VersionId"], BypassGovernanceRetention=True
            )
