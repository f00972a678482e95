"""An object of a store as a Source: one HEAD for its revision, streams that are pinned to its ETag.

Owns what a HEAD, or the listing that found the object, shows of its revision. The store itself makes the requests
(`s3`), and sees to it that a stream is of the pinned ETag also where the store ignores If-Match.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from email.utils import formatdate
from typing import Self

from mirrord.errors import SourceMissing, SourceRefused, StoreError
from mirrord.model import Destination, ObjectDetails, Observed, Revision, S3Object
from mirrord.ports import ByteStream, ObjectStore, Source
from mirrord.sources.stored.errors import as_source_errors


class StoredSource(Source):
    """One object during one attempt. `store_at` opens its store.

    `fresh`: the listing that found the object is recent, so that it spares the HEAD of an object that it shows as
    recorded."""

    def __init__(
        self, origin: S3Object, store_at: Callable[[Destination], Awaitable[ObjectStore]], *, fresh: bool = False
    ) -> None:
        self._at = origin.at
        self._listed = origin.listed if fresh else None
        self._address = origin.fingerprint
        self._store_at = store_at

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def probe(self, known: Revision | None = None) -> Observed | None:
        """See `ports.Source`. A HEAD, and the tags of an object that changed and has some."""
        if known is not None and self._is_listed(known):
            return None
        with as_source_errors():
            store = await self._store_at(self._at)
            details = await store.inspect_object(self._at)
            if details is None:
                raise SourceMissing(await self._missing(store), answered=True)
            revision = self._revision(details)
            if known is not None and revision == replace(known, digest=None, last_modified=revision.last_modified):
                return None
            if details.archived is not None:
                raise SourceRefused(f"{self._at} is archived ({details.archived}): restore it first", answered=True)
            if details.tags:
                tags = await store.get_tags(self._at)
                details = replace(details, kept=replace(details.kept, tags=tags))
        return Observed(
            revision=revision,
            content_type=details.kept.content_type,
            content_encoding=details.kept.content_encoding,
            ranges=revision.strong_etag is not None,
            object=details,
        )

    def _is_listed(self, known: Revision) -> bool:
        """Whether the listing shows this revision."""
        listed = self._listed
        if listed is None or known.address != self._address or known.strong_etag is None:
            return False
        return listed.shows(known.length, known.etag)

    def _revision(self, details: ObjectDetails) -> Revision:
        modified = details.stored.last_modified
        return Revision(
            address=self._address,
            etag=details.stored.etag or None,
            last_modified=formatdate(modified, usegmt=True) if modified is not None else None,
            length=details.stored.size,
        )

    async def _missing(self, store: ObjectStore) -> str:
        """HEAD of an object does not tell whether its bucket exists."""
        try:
            missing = not await store.has_bucket(self._at.bucket)
        except StoreError:
            missing = False
        where = f"in the store {self._at.store!r}"
        return f"the bucket {self._at.bucket} does not exist {where}" if missing else f"{self._at}: no object {where}"

    @asynccontextmanager
    async def open(self, observed: Observed, start: int = 0, end: int | None = None) -> AsyncIterator[ByteStream]:
        """See `ports.Source`."""
        length = observed.revision.length
        if end is not None and start >= end:
            yield _Empty()
            return
        with as_source_errors():
            store = await self._store_at(self._at)
            stop = end if start or end != length else None  # no range for the whole
            opened = store.get_object(self._at, start, stop, if_match=observed.revision.etag)
            stream = await opened.__aenter__()
        try:
            yield _StoredStream(stream)
        finally:
            await opened.__aexit__(None, None, None)

    def release(self) -> None:
        """No connection is kept between calls."""

    async def confirm(self, observed: Observed) -> None:
        """Requests nothing: the answer to each request had the ETag of the revision."""


class _Empty:
    async def readinto(self, view: memoryview) -> int:  # noqa: ARG002 - the port's
        return 0


class _StoredStream:
    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream

    async def readinto(self, view: memoryview) -> int:
        with as_source_errors():
            return await self._stream.readinto(view)
