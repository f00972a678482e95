"""The calls of `ports.ObjectStore` over an open aiobotocore client, each tried once and bounded by a deadline.

Owns how a port's call becomes one S3 request. Refuses to retry (policy wraps the port) and to open or close the
client it was given (`session` does). Hands errors on as `errors` translates them.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import IO, TYPE_CHECKING, Any, cast

from mirrord.errors import BucketMissing, NoSuchUpload, OutcomeUnknown, StoreRefused, StoreUnavailable
from mirrord.model import (
    Checksum,
    ChecksumKind,
    Destination,
    ObjectOptions,
    ObjectVersion,
    Part,
    StoredObject,
    Upload,
)
from mirrord.ports import ByteStream
from mirrord.providers import Provider
from mirrord.s3 import arguments
from mirrord.s3.body import BufferBody
from mirrord.s3.errors import StoreCall, asking
from mirrord.s3.xml_repair import fits_in_xml
from mirrord.units import KiB

if TYPE_CHECKING:
    from types_aiobotocore_s3 import S3Client

DEADLINE = 30.0
"""Seconds that any call may take before its bytes are counted."""
COMPLETE_PATIENCE = 20
"""Times the base for Complete. AWS: "Processing … could take several minutes to complete"."""
MIN_RATE = 100 * KiB
"""Bytes a second below which a transfer to a store counts as stalled."""

_NOT_IMPLEMENTED = frozenset({405, 501})


class ClientStore:
    """An ObjectStore over a client that somebody else opened and will close.

    `deadline` (seconds) replaces every call's base; size / 100 KiB/s is added for the bytes that a call moves.
    """

    reads_any_key = False
    """Whether the client reads answers that hold characters which XML forbids (see `readable`)."""
    _proxy: str | None = None
    """The HTTP proxy before the store, as errors name it."""

    def __init__(
        self, client: "S3Client | None", provider: Provider, *, name: str = "default", deadline: float = DEADLINE
    ) -> None:
        self._opened: S3Client | None = client
        self._provider = provider
        self._name = name
        self._deadline = deadline

    @property
    def provider(self) -> Provider:
        return self._provider

    @property
    def _client(self) -> "S3Client":
        if self._opened is None:
            raise RuntimeError("the store is not open; use it inside `async with`")
        return self._opened

    def _asking(
        self,
        operation: str,
        at: Destination | str,
        *,
        size: int = 0,
        write: bool = False,
        patience: int = 1,
        spent: float = 0.0,
    ) -> AbstractAsyncContextManager[None]:
        bucket, key = (at, None) if isinstance(at, str) else (at.bucket, at.key)
        call = StoreCall(operation, self._name, bucket, key, write, self._proxy)
        return asking(call, self._deadline * patience + size / MIN_RATE - spent)

    def _no_etag(self, operation: str, at: Destination) -> str:
        call = StoreCall(operation, self._name, at.bucket, at.key, write=True)
        return call.message("the answer has no ETag; check that endpoint_url is an S3 endpoint")

    # ── writes ────────────────────────────────────────────────────────────────────────────────────
    async def put_object(
        self,
        at: Destination,
        body: memoryview,
        options: ObjectOptions,
        checksum: Checksum | None = None,
        *,
        if_none_match: bool = False,
    ) -> StoredObject:
        asked = arguments.object_arguments(options) | arguments.put_checksum(checksum)
        asked |= arguments.condition(if_none_match)
        async with self._asking("PutObject", at, size=len(body), write=True), _sent(body) as content:
            answer = await self._client.put_object(Bucket=at.bucket, Key=at.key, Body=content, **asked)
        if not arguments.has_etag(answer):
            raise OutcomeUnknown(self._no_etag("PutObject", at))
        return arguments.stored_object(answer, size=len(body))

    async def copy_object(
        self,
        source: Destination,
        at: Destination,
        options: ObjectOptions,
        checksum: ChecksumKind = ChecksumKind.NONE,
        *,
        if_match: str,
        size: int,
    ) -> StoredObject:
        asked = arguments.object_arguments(options) | arguments.copy_arguments(source, checksum, if_match)
        async with self._asking("CopyObject", at, size=size, write=True):
            answer = await self._client.copy_object(Bucket=at.bucket, Key=at.key, **asked)
        if not arguments.has_etag(answer.get("CopyObjectResult", {})):
            raise OutcomeUnknown(self._no_etag("CopyObject", at))
        return arguments.copied_object(answer, size)

    async def create_upload(
        self, at: Destination, options: ObjectOptions, checksum: ChecksumKind = ChecksumKind.NONE
    ) -> str:
        if not self.reads_any_key and not fits_in_xml(at.key):
            raise StoreRefused(f"{at}: stores answer with the key, which XML cannot carry: upload it in one put")
        asked = arguments.object_arguments(options) | arguments.create_checksum(checksum)
        async with self._asking("CreateMultipartUpload", at, write=True):
            answer = await self._client.create_multipart_upload(Bucket=at.bucket, Key=at.key, **asked)
        upload_id = arguments.token(answer, "UploadId")
        if not upload_id:
            call = StoreCall("CreateMultipartUpload", self._name, at.bucket, at.key)
            raise OutcomeUnknown(call.message("the answer has no UploadId; check that endpoint_url is S3's"))
        return upload_id

    async def upload_part(
        self, at: Destination, upload_id: str, number: int, body: memoryview, checksum: Checksum | None = None
    ) -> Part:
        asked: dict[str, Any] = {"UploadId": upload_id, "PartNumber": number} | arguments.put_checksum(checksum)
        async with self._asking("UploadPart", at, size=len(body), write=True), _sent(body) as content:
            answer = await self._client.upload_part(Bucket=at.bucket, Key=at.key, Body=content, **asked)
        if not arguments.has_etag(answer):
            raise StoreUnavailable(self._no_etag("UploadPart", at))
        return arguments.uploaded_part(number, len(body), answer, checksum)

    async def complete_upload(
        self,
        at: Destination,
        upload_id: str,
        parts: Sequence[Part],
        checksum: Checksum | None = None,
        *,
        if_none_match: bool = False,
    ) -> StoredObject:
        asked = arguments.complete_arguments(parts, checksum) | arguments.condition(if_none_match)
        async with self._asking("CompleteMultipartUpload", at, write=True, patience=COMPLETE_PATIENCE):
            answer = await self._client.complete_multipart_upload(
                Bucket=at.bucket, Key=at.key, UploadId=upload_id, **asked
            )
        if not arguments.has_etag(answer):
            raise OutcomeUnknown(self._no_etag("CompleteMultipartUpload", at))
        return arguments.stored_object(answer, size=sum(part.size for part in parts))

    async def abort_upload(self, at: Destination, upload_id: str) -> None:
        # No `write`: to abort again is always the right answer to a lost answer.
        try:
            async with self._asking("AbortMultipartUpload", at):
                await self._client.abort_multipart_upload(Bucket=at.bucket, Key=at.key, UploadId=upload_id)
        except NoSuchUpload:
            return

    async def delete_object(self, at: Destination) -> None:
        async with self._asking("DeleteObject", at, write=True):
            await self._client.delete_object(Bucket=at.bucket, Key=at.key)

    async def ensure_bucket(self, bucket: str, *, region: str | None = None, versioning: bool = False) -> bool:
        created = not await self.has_bucket(bucket) and await self._create_bucket(bucket, region)
        if created and versioning:
            async with self._asking("PutBucketVersioning", bucket):
                await self._client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        return created

    async def has_bucket(self, bucket: str) -> bool:
        try:
            async with self._asking("HeadBucket", bucket):
                await self._client.head_bucket(Bucket=bucket)
        except BucketMissing:
            return False
        except StoreRefused as error:
            if _status(error) != 404:
                raise
            return False
        return True

    async def _create_bucket(self, bucket: str, region: str | None) -> bool:
        asked: dict[str, Any] = {}
        if region not in (None, "us-east-1"):
            asked["CreateBucketConfiguration"] = {"LocationConstraint": region}
        try:
            async with self._asking("CreateBucket", bucket):
                await self._client.create_bucket(Bucket=bucket, **asked)
        except StoreRefused as error:
            if _code(error) != "BucketAlreadyOwnedByYou":
                raise
            return False
        return True

    # ── reads ─────────────────────────────────────────────────────────────────────────────────────
    async def head_object(self, at: Destination) -> StoredObject | None:
        """None also where the bucket is missing: a HEAD answers without words, so a store cannot say which."""
        try:
            async with self._asking("HeadObject", at):
                answer = await self._client.head_object(Bucket=at.bucket, Key=at.key, ChecksumMode="ENABLED")
        except (BucketMissing, StoreRefused) as error:
            if _status(error) != 404:
                raise
            return None
        return arguments.stored_object(answer)

    async def head_version(self, at: Destination, version_id: str) -> StoredObject | None:
        try:
            async with self._asking("HeadObject", at):
                answer = await self._client.head_object(Bucket=at.bucket, Key=at.key, VersionId=version_id)
        except (BucketMissing, StoreRefused) as error:
            if _status(error) != 404:
                raise
            return None
        return arguments.stored_object(answer)

    async def bucket_versioning(self, bucket: str) -> str | None:
        try:
            async with self._asking("GetBucketVersioning", bucket):
                answer = await self._client.get_bucket_versioning(Bucket=bucket)
        except StoreRefused as error:
            if _status(error) not in _NOT_IMPLEMENTED:
                raise
            return None
        return answer.get("Status")

    @asynccontextmanager
    async def get_object(self, at: Destination, start: int = 0, end: int | None = None) -> AsyncIterator[ByteStream]:
        """The bytes [start, end). An end too soon, or reads that take longer than a call with so many bytes may, are
        StoreUnavailable. Without a Content-Length the body's own framing tells its end."""
        async with self._asking("GetObject", at):
            answer = await self._client.get_object(Bucket=at.bucket, Key=at.key, **arguments.byte_range(start, end))
        async with answer["Body"] as body:
            yield _ObjectStream(self, at, body, answer.get("ContentLength"))

    async def list_buckets(self) -> list[str]:
        """ListBuckets: the names that the credentials may see. Beyond the port: tells whether a store is there."""
        async with self._asking("ListBuckets", ""):
            answer = await self._client.list_buckets()
        return [bucket["Name"] for bucket in answer.get("Buckets", []) if "Name" in bucket]

    async def delete_bucket(self, bucket: str) -> None:
        """DeleteBucket. Beyond the port: only the embedded store's check at its start makes a bucket to remove it."""
        async with self._asking("DeleteBucket", bucket):
            await self._client.delete_bucket(Bucket=bucket)

    async def list_parts(self, at: Destination, upload_id: str) -> AsyncIterator[Part]:
        asked: dict[str, Any] = {"Bucket": at.bucket, "Key": at.key, "UploadId": upload_id}
        while True:
            async with self._asking("ListParts", at):
                page = await self._client.list_parts(**asked)
            for entry in page.get("Parts", []):
                yield arguments.listed_part(entry)
            marker = page.get("NextPartNumberMarker")
            if not page.get("IsTruncated") or marker in (None, asked.get("PartNumberMarker")):
                return
            asked["PartNumberMarker"] = marker

    async def list_uploads(self, bucket: str, prefix: str) -> AsyncIterator[Upload]:
        asked: dict[str, Any] = {"Bucket": bucket, "Prefix": prefix, "EncodingType": "url"}
        while True:
            async with self._asking("ListMultipartUploads", bucket):
                page = await self._client.list_multipart_uploads(**asked)
            for upload in arguments.open_uploads(page, prefix):
                yield upload
            markers = arguments.upload_markers(page, prefix)
            if not page.get("IsTruncated") or markers is None or markers.items() <= asked.items():
                return
            asked |= markers

    async def list_versions(self, at: Destination) -> AsyncIterator[ObjectVersion]:
        asked: dict[str, Any] = {"Bucket": at.bucket, "Prefix": at.key}
        markers: dict[str, Any] = {}
        while True:
            async with self._asking("ListObjectVersions", at):
                page = await self._client.list_object_versions(**asked, **markers)
            versions = page.get("Versions", [])
            for entry in versions:
                if entry.get("Key") == at.key:
                    yield arguments.object_version(entry)
            # Keys ascend, so that the key itself comes before all others that begin with it.
            if not page.get("IsTruncated") or (versions and versions[-1].get("Key") != at.key):
                return
            before, markers = markers, arguments.version_markers(page)
            if not markers or markers == before:  # half a list must not pass for the whole: an abort may follow
                raise StoreUnavailable(f"ListObjectVersions {at}: the list is cut off without a marker for the rest")


class _ObjectStream:
    """ports.ByteStream over an answer's body. All reads together have the time that the bytes so far are good for."""

    def __init__(self, store: ClientStore, at: Destination, body: Any, length: int | None) -> None:
        self._store, self._at, self._body, self._left = store, at, body, length
        self._taken = 0
        self._waited = 0.0  # seconds in reads: what the caller does between them is not the store's slowness

    async def readinto(self, view: memoryview) -> int:
        if not len(view) or self._left == 0:
            return 0
        began = asyncio.get_running_loop().time()
        async with self._store._asking("GetObject", self._at, size=self._taken, spent=self._waited):
            piece = await self._body.read(len(view))
        self._waited += asyncio.get_running_loop().time() - began
        self._taken += len(piece)
        view[: len(piece)] = piece
        if self._left is not None:
            if not piece:
                raise StoreUnavailable(f"GetObject {self._at}: the body ended {self._left} bytes too soon")
            self._left -= len(piece)
        return len(piece)


@asynccontextmanager
async def _sent(view: memoryview) -> AsyncIterator[IO[bytes] | bytes]:
    """The buffer as a body while the call lasts; afterwards no byte of it leaves any more."""
    body = BufferBody(view)
    try:
        yield cast("IO[bytes]", body) if len(view) else b""
    finally:
        body.close()


def _answer(error: Exception) -> dict[str, Any]:
    return getattr(error.__cause__, "response", None) or {}


def _status(error: Exception) -> int:
    return int(_answer(error).get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _code(error: Exception) -> str | None:
    code: str | None = _answer(error).get("Error", {}).get("Code")
    return code
