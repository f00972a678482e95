"""Every error that mirrord raises, as one tree; the class says what failed, `recovery` what to do about it.

    MirrordError
      PathMissing                    a PATH on the command line does not exist
      ManifestError                  a manifest is invalid; carries every problem found in one pass
      SourceError
        SourceMissing                404, 410, no such file
        SourceDenied                 401, 403, permission denied
        SourceUnavailable            5xx, 429, refused, reset, timed out, cut short
        SourceChanged                another revision answered in mid-transfer
        SourceRefused                a rule of the manifest or of mirrord refuses what the source offers
          SourceTooLarge
          KeyRefused                 a file's name makes no lawful key
      StoreError
        StoreDenied                  wrong or insufficient credentials
        BucketMissing
        StoreUnavailable             5xx, 429, SlowDown, refused, reset, timed out
        StoreRefused                 any other 4xx: repeating it would not help
          EntityTooSmall, InvalidPart, InvalidPartOrder
        PreconditionFailed           If-Match or If-None-Match said no
        NoSuchUpload                 the multipart upload is gone
        OutcomeUnknown               a write was sent and its answer lost
      IntegrityError
        ChecksumMismatch             bytes differ from what was declared or sent
          ReadbackMismatch           the object that stands is not what was sent
        LengthMismatch
      JournalError
        JournalLocked                another mirrord holds the state
        JournalTooNew                written by a newer mirrord
        JournalUnavailable           disk full, I/O error
      MemoryLimitTooSmall            the object's parts cannot fit the memory limit
      ListenFailed                   the status page's address cannot be listened on
      NoDaemon                       a command needs a running daemon, and none answers
      DaemonRefused                  the daemon's API refused what was asked

Adapters translate at their edge, chain the cause and strip secrets there. Cancellation is never wrapped.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Recovery(StrEnum):
    """What the caller does about an error."""

    RETRY = "retry"  # the same step again, after a pause
    RESTART = "restart"  # the transfer from its first byte
    BLOCK = "block"  # a person must act; look again at `every`
    DROP = "drop"  # nothing to do


class Reason(StrEnum):
    """Why an item is not Synced: the CamelCase word shown beside its state."""

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
    """A name as it may be shown: bytes that are no text, and control characters, as escapes."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What of one kind a folder's listing came across and left. `kind` takes an s for many; `first` is printable."""

    kind: str
    count: int
    first: str

    def __str__(self) -> str:
        if self.count == 1:
            return f"1 {self.kind} ({self.first})"
        return f"{self.count:,} {self.kind}s (first: {self.first})"


class MirrordError(Exception):
    """Base of all; `str()` is one line for a person and holds no secret."""

    recovery: Recovery = Recovery.BLOCK
    reason: Reason = Reason.INTERNAL_ERROR

    def __init__(self, message: str, *, retry_after: float | None = None, answered: bool = False) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds that the other side asked us to wait, if it did."""
        self.answered = answered
        """The other side answered, with a status that says no: it can be reached."""


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
        place = f"{self.file}:{self.line}:{self.column}"
        return f"{place}: {self.path}: {self.message}" if self.path else f"{place}: {self.message}"


class PathMissing(MirrordError):
    """A PATH that was named does not exist: a usage error, not a bad manifest."""


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


class SourceChanged(SourceError):
    recovery = Recovery.RESTART
    reason = Reason.SOURCE_CHANGED


class SourceRefused(SourceError):
    reason = Reason.SOURCE_REFUSED


class SourceTooLarge(SourceRefused):
    reason = Reason.TOO_LARGE


class KeyRefused(SourceRefused):
    """The name that a source gives makes a key with an empty, `.` or `..` segment, NUL, or over 1,024 bytes."""


# ── stores ────────────────────────────────────────────────────────────────────────────────────────
class StoreError(MirrordError):
    """A call to the store failed."""


class StoreDenied(StoreError):
    reason = Reason.STORE_DENIED


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


class PreconditionFailed(StoreError):
    reason = Reason.CONFLICT


class NoSuchUpload(StoreError):
    """The upload was completed, aborted or expired, or never existed."""

    recovery = Recovery.RESTART
    reason = Reason.STORE_REFUSED


class OutcomeUnknown(StoreError):
    """A write was sent and no answer came: ask the store before anything else goes to that key."""

    recovery = Recovery.RETRY
    reason = Reason.STORE_UNAVAILABLE


# ── bytes ─────────────────────────────────────────────────────────────────────────────────────────
class IntegrityError(MirrordError):
    """The bytes are not what they must be."""

    reason = Reason.CHECKSUM_MISMATCH


class ChecksumMismatch(IntegrityError):
    pass


class ReadbackMismatch(ChecksumMismatch):
    """The store took the bytes and gives back others: they are sent again."""

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


class JournalUnavailable(JournalError):
    recovery = Recovery.RETRY


class MemoryLimitTooSmall(MirrordError):
    reason = Reason.TOO_LARGE


class ListenFailed(MirrordError):
    """`daemon.listen` is taken, not of this machine, or not allowed to this user."""


class NoDaemon(MirrordError):
    """No daemon runs where one was looked for, or nothing answers at its address."""


class DaemonRefused(MirrordError):
    """The daemon answered, and will not do it: the token is wrong, or POST is off."""
