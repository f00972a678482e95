"""An object of a store as a Source: one HEAD for its revision, streams that are pinned to its ETag.

Owns the translation of the store's errors into those of a source. The store itself makes the requests (`s3`), and sees
to it that a stream is of the pinned ETag also where the store ignores If-Match.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from email.utils import formatdate
from typing import Self

from mirrord.errors import (
    BucketMissing,
    PreconditionFailed,
    SourceChanged,
    SourceDenied,
    SourceError,
    SourceMissing,
    SourceRefused,
    SourceUnavailable,
    StoreDenied,
    StoreError,
    StoreUnavailable,
)
from mirrord.model import Destination, ObjectDetails, Observed, Revision, S3Object
from mirrord.ports import ByteStream, ObjectStore, Source

_ERRORS: tuple[tuple[type[StoreError], type[SourceError]], ...] = (
    (StoreDenied, SourceDenied),
    (BucketMissing, SourceMissing),
    (StoreUnavailable, SourceUnavailable),
    (PreconditionFailed, SourceChanged),
)


class StoredSource(Source):
    """One object during one attempt. `store_at` opens its store."""

    def __init__(self, origin: S3Object, store_at: Callable[[Destination], Awaitable[ObjectStore]]) -> None:
        self._at = origin.at
        self._address = origin.fingerprint
        self._store_at = store_at

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def probe(self, known: Revision | None = None) -> Observed | None:
        """See `ports.Source`. A HEAD, and the tags of an object that changed and has some."""
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


@contextmanager
def as_source_errors() -> Iterator[None]:
    """Around calls to a store that is a source: its errors are those of the source."""
    try:
        yield
    except StoreError as error:
        kind = next((source for store, source in _ERRORS if isinstance(error, store)), SourceRefused)
        raise kind(str(error), retry_after=error.retry_after, answered=error.answered) from error
