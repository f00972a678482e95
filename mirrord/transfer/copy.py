"""The story of a transfer: check what is offered, read it into buffers, hash, send, prove, say what stands.

Owns one attempt at one revision of one item, from an open source to a visible object. Either the whole object appears,
or none, and nothing of the attempt is left at the store but parts that the ledger keeps for the next one. Whether to
try again is the caller's policy; `put` and `multipart` speak S3, `PartReader` checks that the source keeps to what was
observed.

A source whose ranges are pinned to a strong validator is read in pieces: all that is missing, by several readers, each
going on where its connection broke. Any other source is read as one stream from its first byte, or not at all.
"""

import asyncio
from collections import deque
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from mirrord.errors import IntegrityError, SourceRefused, SourceTooLarge
from mirrord.model import Copied, Observed, TransferKind
from mirrord.planning.transfers.parts import AUTO_PART
from mirrord.planning.transfers.resume import PartRange, missing_ranges, pinned, split_ranges
from mirrord.ports import ByteStream, Source
from mirrord.transfer import proof
from mirrord.transfer.multipart import MultipartUpload
from mirrord.transfer.part_reader import FilledBuffer, PartReader
from mirrord.transfer.put import put
from mirrord.transfer.resuming import ResumingStream
from mirrord.transfer.spec import ByteCounter, ProgressCallback, TransferContext, TransferSpec, no_progress
from mirrord.units import format_size


async def copy(
    spec: TransferSpec,
    source: Source,
    observed: Observed,
    context: TransferContext,
    progress: ProgressCallback = no_progress,
) -> Copied:
    """Copy the revision `observed` of `source` to `spec.new.at`.

    Raises SourceRefused and SourceTooLarge before any byte is sent where that can be known, LengthMismatch,
    ChecksumMismatch (not what was declared) and SourceChanged before the object becomes visible, and what the source
    and the store raise.
    """
    refuse(observed, spec.demands.max_size, spec.demands.content_type)
    tally = ByteCounter(progress, spec.resumed.size if spec.resumed else 0)
    copying = _Copying(spec, source, observed, context, tally)
    if spec.layout.kind is TransferKind.MULTIPART and pinned(observed) and not spec.in_order:
        return await copying.in_pieces()
    return await copying.in_one_stream()


def refuse(observed: Observed, max_size: int | None, expected: str | None) -> None:
    """Raise if the manifest's `max_size` and `expect` refuse what the source offers, before anything is read."""
    length = observed.revision.length
    if max_size is not None and length is not None and length > max_size:
        raise SourceTooLarge(f"the source has {format_size(length)}, max_size is {format_size(max_size)}")
    if expected is not None and _media_type(observed.content_type) != _media_type(expected):
        raise SourceRefused(f"the source sends {observed.content_type or 'no content type'}, expected was {expected}")


@dataclass(frozen=True, slots=True)
class _Copying:
    """One attempt under way."""

    spec: TransferSpec
    source: Source
    observed: Observed
    context: TransferContext
    tally: ByteCounter

    # ── one stream ────────────────────────────────────────────────────────────────────────────────
    async def in_one_stream(self) -> Copied:
        """From the first byte to the last: a put if it is short, else parts."""
        async with self._whole() as stream:
            reader = self._reader(stream, self.observed.revision.length, self.spec.demands.sha256)
            first = await reader.read(self.context.budget, self._first_size())
            with first.buffer:  # a part that was sent has released it already
                if first.last:
                    reader.end()
                    copied = await put(self.spec, self.source, self.observed, self.context, first.body)
                    self.tally.sent(first.size)
                    return copied
                upload = self._upload()
                return await self._in_parts(upload, self._feed(upload, reader, 1, first))

    def _whole(self) -> AbstractAsyncContextManager[ByteStream]:
        length = self.observed.revision.length
        if not pinned(self.observed) or length is None:
            return self.source.open(self.observed)
        return ResumingStream(self.source, self.observed, PartRange(0, length), self.context.retry)

    def _first_size(self) -> int:
        """A put brings one byte more than it expects, so that a longer source shows."""
        return self._size_of(1) + (self.spec.layout.kind is TransferKind.PUT)

    def _size_of(self, number: int) -> int:
        """Of part `number`. Without a length parts start small and double, so that a slow stream holds little memory,
        unless the store wants equal ones."""
        largest, provider = self.spec.layout.part_size, self.context.store.provider
        if self.observed.revision.length is not None or provider.equal_parts:
            return largest
        return min(largest, max(AUTO_PART, provider.min_part) << min(number - 1, 10))

    # ── pieces of a pinned source ─────────────────────────────────────────────────────────────────
    async def in_pieces(self) -> Copied:
        """By ranges of the source, several at a time, and only those that are missing at the store."""
        upload = self._upload()
        return await self._in_parts(upload, self._pieces(upload))

    async def _pieces(self, upload: MultipartUpload) -> None:
        """Fetch what no earlier attempt left at the store, by as many readers as are allowed and of use."""
        length, part_size = self.observed.revision.length or 0, self.spec.layout.part_size
        have = self.spec.resumed.parts if self.spec.resumed else {}
        left = deque(split_ranges(missing_ranges(length, part_size, have), part_size, self.spec.readers))

        async def read_on() -> None:
            while left:
                await self._piece(upload, left.popleft())

        try:
            async with asyncio.TaskGroup() as readers:
                for _ in range(min(self.spec.readers, len(left))):
                    readers.create_task(read_on())
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _piece(self, upload: MultipartUpload, run: PartRange) -> None:
        async with ResumingStream(self.source, self.observed, run, self.context.retry) as stream:
            await self._feed(upload, self._reader(stream, run.size), run.start // self.spec.layout.part_size + 1)

    # ── parts ─────────────────────────────────────────────────────────────────────────────────────
    def _reader(self, stream: ByteStream, length: int | None, sha256: str | None = None) -> PartReader:
        max_size = self.spec.demands.max_size
        return PartReader(stream, length=length, max_size=max_size, sha256=sha256, counted=self.tally.read)

    async def _feed(
        self, upload: MultipartUpload, reader: PartReader, number: int, part: FilledBuffer | None = None
    ) -> None:
        """Send parts from `number` on while the stream lasts; `part` is the first, if it was read already."""
        while True:
            part = part or await reader.read(self.context.budget, self._size_of(number))
            if part.size:
                await upload.send(part.buffer, part.size, number)
            else:
                part.buffer.release()
            if part.last:
                return reader.end()
            number, part = number + 1, None

    def _upload(self) -> MultipartUpload:
        spec = self.spec
        return MultipartUpload(
            self.context, spec.new, concurrency=spec.layout.concurrency, resumed=spec.resumed, sent=self.tally.sent
        )

    async def _in_parts(self, upload: MultipartUpload, feed: Coroutine[None, None, None]) -> Copied:
        spec = self.spec
        try:
            async with upload:
                await upload.race(feed)
                await upload.wait_for_parts()
                await self.source.confirm(self.observed)
                stored, whole = await upload.complete()
        finally:
            feed.close()  # for an upload that could not be opened
        parts = [part for _, part in sorted(upload.parts.items())]
        size = sum(part.size for part in parts)
        try:
            integrity = proof.of_multipart(whole, parts, stored, size)
        except IntegrityError:
            self.context.ledger.mismatched(stored)
            raise
        return Copied(
            transfer_id=spec.transfer_id,
            revision=spec.with_digest(self.observed.revision),
            kind=TransferKind.MULTIPART,
            size=size,
            parts=len(parts),
            etag=stored.etag,
            etag_from_head=stored.from_head,
            checksum=whole,
            integrity=integrity,
        )


def _media_type(header: str | None) -> str:
    """`Text/HTML; charset=utf-8` is `text/html`."""
    return (header or "").partition(";")[0].strip().lower()
