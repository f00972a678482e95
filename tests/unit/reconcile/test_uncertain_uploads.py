"""Guarantee 5: an upload whose completion was asked for, and whose outcome nobody knows, is not aborted at once."""

import asyncio
from dataclasses import dataclass, replace

import pytest

from mirrord import checksums
from mirrord.errors import MirrordError, OutcomeUnknown, StoreDenied, StoreUnavailable
from mirrord.events import UploadAborted
from mirrord.model import (
    META_TRANSFER,
    ChecksumKind,
    ObjectOptions,
    PartSizes,
    ProviderName,
    Revision,
    State,
    StoredObject,
    Transfer,
    TransferKind,
    UploadOptions,
)
from mirrord.planning.transfers.sweep import COMPLETE_WINDOW
from mirrord.providers import profile
from mirrord.reconcile.sweeper import SWEEP_EVERY, UploadSweeper
from mirrord.testing import ManualClock, MemoryStore
from tests.support.item_world import AT, World
from tests.support.records import make_record, make_transfer, with_fields

IN_PARTS = UploadOptions(part_size=5 * 2**20, multipart_threshold=5 * 2**20)
LARGE = b"l" * (6 * 2**20)
HARMLESS = (ProviderName.AWS, ProviderName.MINIO)
OTHERS = tuple(name for name in ProviderName if name not in HARMLESS)


@dataclass
class Doubtful:
    """A world with a clock that moves and a sweeper over the same store and journal."""

    world: World
    clock: ManualClock
    sweeper: UploadSweeper

    @property
    def uploads(self) -> list[str]:
        return list(self.world.store.uploads)

    async def given_up(self) -> list[str]:
        return [one.id async for one in self.world.journal.given_up()]


def doubtful(provider: ProviderName = ProviderName.SEAWEEDFS, *, checks: bool = False) -> Doubtful:
    world, clock = World(), ManualClock()
    world.store = MemoryStore(profile(provider), clock=clock.now)
    world.store.buckets["bucket"] = {}
    object.__setattr__(world.reconciler, "clock", clock)
    object.__setattr__(world.reconciler.transfers, "clock", clock)

    async def check(_: str) -> bool:
        if checks:
            await world.check()
        return checks

    async def store_at(_: object) -> MemoryStore:
        return world.store

    sweeper = UploadSweeper(
        journal=world.journal, store_at=store_at, observer=world.events.append, clock=clock, check=check
    )
    return Doubtful(world, clock, sweeper)


def intent(clock: ManualClock, upload_id: str, **changes: object) -> Transfer:
    made = make_transfer(
        id="t-old",
        item_id=AT.item_id,
        destination=AT,
        revision=Revision(address="x", etag='"old"', length=3),
        kind=TransferKind.MULTIPART,
        part_sizes=PartSizes.equal(5 * 2**20),
        started=clock.now(),
        upload_id=upload_id,
        complete_requested=clock.now(),
    )
    return with_fields(made, **changes)


async def opened(one: Doubtful, **changes: object) -> Transfer:
    """An upload of a former revision, whose completion was asked for just now."""
    options = ObjectOptions(metadata={META_TRANSFER: "t-old"})
    upload_id = await one.world.store.create_upload(AT, options, ChecksumKind.CRC64NVME)
    made = intent(one.clock, upload_id, **changes)
    await one.world.journal.begin(made)
    return made


async def completed(one: Doubtful, transfer: Transfer, content: bytes = b"old") -> None:
    """The completion comes about at last; some stores leave the upload standing for a while (FIELD_NOTES 17)."""
    body = memoryview(content)
    checksum = checksums.compute(ChecksumKind.CRC64NVME, body)
    await one.world.store.put_object(AT, body, ObjectOptions(metadata={META_TRANSFER: transfer.id}), checksum)


# ── within one attempt ────────────────────────────────────────────────────────────────────────────
async def lose(world: World, *, lands: bool, then: MirrordError | None) -> None:
    """CompleteMultipartUpload's answer is lost; HEAD then fails with `then`, or works."""
    complete, head = world.store.complete_upload, world.store.head_object

    async def lost(*given: object, **more: object) -> StoredObject:
        if lands:
            kept = dict(world.store.uploads)
            await complete(*given, **more)  # type: ignore[arg-type]
            world.store.uploads |= kept  # not yet cleaned up
        if then is not None:
            world.store.head_object = refused  # type: ignore[method-assign]
        raise OutcomeUnknown("no answer")

    async def refused(*_: object) -> StoredObject:
        assert then is not None
        raise then

    world.store.complete_upload = lost  # type: ignore[method-assign]
    world.store.head_object = head  # type: ignore[method-assign]


@pytest.mark.parametrize("lands", [True, False])
@pytest.mark.parametrize("head", [StoreDenied("403"), StoreUnavailable("503", retry_after=9)])
@pytest.mark.parametrize("provider", [ProviderName.SEAWEEDFS, ProviderName.AWS, ProviderName.GENERIC])
async def test_an_attempt_whose_completion_nobody_tells_of_aborts_nothing(
    provider: ProviderName, head: MirrordError, lands: bool
) -> None:
    one = doubtful(provider)
    one.world.origin.content = LARGE
    await lose(one.world, lands=lands, then=head)
    outcome = await one.world.check(upload=IN_PARTS)
    assert outcome.state is State.RETRYING
    assert len(one.uploads) == 1
    assert UploadAborted not in one.world.event_types()
    (left,) = await one.world.journal.open_of(AT.item_id)
    assert left.progress.complete_requested == one.clock.now()

    # The next check is Blocked: HEAD is refused before anything else. It gives the transfer up, and aborts nothing.
    await one.world.check(1, upload=IN_PARTS)
    await one.clock.advance(COMPLETE_WINDOW + 1)
    await one.sweeper.sweep()
    assert len(one.uploads) == 1, "a HEAD that is refused proves nothing"


async def test_a_completion_that_is_cancelled_and_unanswered_aborts_nothing() -> None:
    one = doubtful()
    one.world.origin.content = LARGE
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def lost(*_: object, **__: object) -> StoredObject:
        reached.set()
        await go_on.wait()
        raise OutcomeUnknown("no answer")

    one.world.store.complete_upload = lost  # type: ignore[method-assign]
    check = asyncio.create_task(one.world.check(upload=IN_PARTS))
    await reached.wait()
    check.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await check
    assert len(one.uploads) == 1
    assert [left.progress.complete_requested for left in await one.world.journal.open_of(AT.item_id)] == [
        one.clock.now()
    ]


@pytest.mark.parametrize("refusal", [StoreDenied("403")])
async def test_a_completion_that_the_store_refused_is_aborted_at_once(refusal: MirrordError) -> None:
    one = doubtful()
    one.world.origin.content = LARGE

    async def refuse(*_: object, **__: object) -> StoredObject:
        raise refusal

    one.world.store.complete_upload = refuse  # type: ignore[method-assign]
    assert (await one.world.check(upload=IN_PARTS)).state is State.BLOCKED
    assert (one.uploads, await one.world.journal.open_of(AT.item_id)) == ([], [])


async def test_where_late_aborts_are_harmless_a_head_decides_at_once() -> None:
    one = doubtful(ProviderName.MINIO)
    one.world.origin.content = LARGE
    await lose(one.world, lands=False, then=None)
    assert (await one.world.check(upload=IN_PARTS)).state is State.RETRYING
    assert one.uploads == []


# ── given up ──────────────────────────────────────────────────────────────────────────────────────
WAYS = ["left the manifests", "superseded", "blocked", "gone", "sweep"]


async def give_up(one: Doubtful, transfer: Transfer, way: str) -> None:
    """Each way in which nobody goes on with an upload."""
    if way == "left the manifests":
        record = make_record(item_id=AT.item_id, entry="e", source="s", destination=AT, state=State.RETRYING)
        await one.world.journal.save(replace(record, removed=one.clock.now() - 7200))
        await one.sweeper.sweep()
    elif way == "superseded":
        await one.world.check()
    elif way == "blocked":
        one.world.origin.content = LARGE
        await one.world.check(max_size=1)
    elif way == "gone":
        one.world.item = replace(one.world.item, gone=True)
        await one.world.check()
    else:
        await one.world.journal.give_up(transfer.id, one.clock.now())


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("provider", OTHERS)
async def test_it_is_aborted_when_nothing_can_come_of_it_any_more(provider: ProviderName, way: str) -> None:
    one = doubtful(provider)
    transfer = await opened(one)
    await give_up(one, transfer, way)
    assert (one.uploads, await one.given_up()) == ([transfer.progress.upload_id], ["t-old"])
    await one.clock.advance(COMPLETE_WINDOW - 1)
    await one.sweeper.sweep()
    assert (one.uploads, await one.given_up()) == ([transfer.progress.upload_id], ["t-old"])
    await one.clock.advance(1)
    await one.sweeper.sweep()
    assert (one.uploads, await one.given_up()) == ([], [])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("provider", HARMLESS)
async def test_after_a_head_where_late_aborts_are_harmless(provider: ProviderName, way: str) -> None:
    one = doubtful(provider)
    await give_up(one, await opened(one), way)
    await one.sweeper.sweep()
    assert (one.uploads, await one.given_up()) == ([], [])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("provider", [*HARMLESS, ProviderName.SEAWEEDFS])
async def test_the_upload_of_an_object_that_stands_is_never_aborted(provider: ProviderName, way: str) -> None:
    one = doubtful(provider)
    transfer = await opened(one)
    one.world.store.head_object, head = denied, one.world.store.head_object  # type: ignore[method-assign]
    await give_up(one, transfer, way)
    one.world.store.head_object = head  # type: ignore[method-assign]
    await completed(one, transfer)
    for _ in range(3):
        await one.sweeper.sweep()
        await one.clock.advance(COMPLETE_WINDOW)
    assert one.uploads == [transfer.progress.upload_id]
    assert [event for event in one.world.events if isinstance(event, UploadAborted)] == []
    open_now = await one.world.journal.open_of(AT.item_id)
    assert open_now == [], "the transfer is finished"
    record = await one.world.journal.record(AT.item_id)
    if record is not None:
        assert (record.object.transfer_id, record.object.size) == ("t-old", 3)


async def denied(*_: object) -> StoredObject:
    raise StoreDenied("403")


async def test_with_an_object_that_shows_another_checksum_it_is_forgotten_and_not_aborted() -> None:
    one = doubtful()
    checksum = checksums.compute(ChecksumKind.CRC64NVME, memoryview(b"sent"))
    transfer = await opened(one, whole=checksum, given_up=one.clock.now())
    await completed(one, transfer, b"other")
    await one.clock.advance(COMPLETE_WINDOW)
    await one.sweeper.sweep()
    assert (one.uploads, await one.given_up()) == ([transfer.progress.upload_id], [])


async def test_a_newer_object_that_the_late_completion_replaced_is_written_again() -> None:
    """The check when the window ends: the journal says whose object stands, and the next check copies the newer."""
    one = doubtful(checks=True)
    transfer = await opened(one)
    assert (await one.world.check()).copied is not None
    assert one.world.content == b"one"
    await completed(one, transfer)
    await one.clock.advance(COMPLETE_WINDOW)
    await one.sweeper.sweep()
    assert one.world.content == b"one"
    record = await one.world.journal.record(AT.item_id)
    assert record is not None
    assert (record.condition.state, record.revision and record.revision.etag) == (State.SYNCED, '"1"')
    assert one.uploads == [transfer.progress.upload_id]


# ── versions ──────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("carried", [True, False])
async def test_on_a_versioned_bucket_a_version_that_carries_the_id_forbids_the_abort(carried: bool) -> None:
    one = doubtful()
    one.world.store.versioned.add("bucket")
    transfer = await opened(one)
    if carried:
        await completed(one, transfer)
    await one.world.store.put_object(AT, memoryview(b"newer"), ObjectOptions())
    await one.world.journal.give_up(transfer.id, one.clock.now())
    await one.clock.advance(COMPLETE_WINDOW)
    await one.sweeper.sweep()
    assert one.uploads == ([transfer.progress.upload_id] if carried else [])
    assert await one.given_up() == []


@pytest.mark.parametrize("call", ["bucket_versioning", "head_version"])
async def test_versions_that_may_not_be_read_forbid_it_too(call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    one = doubtful()
    one.world.store.versioned.add("bucket")
    transfer = await opened(one)
    await one.world.store.put_object(AT, memoryview(b"newer"), ObjectOptions())
    await one.world.journal.give_up(transfer.id, one.clock.now())
    await one.clock.advance(COMPLETE_WINDOW)
    with monkeypatch.context() as patched:
        patched.setattr(one.world.store, call, denied)
        await one.sweeper.sweep()
    assert (one.uploads, await one.given_up()) == ([transfer.progress.upload_id], ["t-old"])
    await one.sweeper.sweep()
    assert (one.uploads, await one.given_up()) == ([], [])


# ── when ──────────────────────────────────────────────────────────────────────────────────────────
async def test_the_daemon_sweeps_when_the_window_ends() -> None:
    one = doubtful()
    transfer = await opened(one)
    await one.world.journal.give_up(transfer.id, one.clock.now())
    await one.clock.advance(COMPLETE_WINDOW - SWEEP_EVERY / 2)
    running = asyncio.create_task(one.sweeper.run())
    await one.clock.advance(SWEEP_EVERY / 2 - 1)
    assert one.uploads == [transfer.progress.upload_id]
    await one.clock.advance(1)
    running.cancel()
    assert one.uploads == []


async def test_a_program_that_ends_lists_them(caplog: pytest.LogCaptureFixture) -> None:
    one = doubtful()
    transfer = await opened(one)
    async with one.sweeper.beside():
        await one.world.check()
    assert one.uploads == [transfer.progress.upload_id]
    (line,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert str(transfer.progress.upload_id) in line
    assert "the outcome is unknown; the next start settles it" in line


# ── uploads without an id ─────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("cancelled", [True, False])
async def test_an_upload_whose_id_was_not_said_is_swept_by_the_same_program(cancelled: bool) -> None:
    """A Create that is cancelled and whose answer is lost leaves an intent, as one that is only lost does."""
    one = doubtful()
    one.world.origin.content = LARGE
    create, asked, go_on = one.world.store.create_upload, asyncio.Event(), asyncio.Event()

    async def lost(*given: object) -> str:
        await create(*given)  # type: ignore[arg-type]
        asked.set()
        await go_on.wait()
        raise OutcomeUnknown("the answer has no UploadId", retry_after=1)

    one.world.store.create_upload = lost  # type: ignore[method-assign]
    check = asyncio.create_task(one.world.check(upload=IN_PARTS))
    await asked.wait()
    if cancelled:
        check.cancel()
    go_on.set()
    await asyncio.wait([check])
    assert len(one.uploads) == 1
    await one.sweeper.sweep()
    assert one.uploads == []
