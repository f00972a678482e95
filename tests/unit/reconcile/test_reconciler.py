"""One check one item, against a store and a journal in memory: what is written, recorded and said."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from mirrord.errors import BucketMissing, Reason, SourceMissing, SourceUnavailable
from mirrord.events import (
    ItemBlocked,
    ItemDrifted,
    ItemRetrying,
    ItemUnchanged,
    TransferCompleted,
    TransferFailed,
    TransferInterrupted,
    TransferStarted,
)
from mirrord.model import (
    META_TRANSFER,
    Drift,
    File,
    ObjectOptions,
    Observed,
    Overwrite,
    State,
)
from mirrord.ports import ByteStream
from tests.support.item_world import AT, World


@pytest.fixture
def world() -> World:
    return World()


async def test_a_new_item_is_copied_recorded_and_then_left_alone(world: World) -> None:
    outcome = await world.check()
    assert outcome.state is State.SYNCED
    assert outcome.copied is not None
    assert world.content == b"one"
    assert world.event_types() == [TransferStarted, TransferCompleted]
    record = await world.journal.record(AT.item_id)
    assert record is not None
    assert (record.condition.state, record.object.size, record.object.synced_at) == (State.SYNCED, 3, 1000.0)
    assert record.source == "http://s/x?…"
    kept = world.store.buckets["bucket"][AT.key]
    assert kept.stored.metadata[META_TRANSFER] == record.object.transfer_id
    assert kept.options.content_type == "text/plain"
    assert await world.unfinished() == 0

    again = await world.check()
    assert (again.state, again.copied) == (State.SYNCED, None)
    assert world.event_types() == [ItemUnchanged]
    assert len(world.origin.log.opened) == 1
    assert world.origin.log.known[-1] == record.revision


async def test_a_changed_source_is_copied_again(world: World) -> None:
    await world.check()
    world.origin.content, world.origin.etag = b"two!", '"2"'
    await world.check()
    assert world.content == b"two!"


async def test_a_lost_journal_adopts_what_stands(world: World) -> None:
    await world.check()
    world.journal._records.clear()
    outcome = await world.check()
    assert (outcome.state, outcome.copied) == (State.SYNCED, None)
    assert len(world.origin.log.opened) == 1
    assert (await world.check()).copied is None
    assert world.origin.log.known[-1] is not None


@pytest.mark.parametrize("drift", list(Drift))
async def test_an_object_deleted_behind_our_back(world: World, drift: Drift) -> None:
    await world.check(drift=drift)
    del world.store.buckets["bucket"][AT.key]
    outcome = await world.check(drift=drift)
    if drift is Drift.REPAIR:
        assert world.content == b"one"
        assert world.event_types() == [ItemDrifted, TransferStarted, TransferCompleted]
    else:
        assert world.content is None
        assert (outcome.state, outcome.reason) == (
            (State.BLOCKED, Reason.DRIFTED) if drift is Drift.REPORT else (State.SYNCED, None)
        )


async def test_other_object_options_write_the_object_again(world: World) -> None:
    await world.check()
    outcome = await world.check(object=ObjectOptions(cache_control="no-store"))
    assert outcome.copied is not None
    assert world.store.buckets["bucket"][AT.key].options.cache_control == "no-store"
    assert (await world.check(object=ObjectOptions(cache_control="no-store"))).copied is None


async def test_a_permanent_failure_is_blocked_and_keeps_what_is_known(world: World) -> None:
    await world.check()
    world.origin.fails = SourceMissing("answered 404")
    outcome = await world.check()
    assert (outcome.state, outcome.reason, outcome.retry_in) == (State.BLOCKED, Reason.SOURCE_MISSING, None)
    assert world.event_types() == [ItemBlocked]
    record = await world.journal.record(AT.item_id)
    assert record is not None
    assert (record.condition.state, record.condition.message, record.object.etag is not None) == (
        State.BLOCKED,
        "answered 404",
        True,
    )
    world.origin.fails = None
    assert (await world.check()).copied is None
    mended = await world.journal.record(AT.item_id)
    assert mended is not None
    assert (mended.condition.state, mended.condition.reason, mended.condition.message) == (State.SYNCED, None, "")


async def test_a_folders_file_that_vanished_is_no_failure(world: World) -> None:
    """What stands stays Synced, at the same revision; what never was sent is no item any more, until it is back."""
    world.item = replace(world.item, origin=File("/in", "x"))
    world.origin.fails = SourceMissing("no such file")
    assert (await world.check()).state is State.SYNCED
    assert await world.journal.record(AT.item_id) is None
    world.origin.fails = SourceUnavailable("busy")
    await world.check()
    world.origin.fails = SourceMissing("no such file")
    await world.check()
    assert world.event_types() == []
    left = await world.journal.record(AT.item_id)
    assert left is not None
    assert left.removed is not None
    world.origin.fails = None
    assert (await world.check()).copied is not None
    stood = await world.journal.record(AT.item_id)
    world.origin.fails = SourceMissing("no such file")
    assert (await world.check()).state is State.SYNCED
    assert world.event_types() == []
    assert await world.journal.record(AT.item_id) == stood


async def test_a_transient_failure_is_retried_until_the_rule_says_no(world: World) -> None:
    world.origin.fails = SourceUnavailable("refused")
    first = await world.check(failures=0)
    assert (first.state, first.retry_in) == (State.RETRYING, 7.0)
    assert world.event_types() == [ItemRetrying]
    last = await world.check(failures=2)
    assert (last.state, last.retry_in) == (State.RETRYING, None)


async def test_a_failure_at_the_store_ends_in_one_terminal_event_and_no_intent(world: World) -> None:
    del world.store.buckets["bucket"]
    outcome = await world.check()
    assert (outcome.state, outcome.reason) == (State.BLOCKED, Reason.BUCKET_MISSING)
    terminal = [one for one in world.event_types() if one in (TransferCompleted, TransferFailed, TransferInterrupted)]
    assert len(terminal) <= 1
    assert await world.unfinished() == 0
    assert BucketMissing.reason is outcome.reason


async def test_a_cancelled_transfer_is_interrupted_and_leaves_no_intent(world: World) -> None:
    reads = asyncio.Event()

    async def hang(_at: int) -> None:
        reads.set()
        await asyncio.Event().wait()

    world.origin.hooks.on_read = hang
    task = asyncio.create_task(world.check())
    await reads.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert world.event_types() == [TransferStarted, TransferInterrupted]
    assert await world.unfinished() == 0
    assert world.content is None


async def test_a_fault_of_ours_blocks_one_item_and_says_so(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.origin.fails = ZeroDivisionError("oops")
    outcome = await world.check()
    assert (outcome.state, outcome.reason) == (State.BLOCKED, Reason.INTERNAL_ERROR)
    assert "ZeroDivisionError" in outcome.message
    assert "oops" in caplog.text


async def test_a_suspended_item_is_not_checked(world: World) -> None:
    outcome = await world.check(suspend=True)
    assert outcome.state is State.SUSPENDED
    assert world.origin.log.known == []


async def test_an_object_that_mirrord_did_not_write_is_left_alone_under_owned(world: World) -> None:
    await world.store.put_object(AT, memoryview(b"theirs"), ObjectOptions())
    outcome = await world.check(overwrite=Overwrite.OWNED)
    assert (outcome.state, outcome.reason) == (State.BLOCKED, Reason.CONFLICT)
    assert "was not written by mirrord" in outcome.message
    assert world.content == b"theirs"


async def test_under_owned_a_change_of_the_source_is_written_over_our_own_object(world: World) -> None:
    assert (await world.check(overwrite=Overwrite.OWNED)).copied
    world.origin.content, world.origin.etag = b"two", '"2"'
    assert (await world.check(overwrite=Overwrite.OWNED)).copied
    assert world.content == b"two"


@pytest.mark.parametrize("overwrite", [Overwrite.OWNED, Overwrite.NEVER])
async def test_an_object_that_appeared_since_the_check_is_not_replaced(world: World, overwrite: Overwrite) -> None:
    opened = world.origin.open

    @asynccontextmanager
    async def intruded(observed: Observed, start: int = 0, end: int | None = None) -> AsyncIterator[ByteStream]:
        await world.store.put_object(AT, memoryview(b"theirs"), ObjectOptions())
        async with opened(observed, start, end) as stream:
            yield stream

    world.origin.open = intruded  # type: ignore[method-assign]
    outcome = await world.check(overwrite=overwrite)
    assert (outcome.state, outcome.reason) == (State.BLOCKED, Reason.CONFLICT)
    assert world.content == b"theirs"


async def test_a_copy_waits_for_its_slot_and_a_check_does_not(world: World) -> None:
    await world.check()
    slots = world.reconciler.transfers.slots
    for _ in range(4):
        await slots.take("other")
    assert (await world.check()).state is State.SYNCED
    world.origin.content, world.origin.etag = b"two", '"2"'
    copying = asyncio.create_task(world.check())
    for _ in range(50):
        await asyncio.sleep(0)
    assert world.content == b"one"
    slots.give()
    assert (await copying).copied is not None
    assert world.content == b"two"


async def test_a_source_that_changed_while_its_copy_waited_for_a_slot_is_recorded_as_it_was_read(world: World) -> None:
    slots = world.reconciler.transfers.slots
    for _ in range(4):
        await slots.take("other")
    copying = asyncio.create_task(world.check())
    for _ in range(50):
        await asyncio.sleep(0)
    world.origin.content, world.origin.etag = b"two!", '"2"'
    slots.give()
    assert (await copying).copied is not None
    record = await world.journal.record(AT.item_id)
    assert record is not None
    assert record.revision is not None
    assert (world.content, record.revision.etag, record.object.size) == (b"two!", '"2"', 4)
