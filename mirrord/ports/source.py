"""A source of bytes (a URL, a file) during one attempt, and its streams."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from mirrord.model import Checksum, Observed, Revision


class ByteStream(Protocol):
    """Bytes of one revision, in order."""

    async def readinto(self, view: memoryview) -> int:
        """Read at least one byte into the start of `view` and return the count; 0 means the end.

        A read may return fewer bytes than `view` has room for. The end is proven: raises SourceUnavailable if the
        body is cut short, and SourceChanged if the source changed.
        """


class Source(AbstractAsyncContextManager["Source"], Protocol):
    """One source during one attempt. Leaving the context closes its connections or file."""

    async def probe(self, known: Revision | None = None) -> Observed | None:
        """The source as it is now, or None if it is still `known`; a conditional request where the source supports it.

        A `known` revision of another address is ignored. An adapter may keep the response open for a following `open`,
        so that probe and copy cost one request. Raises SourceMissing, SourceDenied, SourceUnavailable, SourceRefused.
        """

    def open(
        self, observed: Observed, start: int = 0, end: int | None = None
    ) -> AbstractAsyncContextManager[ByteStream]:
        """A stream of bytes [start, end) of exactly this revision; `end=None`: to the end of the source.

        A part of the source needs `observed.ranges`. Raises SourceChanged if the source has another revision.
        """

    def arrived(self, observed: Observed) -> bytes | None:  # noqa: ARG002 - an adapter may have none
        """All bytes of this revision, if they are few and came with `probe`; None: `open` it. Each body only once."""
        return None

    async def stated(self, observed: Observed) -> Sequence[Checksum]:  # noqa: ARG002 - an adapter may have none
        """The digests of all bytes of this revision that the source states, to compare an object with. An adapter may
        read a few small bodies to learn whether what it states is true. Raises what the stream of such a body raises.
        """
        return ()

    def release(self) -> None:
        """Release the connection that `probe` keeps for `open`. May be called at any time."""

    async def confirm(self, observed: Observed) -> None:
        """Raise SourceChanged if the revision changed: after the last byte, before the object becomes visible."""
