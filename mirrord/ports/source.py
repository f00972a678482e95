"""Where bytes come from: one source during one look, and its streams."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from mirrord.model import Observed, Revision


class ByteStream(Protocol):
    """Bytes of one revision, in order."""

    async def readinto(self, view: memoryview) -> int:
        """Read at least one byte into the start of `view` and return the count; 0 means the end.

        The end is proven: a body cut short raises SourceUnavailable, a source that changed SourceChanged. A read
        may return fewer bytes than `view` holds."""


class Source(AbstractAsyncContextManager["Source"], Protocol):
    """One source during one look at it. Leaving the context closes its connections or file."""

    async def probe(self, known: Revision | None = None) -> Observed | None:
        """The source as it is now, or None if it still is `known` (asked conditionally where the source can).

        A `known` of another address is ignored. An adapter may keep the answer open for the `open` that follows,
        so that look and copy cost one request. Raises SourceMissing, SourceDenied, SourceUnavailable, SourceRefused."""

    def open(
        self, observed: Observed, start: int = 0, end: int | None = None
    ) -> AbstractAsyncContextManager[ByteStream]:
        """A stream of bytes [start, end) pinned to the revision; `end=None` is to the end.

        Anything but the whole needs `observed.ranges`. Raises SourceChanged if another revision answers."""

    def release(self) -> None:
        """Give back a connection that `probe` keeps for `open`, which will not come soon. May be called at any time."""

    async def confirm(self, observed: Observed) -> None:
        """After the last byte and before the object becomes visible: still the same revision, else SourceChanged."""
