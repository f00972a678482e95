"""Which open uploads at an item's key mirrord opened, when their ids are unknown: decided by their start. And when an
upload whose CompleteMultipartUpload has an unknown outcome may be aborted.

Owns both windows. The first: from the recorded intent until it is given up, by the store's clock, plus and minus
`CLOCK_SKEW`. The second: `COMPLETE_WINDOW` after the request. Pure.
"""

from mirrord.model import Transfer, TransferKind, Upload

CLOCK_SKEW = 60.0
"""Seconds by which two clocks may differ although the store's Date is known: a clock may have been set since."""
LATE_CREATE = 600.0
"""Seconds after an intent was given up in which its CreateMultipartUpload may still take effect."""

COMPLETE_WINDOW = 900.0
"""Seconds after the last CompleteMultipartUpload in which it may still take effect. AWS: "several minutes"."""
_VERSION_SKEW = 86_400.0
"""Seconds before the start of a transfer. An older version cannot be its result, even if a clock is wrong."""


def uncertain(transfer: Transfer) -> bool:
    """Whether completion was requested and its outcome is unknown: an abort may then destroy the object."""
    return transfer.progress.upload_id is not None and transfer.progress.complete_requested is not None


def window_ends(transfer: Transfer) -> float | None:
    """When CompleteMultipartUpload can take effect no more, in seconds since the epoch; None: the outcome is known."""
    if transfer.progress.upload_id is None or transfer.progress.complete_requested is None:
        return None
    return transfer.progress.complete_requested + COMPLETE_WINDOW


def may_be_result(transfer: Transfer, modified: float | None) -> bool:
    """Whether a version of the object with this Last-Modified may be the result of `transfer`."""
    return modified is None or modified >= transfer.started - _VERSION_SKEW


def lacks_upload_id(transfer: Transfer) -> bool:
    """Whether it may have an open upload whose id is unknown."""
    return transfer.kind is TransferKind.MULTIPART and transfer.progress.upload_id is None


def opened_for(intent: Transfer, upload: Upload, now: float) -> bool:
    """Whether `upload`, listed at `now` by the local clock, began while the `intent` without an upload id could open
    one."""
    if intent.progress.given_up is None:
        return False
    ahead = 0.0 if upload.listed is None else upload.listed - now
    return intent.started - CLOCK_SKEW <= upload.initiated - ahead <= intent.progress.given_up + CLOCK_SKEW


def is_expired(intent: Transfer, now: float) -> bool:
    """Whether a given-up `intent` can open no upload any more."""
    return intent.progress.given_up is not None and now - intent.progress.given_up > LATE_CREATE
