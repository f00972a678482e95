"""A single put: the whole object in one buffer, checked, hashed and sent in one request.

Owns the order: the last byte is proven to be the last, the source is still the same, then the store is asked. What
came of the request, and whether it is made again from the same buffer, is `writes`' to settle.
"""

from mirrord import checksums
from mirrord.errors import IntegrityError
from mirrord.model import META_TRANSFER, Checksum, Copied, Integrity, Observed, StoredObject, TransferKind
from mirrord.ports import Source
from mirrord.transfer import proof
from mirrord.transfer.job import Job, Means
from mirrord.transfer.writes import Write


async def put(job: Job, source: Source, observed: Observed, means: Means, body: memoryview) -> Copied:
    """Send `body`, all bytes of the revision `observed`, as one object."""
    checksum = await checksums.digest(job.checksum, body)
    await source.confirm(observed)
    await means.ledger.completing(checksum)
    stored = await send(job, means, body, checksum)
    try:
        integrity = proof.of_put(checksum, stored, len(body))
    except IntegrityError:
        means.ledger.mismatched(stored)
        raise
    return Copied(
        transfer_id=job.transfer_id,
        revision=job.copied(observed.revision),
        kind=TransferKind.PUT,
        size=len(body),
        parts=1,
        etag=stored.etag,
        etag_from_head=stored.from_head,
        checksum=checksum,
        integrity=integrity,
    )


async def send(job: Job, means: Means, body: memoryview, checksum: Checksum | None) -> StoredObject:
    """Ask the store, as often as it takes to know what came of it. Raises what `Write.settled` raises."""
    store = means.store
    write = Write(
        store=store,
        at=job.at,
        transfer_id=job.options.metadata.get(META_TRANSFER, ""),
        size=len(body),
        whole=checksum,
        proves=lambda answer: checksum is None or proof.put_level(checksum, answer) is not Integrity.LENGTH,
        retry=means.retry.of_writes,
    )
    return await write.settled(
        lambda: store.put_object(job.at, body, job.options, checksum, if_none_match=job.if_none_match)
    )
