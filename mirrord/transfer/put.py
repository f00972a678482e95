"""A single put: the whole object is in one buffer, is hashed, and is sent in one request.

Owns the order: hash, confirm that the source is still the same revision, record the step in the ledger, send, prove.
The caller has verified that the body is complete. `writes` resolves the outcome and decides about repeats, which are
sent from the same buffer.
"""

from collections.abc import Awaitable, Callable
from functools import partial

from mirrord import checksums
from mirrord.errors import IntegrityError
from mirrord.model import Checksum, Copied, Integrity, Observed, StoredObject, TransferKind
from mirrord.ports import Source
from mirrord.transfer import proof
from mirrord.transfer.spec import NewObject, TransferContext, TransferSpec
from mirrord.transfer.writes import ObjectWrite


async def put(
    spec: TransferSpec, source: Source, observed: Observed, context: TransferContext, body: memoryview
) -> Copied:
    """Send `body`, all bytes of the revision `observed`, as one object.

    Raises SourceChanged before anything is sent, and what `ObjectWrite.resolve` and `proof.of_put` raise.
    """
    new = spec.new
    checksum = await checksums.digest(new.checksum, body)
    await source.confirm(observed)
    await context.ledger.completing(checksum)
    stored = await put_write(new, context, len(body), checksum).resolve(put_request(new, context, body, checksum))
    try:
        integrity = proof.of_put(checksum, stored, len(body))
    except IntegrityError:
        context.ledger.mismatched(stored)
        raise
    return Copied(
        transfer_id=spec.transfer_id,
        revision=spec.with_digest(observed.revision),
        kind=TransferKind.PUT,
        size=len(body),
        parts=1,
        etag=stored.etag,
        etag_from_head=stored.from_head,
        checksum=checksum,
        integrity=integrity,
    )


def put_request(
    new: NewObject, context: TransferContext, body: memoryview, checksum: Checksum | None
) -> Callable[[], Awaitable[StoredObject]]:
    """PutObject of `body`, to be called once for each try."""
    return partial(context.store.put_object, new.at, body, new.options, checksum, if_none_match=new.if_none_match)


def put_write(new: NewObject, context: TransferContext, size: int, checksum: Checksum | None) -> ObjectWrite:
    """The write of `size` bytes in one PutObject, proven by `checksum`."""
    return ObjectWrite(
        store=context.store,
        at=new.at,
        transfer_id=new.transfer_id,
        size=size,
        whole=checksum,
        proves=lambda answer: checksum is None or proof.put_level(checksum, answer) is not Integrity.LENGTH,
        retry=context.retry.of_writes,
    )
