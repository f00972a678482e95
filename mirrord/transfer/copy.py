"""One attempt at a transfer: apply the manifest's demands, read the source, hash, send, and prove the copy.

Owns one attempt at one revision of one item, from an open source to a visible object. The object appears whole or not
at all. The attempt leaves nothing at the store except parts that the ledger keeps for the next attempt. The caller
decides about retries. `put` and `multipart` make the S3 requests; `PartReader` verifies that the source sends what was
observed.

A source whose ranges are pinned to a strong validator is read in ranges: only the missing ones, by several readers.
Each reader resumes at the offset where its connection broke. Any other source is read as one stream from its first
byte.
"""

import asyncio
from collections import deque
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager

from mirrord.errors import DeclaredMismatch, IntegrityError, SourceRefused, SourceTooLarge
from mirrord.frozen import frozen
from mirrord.model import Copied, Observed, TransferKind
from mirrord.planning.transfers.parts import size_of
from mirrord.planning.transfers.resume import PartRange, missing_ranges, pinned, split_ranges
from mirrord.ports import ByteStream, Source
from mirrord.transfer import proof
from mirrord.transfer.multipart import MultipartUpload
from mirrord.transfer.part_reader import FilledBuffer, PartReader, ReadChecks
from mirrord.transfer.put import put
from mirrord.transfer.resuming import ResumingStream
from mirrord.transfer.spec import (
    ByteCounter,
    ProgressCallback,
    SourceDemands,
    TransferContext,
    TransferSpec,
    no_progress,
)
from mirrord.transfer.store_copy import StoreCopy
from mirrord.units import format_size


async def copy(
    spec: TransferSpec,
    source: Source,
    observed: Observed,
    context: TransferContext,
    progress: ProgressCallback = no_progress,
) -> Copied:
    """Copy the revision `observed` of `source` to `spec.new.at`.

    `progress` is called after each read and each confirmed part. Raises SourceRefused and SourceTooLarge before any
    byte is sent where the observed headers suffice; LengthMismatch, DeclaredMismatch and
    SourceChanged before the object becomes visible; and the errors of source and store.
    """
    refuse(observed, spec.demands)
    counter = ByteCounter(progress, spec.resumed.size if spec.resumed else 0)
    if spec.original is not None:
        return await StoreCopy(spec, spec.original, observed, context, counter).made()
    attempt = _Attempt(spec, source, observed, context, counter)
    if spec.layout.kind is TransferKind.MULTIPART and pinned(observed) and not spec.demands.in_order:
        return await attempt.in_ranges()
    return await attempt.in_one_stream()


def refuse(observed: Observed, demands: SourceDemands) -> None:
    """Apply `max_size`, `expect` (content type) and a declared length to the observed headers, before any read.

    Raises SourceTooLarge, SourceRefused or DeclaredMismatch.
    """
    length, max_size, expected = observed.revision.length, demands.max_size, demands.content_type
    if demands.size is not None and length not in (None, demands.size):
        raise DeclaredMismatch(f"the source has {length:,} bytes, declared were {demands.size:,}")
    if max_size is not None and length is not None and length > max_size:
        raise SourceTooLarge(f"the source has {format_size(length)}, max_size is {format_size(max_size)}")
    if expected is not None and _media_type(observed.content_type) != _media_type(expected):
        raise SourceRefused(f"the source sends {observed.content_type or 'no content type'}, expected was {expected}")


@frozen
class _Attempt:
    """One attempt."""

    spec: TransferSpec
    source: Source
    observed: Observed
    context: TransferContext
    counter: ByteCounter

    # ── one stream ────────────────────────────────────────────────────────────────────────────────
    async def in_one_stream(self) -> Copied:
        """Read from the first byte to the last. Send one put if the source ends within it, else parts."""
        if self.spec.layout.kind is TransferKind.PUT:
            arrived = self.source.arrived(self.observed)
            if arrived is not None:
                return await self._put_arrived(memoryview(arrived))
        async with self._open() as stream:
            reader = self._reader(stream, self.observed.revision.length, self.spec.demands)
            first = await reader.read(self.context.budget, self._first_size())
            with first.buffer:  # no effect if the upload has ended the buffer already
                if first.last:
                    reader.end()
                    copied = await put(self.spec, self.source, self.observed, self.context, first.body)
                    self.counter.sent(first.size)
                    return copied
                upload = self._upload()
                return await self._upload_parts(upload, self._send_parts(upload, reader, 1, first))

    async def _put_arrived(self, body: memoryview) -> Copied:
        length, demands = self.observed.revision.length, self.spec.demands
        await self.context.budget.bandwidth.pay(len(body))
        await ReadChecks(length=length, demands=demands, counted=self.counter.read).check_whole(body)
        copied = await put(self.spec, self.source, self.observed, self.context, body)
        self.counter.sent(len(body))
        return copied

    def _open(self) -> AbstractAsyncContextManager[ByteStream]:
        length, is_put = self.observed.revision.length, self.spec.layout.kind is TransferKind.PUT
        local = self.observed.revision.file is not None  # there is no connection that could break
        if not pinned(self.observed) or length is None or (local and is_put):
            return self.source.open(self.observed)
        return self._resuming(PartRange(0, length))

    def _resuming(self, wanted: PartRange) -> ResumingStream:
        return ResumingStream(self.source, self.observed, wanted, self.context.retry, patient=self.context.patient)

    def _first_size(self) -> int:
        """For a put one byte more than expected, so that a longer source is detected."""
        return self.spec.layout.sizes.first + (self.spec.layout.kind is TransferKind.PUT)

    # ── ranges of a pinned source ─────────────────────────────────────────────────────────────────
    async def in_ranges(self) -> Copied:
        """Read ranges of the source, several at a time, and only those whose parts are missing at the store."""
        upload = self._upload()
        return await self._upload_parts(upload, self._read_ranges(upload))

    async def _read_ranges(self, upload: MultipartUpload) -> None:
        """Read all missing ranges, with at most `readers` readers."""
        length, part_size = self.observed.revision.length or 0, self.spec.layout.sizes.first
        kept = self.spec.resumed.parts if self.spec.resumed else {}
        queue = deque(split_ranges(missing_ranges(length, part_size, kept), part_size, self.spec.readers))

        async def reader() -> None:
            while queue:
                await self._read_range(upload, queue.popleft())

        try:
            async with asyncio.TaskGroup() as readers:
                for _ in range(min(self.spec.readers, len(queue))):
                    readers.create_task(reader())
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _read_range(self, upload: MultipartUpload, missing: PartRange) -> None:
        async with self._resuming(missing) as stream:
            first = missing.start // self.spec.layout.sizes.first + 1
            await self._send_parts(upload, self._reader(stream, missing.size), first)

    # ── parts ─────────────────────────────────────────────────────────────────────────────────────
    def _reader(self, stream: ByteStream, length: int | None, demands: SourceDemands | None = None) -> PartReader:
        """`demands`: of a stream of all bytes; None: of a range."""
        if demands is None:
            demands = SourceDemands(max_size=self.spec.demands.max_size)
        return PartReader(stream, length=length, demands=demands, counted=self.counter.read)

    async def _send_parts(
        self, upload: MultipartUpload, reader: PartReader, number: int, part: FilledBuffer | None = None
    ) -> None:
        """Send parts from `number` on until the stream ends. `part` is the first one if it was read already."""
        while True:
            part = part or await reader.read(self.context.budget, size_of(self.spec.layout.sizes, number))
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
            self.context, spec.new, concurrency=spec.layout.concurrency, resumed=spec.resumed, sent=self.counter.sent
        )

    async def _upload_parts(self, upload: MultipartUpload, sending: Coroutine[None, None, None]) -> Copied:
        spec = self.spec
        try:
            async with upload:
                await upload.race(sending)
                await upload.wait_for_parts()
                await self.source.confirm(self.observed)
                stored, whole = await upload.complete()
        finally:
            sending.close()  # it was never started if the upload could not be opened
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
