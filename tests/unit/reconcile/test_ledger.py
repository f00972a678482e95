"""What the journal's ledger decides after a failure: which parts stay, and whether the store may hold something."""

import asyncio

import pytest

from mirrord.errors import (
    ChecksumMismatch,
    LengthMismatch,
    NoSuchUpload,
    OutcomeUnknown,
    PreconditionFailed,
    SourceMissing,
    SourceUnavailable,
    StoreRefused,
    StoreUnavailable,
)
from mirrord.model import Destination, PartSizes, Revision, Transfer, TransferKind
from mirrord.reconcile.ledger import JournalLedger
from mirrord.testing import ManualClock, MemoryJournal

AT = Destination("default", "http://store", "bucket", "key")


def ledger(*, resumable: bool = True) -> JournalLedger:
    transfer = Transfer(
        id="t",
        item_id=AT.item_id,
        destination=AT,
        revision=Revision(address="x", etag='"1"', length=1),
        kind=TransferKind.MULTIPART,
        part_sizes=PartSizes.equal(1),
        started=0.0,
    )
    return JournalLedger(MemoryJournal(), transfer, ManualClock(), resumable=resumable)


@pytest.mark.parametrize(
    ("error", "keeps"),
    [
        (None, False),
        (SourceUnavailable("cut short"), True),
        (StoreUnavailable("503"), True),
        (asyncio.CancelledError(), True),
        (LengthMismatch("5 bytes more than were announced"), False),
        (ChecksumMismatch("BadDigest"), False),
        (SourceMissing("404"), False),
        (ZeroDivisionError("a fault of ours"), False),
    ],
)
def test_parts_of_wrong_bytes_are_never_kept_for_another_attempt(error: BaseException | None, keeps: bool) -> None:
    assert ledger().keeps(error) is keeps
    assert not ledger(resumable=False).keeps(error)


@pytest.mark.parametrize(
    ("error", "before", "after"),
    [
        (StoreRefused("EntityTooSmall"), False, False),
        (NoSuchUpload("no such upload"), False, True),
        (PreconditionFailed("412"), False, True),
        (asyncio.CancelledError(), False, True),
        (OutcomeUnknown("no answer"), True, True),
    ],
)
async def test_what_a_completion_may_have_made_may_be_at_the_store(
    error: BaseException, before: bool, after: bool
) -> None:
    """`after` CompleteMultipartUpload was asked for: NoSuchUpload may mean that an earlier request worked."""
    made = ledger()
    assert made.may_be_at_store(error) is before
    await made.completing(None)
    assert made.may_be_at_store(error) is after


async def test_an_upload_that_was_not_aborted_may_be_at_the_store() -> None:
    made = ledger()
    await made.opened("u")
    assert made.may_be_at_store(StoreRefused("no"))
    made.aborted()
    assert not made.may_be_at_store(StoreRefused("no"))
