"""One multipart upload, from create to complete or abort: the S3 part of a large transfer, whoever brings the bytes.

Owns the order of its calls and the undo, which stands from the moment the upload exists: on any error or cancellation
the parts in flight are cancelled and drained, then the upload is aborted (an abort with parts in flight leaves parts
behind, FIELD_NOTES 9). Each step is bounded, and another cancellation cuts none short. An upload whose completion was
asked for, and whose outcome is unknown, is left open: an abort may destroy the object (17).

Repeats a part from its own buffer (its upload is idempotent), Create (the ledger records what a lost answer may have
left) and the abort; `writes` settles Complete. Knows no source: `copy` and the library's MultipartUploader bring
buffers. Each edge of the ledger (opened, part done, completing) has one place: `_create`, `_send`, `complete`. If the
ledger keeps the parts for another attempt, there is no abort.
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
from mirrord.model import Checksum, ChecksumKind, Integrity, Part, StoredObject
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
"""Seconds. A store that answers nothing holds up a failed transfer for their sum at the most."""
_AGAIN = (StoreUnavailable, OutcomeUnknown, ChecksumMismatch)
_REFUSED = (StoreRefused, StoreDenied, BucketMissing, ChecksumMismatch)
"""Answers to CompleteMultipartUpload that say that it did not happen."""


class MultipartUpload:
    """`async with MultipartUpload(context, new, …) as upload`: send buffers, then complete. Needs a running event loop.

    With `resumed` it goes on with that upload, else it creates one. Leaving the context without `complete` aborts,
    unless the context's ledger keeps the parts. `sent` is called with the bytes of each part that the store confirmed.
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
        """Parts handed over; unless it is given, the next one's number is one more."""
        self.parts: dict[int, Part] = {}
        """Parts that the store confirmed, by number."""
        self._recorded = False
        self._completed = False
        self._requests = 0
        """CompleteMultipartUpload requests whose outcome is unknown."""

    @property
    def concurrency(self) -> int:
        """How many parts may be on their way at once."""
        return self._tasks.concurrency

    @property
    def max_parts(self) -> int:
        """How many parts the store takes."""
        return self._store.provider.max_parts

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
        """Take over `buffer`, whose first `size` bytes are part `number`; returns once the part has its turn.

        Raises the error of any part that has failed, and SourceTooLarge when the store takes no further part.
        """
        try:
            await self._tasks.wait_for_slot()
            number = self._numbered(number)
        except BaseException:
            buffer.release()
            raise
        self._tasks.start(self._send(number, buffer, size), buffer, f"part {number} of {self._new.at}")

    async def wait_for_parts(self) -> None:
        """Wait until every part handed over is confirmed. Raises the error of one that failed."""
        await self._tasks.wait()

    async def race(self, work: Coroutine[Any, Any, T]) -> T:
        """Await `work`, unless a part fails first: then `work` is cancelled and the part's error raised at once."""
        return await self._tasks.race(work)

    async def complete(self) -> tuple[StoredObject, Checksum | None]:
        """Make the object visible, under a full-object checksum where the parts' checksums combine. An empty object has
        none: MinIO refuses it with one.

        No call of it is cut short by a cancellation, whose outcome would be unknown; the store's deadline bounds it.
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
            await finish(self._refused())  # a HEAD showed that the object is not this upload's
            raise
        self._completed = True
        return stored, whole

    # ── one part ──────────────────────────────────────────────────────────────────────────────────
    def _numbered(self, number: int | None) -> int:
        number = self.started + 1 if number is None else number
        most = self.max_parts
        if number > most:
            raise SourceTooLarge(
                f"{self._new.at} does not fit {most:,} parts, all that {self._store.provider.name} takes: "
                "set a larger upload.part_size"
            )
        self.started += 1
        return number

    async def _send(self, number: int, buffer: Buffer, size: int) -> None:
        body = buffer.view[:size]
        checksum = await checksums.digest(self._new.checksum, body)
        part = await self._confirmed(number, body, checksum)
        await self._context.ledger.part_done(part)
        self.parts[number] = part
        self._sent(part.size)

    async def _confirmed(self, number: int, body: memoryview, checksum: Checksum | None) -> Part:
        part = await self._context.retry.run(
            partial(self._store.upload_part, self._new.at, self._upload, number, body, checksum),
            lambda error: isinstance(error, _AGAIN),
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
            self._requests = int(self._resumed.uncertain)
        else:
            await self._created()
        self._recorded = True

    async def _created(self) -> None:
        """Create, until the store says an id. An answer that was lost may have left an upload: the ledger notes it."""
        await self._context.retry.of_writes.run(
            lambda: finish(self._create()),  # cut short, it would leave an upload whose id nobody knows
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
        self._requests += 1
        try:
            stored = await self._store.complete_upload(
                self._new.at, self._upload, parts, whole, if_none_match=self._new.if_none_match
            )
        except _REFUSED:
            await self._refused()
            raise
        self._completed = True
        return stored

    async def _refused(self) -> None:
        """The last request did not make the object visible."""
        self._requests -= 1
        if not self._requests:
            await self._context.ledger.complete_refused()

    async def _undo(self, error: BaseException | None) -> None:
        """Drain, then abort unless it is kept. What goes wrong here is noted on `error`, which stays the one raised."""
        failed = await finish(self._drain_and_abort(error))
        if failed is not None and error is None:
            raise failed

    async def _drain_and_abort(self, error: BaseException | None) -> MirrordError | None:
        await self._tasks.cancel(DRAIN_DEADLINE)
        if self.upload_id is None or (self._recorded and self._context.ledger.keeps(error)):
            return None
        if self._requests and not await self._abortable():
            if error is not None:
                error.add_note(f"upload {self.upload_id} of {self._new.at} is left open: it may have been completed")
            return None
        failed = await self._abort(self.upload_id)
        if failed is not None and error is not None:
            error.add_note(f"upload {self.upload_id} of {self._new.at} could not be aborted: {failed}")
        return failed

    async def _abortable(self) -> bool:
        """Whether an abort is safe although the outcome of CompleteMultipartUpload is unknown (guarantee 5)."""
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
                await self._aborting(upload_id)
        except MirrordError as error:
            return error
        except TimeoutError:
            return StoreUnavailable(f"no answer within {ABORT_DEADLINE:.0f} s")
        self._context.aborted(upload_id)
        return None

    async def _aborting(self, upload_id: str) -> None:
        await self._context.retry.of_writes.run(
            partial(self._store.abort_upload, self._new.at, upload_id),
            lambda error: isinstance(error, StoreUnavailable) and not error.retry_after,
        )
