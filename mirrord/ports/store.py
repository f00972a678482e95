"""The port of an object store: the calls of S3, by S3's names."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from mirrord.declared import BucketLock
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
from mirrord.ports.source import ByteStream
from mirrord.providers import Provider


class ObjectStore(Protocol):
    """The objects of one store. Each call is sent once, with a deadline that depends on its size: retries are policy
    above this port.

    All calls raise StoreDenied, BucketMissing, StoreUnavailable, StoreRefused or a subclass. Writes also raise
    OutcomeUnknown (sent, and there was no answer or one without an ETag), ChecksumMismatch (the store refused the
    bytes) and PreconditionFailed. For an address with a `customer_key` that key is sent (SSE-C), also for the source of
    a copy; a write raises StoreRefused if the store does not have it. The source of `copy_object` and `copy_part`, and
    the object of `inspect_object`, `get_tags` and `get_object`, may be a `VersionAt`: without If-Match, no such version
    is StoreRefused, or None."""

    @property
    def provider(self) -> Provider:
        """Limits, key rules and checksum kinds of this store."""

    @property
    def server(self) -> str:
        """The Server header of its last answer to a HEAD or CompleteMultipartUpload; empty: there was none."""

    async def put_object(
        self,
        at: Destination,
        body: memoryview,
        options: ObjectOptions,
        checksum: Checksum | None = None,
        *,
        if_none_match: bool = False,
    ) -> StoredObject:
        """PutObject. A store that supports the kind verifies `checksum` before the object becomes visible."""

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
        """CopyObject: write the bytes of `source`, an object of this store, to `at`, with these options instead of the
        options of `source`. `size` is its length in bytes, at most `provider.max_put`. PreconditionFailed: its ETag is
        not `if_match` (not all stores check). StoreRefused: it does not exist. The answer may have no checksum; that
        of a HEAD has one."""

    async def create_upload(
        self, at: Destination, options: ObjectOptions, checksum: ChecksumKind = ChecksumKind.NONE
    ) -> str:
        """CreateMultipartUpload; returns the upload id. With a CRC, the object gets a full-object checksum; with
        SHA256, a composite one."""

    async def upload_part(
        self, at: Destination, upload_id: str, number: int, body: memoryview, checksum: Checksum | None = None
    ) -> Part:
        """UploadPart; `number` from 1. Also raises NoSuchUpload, and StoreUnavailable for an answer without an ETag."""

    async def copy_part(
        self, source: Destination, at: Destination, upload_id: str, number: int, start: int, end: int, *, if_match: str
    ) -> Part:
        """UploadPartCopy: the bytes [start, end) of `source`, an object of this store, are part `number`. The part has
        the checksum that the store computed, if the answer shows one. Errors: see `copy_object` and `upload_part`."""

    async def complete_upload(
        self,
        at: Destination,
        upload_id: str,
        parts: Sequence[Part],
        checksum: Checksum | None = None,
        *,
        if_none_match: bool = False,
    ) -> StoredObject:
        """CompleteMultipartUpload, parts ascending, with the full-object checksum.

        Also raises EntityTooSmall, InvalidPart, InvalidPartOrder, NoSuchUpload."""

    async def abort_upload(self, at: Destination, upload_id: str) -> None:
        """AbortMultipartUpload. No error if the upload does not exist."""

    async def head_object(self, at: Destination) -> StoredObject | None:
        """HeadObject: the object (`from_head` is set), with its checksum if the store shows one; None: no object.
        `other_key`: it is not encrypted with the key of `at`. UNREADABLE: no key of the store can read it."""

    async def inspect_object(self, at: Destination, part: int | None = None) -> ObjectDetails | None:
        """HeadObject with all that it shows, for an object that is a source; None: no object. `part`: of this part of
        the upload that wrote it (`parts` None: the store does not tell)."""

    async def get_tags(self, at: Destination) -> Mapping[str, str]:
        """GetObjectTagging."""

    def get_object(
        self, at: Destination, start: int = 0, end: int | None = None, *, if_match: str | None = None
    ) -> AbstractAsyncContextManager[ByteStream]:
        """The object's bytes [start, end). PreconditionFailed: it does not exist, or has another ETag than `if_match`,
        also if the store ignores the condition."""

    async def delete_object(self, at: Destination, *, only: str | None = None) -> bool:
        """DeleteObject. Returns whether the store made a delete marker: the bucket has versions, and they stay. No
        error if there is no object. `only`: an object with this ETag, by If-Match: raises PreconditionFailed for
        another one, and ConditionRefused if the store does not support it."""

    def list_parts(self, at: Destination, upload_id: str) -> AsyncIterator[Part]:
        """ListParts: the parts of an open upload, ascending, without checksums. Also raises NoSuchUpload.

        It confirms the list of the caller and cannot replace it: some stores show a part that was sent twice twice."""

    def list_uploads(self, bucket: str, prefix: str) -> AsyncIterator[Upload]:
        """ListMultipartUploads: all open multipart uploads whose key starts with `prefix`."""

    def list_objects(
        self, bucket: str, prefix: str, *, every_key: bool = False
    ) -> AsyncGenerator[Sequence[ListedObject]]:
        """ListObjectsV2: the objects whose keys start with `prefix`, one page of at most about a thousand at a time.

        The pages are in any order, and an object that is written or deleted meanwhile may be missing, or be listed
        twice. A key that the answer does not show unambiguously is left out; with `every_key`, StoreRefused after the
        last page tells that. The list is complete only if the iterator ends: StoreUnavailable, after the pages so far,
        if the store does not give the rest. A caller that stops early must close it."""

    def list_versions(self, at: Destination) -> AsyncIterator[ObjectVersion]:
        """ListObjectVersions: all versions of exactly this key, each page the newest first, with its delete markers;
        none if the store has no versions."""

    async def head_version(self, at: Destination, version_id: str) -> StoredObject | None:
        """HeadObject of one version; None: it does not exist. UNREADABLE: see `head_object`."""

    async def bucket_versioning(self, bucket: str) -> str | None:
        """GetBucketVersioning: `Enabled` or `Suspended`; None: never enabled, or not supported."""

    async def has_bucket(self, bucket: str) -> bool:
        """HeadBucket. StoreDenied: the credentials do not allow this request."""

    async def bucket_lock(self, bucket: str) -> BucketLock | None:
        """GetObjectLockConfiguration; None: the bucket has no object lock, or the store does not support it."""

    async def put_retention(self, at: Destination, version_id: str, lock: ObjectLock, *, bypass: bool = False) -> None:
        """PutObjectRetention of one version. StoreDenied: the lock that it has would be shortened, or get another mode
        without `bypass`: for that, S3 demands x-amz-bypass-governance-retention, and the right to it."""

    async def put_legal_hold(self, at: Destination, version_id: str, held: bool) -> None:
        """PutObjectLegalHold of one version: it is held from now on, or its hold is released."""

    async def ensure_bucket(
        self, bucket: str, *, region: str | None = None, versioning: bool = False, lock: BucketLock | None = None
    ) -> bool:
        """Create the bucket if it does not exist, with versioning enabled if `versioning`, and with object lock if
        `lock`; True if this call created it."""
