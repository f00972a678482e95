"""The calls about object lock, over an open client. Owns their parameters, and how their answers are read."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mirrord.declared import BucketLock
from mirrord.errors import StoreRefused
from mirrord.model import Destination, ObjectLock
from mirrord.s3.answers.errors import status_of_cause
from mirrord.s3.bounded_calls import BoundedCalls

if TYPE_CHECKING:
    from types_aiobotocore_s3 import S3Client

_NONE = frozenset({400, 404, 405, 501})
"""The bucket has no object lock, or the store does not support it."""


async def set_retention(
    client: "S3Client", calls: BoundedCalls, at: Destination, version: str, lock: ObjectLock, *, bypass: bool = False
) -> None:
    """See `ports.ObjectStore.put_retention`."""
    until = datetime.fromtimestamp(lock.until, UTC)
    asked: Any = {"Retention": {"Mode": lock.mode, "RetainUntilDate": until}, "ChecksumAlgorithm": "CRC32"}
    asked |= {"BypassGovernanceRetention": True} if bypass else {}
    with calls.call("PutObjectRetention", at):
        await client.put_object_retention(Bucket=at.bucket, Key=at.key, VersionId=version, **asked)


async def set_legal_hold(client: "S3Client", calls: BoundedCalls, at: Destination, version: str, held: bool) -> None:
    """See `ports.ObjectStore.put_legal_hold`."""
    asked: Any = {"LegalHold": {"Status": "ON" if held else "OFF"}, "ChecksumAlgorithm": "CRC32"}
    with calls.call("PutObjectLegalHold", at):
        await client.put_object_legal_hold(Bucket=at.bucket, Key=at.key, VersionId=version, **asked)


async def set_default(client: "S3Client", calls: BoundedCalls, bucket: str, lock: BucketLock) -> None:
    """Set the lock of new objects of a bucket that has object lock."""
    rule: Any = {"DefaultRetention": {"Mode": lock.mode, "Days": lock.days}}
    with calls.call("PutObjectLockConfiguration", bucket):
        await client.put_object_lock_configuration(
            Bucket=bucket,
            ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule},
            ChecksumAlgorithm="CRC32",
        )


async def lock_of(client: "S3Client", calls: BoundedCalls, bucket: str) -> BucketLock | None:
    """See `ports.ObjectStore.bucket_lock`."""
    try:
        with calls.call("GetObjectLockConfiguration", bucket):
            answer = await client.get_object_lock_configuration(Bucket=bucket)
    except StoreRefused as error:
        if status_of_cause(error) not in _NONE:
            raise
        return None
    found = answer.get("ObjectLockConfiguration", {})
    if found.get("ObjectLockEnabled") != "Enabled":
        return None
    rule = found.get("Rule", {}).get("DefaultRetention", {})
    return BucketLock(rule.get("Mode"), rule.get("Days") or (rule.get("Years") or 0) * 365 or None)
