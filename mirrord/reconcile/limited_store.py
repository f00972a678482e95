"""An `ObjectStore` whose calls keep to the store's limit of calls at once.

Owns which calls count. A call waits here before its deadline begins. Refused calls are reported, and repeated by those
who repeat any call. Each call that counts is one request that needs no other one meanwhile, so calls never wait for
each other. Listings, and the set-up of buckets, do not count.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, TypeVar

from mirrord.declared import BucketLock
from mirrord.errors import MirrordError
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
from mirrord.ports import ByteStream, CallPermits, ObjectStore
from mirrord.providers import Provider
from mirrord.providers.measured import UNMEASURED, MeasuredProfile

T = TypeVar("T")


class LimitedStore(ObjectStore):
    """The calls of `store`, with `permits`. `profile`: what `doctor` measured of it; it may be replaced."""

    def __init__(self, store: ObjectStore, permits: CallPermits, profile: MeasuredProfile = UNMEASURED) -> None:
        self.store = store
        self._permits = permits
        self.profile = profile

    @property
    def provider(self) -> Provider:
        return self.profile.of(self.store.provider, self.store.server)

    @property
    def server(self) -> str:
        return self.store.server

    async def _counted(self, call: Coroutine[Any, Any, T]) -> T:
        permits = self._permits
        try:
            generation = await permits.take()
        except BaseException:
            call.close()
            raise
        try:
            answer = await call
        except MirrordError as error:
            if error.throttled:
                permits.refused(generation)
            raise
        else:
            permits.answered()
            return answer
        finally:
            permits.give()

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
        return await self._counted(self.store.put_object(at, body, options, checksum, if_none_match=if_none_match))

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
        call = self.store.copy_object(source, at, options, checksum, if_match=if_match, size=size)
        return await self._counted(call)

    async def create_upload(
        self, at: Destination, options: ObjectOptions, checksum: ChecksumKind = ChecksumKind.NONE
    ) -> str:
        return await self._counted(self.store.create_upload(at, options, checksum))

    async def upload_part(
        self, at: Destination, upload_id: str, number: int, body: memoryview, checksum: Checksum | None = None
    ) -> Part:
        return await self._counted(self.store.upload_part(at, upload_id, number, body, checksum))

    async def copy_part(
        self, source: Destination, at: Destination, upload_id: str, number: int, start: int, end: int, *, if_match: str
    ) -> Part:
        call = self.store.copy_part(source, at, upload_id, number, start, end, if_match=if_match)
        return await self._counted(call)

    async def complete_upload(
        self,
        at: Destination,
        upload_id: str,
        parts: Sequence[Part],
        checksum: Checksum | None = None,
        *,
        if_none_match: bool = False,
    ) -> StoredObject:
        call = self.store.complete_upload(at, upload_id, parts, checksum, if_none_match=if_none_match)
        return await self._counted(call)

    async def abort_upload(self, at: Destination, upload_id: str) -> None:
        await self._counted(self.store.abort_upload(at, upload_id))

    async def delete_object(self, at: Destination, *, only: str | None = None) -> bool:
        return await self._counted(self.store.delete_object(at, only=only))

    async def put_retention(self, at: Destination, version_id: str, lock: ObjectLock, *, bypass: bool = False) -> None:
        await self._counted(self.store.put_retention(at, version_id, lock, bypass=bypass))

    async def put_legal_hold(self, at: Destination, version_id: str, held: bool) -> None:
        await self._counted(self.store.put_legal_hold(at, version_id, held))

    async def ensure_bucket(
        self, bucket: str, *, region: str | None = None, versioning: bool = False, lock: BucketLock | None = None
    ) -> bool:
        return await self.store.ensure_bucket(bucket, region=region, versioning=versioning, lock=lock)

    # ── reads ─────────────────────────────────────────────────────────────────────────────────────
    async def head_object(self, at: Destination) -> StoredObject | None:
        return await self._counted(self.store.head_object(at))

    async def inspect_object(self, at: Destination, part: int | None = None) -> ObjectDetails | None:
        return await self._counted(self.store.inspect_object(at, part))

    async def get_tags(self, at: Destination) -> Mapping[str, str]:
        return await self._counted(self.store.get_tags(at))

    async def head_version(self, at: Destination, version_id: str) -> StoredObject | None:
        return await self._counted(self.store.head_version(at, version_id))

    @asynccontextmanager
    async def get_object(
        self, at: Destination, start: int = 0, end: int | None = None, *, if_match: str | None = None
    ) -> AsyncIterator[ByteStream]:
        """Counts until the head of the answer: who reads the body may make other calls meanwhile."""
        async with AsyncExitStack() as life:
            opening = self.store.get_object(at, start, end, if_match=if_match)
            yield await self._counted(life.enter_async_context(opening))

    def list_parts(self, at: Destination, upload_id: str) -> AsyncIterator[Part]:
        return self.store.list_parts(at, upload_id)

    def list_uploads(self, bucket: str, prefix: str) -> AsyncIterator[Upload]:
        return self.store.list_uploads(bucket, prefix)

    def list_objects(
        self, bucket: str, prefix: str, *, every_key: bool = False
    ) -> AsyncGenerator[Sequence[ListedObject]]:
        return self.store.list_objects(bucket, prefix, every_key=every_key)

    def list_versions(self, at: Destination) -> AsyncIterator[ObjectVersion]:
        return self.store.list_versions(at)

    async def bucket_versioning(self, bucket: str) -> str | None:
        return await self.store.bucket_versioning(bucket)

    async def has_bucket(self, bucket: str) -> bool:
        return await self.store.has_bucket(bucket)

    async def bucket_lock(self, bucket: str) -> BucketLock | None:
        return await self.store.bucket_lock(bucket)
