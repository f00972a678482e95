"""What earlier attempts left, and how the next check settles it: landed writes, uploads, proofs that were not made."""

import asyncio
from dataclasses import replace

import pytest

from mirrord import checksums
from mirrord.daemon.board import Board
from mirrord.errors import OutcomeUnknown, Reason, SourceMissing, StoreRefused, StoreUnavailable
from mirrord.events import (
    ItemUnchanged,
    TransferCompleted,
    TransferEvent,
    TransferFailed,
    TransferResumed,
    TransferStarted,
    UploadAborted,
)
from mirrord.model import (
    META_TRANSFER,
    Checksum,
    ChecksumKind,
    Integrity,
    ObjectOptions,
    PartSizes,
    ProviderName,
    Revision,
    State,
    StoredObject,
    Transfer,
    TransferKind,
)
from mirrord.planning.decisions.decide import options_digest
from mirrord.testing import ManualClock
from tests.support.item_world import AT, World, careless
from tests.support.records import with_fields

INTENT = Transfer(
    id="t-1",
    item_id=AT.item_id,
    destination=AT,
    revision=Revision(address="x", etag='"1"', length=3),
    kind=TransferKind.PUT,
    started=1.0,
    options_digest=options_digest(ObjectOptions()),
)
UPLOAD = replace(INTENT, id="t-2", kind=TransferKind.MULTIPART, part_sizes=PartSizes.equal(2))


@pytest.fixture
def world() -> World:
    return World()


async def stands(world: World, transfer_id: str, content: bytes = b"one") -> StoredObject:
    options = ObjectOptions(metadata={META_TRANSFER: transfer_id})
    checksum = checksums.compute(ChecksumKind.CRC64NVME, memoryview(content))
    await world.store.put_object(AT, memoryview(content), options, checksum)
    kept = await world.store.head_object(AT)
    assert kept is not None
    return kept


@pytest.mark.parametrize("intent", [INTENT, UPLOAD], ids=["put", "parts"])
async def test_an_object_with_the_intents_id_was_written_by_it(world: World, intent: Transfer) -> None:
    await world.journal.begin(intent)
    standing = await stands(world, intent.id)
    outcome = await world.check()
    assert (outcome.state, outcome.copied) == (State.SYNCED, None)
    assert world.event_types() == [ItemUnchanged]
    assert len(world.origin.log.opened) == 0
    record = await world.journal.record(AT.item_id)
    assert record is not None
    assert (record.object.transfer_id, record.object.etag, record.object.size) == (intent.id, standing.etag, 3)
    assert record.revision == intent.revision
    assert await world.unfinished() == 0


async def test_another_ones_object_is_not_taken_for_it(world: World) -> None:
    await world.journal.begin(INTENT)
    await stands(world, "a-stranger", b"???")
    assert (await world.check()).copied is not None
    assert world.content == b"one"
    assert await world.unfinished() == 0


async def test_an_object_whose_checksum_is_not_what_was_sent_is_not_taken_for_it(world: World) -> None:
    sent = Checksum(ChecksumKind.CRC64NVME, "AAAAAAAAAAA=")
    await world.journal.begin(with_fields(INTENT, whole=sent))
    await stands(world, "t-1", b"two")
    kept = world.store.buckets["bucket"][AT.key]
    other = Checksum(ChecksumKind.CRC64NVME, "BBBBBBBBBBA=")
    world.store.buckets["bucket"][AT.key] = replace(kept, stored=replace(kept.stored, checksum=other))
    assert (await world.check()).copied is not None
    assert world.content == b"one"


async def test_options_that_changed_since_the_landed_write_write_again(world: World) -> None:
    await world.journal.begin(INTENT)
    await stands(world, "t-1")
    outcome = await world.check(object=ObjectOptions(cache_control="no-store"))
    assert outcome.copied is not None
    assert world.store.buckets["bucket"][AT.key].options.cache_control == "no-store"


async def test_a_source_that_changed_since_the_landed_write_is_copied_again(world: World) -> None:
    await world.journal.begin(INTENT)
    await stands(world, "t-1")
    world.origin.content, world.origin.etag = b"two!", '"2"'
    assert (await world.check()).copied is not None
    assert world.content == b"two!"
    assert world.event_types()[-1] is TransferCompleted
    assert await world.unfinished() == 0


async def test_a_failure_after_the_landed_write_was_recorded_does_not_wipe_it(world: World) -> None:
    await world.journal.begin(INTENT)
    standing = await stands(world, "t-1")
    world.origin.fails = SourceMissing("404")
    assert (await world.check()).state is State.BLOCKED
    record = await world.journal.record(AT.item_id)
    assert record is not None
    assert (record.condition.reason, record.object.etag, record.object.transfer_id) == (
        Reason.SOURCE_MISSING,
        standing.etag,
        "t-1",
    )


async def opened(world: World) -> str:
    upload_id = await world.store.create_upload(AT, ObjectOptions())
    await world.journal.begin(with_fields(UPLOAD, upload_id=upload_id))
    return upload_id


@pytest.mark.parametrize("why", ["copied anew", "unchanged", "gone", "blocked"])
async def test_an_upload_that_nobody_goes_on_with_is_aborted(world: World, why: str) -> None:
    if why in ("unchanged", "blocked"):
        await world.check()
    upload_id = await opened(world)
    if why == "gone":
        world.origin.fails = SourceMissing("404")
    if why == "blocked":
        world.origin.content, world.origin.etag = b"login page", '"9"'
    await world.check(max_size=5 if why == "blocked" else None)
    assert world.store.uploads == {}
    assert [event.upload_id for event in world.events if isinstance(event, UploadAborted)] == [upload_id]
    assert await world.unfinished() == 0


async def test_an_abort_that_the_store_refuses_is_left_to_the_sweep(world: World) -> None:
    upload_id = await opened(world)

    async def refuse(*_: object) -> None:
        raise StoreUnavailable("503")

    world.store.abort_upload = refuse  # type: ignore[method-assign]
    assert (await world.check()).state is State.SYNCED
    assert await world.unfinished() == 0
    assert [transfer.progress.upload_id async for transfer in world.journal.given_up()] == [upload_id]


# ── a write that stands and was not yet proven ────────────────────────────────────────────────────
@pytest.mark.parametrize("flips", [0, 1])
@pytest.mark.parametrize("how", ["unreadable", "killed"])
async def test_the_proof_that_was_cut_off_is_made_by_the_next_check(how: str, flips: int) -> None:
    world = careless(ProviderName.GENERIC, flips=flips)
    read, reached = world.store.get_object, asyncio.Event()

    def unreadable(*_: object, **__: object) -> object:
        reached.set()
        raise StoreUnavailable("503") if how == "unreadable" else asyncio.CancelledError

    world.store.get_object = unreadable  # type: ignore[assignment, method-assign]
    if how == "killed":
        with pytest.raises(asyncio.CancelledError):
            await world.check()
    else:
        assert (await world.check()).state is State.RETRYING
        assert world.event_types()[-1] is TransferFailed
    assert await world.unfinished() == 1

    world.store.get_object = read  # type: ignore[method-assign]
    outcome = await world.check(1)
    record = await world.journal.record(AT.item_id)
    assert record is not None
    if flips:
        assert (outcome.state, outcome.reason, record.object.integrity) == (
            State.RETRYING,
            Reason.CHECKSUM_MISMATCH,
            None,
        )
        assert (await world.check(2)).copied is not None
        assert world.content == b"one"
    else:
        assert (outcome.state, outcome.copied, record.object.integrity) == (State.SYNCED, None, Integrity.READBACK)
    assert await world.unfinished() == 0


@pytest.mark.parametrize(
    ("fault", "end", "says"),
    [
        (None, TransferCompleted, ""),
        (StoreUnavailable("503"), TransferFailed, "503"),
        (StoreRefused("405"), TransferFailed, "405"),
        ("flipped", TransferFailed, "is not what was sent"),
    ],
)
async def test_a_long_read_back_after_a_crash_is_in_the_status_before_it(
    monkeypatch: pytest.MonkeyPatch, fault: Exception | str | None, end: type[TransferEvent], says: str
) -> None:
    monkeypatch.setattr("mirrord.reconcile.transfer_attempt.LONG_READBACK", 2)
    world = careless(ProviderName.GENERIC, flips=int(fault == "flipped"))
    read = world.store.get_object

    def killed(*_: object, **__: object) -> object:
        raise asyncio.CancelledError

    world.store.get_object = killed  # type: ignore[assignment, method-assign]
    with pytest.raises(asyncio.CancelledError):
        await world.check()
    board, seen = Board(ManualClock(1000.0)), list[tuple[str, int | None, int]]()

    def read_back(*given: object, **more: object) -> object:
        for event in world.events:
            board(event)
        seen.extend((one.message, one.size, one.bytes_sent) for one in board.running())
        world.store.get_object = read  # type: ignore[method-assign]
        if isinstance(fault, Exception):
            raise fault
        return read(*given, **more)  # type: ignore[arg-type]

    world.store.get_object = read_back  # type: ignore[assignment, method-assign]
    await world.check(1)
    assert seen == [("3 B are stored and now read back: the store showed no checksum of it", 3, 3)]
    assert world.event_types()[:2] == [TransferStarted, TransferResumed]
    ends = [event for event in world.events if isinstance(event, TransferCompleted | TransferFailed)]
    assert isinstance(ends[0], end)
    assert says in getattr(ends[0], "message", "")
    starts = [event for event in world.events if isinstance(event, TransferStarted)]
    assert [one.transfer_id for one in starts] == [one.transfer_id for one in ends]
    assert len({one.transfer_id for one in starts}) == len(starts)
    assert await world.unfinished() == int(isinstance(fault, StoreUnavailable))


async def test_a_lost_answer_that_head_could_not_settle_is_settled_by_the_next_check(world: World) -> None:
    put, head = world.store.put_object, world.store.head_object

    async def lost(*given: object, **more: object) -> StoredObject:
        await put(*given, **more)  # type: ignore[arg-type]
        world.store.head_object = silent  # type: ignore[method-assign]
        raise OutcomeUnknown("no answer")

    async def silent(*_: object) -> StoredObject:
        raise StoreUnavailable("503", retry_after=9)

    world.store.put_object = lost  # type: ignore[method-assign]
    assert (await world.check()).state is State.RETRYING
    assert await world.unfinished() == 1
    world.store.head_object = head  # type: ignore[method-assign]
    outcome = await world.check(1)
    assert (outcome.state, outcome.copied) == (State.SYNCED, None)
    assert len(world.origin.log.opened) == 1
    assert await world.unfinished() == 0
