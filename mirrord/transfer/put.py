"""A single put: the whole object in one buffer, checked, hashed and sent in one request.

Owns the order: the last byte is proven to be the last, the source is still the same, then the store is asked. What
came of the request, and whether it is made again from the same buffer, is `writes`' to settle.
"""

from mirrord import checksums
from mirrord.model import META_TRANSFER, Copied, Observed, TransferKind
from mirrord.ports import Source
from mirrord.transfer import proof
from mirrord.transfer.job import Job, Means
from mirrord.transfer.writes import Write


async def put(job: Job, source: Source, observed: Observed, means: Means, body: memoryview) -> Copied:
    """Send `body`, all bytes of the revision `observed`, as one object."""
    store = means.store
    checksum = await checksums.digest(job.checksum, body)
    await source.confirm(observed)
    await means.ledger.completing(checksum)
    write = Write(
        store=store,
        at=job.at,
        transfer_id=job.options.metadata.get(META_TRANSFER, ""),
        size=len(body),
        whole=checksum,
        repeats=means.repeats,
    )
    stored = await write.settled(
        lambda: store.put_object(job.at, body, job.options, checksum, if_none_match=job.if_none_match)
    )
    return Copied(
        transfer_id=job.transfer_id,
        revision=job.copied(observed.revision),
        kind=TransferKind.PUT,
        size=len(body),
        parts=1,
        etag=stored.etag,
        checksum=checksum,
        integrity=proof.of_put(checksum, stored, len(body), store.provider),
    )
