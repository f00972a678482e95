"""One store's objects: S3's calls by their own names."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

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
from mirrord.ports.source import ByteStream
from mirrord.providers import Provider


class ObjectStore(Protocol):
    """One store's objects. Every call has a deadline scaled to its size and is tried once: retry is policy.

    All calls raise StoreDenied, BucketMissing, StoreUnavailable, StoreRefused or a child; the writes also raise
    OutcomeUnknown (sent, and no answer or one without an ETag), ChecksumMismatch (the store refused the bytes) and
    PreconditionFailed."""

    @property
    def provider(self) -> Provider:
        """Limits, key rules and checksum kinds of this store."""

    async def put_object(
        self,
        at: Destination,
        body: memoryview,
        options: ObjectOptions,
        checksum: Checksum | None = None,
        *,
        if_none_match: bool = False,
    ) -> StoredObject:
        """PutObject. The store verifies `checksum` before the object becomes visible, where it can."""

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
        """CopyObject: `at` gets the bytes of `source` (at this store, `size` of them, at most `provider.max_put`) with
        these options in place of its own. PreconditionFailed if its ETag is not `if_match`, at stores that look, which
        not all do; StoreRefused if it is gone. The answer need not tell the checksum: HEAD does."""

    async def create_upload(
        self, at: Destination, options: ObjectOptions, checksum: ChecksumKind = ChecksumKind.NONE
    ) -> str:
        """CreateMultipartUpload; returns the upload id. A CRC makes a full-object checksum, SHA256 a composite one."""

    async def upload_part(
        self, at: Destination, upload_id: str, number: int, body: memoryview, checksum: Checksum | None = None
    ) -> Part:
        """UploadPart; `number` from 1. Raises NoSuchUpload too; StoreUnavailable also for an answer without an ETag."""

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

        Raises EntityTooSmall, InvalidPart, InvalidPartOrder, NoSuchUpload too."""

    async def abort_upload(self, at: Destination, upload_id: str) -> None:
        """AbortMultipartUpload; an upload that is already gone is no error."""

    async def head_object(self, at: Destination) -> StoredObject | None:
        """The object as it stands (`from_head` is set), with its checksum where the store tells it; None: none does."""

    def get_object(
        self, at: Destination, start: int = 0, end: int | None = None
    ) -> AbstractAsyncContextManager[ByteStream]:
        """The object's bytes [start, end)."""

    async def delete_object(self, at: Destination) -> None:
        """DeleteObject; no error if there is none."""

    def list_parts(self, at: Destination, upload_id: str) -> AsyncIterator[Part]:
        """What the store holds of an open upload, ascending, without checksums. Raises NoSuchUpload too.

        It confirms our own list and cannot replace it: stores may show a part that was sent twice as two."""

    def list_uploads(self, bucket: str, prefix: str) -> AsyncIterator[Upload]:
        """Every open multipart upload whose key starts with `prefix`."""

    def list_versions(self, at: Destination) -> AsyncIterator[ObjectVersion]:
        """ListObjectVersions: every version of exactly this key, the newest first, delete markers left out; nothing
        where the store keeps none."""

    async def head_version(self, at: Destination, version_id: str) -> StoredObject | None:
        """HeadObject of one version; None: it is gone."""

    async def bucket_versioning(self, bucket: str) -> str | None:
        """GetBucketVersioning: `Enabled` or `Suspended`; None: the bucket never had versions, or the store has none."""

    async def has_bucket(self, bucket: str) -> bool:
        """HeadBucket. StoreDenied: its existence is not ours to know."""

    async def ensure_bucket(self, bucket: str, *, region: str | None = None, versioning: bool = False) -> bool:
        """Create the bucket, with `versioning` switched on, if it does not exist; True if this call created it."""
