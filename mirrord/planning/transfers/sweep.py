"""Which open uploads at a key of ours are ours, when their ids are not known: decided by when they began. And when an
upload whose CompleteMultipartUpload was sent, without a known outcome, may be aborted.

Owns both windows. The first: from the journaled intent until it is given up, by the store's clock, plus and minus
`CLOCK_SKEW`. The second: `COMPLETE_WINDOW` after the request. Pure.
"""

from mirrord.model import Transfer, TransferKind, Upload

CLOCK_SKEW = 60.0
"""Seconds that two clocks may disagree although the store's Date was asked: it may have been set meanwhile."""
LATE_CREATE = 600.0
"""Seconds after an intent was given up in which a Create that was sent for it may still come about."""

COMPLETE_WINDOW = 900.0
"""Seconds after CompleteMultipartUpload was last sent in which it may still come about. AWS: "several minutes"."""
_VERSION_SKEW = 86_400.0
"""Seconds before a transfer began: a version that is older cannot be its work, however wrong a clock is."""


def uncertain(transfer: Transfer) -> bool:
    """Whether its upload was to be completed and the outcome is unknown: an abort may destroy the object."""
    return transfer.progress.upload_id is not None and transfer.progress.complete_requested is not None


def window_ends(transfer: Transfer) -> float | None:
    """When nothing can come of CompleteMultipartUpload any more; None: the outcome is known."""
    if transfer.progress.upload_id is None or transfer.progress.complete_requested is None:
        return None
    return transfer.progress.complete_requested + COMPLETE_WINDOW


def may_be_result(transfer: Transfer, modified: float | None) -> bool:
    """Whether a version of the object with this Last-Modified may be the work of `transfer`."""
    return modified is None or modified >= transfer.started - _VERSION_SKEW


def lacks_upload_id(transfer: Transfer) -> bool:
    """Whether an upload may have been opened for it whose id nobody knows."""
    return transfer.kind is TransferKind.MULTIPART and transfer.progress.upload_id is None


def opened_for(intent: Transfer, upload: Upload, now: float) -> bool:
    """Whether `upload`, listed at `now` by our clock, began while the nameless `intent` could open one."""
    if intent.progress.given_up is None:
        return False
    ahead = 0.0 if upload.listed is None else upload.listed - now
    return intent.started - CLOCK_SKEW <= upload.initiated - ahead <= intent.progress.given_up + CLOCK_SKEW


def is_expired(intent: Transfer, now: float) -> bool:
    """Whether no upload can come of a given up `intent` any more."""
    return intent.progress.given_up is not None and now - intent.progress.given_up > LATE_CREATE
