"""Which open uploads at a key of ours are ours, when nobody knows their ids: decided by when they began.

Owns the window: from the journaled intent to its settling, by the store's clock, give or take `SKEW`. Pure.
"""

from mirrord.model import Transfer, TransferKind, Upload

SKEW = 60.0
"""Seconds that two clocks may disagree although the store's Date was asked: it may have been set meanwhile."""
LATE = 600.0
"""Seconds after its settling in which a Create that was sent for an intent may still come about."""


def nameless(transfer: Transfer) -> bool:
    """Whether an upload may have been opened for it whose id nobody knows."""
    return transfer.kind is TransferKind.MULTIPART and transfer.upload_id is None


def ours(intent: Transfer, upload: Upload, now: float) -> bool:
    """Whether `upload`, listed at `now` by our clock, began while the nameless `intent` could open one."""
    if intent.settled is None:
        return False
    ahead = 0.0 if upload.listed is None else upload.listed - now
    return intent.started - SKEW <= upload.initiated - ahead <= intent.settled + SKEW


def past(intent: Transfer, now: float) -> bool:
    """Whether no upload can come of a given up `intent` any more."""
    return intent.settled is not None and now - intent.settled > LATE
