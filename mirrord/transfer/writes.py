"""A write that makes an object visible, Put or Complete: repeated where it is safe, its outcome settled by asking.

Owns guarantee 6 within one attempt. What the store says of such a write may be untrue: an answer can be lost, a 412 can
mean our own earlier try, NoSuchUpload a Complete that worked (FIELD_NOTES 2, 3, 9). A HEAD decides, by the transfer's
id in the object's metadata, before anything else goes to that key. An object without such an id is never guessed about.

An answer that says it worked is checked too: a HEAD follows unless the answer proves the bytes by itself and, after
Complete, the store's answers are known to name the ETag that HEAD shows.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
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
from mirrord.model import META_TRANSFER, Checksum, Destination, StoredObject
from mirrord.ports import ObjectStore
from mirrord.transfer.retry import WRITE_RETRY, RetryPolicy

_DOUBTFUL = (OutcomeUnknown, PreconditionFailed, NoSuchUpload)
"""After these a HEAD tells whether it happened."""
_REPEATED = (OutcomeUnknown, StoreUnavailable, ChecksumMismatch, InvalidPart)
"""It did not happen. The last two: the bytes, or the list of parts, were damaged on their way; the buffer still is
what was hashed."""


def has_transfer_id(transfer_id: str, standing: StoredObject | None) -> bool:
    """Whether the object was written with this transfer's id, which is unguessable and set before the first byte."""
    return standing is not None and standing.metadata.get(META_TRANSFER) == transfer_id


def is_written_by(transfer_id: str, standing: StoredObject) -> bool:
    """Whether the object is this transfer's, and can be recognised later: an object without an ETag could not."""
    return has_transfer_id(transfer_id, standing) and bool(standing.etag.strip('"'))


def confirms_write(transfer_id: str, whole: Checksum | None, standing: StoredObject | None) -> bool:
    """Whether the object that stands is this transfer's work, and no other checksum is shown for it."""
    if standing is None or not is_written_by(transfer_id, standing):
        return False
    told = standing.checksum
    return whole is None or told is None or whole.kind is not told.kind or whole == told


class ETagAgreement:
    """What HEADs have shown of a store's answers to CompleteMultipartUpload: whether they name the ETag of the object.

    Lives as long as the process. `rclone serve s3` answers with another ETag than its HEAD shows, and Ceph RGW 16 with
    none: where that was seen once, no answer is believed again. Buckets of one store may be encrypted or compressed, so
    each is known by itself.
    """

    def __init__(self) -> None:
        self._agree: dict[tuple[str, str], bool] = {}

    def confirmed(self, at: Destination) -> bool:
        """Whether every HEAD after such an answer showed its ETag, and there was one."""
        return self._agree.get((at.endpoint, at.bucket), False)

    def observe(self, at: Destination, *, agrees: bool) -> None:
        bucket = at.endpoint, at.bucket
        self._agree[bucket] = agrees and self._agree.get(bucket, True)


def never(_: StoredObject) -> bool:
    """For writes whose answer proves nothing by itself."""
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectWrite:
    """One object on its way to being visible: `whole` is its checksum, `transfer_id` None if it will carry none.

    `proves` says whether an answer shows what the object holds; `answers` what is known of their ETags, None: that the
    next look at the object will do.
    """

    store: ObjectStore
    at: Destination
    transfer_id: str | None
    size: int
    whole: Checksum | None
    proves: Callable[[StoredObject], bool] = never
    etags: ETagAgreement | None = None
    retry: RetryPolicy = WRITE_RETRY

    async def resolve(self, ask: Callable[[], Awaitable[StoredObject]]) -> StoredObject:
        """What stands once `ask`, tried as often as it takes, is known to have happened.

        Raises the error that says it did not happen; OutcomeUnknown where the store tells nothing even when asked.
        """
        outcome = await self.retry.run(partial(self._asked, ask), self._passes)
        if isinstance(outcome, OutcomeUnknown):
            raise outcome
        return outcome

    async def _asked(self, ask: Callable[[], Awaitable[StoredObject]]) -> StoredObject | OutcomeUnknown:
        """What stands after one request; OutcomeUnknown, which must not be repeated, where no HEAD tells.

        Raises the error after which nothing of ours stands.
        """
        try:
            return await self._shown(await ask())
        except _DOUBTFUL as error:
            try:
                standing = await self._standing(error)
            except OutcomeUnknown as unknown:
                return unknown
            if standing is None:
                raise
            return standing

    async def _shown(self, answer: StoredObject) -> StoredObject:
        """The object as a HEAD shows it; `answer` where that needs no HEAD, or the store gives none (403, an outage).

        Also where an object of another transfer stands there: whoever wrote it, wrote later. Raises OutcomeUnknown if
        nothing stands there, and the answer proves nothing either.
        """
        proven = self.proves(answer)
        if self.transfer_id is None or (proven and (self.etags is None or self.etags.confirmed(self.at))):
            return answer
        try:
            standing = await self.store.head_object(self.at)
        except StoreError:
            return answer
        if standing is None and not proven:
            raise OutcomeUnknown(
                f"{self.at}: the store said that it was stored, and HEAD shows no object; check endpoint_url"
            )
        if standing is None or not is_written_by(self.transfer_id, standing):
            return answer
        if self.etags is not None:
            self.etags.observe(self.at, agrees=standing.etag == answer.etag)
        return standing

    def _passes(self, error: MirrordError) -> bool:
        """No repeat before a Retry-After is over: the breaker enforces it, for all items of the store."""
        if not isinstance(error, _REPEATED) or error.retry_after:
            return False
        return self.transfer_id is not None or not isinstance(error, OutcomeUnknown)

    async def _standing(self, doubt: MirrordError) -> StoredObject | None:
        """Our object, if it stands; None: the store says it does not. Raises OutcomeUnknown if it cannot be asked."""
        if self.transfer_id is None:
            return None
        try:
            standing = await self.retry.run(
                partial(self.store.head_object, self.at),
                lambda error: isinstance(error, StoreUnavailable) and not error.retry_after,
            )
        except StoreError as error:
            raise OutcomeUnknown(f"{doubt}; whether it happened, {error}", answered=error.answered) from doubt
        ours = confirms_write(self.transfer_id, self.whole, standing) and standing and standing.size == self.size
        return standing if ours else None
