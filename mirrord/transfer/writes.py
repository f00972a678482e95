"""A write that makes an object visible (put, Complete, CopyObject): repeats where that is safe, resolves the outcome.

Owns, within one attempt: one change makes one write, so an unknown outcome is resolved before a repeat. The answer to
such a write can be wrong: it can be lost, a 412 can be caused by our own earlier try, NoSuchUpload by a Complete that
succeeded. A HEAD resolves the outcome, by the transfer's id in the object's metadata, before the next write to that
key. Without such an id the outcome stays unknown.

A HEAD also follows a successful answer, unless the answer itself proves the bytes and, after Complete, earlier HEADs of
the bucket agreed with the ETags of the answers.
"""

from collections.abc import Awaitable, Callable
from functools import partial

from mirrord.errors import (
    ChecksumMismatch,
    InvalidPart,
    MirrordError,
    NoSuchUpload,
    OutcomeUnknown,
    PreconditionFailed,
    StoreError,
    StoreUnavailable,
)
from mirrord.frozen import frozen
from mirrord.model import META_TRANSFER, Checksum, Destination, StoredObject, TransferKind
from mirrord.ports import ObjectStore
from mirrord.transfer.retry import WRITE_RETRY, Failures, RetryPolicy

_DOUBTFUL = (OutcomeUnknown, PreconditionFailed, NoSuchUpload)
"""After these errors a HEAD shows whether the write happened."""
_REPEATED = (OutcomeUnknown, StoreUnavailable, ChecksumMismatch, InvalidPart)
"""Repeated if the write did not happen. The last two: the body, or the list of parts, was damaged in transit; the
buffer still has the bytes that were hashed."""


class _Unresolved(OutcomeUnknown):
    """HEAD could not show whether the write happened. Not repeated in this attempt: that could be a second write."""


def has_transfer_id(transfer_id: str, current: StoredObject | None) -> bool:
    """Whether the object has this transfer's id. The id is random and is set before the first byte is sent."""
    return current is not None and current.metadata.get(META_TRANSFER) == transfer_id


def is_written_by(transfer_id: str, current: StoredObject) -> bool:
    """Whether this transfer wrote the object, and its ETag allows to recognise it later."""
    return has_transfer_id(transfer_id, current) and bool(current.etag.strip('"'))


def confirms_write(transfer_id: str, whole: Checksum | None, current: StoredObject | None) -> bool:
    """Whether this transfer wrote the object, and the store shows no checksum that contradicts `whole`."""
    if current is None or not is_written_by(transfer_id, current):
        return False
    shown = current.checksum
    return whole is None or shown is None or whole.kind is not shown.kind or whole == shown


class ETagAgreement:
    """Whether the ETags in a store's answers to CompleteMultipartUpload agree with those that HEAD shows, by bucket.

    Kept until the process ends. `rclone serve s3` answers with another ETag than its HEAD shows, and Ceph RGW 16 with
    none. After one disagreement the answers of that bucket are never used again. Buckets of one store can differ in
    encryption or compression, so each bucket has its own entry.
    """

    def __init__(self) -> None:
        self._agree: dict[tuple[str, str], bool] = {}
        self._unproven_copies = set[tuple[str, str, TransferKind]]()

    def confirmed(self, at: Destination) -> bool:
        """Whether there was a HEAD after such an answer, and every such HEAD showed the same ETag as the answer."""
        return self._agree.get((at.endpoint, at.bucket), False)

    def observe(self, at: Destination, *, agrees: bool) -> None:
        bucket = at.endpoint, at.bucket
        self._agree[bucket] = agrees and self._agree.get(bucket, True)

    def proves_no_copy(self, at: Destination, kind: TransferKind) -> bool:
        """Whether a copy that the store made itself had no ETag and no checksum that proved it."""
        return (at.endpoint, at.bucket, kind) in self._unproven_copies

    def observe_unproven_copy(self, at: Destination, kind: TransferKind) -> None:
        """The bytes are sent to this bucket from now on."""
        self._unproven_copies.add((at.endpoint, at.bucket, kind))


def never(_: StoredObject) -> bool:
    """The default of `ObjectWrite.proves`: no answer is a proof."""
    return False


@frozen(kw_only=True)
class ObjectWrite:
    """The write of one object of `size` bytes. `whole` is its checksum; `transfer_id` is None if it gets no id.

    `proves` returns whether an answer proves the bytes. `etags`: whether the ETags of answers are reliable; None: no
    HEAD is needed for the ETag, because the next check of the item makes one.
    """

    store: ObjectStore
    at: Destination
    transfer_id: str | None
    size: int
    whole: Checksum | None
    proves: Callable[[StoredObject], bool] = never
    etags: ETagAgreement | None = None
    retry: RetryPolicy = WRITE_RETRY

    async def resolve(
        self, request: Callable[[], Awaitable[StoredObject]], failed: MirrordError | None = None
    ) -> StoredObject:
        """Make `request`, with repeats, until its outcome is known. Returns the object as stored. `failed`: the error
        of a first try, which the caller made.

        Raises the error after which the write certainly did not happen, or OutcomeUnknown if no HEAD could show that.
        """
        failures = Failures()
        while True:
            try:
                try:
                    if failed is not None:
                        error, failed = failed, None
                        raise error
                    return await self._confirmed(await request())
                except _DOUBTFUL as error:
                    if (current := await self._current(error)) is None:
                        raise
                    return current
            except MirrordError as error:
                if (wait := self.retry.wait_after(error, self._retryable, failures)) is None:
                    raise
            await self.retry.sleep(wait)

    async def _confirmed(self, answer: StoredObject) -> StoredObject:
        """The object as a HEAD shows it. Returns `answer` if no HEAD is needed, or if HEAD fails (403, an outage).

        Also returns `answer` if the object has another transfer's id: that write came later. Raises OutcomeUnknown if
        there is no object, and the answer proves nothing either.
        """
        proven = self.proves(answer)
        if self.transfer_id is None or (proven and (self.etags is None or self.etags.confirmed(self.at))):
            return answer
        try:
            current = await self.store.head_object(self.at)
        except StoreError:
            return answer
        if current is None and not proven:
            raise OutcomeUnknown(f"{self.at}: the store reported success, and HEAD shows no object; check endpoint_url")
        if current is None or not is_written_by(self.transfer_id, current):
            return answer
        if self.etags is not None:
            self.etags.observe(self.at, agrees=current.etag == answer.etag)
        return current

    def _retryable(self, error: MirrordError) -> bool:
        """No repeat if the store sent Retry-After: the breaker enforces it, for all items of the store."""
        if not isinstance(error, _REPEATED) or isinstance(error, _Unresolved) or error.retry_after:
            return False
        return self.transfer_id is not None or not isinstance(error, OutcomeUnknown)

    async def _current(self, doubt: MirrordError) -> StoredObject | None:
        """The object, if this write made it; None: HEAD shows that it did not. Raises OutcomeUnknown if HEAD fails."""
        if self.transfer_id is None:
            return None
        try:
            current = await self.retry.run(
                partial(self.store.head_object, self.at),
                lambda error: isinstance(error, StoreUnavailable) and not error.retry_after,
            )
        except StoreError as error:
            raise _Unresolved(
                f"{doubt}; HEAD could not show whether it happened: {error}",
                answered=error.answered,
                throttled=error.throttled,
            ) from doubt
        ours = confirms_write(self.transfer_id, self.whole, current) and current and current.size == self.size
        return current if ours else None
