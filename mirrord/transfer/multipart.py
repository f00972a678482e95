"""One multipart upload, from create to complete or abort: the S3 part of a large transfer, whoever brings the bytes.

Owns the order of things: the undo stands from the moment the upload is born; on any error or cancellation the parts in
flight are cancelled, then drained, then the upload is aborted (an abort with parts in flight leaves parts behind,
FIELD_NOTES 9), each step bounded, none cut short by another cancellation. An upload whose completion was asked for, and
whose outcome is unknown, is left open: an abort may destroy the object (17). Repeats a part, whose upload is
idempotent, from its own buffer, Create (what a lost answer may have left is the ledger's to remember) and the abort;
`writes` settles Complete. Knows no source: `copy` and the library's MultipartUploader bring buffers.
A ledger's edges (opened, part done, completing) have one place each: `_create`, `_send`, `complete`; where it keeps the
parts for another attempt, the abort is left out.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from types import TracebackType
from typing import Any, Self, TypeVar

from mirrord import checksums
from mirrord.aio import drain, finish
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
from mirrord.model import (
    META_TRANSFER,
    Checksum,
    ChecksumKind,
    Destination,
    Integrity,
    ObjectOptions,
    Part,
    StoredObject,
)
from mirrord.ports import ObjectStore
from mirrord.transfer import proof
from mirrord.transfer.answers import Answers
from mirrord.transfer.budget import Buffer
from mirrord.transfer.ledger import NO_LEDGER, Kept, Ledger
from mirrord.transfer.retry import PART_RETRY
from mirrord.transfer.writes import Write, carries

T = TypeVar("T")

DRAIN_DEADLINE = 15.0
ABORT_DEADLINE = 30.0
"""Seconds. A store that answers nothing holds up a failed transfer for their sum at the most."""
_AGAIN = (StoreUnavailable, OutcomeUnknown, ChecksumMismatch)
_REFUSED = (StoreRefused, StoreDenied, BucketMissing, ChecksumMismatch)
"""Answers to CompleteMultipartUpload that say that it did not happen."""


def ignore(_: Any) -> None:
    """For callbacks that nobody wants."""


class Multipart:
    """`async with Multipart(store, at, options, kind, …) as upload`: send buffers, then complete.

    With `kept` it goes on with that upload, else it creates one. Leaving the context without `complete` aborts, unless
    `ledger` keeps the parts. `sent` is told the bytes of each part that the store confirmed, `aborted` the id of an
    upload that was undone.
    """

    def __init__(
        self, store: ObjectStore, at: Destination, options: ObjectOptions, kind: ChecksumKind, *, concurrency: int = 4
    ) -> None:
        self._store = store
        self._at = at
        self._options = options
        self._kind = kind
        self.concurrency = concurrency
        self.retry = PART_RETRY
        self.ledger: Ledger = NO_LEDGER
        self.kept: Kept | None = None
        self.answers = Answers()
        self.sent: Callable[[int], None] = ignore
        self.aborted: Callable[[str], None] = ignore
        self.upload_id: str | None = None
        self.begun = 0
        """Parts handed over; unless it is given, the next one's number is one more."""
        self.parts: dict[int, Part] = {}
        """Parts that the store confirmed, by number."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._recorded = False
        self._completed = False
        self._requests = 0
        """CompleteMultipartUpload requests whose outcome is unknown."""

    @property
    def most_parts(self) -> int:
        """How many parts the store takes."""
        return self._store.provider.max_parts

    async def __aenter__(self) -> Self:
        self._failure: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
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
            await self._turn()
            number = self._numbered(number)
        except BaseException:
            buffer.give_back()
            raise
        task = asyncio.create_task(self._send(number, buffer, size), name=f"part {number} of {self._at}")
        task.add_done_callback(buffer_returner(buffer))  # a task cancelled before its first step runs no `finally`
        task.add_done_callback(self._ended)
        self._tasks.add(task)

    async def settled(self) -> None:
        """Wait until every part handed over is confirmed. Raises the error of one that failed."""
        while self._tasks and not self._failure.done():
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        self._raise_failure()

    async def beside(self, work: Coroutine[Any, Any, T]) -> T:
        """Await `work`, unless a part fails first: then `work` is cancelled and the part's error raised at once."""
        task = asyncio.create_task(work)
        try:
            await asyncio.wait((task, self._failure), return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                self._raise_failure()
            return await task
        finally:
            await drain((task,))

    async def complete(self, *, if_none_match: bool = False) -> tuple[StoredObject, Checksum | None]:
        """Make the object visible, under a full-object checksum where the parts' checksums combine. An empty object has
        none: MinIO refuses it with one.

        No call of it is cut short by a cancellation, whose outcome would be unknown; the store's deadline bounds it.
        """
        await self.settled()
        parts = [self.parts[number] for number in sorted(self.parts)]
        whole = self._whole(parts)
        write = Write(
            store=self._store,
            at=self._at,
            transfer_id=self._options.metadata.get(META_TRANSFER, ""),
            size=sum(part.size for part in parts),
            whole=whole,
            proves=lambda answer: self._proves(whole, parts, answer),
            answers=self.answers,
            retry=self.retry.of_writes,
        )
        try:
            stored = await write.settled(lambda: finish(self._complete(parts, whole, if_none_match)))
        except (PreconditionFailed, NoSuchUpload):
            await finish(self._refused())  # a HEAD showed that the object is not this upload's
            raise
        self._completed = True
        return stored, whole

    # ── one part ──────────────────────────────────────────────────────────────────────────────────
    def _numbered(self, number: int | None) -> int:
        number = self.begun + 1 if number is None else number
        most = self.most_parts
        if number > most:
            raise SourceTooLarge(
                f"{self._at} does not fit {most:,} parts, all that {self._store.provider.name} takes: "
                "set a larger upload.part_size"
            )
        self.begun += 1
        return number

    async def _turn(self) -> None:
        self._raise_failure()
        while len(self._tasks) >= self.concurrency:
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
            self._raise_failure()

    async def _send(self, number: int, buffer: Buffer, size: int) -> None:
        body = buffer.view[:size]
        checksum = await checksums.digest(self._kind, body)
        part = await self._confirmed(number, body, checksum)
        await self.ledger.part_done(part)
        self.parts[number] = part
        self.sent(part.size)

    async def _confirmed(self, number: int, body: memoryview, checksum: Checksum | None) -> Part:
        part = await self.retry.run(
            lambda: self._store.upload_part(self._at, self._upload, number, body, checksum),
            lambda error: isinstance(error, _AGAIN),
        )
        return replace(part, checksum=checksum)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = OutcomeUnknown(f"{task.get_name()} was cut short") if task.cancelled() else task.exception()
        if error is not None and not self._failure.done():
            self._failure.set_result(error)

    def _raise_failure(self) -> None:
        if self._failure.done():
            raise self._failure.result()

    # ── the upload ────────────────────────────────────────────────────────────────────────────────
    @property
    def _upload(self) -> str:
        if self.upload_id is None:
            raise RuntimeError("the upload is not open: use `async with`")
        return self.upload_id

    async def _open(self) -> None:
        if self.kept is not None:
            self.upload_id, self.parts = self.kept.upload_id, dict(self.kept.parts)
            self._requests = int(self.kept.uncertain)
        else:
            await self._created()
        self._recorded = True

    async def _created(self) -> None:
        """Create, until the store says an id. An answer that was lost may have left an upload: the ledger notes it."""
        await self.retry.of_writes.run(
            lambda: finish(self._create()),  # cut short, it would leave an upload whose id nobody knows
            lambda error: isinstance(error, StoreUnavailable | OutcomeUnknown) and not error.retry_after,
        )

    async def _create(self) -> None:
        try:
            self.upload_id = await self._store.create_upload(self._at, self._options, self._kind)
        except OutcomeUnknown:
            await self.ledger.unanswered()
            raise
        await self.ledger.opened(self.upload_id)

    def _proves(self, whole: Checksum | None, parts: list[Part], answer: StoredObject) -> bool:
        if self._kind is ChecksumKind.NONE:
            return True
        return proof.multipart_level(whole, parts, answer) is not Integrity.LENGTH

    def _whole(self, parts: list[Part]) -> Checksum | None:
        pieces = [(part.checksum, part.size) for part in parts if part.checksum is not None]
        if not checksums.combines(self._kind) or not any(size for _, size in pieces):
            return None
        return checksums.combine(self._kind, pieces)

    async def _complete(self, parts: list[Part], whole: Checksum | None, if_none_match: bool) -> StoredObject:
        await self.ledger.completing(whole)
        self._requests += 1
        try:
            stored = await self._store.complete_upload(
                self._at, self._upload, parts, whole, if_none_match=if_none_match
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
            await self.ledger.complete_refused()

    async def _undo(self, error: BaseException | None) -> None:
        """Drain, then abort unless it is kept. What goes wrong here is noted on `error`, which stays the one raised."""
        failed = await finish(self._drain_and_abort(error))
        if failed is not None and error is None:
            raise failed

    async def _drain_and_abort(self, error: BaseException | None) -> MirrordError | None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=DRAIN_DEADLINE)
        if self.upload_id is None or (self._recorded and self.ledger.keeps(error)):
            return None
        if self._requests and not await self._abortable():
            if error is not None:
                error.add_note(f"upload {self.upload_id} of {self._at} is left open: it may have been completed")
            return None
        failed = await self._abort(self.upload_id)
        if failed is not None and error is not None:
            error.add_note(f"upload {self.upload_id} of {self._at} could not be aborted: {failed}")
        return failed

    async def _abortable(self) -> bool:
        """Whether an abort is safe although the outcome of CompleteMultipartUpload is unknown (guarantee 5)."""
        transfer_id = self._options.metadata.get(META_TRANSFER)
        if not transfer_id or not self._store.provider.late_abort_harmless:
            return False
        try:
            return not carries(transfer_id, await self._store.head_object(self._at))
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
        self.aborted(upload_id)
        return None

    async def _aborting(self, upload_id: str) -> None:
        await self.retry.of_writes.run(
            lambda: self._store.abort_upload(self._at, upload_id),
            lambda error: isinstance(error, StoreUnavailable) and not error.retry_after,
        )


def buffer_returner(buffer: Buffer) -> Callable[[object], None]:
    """A callback that gives `buffer` back when its task is over, however it ended."""

    def give_back(_: object) -> None:
        buffer.give_back()

    return give_back
