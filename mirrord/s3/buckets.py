"""The calls about whole buckets, over an open client. Owns their parameters, and how their answers are read.

`locks` has those about object lock.
"""

from typing import TYPE_CHECKING, Any

from mirrord.declared import BucketLock
from mirrord.errors import BucketMissing, StoreRefused
from mirrord.s3 import locks
from mirrord.s3.answers.errors import code_of_cause, status_of_cause
from mirrord.s3.bounded_calls import BoundedCalls

if TYPE_CHECKING:
    from types_aiobotocore_s3 import S3Client

_NOT_IMPLEMENTED = frozenset({405, 501})


async def exists(client: "S3Client", calls: BoundedCalls, bucket: str) -> bool:
    """See `ports.ObjectStore.has_bucket`."""
    try:
        with calls.call("HeadBucket", bucket):
            await client.head_bucket(Bucket=bucket)
    except BucketMissing:
        return False
    except StoreRefused as error:
        if status_of_cause(error) != 404:
            raise
        return False
    return True


async def ensure(
    client: "S3Client",
    calls: BoundedCalls,
    bucket: str,
    region: str | None,
    lock: BucketLock | None,
    *,
    versioning: bool,
) -> bool:
    """See `ports.ObjectStore.ensure_bucket`."""
    created = not await exists(client, calls, bucket) and await _create(client, calls, bucket, region, lock)
    if created and versioning:
        with calls.call("PutBucketVersioning", bucket):
            await client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    if created and lock is not None and lock.days is not None:
        await locks.set_default(client, calls, bucket, lock)
    return created


async def versioning(client: "S3Client", calls: BoundedCalls, bucket: str) -> str | None:
    """See `ports.ObjectStore.bucket_versioning`."""
    try:
        with calls.call("GetBucketVersioning", bucket):
            answer = await client.get_bucket_versioning(Bucket=bucket)
    except StoreRefused as error:
        if status_of_cause(error) not in _NOT_IMPLEMENTED:
            raise
        return None
    return answer.get("Status")


async def _create(
    client: "S3Client", calls: BoundedCalls, bucket: str, region: str | None, lock: BucketLock | None
) -> bool:
    asked: dict[str, Any] = {} if lock is None else {"ObjectLockEnabledForBucket": True}
    if region not in (None, "us-east-1"):
        asked["CreateBucketConfiguration"] = {"LocationConstraint": region}
    try:
        with calls.call("CreateBucket", bucket):
            await client.create_bucket(Bucket=bucket, **asked)
    except StoreRefused as error:
        if code_of_cause(error) != "BucketAlreadyOwnedByYou":
            raise
        return False
    return True
