"""All errors that mirrord raises, as one tree. The class says what failed, `recovery` what the caller does about it.

    MirrordError
      PathMissing                    a PATH on the command line does not exist
      ManifestError                  a manifest is invalid; carries every problem found in one pass
      SourceError
        SourceMissing                404, 410, no such file
        SourceDenied                 401, 403, permission denied
        SourceUnavailable            5xx, 429, refused, reset, timed out, cut short
        SourceTimedOut               a file system does not answer
        SourceChanged                another revision was answered during the transfer
        SourceRefused                a rule of the manifest or of mirrord refuses what the source offers
          SourceTooLarge
          KeyRefused                 a file's name makes no allowed key
      StoreError
        StoreDenied                  wrong or insufficient credentials
          ActionDenied               AccessDenied: the policy does not allow this call
        BucketMissing
        StoreUnavailable             5xx, 429, SlowDown, refused, reset, timed out
        StoreRefused                 any other 4xx: a retry would not help
          EntityTooSmall, InvalidPart, InvalidPartOrder
          ConditionRefused           the store does not support If-None-Match
          StoreCopyRefused           the store does not copy one of its own objects
            StoreCopyUnproven        it shows nothing that proves the copy
        PreconditionFailed           If-Match or If-None-Match failed
        NoSuchUpload                 the multipart upload is gone
        OutcomeUnknown               a write was sent and its answer was lost
      IntegrityError
        ChecksumMismatch             bytes differ from what was declared or sent
          ReadbackMismatch           the stored object is not what was sent
        LengthMismatch
      JournalError
        JournalLocked                another mirrord holds the state
        JournalTooNew                written by a newer mirrord
        JournalTakenOver             another process has the lease of the state
        JournalUnavailable           disk full, I/O error; PostgreSQL is away
      MemoryLimitTooSmall            the object's parts cannot fit the memory limit
      ListenFailed                   cannot listen on the status page's address
      NoDaemon                       a command needs a running daemon and none answers
      DaemonRefused                  the daemon's API refused the request

Adapters translate errors of libraries, chain the cause and remove secrets. Cancellation is never wrapped.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from mirrord.frozen import frozen


class Recovery(StrEnum):
    """What the caller does about an error."""

    RETRY = "retry"  # repeat the same step after a pause
    RESTART = "restart"  # start the transfer again from its first byte
    BLOCK = "block"  # the operator must change something; check again at `every`
    DROP = "drop"  # nothing to do


class Reason(StrEnum):
    """Why an item is not Synced: the CamelCase word that is shown beside its state."""

    SOURCE_MISSING = "SourceMissing"
    SOURCE_DENIED = "SourceDenied"
    SOURCE_UNAVAILABLE = "SourceUnavailable"
    SOURCE_CHANGED = "SourceChanged"
    SOURCE_REFUSED = "SourceRefused"
    STILL_GROWING = "StillGrowing"
    NO_MARKER = "NoMarker"
    STORE_DENIED = "StoreDenied"
    STORE_UNAVAILABLE = "StoreUnavailable"
    STORE_REFUSED = "StoreRefused"
    BUCKET_MISSING = "BucketMissing"
    CONFLICT = "Conflict"
    CHECKSUM_MISMATCH = "ChecksumMismatch"
    TOO_LARGE = "TooLarge"
    DRIFTED = "Drifted"
    PRUNE_GUARD = "PruneGuard"
    JOURNAL_UNAVAILABLE = "JournalUnavailable"
    SCHEDULE = "Schedule"
    INTERNAL_ERROR = "InternalError"


# ── names of files ────────────────────────────────────────────────────────────────────────────────
def printable(name: str) -> str:
    """A printable form of a name: bytes that are not text, and control characters, are escaped."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


@frozen
class LeftOut:
    """Files of one kind that a folder's listing found and left out. The plural of `kind` ends with s; `first` is
    printable."""

    kind: str
    count: int
    first: str

    def __str__(self) -> str:
        if self.count == 1:
            return f"1 {self.kind} ({self.first})"
        return f"{self.count:,} {self.kind}s (first: {self.first})"


class MirrordError(Exception):
    """Base class. `str()` is one line for people and contains no secret."""

    recovery: Recovery = Recovery.BLOCK
    reason: Reason = Reason.INTERNAL_ERROR

    def __init__(
        self, message: str, *, retry_after: float | None = None, answered: bool = False, throttled: bool = False
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Retry-After of the answer in seconds; None if there was none."""
        self.answered = answered
        """The host answered with an error status, so it can be reached."""
        self.throttled = throttled
        """The answer was 429, 503 or SlowDown: fewer calls at once may help."""


# ── manifests ─────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One fault of a manifest. Lines and columns count from 1; `path` is the field, `mirrors[0].to`."""

    file: str
    line: int
    column: int
    path: str
    message: str

    def __str__(self) -> str:
        position = f"{self.file}:{self.line}:{self.column}"
        return f"{position}: {self.path}: {self.message}" if self.path else f"{position}: {self.message}"


class PathMissing(MirrordError):
    """A PATH of the command line does not exist: a usage error, not a bad manifest."""


class ManifestError(MirrordError):
    """A manifest is invalid. `problems` holds every fault, in file order; there is at least one."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


# ── sources ───────────────────────────────────────────────────────────────────────────────────────
class SourceError(MirrordError):
    """Reading the source failed."""


class SourceMissing(SourceError):
    reason = Reason.SOURCE_MISSING


class SourceDenied(SourceError):
    reason = Reason.SOURCE_DENIED


class SourceUnavailable(SourceError):
    recovery = Recovery.RETRY
    reason = Reason.SOURCE_UNAVAILABLE


class SourceTooSlow(SourceUnavailable):
    """A body was silent for `idle_timeout`, or slower than `min_rate`."""


class SourceTimedOut(SourceError):
    """A file system does not answer. The call may still go on, and write into the buffer that it was given: a read is
    never repeated into the same one."""

    recovery = Recovery.RETRY
    reason = Reason.SOURCE_UNAVAILABLE


class SourceChanged(SourceError):
    recovery = Recovery.RESTART
    reason = Reason.SOURCE_CHANGED


class SourceRefused(SourceError):
    reason = Reason.SOURCE_REFUSED


class SourceTooLarge(SourceRefused):
    reason = Reason.TOO_LARGE


class KeyRefused(SourceRefused):
    """The name of the source makes a key with an empty, `.` or `..` segment, with NUL, or of more than 1,024 bytes."""


# ── stores ────────────────────────────────────────────────────────────────────────────────────────
class StoreError(MirrordError):
    """A call to the store failed."""


class StoreDenied(StoreError):
    reason = Reason.STORE_DENIED


class ActionDenied(StoreDenied):
    """The store named AccessDenied as the reason: the policy of the credentials does not allow this call. Of a read
    also: the object is missing, and the policy does not allow to list the bucket (S3 API Reference, HeadObject,
    "Permissions"). Of a HEAD, a GET that was refused, too, gave the reason."""


class BucketMissing(StoreError):
    reason = Reason.BUCKET_MISSING


class StoreUnavailable(StoreError):
    recovery = Recovery.RETRY
    reason = Reason.STORE_UNAVAILABLE


class StoreRefused(StoreError):
    reason = Reason.STORE_REFUSED


class EntityTooSmall(StoreRefused):
    """A part other than the last is smaller than the store's minimum (5 MiB at AWS)."""


class InvalidPart(StoreRefused):
    """A part named in Complete was not found, or its ETag differs."""


class InvalidPartOrder(StoreRefused):
    """The parts named in Complete are not in ascending order."""


class ConditionRefused(StoreRefused):
    """400 or 501 for a write with If-None-Match: probably the store does not support it."""


class StoreCopyRefused(StoreRefused):
    """The store does not copy one of its own objects: the bytes are sent."""


class StoreCopyUnproven(StoreCopyRefused):
    """It shows no checksum or ETag of the copy that can be compared with those of the original."""


class PreconditionFailed(StoreError):
    reason = Reason.CONFLICT


class NoSuchUpload(StoreError):
    """The upload was completed, aborted or expired, or never existed."""

    recovery = Recovery.RESTART
    reason = Reason.STORE_REFUSED


class OutcomeUnknown(StoreError):
    """A write was sent and no answer came. A HEAD must resolve it before the next write to that key."""

    recovery = Recovery.RETRY
    reason = Reason.STORE_UNAVAILABLE


# ── bytes ─────────────────────────────────────────────────────────────────────────────────────────
class IntegrityError(MirrordError):
    """The bytes differ from what was declared, sent or announced."""

    reason = Reason.CHECKSUM_MISMATCH


class ChecksumMismatch(IntegrityError):
    pass


class DeclaredMismatch(ChecksumMismatch):
    """The source does not have the bytes that the manifest declares."""


class ReadbackMismatch(ChecksumMismatch):
    """The store accepted the bytes and returns others. They are sent again."""

    recovery = Recovery.RESTART


class LengthMismatch(IntegrityError):
    recovery = Recovery.RETRY


# ── journal ───────────────────────────────────────────────────────────────────────────────────────
class JournalError(MirrordError):
    reason = Reason.JOURNAL_UNAVAILABLE


class JournalLocked(JournalError):
    pass


class JournalTooNew(JournalError):
    pass


class JournalTakenOver(JournalError):
    """Another process has the lease of a state in PostgreSQL: this one can write nothing more to the journal."""


class JournalUnavailable(JournalError):
    recovery = Recovery.RETRY


class MemoryLimitTooSmall(MirrordError):
    reason = Reason.TOO_LARGE


class ListenFailed(MirrordError):
    """`daemon.listen` is in use, is not an address of this machine, or is not allowed for this user."""


class RestoreRefused(MirrordError):
    """The version of an object cannot be made current: the message says why, and what to do."""

    reason = Reason.CONFLICT


class LinkRefused(MirrordError):
    """No link to the object can be made that works until its end: the message says why, and what to do."""

    reason = Reason.CONFLICT


class NoDaemon(MirrordError):
    """No daemon runs on the state, or nothing answers at its address."""


class DaemonRefused(MirrordError):
    """The daemon refused the request: the token is wrong, or POST is off."""
