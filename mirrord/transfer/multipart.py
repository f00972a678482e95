"""One multipart upload, from CreateMultipartUpload to Complete or Abort.

Owns the order of the requests and the undo. The undo is active from the moment the upload exists: on any error or
cancellation the parts in flight are cancelled and drained, then the upload is aborted. An abort with parts in flight
would leave parts at the store (FIELD_NOTES 9). Each step of the undo has a deadline and ignores a second cancellation.
There is no abort if the ledger keeps the parts for another attempt, or if CompleteMultipartUpload was sent and its
outcome is unknown: such an abort may destroy the object (FIELD_NOTES 17).

Retries a part from its own buffer (UploadPart is idempotent), Create (the ledger records that a lost answer may have
left an upload) and Abort. `writes` resolves the outcome of Complete. Reads no source: `copy` and the library's
MultipartUploader give filled buffers. Each step of the ledger is recorded in one place: `_create` (opened,
unanswered), `_part_done`, `_complete` (completing) and `_complete_refused`.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

from mirrord import checksums
from mirrord.aio import finish
from mirrord.errors import (
    BucketMissing,
    ChecksumMismatch,
    MirrordError,
    NoSuchUpload,
    OutcomeUnknown,
    PreconditionFailed,
    SourceTooLarge,
    StoreDenied,
    StoreRefused,
    StoreUnavailable,
)
from mirrord.model import Checksum, ChecksumKind, Destination, Integrity, Part, StoredObject
from mirrord.ports import ObjectStore
from mirrord.transfer import proof
from mirrord.transfer.budget import Buffer
from mirrord.transfer.ledger import ResumedUpload
from mirrord.transfer.part_tasks import PartTasks
from mirrord.transfer.spec import NewObject, TransferContext, ignore
from mirrord.transfer.writes import ObjectWrite, has_transfer_id

T = TypeVar("T")

DRAIN_DEADLINE = 15.0
ABORT_DEADLINE = 30.0
"""Seconds. A store that does not answer delays the end of a failed transfer by at most their sum."""
_RETRYABLE = (StoreUnavailable, OutcomeUnknown, ChecksumMismatch)
_REFUSED = (StoreRefused, StoreDenied, BucketMissing, ChecksumMismatch)
"""Answers to CompleteMultipartUpload after which the object is certainly not visible."""


class MultipartUpload:
    """`async with MultipartUpload(context, new, …) as upload`: send buffers, then complete. Needs a running event loop.

    With `resumed` it continues that upload, else it creates one. Leaving the block without `complete` aborts, unless
    the context's ledger keeps the parts. `sent` is called with the size in bytes of each part that the store confirmed.
    """

    def __init__(
        self,
        context: TransferContext,
        new: NewObject,
        *,
        concurrency: int = 4,
        resumed: ResumedUpload | None = None,
        sent: Callable[[int], None] = ignore,
    ) -> None:
        self._context = context
        self._new = new
        self._resumed = resumed
        self._sent = sent
        self._tasks = PartTasks(concurrency)
        self.upload_id: str | None = None
        self.started = 0
        """How many parts were given to `send`. The default number of the next part is one more."""
        self.parts: dict[int, Part] = {}
        """Parts that the store confirmed, by number."""
        self._id_recorded = False
        self._completed = False
        self._uncertain_completes = 0
        """How many CompleteMultipartUpload requests have an unknown outcome."""

    @property
    def concurrency(self) -> int:
        """How many parts may be in flight at once."""
        return self._tasks.concurrency

    @property
    def _store(self) -> ObjectStore:
        return self._context.store

    async def __aenter__(self) -> Self:
        try:
            await self._open()
        except BaseException as error:
            await self._undo(error)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._completed:
            await self._undo(error)

    async def send(self, buffer: Buffer, size: int, number: int | None = None) -> None:
        """Become the owner of `buffer`, whose first `size` bytes are part `number`; return when the part may start.

        Raises the error of any failed part, and SourceTooLarge if `number` is over the store's limit of parts.
        """
        try:
            await self._tasks.wait_for_slot()
            number = self._take_number(number)
        except BaseException:
            buffer.release()
            raise
        self._tasks.start(self._send_part(number, buffer, size), buffer, f"part {number} of {self._new.at}")

    async def send_copied(self, source: Destination, number: int, start: int, end: int, etag: str) -> None:
        """Have the store copy the bytes [start, end) of its object `source` as part `number`; return when the part may
        start. Raises the error of any failed part."""
        await self._tasks.wait_for_slot()
        number = self._take_number(number)
        self._tasks.start(self._copy_part(source, number, start, end, etag), None, f"part {number} of {self._new.at}")

    async def wait_for_parts(self) -> None:
        """Wait until the store confirmed every part. Raises the error of a failed part."""
        await self._tasks.wait()

    async def race(self, work: Coroutine[Any, Any, T]) -> T:
        """Await `work` and return its result. If a part fails first, cancel `work` and raise its error."""
        return await self._tasks.race(work)

    async def complete(self) -> tuple[StoredObject, Checksum | None]:
        """Make the object visible. Returns the object as stored, and the full-object checksum sent with Complete.

        There is a full-object checksum if the kind of the parts' checksums can be combined. An empty object has none,
        because MinIO refuses Complete of an empty object with a checksum. A cancellation does not interrupt a request,
        because its outcome would then be unknown; the store's deadline bounds it. Raises what `ObjectWrite.resolve`
        raises.
        """
        await self.wait_for_parts()
        parts = [self.parts[number] for number in sorted(self.parts)]
        whole = self._whole(parts)
        write = ObjectWrite(
            store=self._store,
            at=self._new.at,
            transfer_id=self._new.transfer_id,
            size=sum(part.size for part in parts),
            whole=whole,
            proves=lambda answer: self._proves(whole, parts, answer),
            etags=self._context.etags,
            retry=self._context.retry.of_writes,
        )
        try:
            stored = await write.resolve(lambda: finish(self._complete(parts, whole)))
        except (PreconditionFailed, NoSuchUpload):
            await finish(self._complete_refused())  # a HEAD showed that this upload did not make the object
            raise
        self._completed = True
        return stored, whole

    # ── one part ──────────────────────────────────────────────────────────────────────────────────
    def _take_number(self, number: int | None) -> int:
        number = self.started + 1 if number is None else number
        most = self._store.provider.max_parts
        if number > most:
            raise SourceTooLarge(
                f"{self._new.at} does not fit {most:,} parts, all that {self._store.provider.name} takes: "
                "set a larger upload.part_size"
            )
        self.started += 1
        return number

    async def _send_part(self, number: int, buffer: Buffer, size: int) -> None:
        body = buffer.view[:size]
        checksum = await checksums.digest(self._new.checksum, body)
        await self._part_done(await self._upload_part(number, body, checksum))

    async def _part_done(self, part: Part) -> None:
        await self._context.ledger.part_done(part)
        self.parts[part.number] = part
        self._sent(part.size)

    async def _copy_part(self, source: Destination, number: int, start: int, end: int, etag: str) -> None:
        copied = partial(self._store.copy_part, source, self._new.at, self._upload, number, start, end, if_match=etag)
        await self._part_done(await self._context.retry.run(copied, lambda error: isinstance(error, _RETRYABLE)))

    async def _upload_part(self, number: int, body: memoryview, checksum: Checksum | None) -> Part:
        part = await self._context.retry.run(
            partial(self._store.upload_part, self._new.at, self._upload, number, body, checksum),
            lambda error: isinstance(error, _RETRYABLE),
        )
        return replace(part, checksum=checksum)

    # ── the upload ────────────────────────────────────────────────────────────────────────────────
    @property
    def _upload(self) -> str:
        if self.upload_id is None:
            raise RuntimeError("the upload is not open: use `async with`")
        return self.upload_id

    async def _open(self) -> None:
        if self._resumed is not None:
            self.upload_id, self.parts = self._resumed.upload_id, dict(self._resumed.parts)
            self._uncertain_completes = int(self._resumed.uncertain)
        else:
            await self._create_with_retries()
        self._id_recorded = True

    async def _create_with_retries(self) -> None:
        """Create the upload, with retries. A lost answer may leave an upload at the store: the ledger records that."""
        await self._context.retry.of_writes.run(
            lambda: finish(self._create()),  # a cancelled request could leave an upload with an unknown id
            lambda error: isinstance(error, StoreUnavailable | OutcomeUnknown) and not error.retry_after,
        )

    async def _create(self) -> None:
        try:
            self.upload_id = await self._store.create_upload(self._new.at, self._new.options, self._new.checksum)
        except OutcomeUnknown:
            await self._context.ledger.unanswered()
            raise
        await self._context.ledger.opened(self.upload_id)

    def _proves(self, whole: Checksum | None, parts: list[Part], answer: StoredObject) -> bool:
        if self._new.checksum is ChecksumKind.NONE:
            return True
        return proof.multipart_level(whole, parts, answer) is not Integrity.LENGTH

    def _whole(self, parts: list[Part]) -> Checksum | None:
        pieces = [(part.checksum, part.size) for part in parts if part.checksum is not None]
        if not checksums.combines(self._new.checksum) or not any(size for _, size in pieces):
            return None
        return checksums.combine(self._new.checksum, pieces)

    async def _complete(self, parts: list[Part], whole: Checksum | None) -> StoredObject:
        await self._context.ledger.completing(whole)
        self._uncertain_completes += 1
        try:
            stored = await self._store.complete_upload(
                self._new.at, self._upload, parts, whole, if_none_match=self._new.if_none_match
            )
        except _REFUSED:
            await self._complete_refused()
            raise
        self._completed = True
        return stored

    async def _complete_refused(self) -> None:
        """The last CompleteMultipartUpload did not make the object visible."""
        self._uncertain_completes -= 1
        if not self._uncertain_completes:
            await self._context.ledger.complete_refused()

    async def _undo(self, error: BaseException | None) -> None:
        """Drain, then abort unless the parts are kept. An error of the abort becomes a note of `error`; without
        `error` it is raised."""
        failed = await finish(self._drain_and_abort(error))
        if failed is not None and error is None:
            raise failed

    async def _drain_and_abort(self, error: BaseException | None) -> MirrordError | None:
        await self._tasks.cancel(DRAIN_DEADLINE)
        if self.upload_id is None or (self._id_recorded and self._context.ledger.keeps(error)):
            return None
        if self._uncertain_completes and not await self._abortable():
            if error is not None:
                error.add_note(f"upload {self.upload_id} of {self._new.at} is left open: it may have been completed")
            return None
        failed = await self._abort(self.upload_id)
        if failed is not None and error is not None:
            error.add_note(f"upload {self.upload_id} of {self._new.at} could not be aborted: {failed}")
        return failed

    async def _abortable(self) -> bool:
        """Whether an abort is safe although the outcome of CompleteMultipartUpload is unknown."""
        transfer_id = self._new.transfer_id
        if transfer_id is None or not self._store.provider.late_abort_harmless:
            return False
        try:
            return not has_transfer_id(transfer_id, await self._store.head_object(self._new.at))
        except MirrordError:
            return False

    async def _abort(self, upload_id: str) -> MirrordError | None:
        try:
            async with asyncio.timeout(ABORT_DEADLINE):
                await self._abort_with_retries(upload_id)
        except MirrordError as error:
            return error
        except TimeoutError:
            return StoreUnavailable(f"no answer within {ABORT_DEADLINE:.0f} s")
        self._context.aborted(upload_id)
        return None

    async def _abort_with_retries(self, upload_id: str) -> None:
        await self._context.retry.of_writes.run(
            partial(self._store.abort_upload, self._new.at, upload_id),
            lambda error: isinstance(error, StoreUnavailable) and not error.retry_after,
        )
