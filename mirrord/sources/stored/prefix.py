"""The objects below a prefix, as a list: one line for each, in the form that `planning.lists.formats` reads.

Owns the listing of the store as a stream of lines. So a prefix is followed, claimed and reported as any list is: a
listing that ends early is a list that is cut short, because of which nothing leaves. Skips the markers of directories
(empty objects whose key ends with a slash) and what the entry's patterns exclude.
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Self

from mirrord.declared import SourcePrefix
from mirrord.model import Destination, Item, ListedObject, Observed, Revision, S3Object
from mirrord.planning.decisions.decide import DRIFT_EVERY
from mirrord.planning.decisions.listed import GOOD_FOR
from mirrord.planning.items.gitignore import KeySelection
from mirrord.ports import ByteStream, Clock, ObjectStore, Source
from mirrord.sources.stored.errors import as_source_errors

_LATE = 1.5
"""The next listing may take this share of `every` more, before items get HEADs again."""


@dataclass(slots=True)
class ListedPrefixes:
    """When each prefix was last listed to its end. `ticks`: the program runs on, and lists again at each `every`."""

    clock: Clock
    ticks: bool = False
    _began: dict[tuple[str, str, str], float] = field(default_factory=dict)

    def ended(self, prefix: Destination, began: float) -> None:
        """A listing that began then (monotonic) has shown every object."""
        self._began[prefix.endpoint, prefix.bucket, prefix.key] = began

    def shows(self, item: Item) -> bool:
        """Whether the listing that found the item's source spares a HEAD of it."""
        origin = item.origin
        if not isinstance(origin, S3Object) or origin.listed is None:
            return False
        began = self._began.get((origin.at.endpoint, origin.at.bucket, origin.listed.prefix))
        every = item.options.schedule.every if self.ticks else None
        limit = GOOD_FOR if every is None else _LATE * max(every, DRIFT_EVERY)
        return began is not None and self.clock.monotonic() - began < limit


class PrefixSource(Source):
    """One listing. `store_at` opens the store of the prefix."""

    def __init__(
        self,
        prefix: SourcePrefix,
        store_at: Callable[[Destination], Awaitable[ObjectStore]],
        listed: ListedPrefixes,
    ) -> None:
        self._at = prefix.at
        self._selection = KeySelection(prefix.include, prefix.exclude)
        self._store_at = store_at
        self._listed = listed
        self._began = 0.0
        self._pages: AsyncGenerator[Sequence[ListedObject]] | None = None
        self._first: Sequence[ListedObject] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._pages is not None:
            await self._pages.aclose()

    async def probe(self, known: Revision | None = None) -> Observed:  # noqa: ARG002 - a listing has no revision
        """The first page. Raises the errors of `ports.Source`."""
        self._began = self._listed.clock.monotonic()
        with as_source_errors():
            store = await self._store_at(self._at)
            self._pages = store.list_objects(self._at.bucket, self._at.key, every_key=True)
            self._first = await anext(self._pages, None)
        return Observed(revision=Revision(address=S3Object(self._at).fingerprint))

    def open(
        self,
        observed: Observed,  # noqa: ARG002 - the port's
        start: int = 0,  # noqa: ARG002 - a list is read from its start
        end: int | None = None,  # noqa: ARG002
    ) -> AbstractAsyncContextManager[ByteStream]:
        """The lines, once."""
        return self._opened()

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[ByteStream]:
        yield _LineStream(self._lines())

    async def _lines(self) -> AsyncIterator[bytes]:
        """The lines of each page."""
        page, pages = self._first, self._pages
        while page is not None and pages is not None:
            yield b"".join(self._line(one) for one in page if self._counts(one))
            with as_source_errors():
                page = await anext(pages, None)
        self._listed.ended(self._at, self._began)

    def _counts(self, one: ListedObject) -> bool:
        if one.size == 0 and (one.key.endswith("/") or one.key == self._at.key):
            return False
        return self._selection.takes(one.key[len(self._at.key) :])

    def _line(self, one: ListedObject) -> bytes:
        return json.dumps([one.key[len(self._at.key) :], one.size, one.etag]).encode() + b"\n"

    def release(self) -> None:
        """The listing stays open until the context ends."""

    async def confirm(self, observed: Observed) -> None:
        """The end of the stream is the end of the listing."""


class _LineStream:
    """ports.ByteStream of lines."""

    def __init__(self, lines: AsyncIterator[bytes]) -> None:
        self._lines = lines
        self._left = memoryview(b"")

    async def readinto(self, view: memoryview) -> int:
        while not len(self._left):
            lines = await anext(self._lines, None)
            if lines is None:
                return 0
            self._left = memoryview(lines)
        size = min(len(view), len(self._left))
        view[:size], self._left = self._left[:size], self._left[size:]
        return size
