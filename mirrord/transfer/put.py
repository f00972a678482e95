"""A single put: the whole object is in one buffer, is hashed, and is sent in one request.

Owns the order: hash, confirm that the source is still the same revision, record the step in the ledger, send, prove.
The caller has verified that the body is complete. `writes` resolves the outcome and decides about repeats, which are
sent from the same buffer.
"""

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

    Raises SourceChanged before anything is sent, and what `put_body` and `proof.of_put` raise.
    """
    new = spec.new
    checksum = await checksums.digest(new.checksum, body)
    await source.confirm(observed)
    await context.ledger.completing(checksum)
    stored = await put_body(new, context, body, checksum)
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


async def put_body(
    new: NewObject, context: TransferContext, body: memoryview, checksum: Checksum | None
) -> StoredObject:
    """Put `body`, whose checksum is `checksum`, and resolve the outcome. Raises what `ObjectWrite.resolve` raises."""
    write = ObjectWrite(
        store=context.store,
        at=new.at,
        transfer_id=new.transfer_id,
        size=len(body),
        whole=checksum,
        proves=lambda answer: checksum is None or proof.put_level(checksum, answer) is not Integrity.LENGTH,
        retry=context.retry.of_writes,
    )
    return await write.resolve(
        partial(context.store.put_object, new.at, body, new.options, checksum, if_none_match=new.if_none_match)
    )
