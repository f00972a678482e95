"""A multipart upload without a ledger, as in the library, whose completion has an unknown outcome."""

import asyncio

import pytest

from mirrord.errors import MirrordError, OutcomeUnknown, StoreDenied, StoreUnavailable
from mirrord.model import META_TRANSFER, ChecksumKind, Destination, ObjectOptions, Part, ProviderName, StoredObject
from mirrord.providers import profile
from mirrord.testing import MemoryStore
from mirrord.transfer.budget import Budget
from mirrord.transfer.ledger import NullLedger
from mirrord.transfer.multipart import MultipartUpload
from mirrord.transfer.retry import RetryPolicy
from mirrord.transfer.spec import NewObject, TransferContext

AT = Destination("default", "http://store", "bucket", "key")
OURS = NewObject(at=AT, options=ObjectOptions(metadata={META_TRANSFER: "t"}), checksum=ChecksumKind.CRC64NVME)


class Store(MemoryStore):
    """Loses each answer to Complete, which takes effect if `lands`, and answers HEAD with `head` afterwards."""

    lands = False
    head: MirrordError | None = None
    lost = False

    async def complete_upload(self, *given, **more):  # type: ignore[no-untyped-def]
        if self.lands and not self.lost:
            kept = dict(self.uploads)
            await super().complete_upload(*given, **more)
            self.uploads = kept  # not yet cleaned up
        self.lost = True
        raise OutcomeUnknown("no answer")

    async def head_object(self, at: Destination) -> StoredObject | None:
        if self.lost and self.head is not None:
            raise self.head
        return await super().head_object(at)


async def at_once(_seconds: float) -> None: ...


async def upload(store: Store) -> None:
    store.buckets["bucket"] = {}
    budget = Budget(2**20)
    context = TransferContext(store=store, budget=budget, retry=RetryPolicy(sleep=at_once))
    multipart = MultipartUpload(context, OURS)
    async with multipart as one:
        buffer = await budget.acquire(1024)
        await one.send(buffer, 3)
        await one.complete()


@pytest.mark.parametrize("head", [StoreDenied("403"), StoreUnavailable("503", retry_after=1), None])
@pytest.mark.parametrize("provider", ProviderName)
async def test_it_is_left_open_unless_a_late_abort_is_harmless_and_head_shows_no_object_of_ours(
    provider: ProviderName, head: MirrordError | None
) -> None:
    store = Store(profile(provider))
    store.head = head
    with pytest.raises(OutcomeUnknown) as raised:
        await upload(store)
    aborted = profile(provider).late_abort_harmless and head is None
    assert len(store.uploads) == (0 if aborted else 1)
    notes = getattr(raised.value, "__notes__", [])
    assert any("is left open: it may have been completed" in note for note in notes) is not aborted


@pytest.mark.parametrize("provider", [ProviderName.AWS, ProviderName.SEAWEEDFS])
async def test_the_upload_of_an_object_that_exists_is_not_aborted(provider: ProviderName) -> None:
    store = Store(profile(provider))
    store.lands, store.head = True, StoreDenied("403")
    with pytest.raises(OutcomeUnknown):
        await upload(store)
    assert len(store.uploads) == 1


async def test_an_object_is_never_completed_without_a_cancelled_part() -> None:
    """For any cause of the cancellation: here the journal's thread ended."""

    class Ending(NullLedger):
        async def part_done(self, part: Part) -> None:
            if part.number == 1:
                raise asyncio.CancelledError

    store = MemoryStore(profile(ProviderName.SEAWEEDFS))
    store.buckets["bucket"] = {}
    budget = Budget(2**20)
    multipart = MultipartUpload(TransferContext(store=store, budget=budget, ledger=Ending()), OURS)

    async def sent() -> None:
        async with multipart as one:
            for _ in range(2):
                await one.send(await budget.acquire(1024), 3)
            await one.complete()

    with pytest.raises(OutcomeUnknown, match=r"part 1 of .* was cut short"):
        await sent()
    assert (store.buckets["bucket"], store.uploads) == ({}, {})
