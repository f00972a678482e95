"""A single put: the whole object in one buffer, checked, hashed and sent in one request.

Owns the order: the last byte is proven to be the last, the source is still the same, then the store is asked. What
came of the request, and whether it is made again from the same buffer, is `writes`' to settle.
"""

from collections.abc import Awaitable, Callable
from functools import partial

from mirrord import checksums
from mirrord.errors import IntegrityError
from mirrord.model import Checksum, Copied, Integrity, Observed, StoredObject, TransferKind
from mirrord.ports import ObjectStore, Source
from mirrord.transfer import proof
from mirrord.transfer.job import Job, NewObject, TransferContext
from mirrord.transfer.writes import Write


async def put(job: Job, source: Source, observed: Observed, context: TransferContext, body: memoryview) -> Copied:
    """Send `body`, all bytes of the revision `observed`, as one object."""
    new = job.new
    checksum = await checksums.digest(new.checksum, body)
    await source.confirm(observed)
    await context.ledger.completing(checksum)
    write = write_of(new, context, len(body), checksum)
    stored = await write.settled(put_object(new, context.store, body, checksum))
    try:
        integrity = proof.of_put(checksum, stored, len(body))
    except IntegrityError:
        context.ledger.mismatched(stored)
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


def write_of(new: NewObject, context: TransferContext, size: int, checksum: Checksum | None) -> Write:
    """The write of `size` bytes as one object, whose answer proves them if it shows `checksum`."""
    return Write(
        store=context.store,
        at=new.at,
        transfer_id=new.transfer_id,
        size=size,
        whole=checksum,
        proves=lambda answer: checksum is None or proof.put_level(checksum, answer) is not Integrity.LENGTH,
        retry=context.retry.of_writes,
    )


def put_object(
    new: NewObject, store: ObjectStore, body: memoryview, checksum: Checksum | None
) -> Callable[[], Awaitable[StoredObject]]:
    """One request, which may be made again from the same buffer."""
    return partial(store.put_object, new.at, body, new.options, checksum, if_none_match=new.if_none_match)
