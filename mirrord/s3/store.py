"""The calls of `ports.ObjectStore` over an open aiobotocore client.

Owns how one call of the port becomes one S3 request. Each request is sent once: retries are policy above the port.
`session` opens and closes clients, `bounded_calls` limits the time of a call, `errors` translates its errors.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from mirrord.declared import BucketLock
from mirrord.errors import (
    ActionDenied,
    BucketMissing,
    NoSuchUpload,
    OutcomeUnknown,
    PreconditionFailed,
    StoreDenied,
    StoreRefused,
    StoreUnavailable,
)
from mirrord.model import (
    Checksum,
    ChecksumKind,
    Destination,
    ListedObject,
    ObjectDetails,
    ObjectLock,
    ObjectOptions,
    ObjectVersion,
    Part,
    StoredObject,
    Upload,
)
from mirrord.ports import ByteStream
from mirrord.providers import Provider
from mirrord.s3 import arguments, buckets, locks
from mirrord.s3.answers import results
from mirrord.s3.answers.errors import code_of_cause, response_of_cause, status_of_cause
from mirrord.s3.answers.xml_repair import fits_in_xml
from mirrord.s3.body_request import BodyRequest, PartOf, send_by_sdk
from mirrord.s3.bounded_calls import COMPLETE_FACTOR, DEADLINE, BoundedCalls
from mirrord.s3.call import NotOpen
from mirrord.s3.customer_keys import NO_KEYS, CustomerKeys, shown_after
from mirrord.s3.listed_keys import UNKNOWN, PlusSigns, asked_plus_signs
from mirrord.s3.object_stream import ObjectStream, check_pinned
from mirrord.s3.pages import Pages

if TYPE_CHECKING:
    from types_aiobotocore_s3 import S3Client

NOT_OPEN = "the store is not open; use it inside `async with`"


class ClientStore:
    """An ObjectStore over a client that the caller opened and closes.

    `deadline` (seconds) is the base of the limit of each call; size / 100 KiB/s is added for the bytes that it moves.
    """

    repairs_xml = False
    """Whether the client repairs answers with characters that XML forbids (see `xml_repair`)."""

    def __init__(
        self,
        client: "S3Client | None",
        provider: Provider,
        *,
        name: str = "default",
        deadline: float = DEADLINE,
        keys: CustomerKeys = NO_KEYS,
    ) -> None:
        self._open_client: S3Client | None = client
        self._provider = provider
        self._keys = keys
        self._calls = BoundedCalls(name, deadline)
        self._plus = UNKNOWN  # see `_plus_signs`
        self._server = ""

    @property
    def provider(self) -> Provider:
        return self._provider

    @property
    def server(self) -> str:
        return self._server

    @property
    def _client(self) -> "S3Client":
        if self._open_client is None:
            raise NotOpen(NOT_OPEN)
        return self._open_client

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
        request = BodyRequest(at, body, checksum, options, if_none_match, customer_key=self._keys.of_write(at))
        with self._calls.call("PutObject", at, size=len(body), write=True, conditional=if_none_match):
            stored = await self._send_body(request)
        if not results.is_etag(stored.etag):
            raise OutcomeUnknown(self._calls.no_etag("PutObject", at))
        return stored

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
        asked |= self._copy_keys(source, at)
        with self._calls.call("CopyObject", at, size=size, write=True):
            answer = await self._client.copy_object(Bucket=at.bucket, Key=at.key, **asked)
        if not results.has_etag(answer.get("CopyObjectResult", {})):
            raise OutcomeUnknown(self._calls.no_etag("CopyObject", at))
        return results.copied_object(answer, size)

    async def create_upload(
        self, at: Destination, options: ObjectOptions, checksum: ChecksumKind = ChecksumKind.NONE
    ) -> str:
        if not self.repairs_xml and not fits_in_xml(at.key):
            raise StoreRefused(f"{at}: the answer contains the key, which XML cannot carry: upload it in one put")
        asked = arguments.object_arguments(options) | arguments.create_checksum(checksum) | self._key(at)
        with self._calls.call("CreateMultipartUpload", at, write=True):
            answer = await self._client.create_multipart_upload(Bucket=at.bucket, Key=at.key, **asked)
        upload_id = results.token(answer, "UploadId")
        if not upload_id:
            call = self._calls.named("CreateMultipartUpload", at, write=True)
            raise OutcomeUnknown(call.message("the answer has no UploadId; check that endpoint_url is an S3 endpoint"))
        return upload_id

    async def upload_part(
        self, at: Destination, upload_id: str, number: int, body: memoryview, checksum: Checksum | None = None
    ) -> Part:
        key, part = self._keys.of_write(at), PartOf(upload_id, number)
        request = BodyRequest(at, body, checksum, part=part, customer_key=key)
        with self._calls.call("UploadPart", at, size=len(body), write=True):
            answer = await self._send_body(request)
        if not results.is_etag(answer.etag):
            raise StoreUnavailable(self._calls.no_etag("UploadPart", at))
        return Part(number=number, size=len(body), etag=answer.etag, checksum=checksum)

    async def copy_part(
        self, source: Destination, at: Destination, upload_id: str, number: int, start: int, end: int, *, if_match: str
    ) -> Part:
        asked = arguments.copy_source(source, if_match) | {"CopySourceRange": f"bytes={start}-{end - 1}"}
        asked |= self._copy_keys(source, at)
        with self._calls.call("UploadPartCopy", at, size=end - start, write=True):
            answer = await self._client.upload_part_copy(
                Bucket=at.bucket, Key=at.key, UploadId=upload_id, PartNumber=number, **asked
            )
        result = answer.get("CopyPartResult", {})
        if not results.has_etag(result):
            raise StoreUnavailable(self._calls.no_etag("UploadPartCopy", at))
        return results.copied_part(result, number, end - start)

    def _send_body(self, request: BodyRequest) -> Awaitable[StoredObject]:
        return send_by_sdk(self._client, request)

    def _key(self, at: Destination) -> arguments.Arguments:
        """Of a write. Complete and ListParts need the key if the upload has checksums (S3 API Reference)."""
        return arguments.customer_key(self._keys.of_write(at))

    def _copy_keys(self, source: Destination, at: Destination) -> arguments.Arguments:
        return arguments.source_key(self._keys.of(source)) | self._key(at)

    async def complete_upload(
        self,
        at: Destination,
        upload_id: str,
        parts: Sequence[Part],
        checksum: Checksum | None = None,
        *,
        if_none_match: bool = False,
    ) -> StoredObject:
        asked = arguments.complete_arguments(parts, checksum) | arguments.condition(if_none_match) | self._key(at)
        asked["UploadId"] = upload_id
        with self._calls.call(
            "CompleteMultipartUpload", at, write=True, conditional=if_none_match, factor=COMPLETE_FACTOR
        ):
            answer = await self._client.complete_multipart_upload(Bucket=at.bucket, Key=at.key, **asked)
        self._server = results.server_of(answer)
        if not results.has_etag(answer):
            raise OutcomeUnknown(self._calls.no_etag("CompleteMultipartUpload", at))
        return results.stored_object(answer, size=sum(part.size for part in parts))

    async def abort_upload(self, at: Destination, upload_id: str) -> None:
        # No `write`: if the answer is lost, the abort can be repeated without harm.
        try:
            with self._calls.call("AbortMultipartUpload", at):
                await self._client.abort_multipart_upload(Bucket=at.bucket, Key=at.key, UploadId=upload_id)
        except NoSuchUpload:
            return

    async def delete_object(self, at: Destination, *, only: str | None = None) -> bool:
        asked: dict[str, Any] = {} if only is None else {"IfMatch": only}
        with self._calls.call("DeleteObject", at, write=True, conditional=only is not None):
            answer = await self._client.delete_object(Bucket=at.bucket, Key=at.key, **asked)
        return bool(answer.get("DeleteMarker"))

    async def ensure_bucket(
        self, bucket: str, *, region: str | None = None, versioning: bool = False, lock: BucketLock | None = None
    ) -> bool:
        return await buckets.ensure(self._client, self._calls, bucket, region, lock, versioning=versioning)

    async def has_bucket(self, bucket: str) -> bool:
        return await buckets.exists(self._client, self._calls, bucket)

    async def bucket_lock(self, bucket: str) -> BucketLock | None:
        return await locks.lock_of(self._client, self._calls, bucket)

    async def put_retention(self, at: Destination, version_id: str, lock: ObjectLock, *, bypass: bool = False) -> None:
        await locks.set_retention(self._client, self._calls, at, version_id, lock, bypass=bypass)

    async def put_legal_hold(self, at: Destination, version_id: str, held: bool) -> None:
        await locks.set_legal_hold(self._client, self._calls, at, version_id, held)

    # ── reads ─────────────────────────────────────────────────────────────────────────────────────
    async def head_object(self, at: Destination) -> StoredObject | None:
        """None also if the bucket is missing: the answer of a HEAD has no body that names the cause."""
        return await self._stored(at, ChecksumMode="ENABLED")

    async def inspect_object(self, at: Destination, part: int | None = None) -> ObjectDetails | None:
        asked = arguments.version_of(at) | ({} if part is None else {"PartNumber": part})
        answer = await self._head(at, ChecksumMode="ENABLED", **asked)
        return None if answer is None else results.object_details(answer)

    async def head_version(self, at: Destination, version_id: str) -> StoredObject | None:
        return await self._stored(at, VersionId=version_id)

    async def _stored(self, at: Destination, **asked: Any) -> StoredObject | None:
        try:
            answer = await self._head(at, **asked)
        except (StoreRefused, ActionDenied) as refusal:
            return await shown_after(refusal, at, self._keys, partial(self._head, **asked))
        return None if answer is None else results.stored_object(answer)

    async def _head(self, at: Destination, **asked: Any) -> Mapping[str, Any] | None:
        client: Any = self._client
        asked |= arguments.customer_key(self._keys.of(at))
        try:
            with self._calls.call("HeadObject", at):
                answer = await client.head_object(Bucket=at.bucket, Key=at.key, **asked)
        except (BucketMissing, StoreRefused) as error:
            if status_of_cause(error) != 404:
                raise
            self._server = results.server_of(response_of_cause(error))
            return None
        self._server = results.server_of(answer)
        found: Mapping[str, Any] = answer
        return found

    async def get_tags(self, at: Destination) -> Mapping[str, str]:
        with self._calls.call("GetObjectTagging", at):
            answer = await self._client.get_object_tagging(Bucket=at.bucket, Key=at.key, **arguments.version_of(at))
        return {tag["Key"]: tag["Value"] for tag in answer.get("TagSet", [])}

    async def bucket_versioning(self, bucket: str) -> str | None:
        return await buckets.versioning(self._client, self._calls, bucket)

    @asynccontextmanager
    async def get_object(
        self, at: Destination, start: int = 0, end: int | None = None, *, if_match: str | None = None
    ) -> AsyncIterator[ByteStream]:
        """The bytes [start, end). StoreUnavailable: the body ends too soon, or its reads take longer than the limit of
        a call with that many bytes. Without a Content-Length, the framing of the body shows its end."""
        asked = arguments.byte_range(start, end) | arguments.version_of(at)
        asked |= arguments.customer_key(self._keys.of(at))
        asked |= {"IfMatch": if_match} if if_match is not None else {}
        try:
            with self._calls.call("GetObject", at):
                answer = await self._client.get_object(Bucket=at.bucket, Key=at.key, **asked)
        except StoreRefused as error:
            if if_match is None or code_of_cause(error) != "NoSuchKey":
                raise
            raise PreconditionFailed(str(error), answered=True) from error
        async with answer["Body"] as body:
            if if_match is not None:
                check_pinned(at, answer, if_match, ranged="Range" in asked)
            yield ObjectStream(self._calls, at, body, answer.get("ContentLength"))

    async def list_buckets(self) -> list[str]:
        """ListBuckets: the names that the credentials may see. Not in the port: shows whether an S3 server answers."""
        with self._calls.call("ListBuckets", ""):
            answer = await self._client.list_buckets()
        return [bucket["Name"] for bucket in answer.get("Buckets", []) if "Name" in bucket]

    async def delete_bucket(self, bucket: str) -> None:
        """DeleteBucket. Not in the port: only the check at the start of the embedded store removes its bucket."""
        with self._calls.call("DeleteBucket", bucket):
            await self._client.delete_bucket(Bucket=bucket)

    async def list_parts(self, at: Destination, upload_id: str) -> AsyncIterator[Part]:
        asked: dict[str, Any] = {"Bucket": at.bucket, "Key": at.key, "UploadId": upload_id} | self._key(at)
        pages = Pages(f"ListParts {at}")
        while True:
            with self._calls.call("ListParts", at):
                page = await self._client.list_parts(**asked)
            for entry in page.get("Parts", []):
                yield results.listed_part(entry)
            marker = page.get("NextPartNumberMarker")
            if not page.get("IsTruncated") or marker in (None, asked.get("PartNumberMarker")):
                return
            pages.follow(str(marker), entries=len(page.get("Parts", [])))
            asked["PartNumberMarker"] = marker

    async def list_uploads(self, bucket: str, prefix: str) -> AsyncIterator[Upload]:
        asked: dict[str, Any] = {"Bucket": bucket, "Prefix": prefix, "EncodingType": "url"}
        pages = Pages(f"ListMultipartUploads {bucket}")
        while True:
            with self._calls.call("ListMultipartUploads", bucket):
                page = await self._client.list_multipart_uploads(**asked)
            for upload in results.open_uploads(page, prefix):
                yield upload
            markers = results.upload_markers(page, prefix)
            if not page.get("IsTruncated") or markers is None or markers.items() <= asked.items():
                return
            pages.follow(tuple(markers.items()), entries=len(page.get("Uploads", [])))
            asked |= markers

    async def list_objects(
        self, bucket: str, prefix: str, *, every_key: bool = False
    ) -> AsyncGenerator[Sequence[ListedObject]]:
        asked: dict[str, Any] = {"Bucket": bucket, "Prefix": prefix, "EncodingType": "url"}
        pages, before, left_out = Pages(f"ListObjectsV2 {bucket}"), list[ListedObject](), 0
        while True:
            with self._calls.call("ListObjectsV2", bucket):
                page = await self._client.list_objects_v2(**asked)
            if not results.is_listing(page):
                raise StoreUnavailable(f"ListObjectsV2 {bucket}: incomplete: the answer is not a listing")
            listed = results.listed_objects(page, prefix, self._plus)
            if every_key and len(listed) < len(page.get("Contents", [])):
                self._plus = await self._plus_signs(bucket, prefix, page)
                listed = results.listed_objects(page, prefix, self._plus)
            if listed and listed == before:
                raise StoreUnavailable(f"ListObjectsV2 {bucket}: incomplete: the store sent the same page twice")
            left_out += len(page.get("Contents", [])) - len(listed)
            yield listed
            if not page.get("IsTruncated"):
                if left_out and every_key:
                    raise StoreRefused(f"ListObjectsV2 {bucket}: incomplete: {left_out:,} keys cannot be read for sure")
                return
            token = results.token(page, "NextContinuationToken")
            if not token:
                raise StoreUnavailable(f"ListObjectsV2 {bucket}: incomplete: there is no new token for the rest")
            pages.follow(token, entries=len(page.get("Contents", [])))
            before, asked["ContinuationToken"] = listed, token

    async def _plus_signs(self, bucket: str, prefix: str, page: Mapping[str, Any]) -> PlusSigns:
        """How this store writes plus signs in its listings, with what HEADs of a few keys of the page show."""

        async def exists(key: str) -> bool:
            try:
                return await self.head_object(Destination("", "", bucket, key)) is not None
            except StoreDenied:  # also of a key that does not exist, under a policy for some keys
                return False

        return await asked_plus_signs(results.listed_texts(page), prefix, self._plus, exists)

    async def list_versions(self, at: Destination) -> AsyncIterator[ObjectVersion]:
        asked: dict[str, Any] = {"Bucket": at.bucket, "Prefix": at.key}
        markers: dict[str, Any] = {}
        pages = Pages(f"ListObjectVersions {at}")
        while True:
            with self._calls.call("ListObjectVersions", at):
                page = await self._client.list_object_versions(**asked, **markers)
            for version in results.object_versions(page, at.key):
                yield version
            # Keys ascend: the key itself is listed before all longer keys that begin with it.
            if not page.get("IsTruncated") or results.has_other_versions(page, at.key):
                return
            before, markers = markers, results.version_markers(page)
            if not markers or markers == before:  # a partial list must not count as complete: an abort may follow
                raise StoreUnavailable(f"ListObjectVersions {at}: the list is cut off without a marker for the rest")
            pages.follow(
                tuple(markers.items()), entries=len(page.get("Versions", [])) + len(page.get("DeleteMarkers", []))
            )
