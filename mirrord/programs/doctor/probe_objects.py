"""The objects and uploads that `doctor --store` writes, and their removal.

Owns their names, which no other run has, and that nothing stays: at the end, also after an error and Ctrl-C, each key
that may exist is deleted with its versions, and each upload aborted. What could not be removed is in `left`.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Self, TypeVar

from mirrord.aio import finish
from mirrord.checksums import compute
from mirrord.declared import StoreOptions
from mirrord.errors import MirrordError, OutcomeUnknown
from mirrord.model import Checksum, ChecksumKind, Destination, ObjectOptions, Part, StoredObject
from mirrord.ports.probe import StoreProbe

PREFIX = ".mirrord-doctor/"
REMOVE_SECONDS = 20.0
"""Seconds for the removal: a command that is stopped has 25 s (`cli.process.running`)."""
AT_ONCE = 8
PAUSES = (1.1, 2.2, 4.4)
"""Seconds before a call that the store refused because of its rate is sent again (R2: one write a second and key)."""
PLAIN = ObjectOptions()
T = TypeVar("T")


class ProbeObjects:
    """`async with ProbeObjects(probe, options, bucket) as objects`: writes go through it. `versioned`: the bucket keeps
    versions, which are removed as well. A write is not cancelled: its outcome would be unknown."""

    def __init__(self, probe: StoreProbe, options: StoreOptions, bucket: str, *, versioned: bool) -> None:
        self.probe = probe
        self.prefix = f"{PREFIX}{secrets.token_hex(8)}/"
        self.left: list[str] = []
        """What could not be removed, each with the reason."""
        self._place = options.name, options.endpoint, bucket
        self._versioned = versioned
        self._written: dict[Destination, None] = {}
        self._uploads: dict[str, Destination] = {}
        self._lost: set[Destination] = set()  # keys of uploads whose id is unknown

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await finish(self._remove())

    @property
    def bucket(self) -> str:
        return self._place[2]

    def new(self, name: str) -> Destination:
        """A key that no object has."""
        at = Destination(*self._place, f"{self.prefix}{len(self._written)}-{name}")
        self._written[at] = None
        return at

    def also(self, key: str) -> Destination:
        """This key, which a store may take for that of another object of this run."""
        other = Destination(*self._place, key)
        self._written[other] = None
        return other

    # ── writes ────────────────────────────────────────────────────────────────────────────────────
    async def put(
        self,
        at: Destination,
        body: memoryview,
        checksum: Checksum | None = None,
        options: ObjectOptions = PLAIN,
        *,
        if_none_match: bool = False,
    ) -> StoredObject:
        """PutObject."""
        return await self.sent(lambda: self.probe.put_object(at, body, options, checksum, if_none_match=if_none_match))

    async def create(self, at: Destination, checksum: ChecksumKind = ChecksumKind.NONE) -> str:
        """CreateMultipartUpload; returns the upload's id."""
        return await finish(self._created(at, checksum))

    async def _created(self, at: Destination, checksum: ChecksumKind) -> str:
        try:
            upload_id = await self.sent(lambda: self.probe.create_upload(at, PLAIN, checksum))
        except OutcomeUnknown:
            self._lost.add(at)
            raise
        self._uploads[upload_id] = at
        return upload_id

    async def upload(self, at: Destination, *bodies: memoryview) -> tuple[str, list[Part]]:
        """An upload with these parts, each with its MD5."""
        upload_id = await self.create(at)
        return upload_id, [await self.part(at, upload_id, number, body) for number, body in enumerate(bodies, 1)]

    async def part(
        self, at: Destination, upload_id: str, number: int, body: memoryview, kind: ChecksumKind = ChecksumKind.MD5
    ) -> Part:
        """UploadPart, with its checksum."""
        return await self.sent(lambda: self.probe.upload_part(at, upload_id, number, body, compute(kind, body)))

    async def complete(
        self,
        at: Destination,
        upload_id: str,
        parts: list[Part],
        checksum: Checksum | None = None,
        *,
        if_none_match: bool = False,
    ) -> StoredObject:
        """CompleteMultipartUpload."""
        stored = await self.sent(
            lambda: self.probe.complete_upload(at, upload_id, parts, checksum, if_none_match=if_none_match)
        )
        self.ended(upload_id)
        return stored

    def ended(self, upload_id: str) -> None:
        """The upload is complete or aborted."""
        self._uploads.pop(upload_id, None)

    async def sent(self, call: Callable[[], Awaitable[T]]) -> T:
        """One call that writes, to its end; again after a pause if the store refused it because of its rate."""
        for pause in PAUSES:
            try:
                return await finish(call())
            except MirrordError as error:
                if not error.throttled:
                    raise
            await asyncio.sleep(pause)
        return await finish(call())

    # ── removal ───────────────────────────────────────────────────────────────────────────────────
    async def _remove(self) -> None:
        limit = asyncio.Semaphore(AT_ONCE)
        work = [
            self._try(limit, f"the upload {one} of {at}", self._abort(at, one)) for one, at in self._uploads.items()
        ]
        work += [self._try(limit, f"an upload of {at}", self._abort_listed(at)) for at in self._lost]
        await asyncio.gather(*work)
        await asyncio.gather(*(self._try(limit, str(at), self._delete(at)) for at in self._written))
        if not self.left:
            await self._try(limit, f"s3://{self.bucket}/{self.prefix}", self._look_again())

    async def _look_again(self) -> None:
        """A store may answer that it deleted an object, and keep it."""
        async with aclosing(self.probe.list_objects(self.bucket, self.prefix)) as pages:
            async for page in pages:
                self.left += [f"s3://{self.bucket}/{one.key}: the store deleted it, and still lists it" for one in page]

    async def _try(self, limit: asyncio.Semaphore, what: str, work: Awaitable[None]) -> None:
        try:
            async with limit, asyncio.timeout(REMOVE_SECONDS):
                await work
        except MirrordError as error:
            self.left.append(f"{what}: {error}")
        except TimeoutError:
            self.left.append(f"{what}: no answer within {REMOVE_SECONDS:.0f} s")

    async def _abort(self, at: Destination, upload_id: str) -> None:
        await self.probe.abort_upload(at, upload_id)

    async def _abort_listed(self, at: Destination) -> None:
        async for upload in self.probe.list_uploads(self.bucket, at.key):
            await self.probe.abort_upload(at, upload.upload_id)

    async def _delete(self, at: Destination) -> None:
        """Of a bucket with versions all versions, because a plain delete would only add a marker."""
        if self._versioned:
            async for version in self.probe.list_versions(at):
                await self.probe.delete_version(at, version.version_id)
            return
        await self.probe.delete_object(at)
