"""An item with several URLs: which one serves, what is written and recorded, and what a broken transfer leaves."""

import asyncio
from dataclasses import replace

import pytest

from mirrord.errors import MirrordError, Reason, SourceMissing, SourceTooSlow, SourceUnavailable, StoreRefused
from mirrord.events import (
    ItemBlocked,
    ItemRetrying,
    ItemUnchanged,
    TransferCompleted,
    TransferFailed,
    TransferResumed,
    TransferStarted,
    UploadAborted,
)
from mirrord.model import DeclaredSum, Observed, Record, Revision, State, UploadOptions, Url, fingerprint
from mirrord.planning.timing.breaker import SUSPECTS
from mirrord.reconcile.records import touched
from mirrord.reconcile.transfers import Transfers
from mirrord.testing import MemorySource, MemoryStore, SourceHooks
from mirrord.units import MiB
from tests.support.item_world import AT, World
from tests.support.records import make_record

FIRST, SECOND = Url("http://one/x?token=secret"), Url("http://two/x?token=secret")
PARTS = UploadOptions(multipart_threshold=5 * MiB, part_size=5 * MiB)


class Writes(MemoryStore):
    """Counts its writes; `refuses` is raised by each of them."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0
        self.refuses: MirrordError | None = None

    async def put_object(self, *given, **more):  # type: ignore[no-untyped-def]
        self.writes += 1
        if self.refuses is not None:
            raise self.refuses
        return await super().put_object(*given, **more)

    async def create_upload(self, *given, **more):  # type: ignore[no-untyped-def]
        self.writes += 1
        return await super().create_upload(*given, **more)


class Two(World):
    """The item has two URLs; their ETags are equal, as of two servers that count versions."""

    def __init__(self, content: bytes = b"one") -> None:
        self.writes = Writes()
        super().__init__(store=self.writes)
        self.first, self.second = (
            MemorySource(content, address=fingerprint(one.address), ranges=len(content) > MiB)
            for one in (FIRST, SECOND)
        )
        self.item = replace(self.item, origin=FIRST, urls=(FIRST, SECOND))
        sources = {FIRST: self.first, SECOND: self.second}
        object.__setattr__(self.reconciler, "source_of", lambda item: sources[item.origin])

    async def record(self) -> Record:
        known = await self.journal.record(AT.item_id)
        assert known is not None
        return known

    async def served_by(self) -> str:
        return (await self.record()).source


@pytest.fixture
def two() -> Two:
    return Two()


async def test_the_primary_serves_and_the_fallback_is_not_asked(two: Two) -> None:
    assert (await two.check()).copied is not None
    assert await two.served_by() == "http://one/x?…"
    assert two.second.log.known == []


async def test_a_fallback_serves_and_the_way_back_reads_once_and_writes_nothing(two: Two) -> None:
    two.first.fails = SourceMissing("http://one/x?…: answered 404")
    assert (await two.check()).state is State.SYNCED
    assert two.event_types() == [TransferStarted, TransferCompleted]
    assert await two.served_by() == "http://two/x?…"
    two.first.fails = None
    assert (await two.check()).state is State.SYNCED
    assert two.event_types() == [ItemUnchanged]
    assert (await two.served_by(), two.writes.writes, len(two.first.log.opened)) == ("http://one/x?…", 1, 1)
    await two.check()
    assert two.first.log.known[-1] == (await two.record()).revision
    assert (len(two.first.log.opened), len(two.second.log.opened)) == (1, 1)


async def test_a_primary_that_comes_back_with_other_bytes_is_copied(two: Two) -> None:
    two.first.fails = SourceUnavailable("http://one/x?…: answered 503")
    await two.check()
    two.first.fails, two.first.content = None, b"two"
    assert (await two.check()).copied is not None
    assert two.content == b"two"
    assert await two.served_by() == "http://one/x?…"


async def test_an_object_of_other_bytes_is_written_again_by_the_url_that_answers(two: Two) -> None:
    """The store damaged what the primary sent, and the fallback has the bytes that were sent."""
    put = two.store.put_object

    async def damaged(at, body, *given, **more):  # type: ignore[no-untyped-def]
        answer = await put(at, memoryview(b"0ne"), given[0], None)
        return replace(answer, checksum=None)

    object.__setattr__(two.store, "put_object", damaged)
    assert (await two.check(readback=True)).reason is Reason.CHECKSUM_MISMATCH
    object.__delattr__(two.store, "put_object")
    two.first.fails = SourceUnavailable("http://one/x?…: answered 503")
    assert (await two.check(1, readback=True)).copied is not None
    assert two.content == b"one"


async def test_an_object_that_was_deleted_is_written_by_the_url_that_answers(two: Two) -> None:
    await two.check()
    two.first.fails = SourceUnavailable("http://one/x?…: answered 503")
    del two.store.buckets["bucket"][AT.key]
    assert (await two.check()).copied is not None
    assert await two.served_by() == "http://two/x?…"


async def test_an_error_of_the_store_asks_no_other_url(two: Two) -> None:
    two.writes.refuses = StoreRefused("no")
    outcome = await two.check()
    assert (outcome.state, outcome.reason) == (State.BLOCKED, Reason.STORE_REFUSED)
    assert two.second.log.known == []


async def test_if_none_serves_one_event_and_one_record_name_both(two: Two) -> None:
    await two.check()
    two.first.fails = SourceUnavailable("http://one/x?…: answered 503")
    two.second.fails = SourceMissing("http://two/x?…: answered 404")
    outcome = await two.check()
    assert (outcome.state, outcome.reason, outcome.retry_in) == (State.RETRYING, Reason.SOURCE_UNAVAILABLE, 7.0)
    assert two.event_types() == [ItemRetrying]
    record = await two.record()
    assert (
        record.condition.message
        == "none of 2 URLs serves it: http://one/x?…: answered 503; http://two/x?…: answered 404"
    )
    assert (record.source, record.object.size) == ("http://one/x?…", 3)
    two.first.fails = SourceMissing("http://one/x?…: answered 404")
    assert (await two.check()).reason is Reason.SOURCE_MISSING
    assert two.event_types() == [ItemBlocked]


async def test_the_record_keeps_the_url_that_served_while_none_serves(two: Two) -> None:
    two.first.fails = SourceMissing("http://one/x?…: answered 404")
    await two.check()
    two.second.fails = SourceUnavailable("http://two/x?…: answered 503")
    assert (await two.check()).state is State.RETRYING
    assert await two.served_by() == "http://two/x?…"


async def test_a_comparison_reads_no_more_than_one_byte_beyond_the_object(two: Two) -> None:
    two.first.fails = SourceMissing("http://one/x?…: answered 404")
    await two.check()
    offsets: list[int] = []

    async def note(offset: int) -> None:
        offsets.append(offset)

    two.first.fails, two.first.content, two.first.step = None, b"x" * 100, 1
    two.first.claims, two.first.hooks.on_read = lambda size: None, note
    assert (await two.check()).copied is not None
    assert offsets[:5] == [0, 1, 2, 3, 0]


async def test_a_comparison_that_waits_for_a_slot_keeps_no_connection(two: Two) -> None:
    two.first.fails = SourceMissing("http://one/x?…: answered 404")
    await two.check()
    two.first.fails = None
    released: list[bool] = []
    object.__setattr__(two.first, "release", lambda: released.append(True))
    transfers = two.reconciler.transfers
    assert isinstance(transfers, Transfers)
    for _ in range(4):
        await transfers.slots.take("other")
    check = asyncio.create_task(two.check())
    for _ in range(20):
        await asyncio.sleep(0)
    assert released
    for _ in range(4):
        transfers.slots.give()
    assert (await check).state is State.SYNCED


def test_a_fallback_that_is_older_does_not_become_the_recorded_source(two: Two) -> None:
    dates = "Sun, 01 Feb 2026 10:00:00 GMT", "Thu, 01 Jan 2026 10:00:00 GMT"
    newer, older = (
        Revision(address=one.fingerprint, last_modified=date, length=3)
        for one, date in zip((FIRST, SECOND), dates, strict=True)
    )
    known = make_record(
        state=State.SYNCED,
        item_id=AT.item_id,
        entry="e",
        source="http://one/x?…",
        destination=AT,
        revision=newer,
        size=3,
    )
    assert not touched(two.item, known, Observed(revision=older))
    assert touched(two.item, replace(known, revision=older), Observed(revision=newer))


async def test_wrong_bytes_at_the_primary_are_read_once_a_check_and_never_written(two: Two) -> None:
    declared = "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"  # of b"one"
    two.first.content = b"two"
    for _ in range(2):
        assert (await two.check(checksum=DeclaredSum(declared))).state is State.SYNCED
        assert (two.content, await two.served_by(), two.writes.writes) == (b"one", "http://two/x?…", 1)
    assert two.event_types() == [ItemUnchanged]
    two.first.content = b"one"
    await two.check(checksum=DeclaredSum(declared))
    assert (await two.served_by(), two.writes.writes) == ("http://one/x?…", 1)
    two.first.fails, before = SourceMissing("gone"), len(two.second.log.opened)
    await two.check(checksum=DeclaredSum(declared))  # the object has the declared bytes: nothing is read
    assert (await two.served_by(), len(two.second.log.opened)) == ("http://two/x?…", before)


# ── transfers that break off ──────────────────────────────────────────────────────────────────────
@pytest.fixture
def large() -> Two:
    made = Two(b"1" * 12 * MiB)
    made.second.content = b"2" * 12 * MiB
    return made


def breaks_at(source: MemorySource, offset: int, error: MirrordError) -> None:
    async def fail(at: int) -> None:
        if at >= offset:
            raise error

    source.hooks.on_read = fail


async def test_a_transfer_that_breaks_off_starts_over_at_the_fallback(large: Two) -> None:
    breaks_at(large.first, 6 * MiB, SourceTooSlow("http://one/x?…: slower than min_rate"))
    assert (await large.check(upload=PARTS)).state is State.SYNCED
    assert large.content == large.second.content
    assert large.event_types() == [
        TransferStarted,
        TransferFailed,
        UploadAborted,
        TransferStarted,
        TransferCompleted,
    ]
    failed = next(one for one in large.events if isinstance(one, TransferFailed))
    assert failed.item.shown_source == "http://one/x?…"
    assert len(large.first.log.opened) < 8  # too slow: it was not asked again
    assert (await large.unfinished(), large.store.uploads) == (0, {})


async def test_parts_of_one_url_wait_while_no_url_serves_and_are_resumed_from_that_url(large: Two) -> None:
    large.second.fails = SourceMissing("http://two/x?…: answered 404")
    breaks_at(large.first, 11 * MiB, SourceTooSlow("http://one/x?…: slower than min_rate"))
    assert (await large.check(upload=PARTS)).state is State.RETRYING
    assert await large.unfinished() == 1
    large.first.hooks = SourceHooks()
    assert (await large.check(upload=PARTS)).state is State.SYNCED
    assert TransferResumed in large.event_types()
    assert large.content == large.first.content


async def test_parts_of_one_url_are_dropped_by_the_copy_of_another(large: Two) -> None:
    large.second.fails = SourceMissing("http://two/x?…: answered 404")
    breaks_at(large.first, 11 * MiB, SourceTooSlow("http://one/x?…: slower than min_rate"))
    await large.check(upload=PARTS)
    large.first.fails, large.second.fails = SourceMissing("http://one/x?…: answered 404"), None
    assert (await large.check(upload=PARTS)).state is State.SYNCED
    assert TransferResumed not in large.event_types()
    assert (large.content, await large.unfinished()) == (large.second.content, 0)


async def test_a_host_that_is_held_back_does_not_hold_back_the_fallback(two: Two) -> None:
    breakers, clock = two.reconciler.breakers, two.reconciler.clock
    away = SourceUnavailable("http://one/y: no answer in time")
    for number in range(SUSPECTS):
        other = replace(two.item, id=f"{number:016}", urls=())
        breakers.failed(other, away, clock.monotonic(), begun=False, fresh=True)
    assert (await two.check()).state is State.SYNCED
    assert (two.first.log.known, await two.served_by()) == ([], "http://two/x?…")
    assert not any(two.item.id in waiting for waiting in breakers._waiting.values())
    two.second.fails = SourceMissing("http://two/x?…: answered 404")
    held = await two.check()
    assert (held.state, held.tried, two.first.log.known) == (State.RETRYING, True, [])
    assert "held back while host one:80 does not answer" in held.message


async def test_retry_after_holds_for_its_own_host_only(two: Two) -> None:
    two.first.fails = SourceUnavailable("http://one/x?…: answered 503", retry_after=60.0, answered=True)
    await two.check()
    await two.check()
    assert len(two.first.log.known) == 1
    assert await two.served_by() == "http://two/x?…"
