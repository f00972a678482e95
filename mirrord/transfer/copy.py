"""The story of a transfer: check what is offered, read it into buffers, hash, send, prove, say what stands.

Owns one attempt at one revision of one item, from an open source to a visible object. Either the whole object appears,
or none, and nothing of the attempt is left at the store but parts that the ledger keeps for the next one. Whether to
try again is the caller's policy; `put` and `multipart` speak S3, `Intake` holds the source to its word.

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
from mirrord.planning.transfers.resume import Run, missing, pieces, pinned
from mirrord.ports import ByteStream, Source
from mirrord.transfer import proof
from mirrord.transfer.continued import Continued
from mirrord.transfer.intake import Filled, Intake
from mirrord.transfer.job import Job, Means, Progress, Tally, unseen
from mirrord.transfer.multipart import Multipart
from mirrord.transfer.put import put
from mirrord.units import format_size


async def copy(job: Job, source: Source, observed: Observed, means: Means, progress: Progress = unseen) -> Copied:
    """Copy the revision `observed` of `source` to `job.at`.

    Raises SourceRefused and SourceTooLarge before any byte is sent where that can be known, LengthMismatch,
    ChecksumMismatch (not what was declared) and SourceChanged before the object becomes visible, and what the source
    and the store raise.
    """
    refuse(observed, job.max_size, job.expect_content_type)
    tally = Tally(progress, job.kept.size if job.kept else 0)
    return await _Copying(job, source, observed, means, tally).run()


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

    job: Job
    source: Source
    observed: Observed
    means: Means
    tally: Tally

    async def run(self) -> Copied:
        if self.job.cut.kind is TransferKind.MULTIPART and pinned(self.observed) and not self.job.in_order:
            upload = self._upload()
            return await self._in_parts(upload, self._pieces(upload))
        async with self._whole() as stream:
            return await self._one_stream(stream)

    # ── one stream ────────────────────────────────────────────────────────────────────────────────
    async def _one_stream(self, stream: ByteStream) -> Copied:
        intake = self._intake(stream, self.observed.revision.length)
        intake.declare(self.job.sha256)
        first = await intake.bring(self.means.budget, self._first_size())
        try:
            if first.last:
                intake.end()
                copied = await put(self.job, self.source, self.observed, self.means, first.body)
                self.tally.sent(first.size)
                return copied
            upload = self._upload()
            return await self._in_parts(upload, self._feed(upload, intake, 1, first))
        finally:
            first.buffer.give_back()

    def _whole(self) -> AbstractAsyncContextManager[ByteStream]:
        length = self.observed.revision.length
        if not pinned(self.observed) or length is None:
            return self.source.open(self.observed)
        return Continued(self.source, self.observed, Run(0, length), self.means.retry)

    def _first_size(self) -> int:
        """A put brings one byte more than it expects, so that a longer source shows."""
        return self._size_of(1) + (self.job.cut.kind is TransferKind.PUT)

    def _size_of(self, number: int) -> int:
        """Of part `number`. Without a length parts start small and double, so that a slow stream holds little memory,
        unless the store wants equal ones."""
        largest, provider = self.job.cut.part_size, self.means.store.provider
        if self.observed.revision.length is not None or provider.equal_parts:
            return largest
        return min(largest, max(AUTO_PART, provider.min_part) << min(number - 1, 10))

    # ── pieces of a pinned source ─────────────────────────────────────────────────────────────────
    async def _pieces(self, upload: Multipart) -> None:
        """Fetch what no earlier attempt left at the store, by as many readers as are allowed and of use."""
        length, part_size = self.observed.revision.length or 0, self.job.cut.part_size
        kept = self.job.kept.parts if self.job.kept else {}
        left = deque(pieces(missing(length, part_size, kept), part_size, self.job.readers))

        async def read_on() -> None:
            while left:
                await self._piece(upload, left.popleft())

        try:
            async with asyncio.TaskGroup() as readers:
                for _ in range(min(self.job.readers, len(left))):
                    readers.create_task(read_on())
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _piece(self, upload: Multipart, run: Run) -> None:
        async with Continued(self.source, self.observed, run, self.means.retry) as stream:
            await self._feed(upload, self._intake(stream, run.size), run.start // self.job.cut.part_size + 1)

    # ── parts ─────────────────────────────────────────────────────────────────────────────────────
    def _intake(self, stream: ByteStream, length: int | None) -> Intake:
        return Intake(stream, length=length, max_size=self.job.max_size, read=self.tally.read)

    async def _feed(self, upload: Multipart, intake: Intake, number: int, part: Filled | None = None) -> None:
        """Send parts from `number` on while the stream lasts; `part` is the first, if it was read already."""
        while True:
            part = part or await intake.bring(self.means.budget, self._size_of(number))
            if part.size:
                await upload.send(part.buffer, part.size, number)
            else:
                part.buffer.give_back()
            if part.last:
                return intake.end()
            number, part = number + 1, None

    def _upload(self) -> Multipart:
        job, means = self.job, self.means
        upload = Multipart(means.store, job.at, job.options, job.checksum, concurrency=job.cut.concurrency)
        upload.retry, upload.sent, upload.aborted = means.retry, self.tally.sent, means.aborted
        upload.ledger, upload.kept, upload.answers = means.ledger, job.kept, means.answers
        return upload

    async def _in_parts(self, upload: Multipart, feed: Coroutine[None, None, None]) -> Copied:
        job = self.job
        try:
            async with upload:
                await upload.beside(feed)
                await upload.settled()
                await self.source.confirm(self.observed)
                stored, whole = await upload.complete(if_none_match=job.if_none_match)
        finally:
            feed.close()  # for an upload that could not be opened
        parts = [part for _, part in sorted(upload.parts.items())]
        size = sum(part.size for part in parts)
        try:
            integrity = proof.of_multipart(whole, parts, stored, size)
        except IntegrityError:
            self.means.ledger.mismatched(stored)
            raise
        return Copied(
            transfer_id=job.transfer_id,
            revision=job.copied(self.observed.revision),
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
