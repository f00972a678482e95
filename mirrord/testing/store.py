"""A fake of ObjectStore: an object store in memory.

It refuses what a correct S3 store refuses: wrong checksums, small parts, unknown parts and uploads, failed
preconditions, missing buckets. The contract suite of real stores tests it too.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import field, replace
from itertools import count

from mirrord import checksums
from mirrord.declared import BucketLock
from mirrord.errors import (
    BucketMissing,
    NoSuchUpload,
    PreconditionFailed,
    StoreDenied,
    StoreRefused,
)
from mirrord.frozen import frozen
from mirrord.model import (
    UNREADABLE,
    Checksum,
    ChecksumKind,
    Destination,
    ListedObject,
    ObjectDetails,
    ObjectLock,
    ObjectOptions,
    ObjectVersion,
    Part,
    ProviderName,
    StoredObject,
    Upload,
    VersionAt,
    version_at,
)
from mirrord.ports import ByteStream
from mirrord.providers import Provider, profile
from mirrord.testing.memory_upload import MemoryUpload, refuse_other_key
from mirrord.testing.stream import MemoryStream, etag_of, multipart_etag, refuse_other_bytes

_PAGE = 1_000  # objects in one answer to ListObjectsV2


@frozen
class MemoryObject:
    """An object: its bytes, the result of a HEAD, and the options of its write."""

    content: bytes = field(repr=False)
    stored: StoredObject
    options: ObjectOptions
    part_sizes: tuple[int, ...] = ()
    """Of the upload that wrote it."""
    deleted: bool = False
    """It is a delete marker."""
    customer_key: str | None = None
    """The digest of the key (SSE-C) that it is encrypted with."""


class MemoryStore:
    """`ports.ObjectStore` in memory. Tests may read `buckets[bucket][key]` and `uploads[id]`.

    `clock` gives the seconds since the epoch that Last-Modified and Initiated show; without one they are 0.
    """

    def __init__(self, provider: Provider | None = None, clock: Callable[[], float] = lambda: 0.0) -> None:
        self._provider = provider or profile(ProviderName.SEAWEEDFS)
        self._clock = clock
        self._ids = count(1)
        self.buckets: dict[str, dict[str, MemoryObject]] = {}
        self.regions: dict[str, str | None] = {}
        self.versioned: set[str] = set()
        self.versions: dict[tuple[str, str], list[MemoryObject]] = {}
        """The versions of each (bucket, key) in versioned buckets, the newest last."""
        self.bucket_locks: dict[str, BucketLock] = {}
        self.locks: dict[tuple[str, str, str], ObjectLock] = {}
        self.legal_holds: dict[tuple[str, str, str], bool] = {}
        """Both by bucket, key and version."""
        self.uploads: dict[str, MemoryUpload] = {}
        self.undeclared_keys: set[str] = set()
        """Digests of keys (SSE-C) that the caller does not have: a HEAD shows nothing of their objects."""

    @property
    def provider(self) -> Provider:
        return self._provider

    @property
    def server(self) -> str:
        return "memory"

    # ── objects ───────────────────────────────────────────────────────────────────────────────────
    async def put_object(
        self,
        at: Destination,
        body: memoryview,
        options: ObjectOptions,
        checksum: Checksum | None = None,
        *,
        if_none_match: bool = False,
    ) -> StoredObject:
        content = bytes(body)
        self._permit(at, if_none_match)
        refuse_other_bytes(at, content, checksum)
        return self._keep(at, content, etag_of(content), checksum, options)

    async def copy_object(
        self,
        source: Destination,
        at: Destination,
        options: ObjectOptions,
        checksum: ChecksumKind = ChecksumKind.NONE,
        *,
        if_match: str,
        size: int,  # noqa: ARG002 - of the port; no call takes time here
    ) -> StoredObject:
        kept = self._readable(source)
        self._bucket(at.bucket)
        if kept is None:
            raise StoreRefused(f"CopyObject {at}: NoSuchKey: {source}")
        if kept.stored.etag != if_match:
            raise PreconditionFailed(f"CopyObject {at}: the ETag of {source} is {kept.stored.etag}, not {if_match}")
        found = checksums.compute(checksum, memoryview(kept.content))
        return self._keep(at, kept.content, kept.stored.etag, found, options)

    async def head_object(self, at: Destination) -> StoredObject | None:
        return self._shown(at, self.buckets.get(at.bucket, {}).get(at.key))

    @asynccontextmanager
    async def get_object(
        self, at: Destination, start: int = 0, end: int | None = None, *, if_match: str | None = None
    ) -> AsyncIterator[ByteStream]:
        kept = self._readable(at)
        if if_match is not None and (kept is None or kept.stored.etag != if_match):
            raise PreconditionFailed(f"GetObject {at}: it is not {if_match}", answered=True)
        if kept is None:
            raise StoreRefused(f"GetObject {at}: NoSuchKey")
        yield MemoryStream(kept.content[start:end])

    async def inspect_object(self, at: Destination, part: int | None = None) -> ObjectDetails | None:
        kept = self._readable(at) if at.bucket in self.buckets else None
        if kept is None:
            return None
        stored, parts = replace(kept.stored, from_head=True), None
        if part is not None and kept.part_sizes:
            stored, parts = replace(stored, size=kept.part_sizes[part - 1]), len(kept.part_sizes)
        metadata = {name: text for name, text in stored.metadata.items() if not name.startswith("mirrord-")}
        options = replace(kept.options, content_type=stored.content_type, metadata=metadata, tags={})
        archived = options.storage_class if options.storage_class in ("GLACIER", "DEEP_ARCHIVE") else None
        return ObjectDetails(
            stored=stored,
            kept=options,
            tags=len(kept.options.tags),
            parts=parts,
            archived=archived,
            storage_class=options.storage_class,
            encryption=options.encryption,
            customer_key=kept.customer_key is not None,
            lock=self.locks.get((at.bucket, at.key, stored.version_id or "")),
            legal_hold=self.legal_holds.get((at.bucket, at.key, stored.version_id or "")),
        )

    async def get_tags(self, at: Destination) -> Mapping[str, str]:
        if (kept := self._kept(at)) is None:
            raise StoreRefused(f"GetObjectTagging {at}: NoSuchKey")
        return dict(kept.options.tags)

    async def delete_object(self, at: Destination, *, only: str | None = None) -> bool:
        kept = self._bucket(at.bucket).get(at.key)
        if only is not None and kept is not None and kept.stored.etag != only:
            raise PreconditionFailed(f"DeleteObject {at}: another object is there")
        if at.bucket in self.versioned:
            marker = StoredObject(size=0, etag="", last_modified=self._clock(), version_id=f"version-{next(self._ids)}")
            found = self.versions.setdefault((at.bucket, at.key), [])
            found.append(MemoryObject(b"", marker, ObjectOptions(), deleted=True))
        self._bucket(at.bucket).pop(at.key, None)
        return at.bucket in self.versioned

    # ── multipart uploads ─────────────────────────────────────────────────────────────────────────
    async def create_upload(
        self, at: Destination, options: ObjectOptions, checksum: ChecksumKind = ChecksumKind.NONE
    ) -> str:
        self._bucket(at.bucket)
        upload_id = f"upload-{next(self._ids)}"
        self.uploads[upload_id] = MemoryUpload(at, options, checksum, self._clock())
        return upload_id

    async def upload_part(
        self, at: Destination, upload_id: str, number: int, body: memoryview, checksum: Checksum | None = None
    ) -> Part:
        upload, content = self._upload(at, upload_id), bytes(body)
        refuse_other_key(at, upload.at.customer_key)
        if not 1 <= number <= self._provider.max_parts:
            raise StoreRefused(f"UploadPart {at}: part number {number} is not within 1 and {self._provider.max_parts}")
        refuse_other_bytes(at, content, checksum)
        part = Part(number=number, size=len(content), etag=etag_of(content), checksum=checksum)
        upload.parts[number] = (part, content)
        return part

    async def copy_part(
        self, source: Destination, at: Destination, upload_id: str, number: int, start: int, end: int, *, if_match: str
    ) -> Part:
        kept = self._readable(source)
        if kept is None:
            raise StoreRefused(f"UploadPartCopy {at}: NoSuchKey: {source}")
        if kept.stored.etag != if_match:
            raise PreconditionFailed(f"UploadPartCopy {at}: the ETag of {source} is {kept.stored.etag}")
        content = memoryview(kept.content[start:end])
        checksum = checksums.compute(self._upload(at, upload_id).checksum, content)
        return await self.upload_part(at, upload_id, number, content, checksum)

    async def complete_upload(
        self,
        at: Destination,
        upload_id: str,
        parts: Sequence[Part],
        checksum: Checksum | None = None,
        *,
        if_none_match: bool = False,
    ) -> StoredObject:
        upload = self._upload(at, upload_id)
        refuse_other_key(at, upload.at.customer_key)
        pieces = upload.pieces(at, parts, self._provider.min_part)
        content = b"".join(pieces)
        refuse_other_bytes(at, content, checksum)
        self._permit(at, if_none_match)
        del self.uploads[upload_id]
        composite = upload.composite() if upload.checksum is ChecksumKind.SHA256 else None
        if checksum is None and composite is None and upload.checksum is not ChecksumKind.NONE:
            checksum = checksums.compute(upload.checksum, memoryview(content))
        stored = self._keep(at, content, multipart_etag(parts), checksum, upload.options, composite)
        kept = self.buckets[at.bucket][at.key]
        made = self.buckets[at.bucket][at.key] = replace(kept, part_sizes=tuple(map(len, pieces)))
        if at.bucket in self.versioned:
            self.versions[at.bucket, at.key][-1] = made
        return stored

    async def abort_upload(self, at: Destination, upload_id: str) -> None:
        self._bucket(at.bucket)
        self.uploads.pop(upload_id, None)

    async def list_parts(self, at: Destination, upload_id: str) -> AsyncIterator[Part]:
        for _, (part, _content) in sorted(self._upload(at, upload_id).parts.items()):
            yield replace(part, checksum=None)

    async def list_uploads(self, bucket: str, prefix: str) -> AsyncIterator[Upload]:
        self._bucket(bucket)
        for upload_id, upload in list(self.uploads.items()):
            if upload.at.bucket == bucket and upload.at.key.startswith(prefix):
                yield Upload(upload.at.key, upload_id, upload.initiated, self._clock())

    async def list_objects(
        self,
        bucket: str,
        prefix: str,
        *,
        every_key: bool = False,  # noqa: ARG002 - all keys can be read
    ) -> AsyncGenerator[Sequence[ListedObject]]:
        kept = [(key, one.stored) for key, one in sorted(self._bucket(bucket).items()) if key.startswith(prefix)]
        listed = [ListedObject(key, stored.size, stored.etag) for key, stored in kept]
        for start in range(0, max(1, len(listed)), _PAGE):
            yield listed[start : start + _PAGE]

    # ── versions ──────────────────────────────────────────────────────────────────────────────────
    async def list_versions(self, at: Destination) -> AsyncIterator[ObjectVersion]:
        self._bucket(at.bucket)
        found = self.versions.get((at.bucket, at.key), [])
        for kept in reversed(found):
            stored, current = kept.stored, kept is found[-1]
            yield ObjectVersion(
                stored.version_id or "null", stored.last_modified, stored.size, stored.etag, current, kept.deleted
            )

    async def head_version(self, at: Destination, version_id: str) -> StoredObject | None:
        return self._shown(at, self._kept(version_at(at, version_id)))

    async def bucket_versioning(self, bucket: str) -> str | None:
        self._bucket(bucket)
        return "Enabled" if bucket in self.versioned else None

    # ── buckets ───────────────────────────────────────────────────────────────────────────────────
    async def has_bucket(self, bucket: str) -> bool:
        return bucket in self.buckets

    async def bucket_lock(self, bucket: str) -> BucketLock | None:
        self._bucket(bucket)
        return self.bucket_locks.get(bucket)

    async def put_retention(self, at: Destination, version_id: str, lock: ObjectLock, *, bypass: bool = False) -> None:
        kept = self._bucket(at.bucket)[at.key]
        found = self.locks.get((at.bucket, at.key, version_id))
        weaker = found is not None and (lock.until < found.until or (lock.mode != found.mode and not bypass))
        if kept.stored.version_id != version_id or weaker:
            raise StoreDenied(f"PutObjectRetention {at}: AccessDenied")
        self.locks[at.bucket, at.key, version_id] = lock

    async def put_legal_hold(self, at: Destination, version_id: str, held: bool) -> None:
        if self._bucket(at.bucket)[at.key].stored.version_id != version_id:
            raise StoreDenied(f"PutObjectLegalHold {at}: AccessDenied")
        self.legal_holds[at.bucket, at.key, version_id] = held

    async def ensure_bucket(
        self, bucket: str, *, region: str | None = None, versioning: bool = False, lock: BucketLock | None = None
    ) -> bool:
        if bucket in self.buckets:
            return False
        if lock is not None:
            self.bucket_locks[bucket] = lock
        if versioning or lock is not None:
            self.versioned.add(bucket)
        self.buckets[bucket] = {}
        self.regions[bucket] = region
        return True

    def _kept(self, at: Destination) -> MemoryObject | None:
        """The object, or the version of it, if it exists."""
        if not isinstance(at, VersionAt):
            return self._bucket(at.bucket).get(at.key)
        found = self.versions.get((at.bucket, at.key), [])
        return next((one for one in found if one.stored.version_id == at.version_id and not one.deleted), None)

    def _readable(self, at: Destination) -> MemoryObject | None:
        """As `_kept`. Raises StoreRefused if it needs another key."""
        if (kept := self._kept(at)) is not None:
            refuse_other_key(at.keyed(self._key(at)), kept.customer_key)
        return kept

    def _key(self, at: Destination) -> str | None:
        return None if at.customer_key in self.undeclared_keys else at.customer_key

    def _shown(self, at: Destination, kept: MemoryObject | None) -> StoredObject | None:
        if kept is None:
            return None
        shown = replace(kept.stored, from_head=True)
        if kept.customer_key == self._key(at):
            return shown
        return UNREADABLE if kept.customer_key in self.undeclared_keys else replace(shown, other_key=True)

    # ── rules ─────────────────────────────────────────────────────────────────────────────────────
    def _bucket(self, bucket: str) -> dict[str, MemoryObject]:
        if bucket not in self.buckets:
            raise BucketMissing(f"NoSuchBucket: {bucket}; create it or set buckets.{bucket}.create: true")
        return self.buckets[bucket]

    def _permit(self, at: Destination, if_none_match: bool) -> None:
        if at.key in self._bucket(at.bucket) and if_none_match:
            raise PreconditionFailed(f"{at}: an object exists already")

    def _upload(self, at: Destination, upload_id: str) -> MemoryUpload:
        self._bucket(at.bucket)
        upload = self.uploads.get(upload_id)
        if upload is None or (upload.at.bucket, upload.at.key) != (at.bucket, at.key):
            raise NoSuchUpload(f"{at}: upload {upload_id} does not exist")
        return upload

    def _keep(
        self,
        at: Destination,
        content: bytes,
        etag: str,
        checksum: Checksum | None,
        options: ObjectOptions,
        composite: Checksum | None = None,
    ) -> StoredObject:
        shown = checksum if checksum is not None and checksum.kind is not ChecksumKind.MD5 else None
        stored = StoredObject(
            size=len(content),
            etag=etag,
            last_modified=self._clock(),
            version_id=f"version-{next(self._ids)}" if at.bucket in self.versioned else None,
            checksum=shown,
            composite=composite,
            metadata={name.lower(): text for name, text in options.metadata.items()},
            content_type=options.content_type or "binary/octet-stream",
            has_key=at.customer_key is not None,
        )
        kept = self.buckets[at.bucket][at.key] = MemoryObject(content, stored, options, customer_key=at.customer_key)
        if stored.version_id is not None:
            self.versions.setdefault((at.bucket, at.key), []).append(kept)
            self._lock((at.bucket, at.key, stored.version_id), options)
        return replace(stored, last_modified=None, metadata={}, content_type=None)

    def _lock(self, version: tuple[str, str, str], options: ObjectOptions) -> None:
        if options.lock_mode and options.retain is not None:
            self.locks[version] = ObjectLock(options.lock_mode, self._clock() + options.retain)
        if options.legal_hold:
            self.legal_holds[version] = True
