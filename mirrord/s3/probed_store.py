"""The store as `doctor` looks at it: the calls of `S3Store`, and what no transfer needs (`ports.probe`).

Owns these few calls. They go through the client that all other calls use, so that region, keys and signatures are the
same.
"""

import secrets
from typing import Any

from mirrord.errors import OutcomeUnknown, StoreError, StoreRefused
from mirrord.model import Checksum, Destination, Part, StoredObject
from mirrord.ports.probe import BucketAnswer
from mirrord.s3 import arguments
from mirrord.s3.answers import results
from mirrord.s3.answers.errors import response_of_cause
from mirrord.s3.body import BufferBody
from mirrord.s3.session import S3Store

_CUSTOMER_KEY = 32
"""Bytes of a key for AES-256."""


class ProbedStore(S3Store):
    """`async with ProbedStore(options) as store`."""

    async def bucket_answer(self, bucket: str) -> BucketAnswer:
        try:
            with self._calls.call("HeadBucket", bucket):
                answer: Any = await self._client.head_bucket(Bucket=bucket)
        except StoreError as error:
            return _bucket_answer(response_of_cause(error), error)
        return _bucket_answer(answer, None)

    async def blocked_encryption(self, bucket: str) -> tuple[str, ...]:
        with self._calls.call("GetBucketEncryption", bucket):
            answer: Any = await self._client.get_bucket_encryption(Bucket=bucket)
        rules = answer.get("ServerSideEncryptionConfiguration", {}).get("Rules", [])
        blocked = (rule.get("BlockedEncryptionTypes", {}).get("EncryptionType", []) for rule in rules)
        return tuple(kind for kinds in blocked for kind in kinds)

    async def put_if_match(self, at: Destination, body: memoryview, etag: str) -> StoredObject:
        with self._calls.call("PutObject", at, write=True, conditional=True), BufferBody(body) as content:
            answer = await self._client.put_object(Bucket=at.bucket, Key=at.key, Body=content, IfMatch=etag)
        return results.stored_object(answer, size=len(body))

    async def complete_if_match(self, at: Destination, upload_id: str, parts: list[Part], etag: str) -> StoredObject:
        asked = arguments.complete_arguments(parts, None)
        with self._calls.call("CompleteMultipartUpload", at, write=True, conditional=True):
            answer = await self._client.complete_multipart_upload(
                Bucket=at.bucket, Key=at.key, UploadId=upload_id, IfMatch=etag, **asked
            )
        if not results.has_etag(answer):
            raise OutcomeUnknown(self._calls.no_etag("CompleteMultipartUpload", at))
        return results.stored_object(answer, size=sum(part.size for part in parts))

    async def put_with_trailer(self, at: Destination, body: memoryview, checksum: Checksum | None) -> None:
        client: Any = self._client
        assert checksum is not None
        given = {"Body": body, "Trailer": (f"x-amz-checksum-{checksum.kind}", checksum.value)}
        try:
            with self._calls.call("PutObject", at, write=True):
                await client.put_with_trailer(Bucket=at.bucket, Key=at.key, **given)
        except AttributeError as error:
            raise StoreRefused("trailers are sent with `wire: auto` only") from error

    async def put_with_customer_key(self, at: Destination, body: memoryview) -> None:
        key: dict[str, Any] = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": secrets.token_bytes(_CUSTOMER_KEY)}
        with self._calls.call("PutObject", at, write=True), BufferBody(body) as content:
            await self._client.put_object(Bucket=at.bucket, Key=at.key, Body=content, **key)

    async def delete_version(self, at: Destination, version_id: str) -> None:
        with self._calls.call("DeleteObject", at):
            await self._client.delete_object(Bucket=at.bucket, Key=at.key, VersionId=version_id)


def _bucket_answer(answer: Any, error: StoreError | None) -> BucketAnswer:
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return BucketAnswer(
        server=results.server_of(answer),
        region=headers.get("x-amz-bucket-region", ""),
        date=results.answered_at(answer),
        error=error,
    )
