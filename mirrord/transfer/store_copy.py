"""A copy that the store makes of one of its own objects: CopyObject, or UploadPartCopy for each part.

Owns the proof: the store shows a checksum or an ETag of the copy that equals the original's. A store that refuses, or
that shows nothing to compare, raises StoreCopyRefused: the caller then sends the bytes. Each request is pinned to the
ETag of the original; SourceChanged: it is another object now. Reads and sends no byte.
"""

from dataclasses import replace

from mirrord.errors import (
    BucketMissing,
    IntegrityError,
    PreconditionFailed,
    SourceChanged,
    StoreCopyRefused,
    StoreCopyUnproven,
    StoreDenied,
    StoreRefused,
)
from mirrord.frozen import frozen
from mirrord.model import Copied, Integrity, Observed, StoredObject, TransferKind, VersionAt
from mirrord.planning.transfers.resume import missing_ranges
from mirrord.transfer import proof
from mirrord.transfer.multipart import MultipartUpload
from mirrord.transfer.spec import ByteCounter, Original, TransferContext, TransferSpec
from mirrord.transfer.writes import ObjectWrite, has_transfer_id

_REFUSED = (StoreRefused, StoreDenied, BucketMissing)


@frozen
class StoreCopy:
    """One copy. `counter` counts the bytes that the store confirmed."""

    spec: TransferSpec
    original: Original
    observed: Observed
    context: TransferContext
    counter: ByteCounter

    async def made(self) -> Copied:
        """Make the copy and prove it. Raises SourceChanged, StoreCopyRefused, PreconditionFailed (an object exists at
        the key), and what `ObjectWrite.resolve` raises."""
        multipart = self.spec.layout.kind is TransferKind.MULTIPART
        try:
            stored = await (self._in_parts() if multipart else self._at_once())
        except _REFUSED as error:
            raise StoreCopyRefused(f"the store does not copy {self.original.at}: {error}", answered=True) from error
        return self._proven(stored)

    async def _at_once(self) -> StoredObject:
        new, original, store = self.spec.new, self.original, self.context.store
        if new.if_none_match and await store.head_object(new.at) is not None:  # CopyObject has no such condition
            raise PreconditionFailed(f"CopyObject {new.at}: an object exists already", answered=True)
        await self.context.ledger.completing(original.known)
        write = ObjectWrite(
            store=store,
            at=new.at,
            transfer_id=new.transfer_id,
            size=original.stored.size,
            whole=original.known,
            retry=self.context.retry.of_writes,
        )
        etag, size = original.stored.etag, original.stored.size
        try:
            stored = await write.resolve(
                lambda: store.copy_object(original.at, new.at, new.options, original.checksum, if_match=etag, size=size)
            )
        except PreconditionFailed as error:
            raise self._changed(error) from error
        self.counter.sent(size)
        return await self._with_options(stored)

    async def _with_options(self, stored: StoredObject) -> StoredObject:
        """An object that was copied to itself looks like before where the store ignores the new options."""
        new = self.spec.new
        if stored.from_head or self.original.at != new.at or new.transfer_id is None:
            return stored
        current = await self.context.store.head_object(new.at)
        if current is None or not has_transfer_id(new.transfer_id, current):
            raise StoreCopyRefused(f"the store copies {new.at} to itself without its new options", answered=True)
        return current

    async def _in_parts(self) -> StoredObject:
        spec = self.spec
        upload = MultipartUpload(
            self.context, spec.new, concurrency=spec.layout.concurrency, resumed=spec.resumed, sent=self.counter.sent
        )
        async with upload:
            try:
                await self._copy_parts(upload)
            except PreconditionFailed as error:
                raise self._changed(error) from error
            await self._confirm()
            stored, _ = await upload.complete()
        return stored

    async def _copy_parts(self, upload: MultipartUpload) -> None:
        size, part_size = self.original.stored.size, self.spec.layout.sizes.first
        for missing in missing_ranges(size, part_size, self.spec.resumed.parts if self.spec.resumed else {}):
            for start in range(missing.start, missing.end, part_size):
                end = min(start + part_size, missing.end)
                await upload.send_copied(
                    self.original.at, start // part_size + 1, start, end, self.original.stored.etag
                )
        await upload.wait_for_parts()

    async def _confirm(self) -> None:
        """The parts are of one object also at a store that ignores the condition of UploadPartCopy."""
        at, etag = self.original.at, self.original.stored.etag
        if isinstance(at, VersionAt):  # a version is never replaced
            return
        now = await self.context.store.head_object(at)
        if now is None or now.etag != etag:
            raise SourceChanged(f"{at}: it was replaced while its parts were copied", answered=True)

    def _changed(self, error: PreconditionFailed) -> SourceChanged:
        return SourceChanged(f"{self.original.at}: another object since it was checked ({error})", answered=True)

    def _proven(self, stored: StoredObject) -> Copied:
        spec, original = self.spec, self.original.stored
        try:
            level = proof.of_object_copy(replace(original, checksum=self.original.known), stored)
        except IntegrityError as error:
            self.context.ledger.mismatched(stored)
            raise StoreCopyRefused(f"the store's copy of {self.original.at} differs: {error}", answered=True) from error
        if level is Integrity.LENGTH and self.original.recorded is None:
            self.context.ledger.mismatched(stored)
            raise StoreCopyUnproven(
                f"the store shows no checksum or ETag that proves its copy of {self.original.at}", answered=True
            )
        return Copied(
            transfer_id=spec.transfer_id,
            revision=self.observed.revision,
            kind=spec.layout.kind,
            size=stored.size,
            parts=len(range(0, stored.size, max(1, spec.layout.sizes.first))) or 1,
            etag=stored.etag,
            etag_from_head=stored.from_head,
            checksum=stored.checksum or self.original.recorded,
            integrity=level,
            reused=True,
        )
