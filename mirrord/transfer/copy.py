"""The story of a transfer: check what is offered, read it into buffers, hash, send, prove, say what stands.

Owns one attempt at one revision of one item, from an open source to a visible object. Either the whole object appears,
or none, and nothing of the attempt is left at the store. Whether to try again is the caller's policy; `put` and
`multipart` speak S3, `Intake` holds the source to its word.
"""

from mirrord.errors import SourceRefused, SourceTooLarge
from mirrord.model import Copied, Observed, TransferKind
from mirrord.ports import Source
from mirrord.transfer import proof
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
    tally = Tally(progress)
    async with source.open(observed) as stream:
        intake = Intake(stream, length=observed.revision.length, max_size=job.max_size, read=tally.read)
        intake.declare(job.sha256)
        first = await intake.bring(means.budget, _first_size(job))
        try:
            if first.last:
                intake.end()
                copied = await put(job, source, observed, means.store, first.body)
                tally.sent(first.size)
                return copied
            return await _in_parts(job, source, observed, means, intake, first, tally)
        finally:
            first.buffer.give_back()


def refuse(observed: Observed, max_size: int | None, expected: str | None) -> None:
    """Raise if the manifest's `max_size` and `expect` refuse what the source offers, before anything is read."""
    length = observed.revision.length
    if max_size is not None and length is not None and length > max_size:
        raise SourceTooLarge(f"the source has {format_size(length)}, max_size is {format_size(max_size)}")
    if expected is not None and _media_type(observed.content_type) != _media_type(expected):
        raise SourceRefused(f"the source sends {observed.content_type or 'no content type'}, expected was {expected}")


async def _in_parts(
    job: Job, source: Source, observed: Observed, means: Means, intake: Intake, first: Filled, tally: Tally
) -> Copied:
    upload = Multipart(means.store, job.at, job.options, job.checksum, concurrency=job.cut.concurrency)
    upload.repeats, upload.sent, upload.aborted = means.repeats, tally.sent, means.aborted
    async with upload:
        await upload.beside(_feed(upload, intake, means, job.cut.part_size, first))
        await upload.settled()
        await source.confirm(observed)
        stored, whole = await upload.complete(if_none_match=job.if_none_match)
    parts = list(upload.parts.values())
    return Copied(
        transfer_id=job.transfer_id,
        revision=job.copied(observed.revision),
        kind=TransferKind.MULTIPART,
        size=intake.taken,
        parts=len(parts),
        etag=stored.etag,
        checksum=whole,
        integrity=proof.of_multipart(whole, parts, stored, intake.taken, means.store.provider),
    )


async def _feed(upload: Multipart, intake: Intake, means: Means, part_size: int, part: Filled) -> None:
    """Read on while parts travel, until the stream ends; an empty rest is no part."""
    while not part.last:
        await upload.send(part.buffer, part.size)
        part = await intake.bring(means.budget, part_size)
    if part.size:
        await upload.send(part.buffer, part.size)
    else:
        part.buffer.give_back()
    intake.end()


def _first_size(job: Job) -> int:
    """A put brings one byte more than it expects, so that a longer source shows."""
    return job.cut.part_size + (job.cut.kind is TransferKind.PUT)


def _media_type(header: str | None) -> str:
    """`Text/HTML; charset=utf-8` is `text/html`."""
    return (header or "").partition(";")[0].strip().lower()
