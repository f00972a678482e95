"""The scheduler over a real queue and journal: reloads, restarts, failures, folders' files, a journal that fails."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from mirrord.aio import finish
from mirrord.errors import JournalUnavailable, Reason
from mirrord.model import (
    Destination,
    IdList,
    Item,
    ObjectOptions,
    Outcome,
    Record,
    Revision,
    State,
    Url,
    fingerprint,
    origin_at,
)
from mirrord.planning.decisions.decide import options_digest
from mirrord.planning.items.difference import Difference
from mirrord.scheduling import records
from mirrord.scheduling import scheduler as scheduling
from mirrord.scheduling.queue import LocalQueue
from mirrord.scheduling.scheduler import WORTH_KEEPING, Scheduler
from mirrord.testing import ManualClock, MemoryJournal
from tests.support.options import make_options
from tests.support.records import make_record

SYNCED = Outcome(state=State.SYNCED)
MISSING = Outcome(state=State.BLOCKED, reason=Reason.SOURCE_MISSING)
DENIED = Outcome(state=State.BLOCKED, reason=Reason.SOURCE_DENIED)
NEVER = make_options(every=None)


def retrying(seconds: float) -> Outcome:
    return Outcome(state=State.RETRYING, reason=Reason.SOURCE_UNAVAILABLE, retry_in=seconds)


def item(key: str = "k", every: float | None = 100.0, source: str = "https://example.org/a", **options: object) -> Item:
    at = Destination("default", "http://store", "b", key)
    made = make_options(every=every, **options)
    return Item(id=at.item_id, entry="e", origin=origin_at(source), destination=at, options=made)


def by_id(*items: Item) -> dict[str, Item]:
    return {one.id: one for one in items}


def synced(one: Item, next_check: float | None) -> Record:
    return make_record(
        item_id=one.id,
        entry=one.entry,
        source=one.shown_source,
        destination=one.destination,
        state=State.SYNCED,
        next_check=next_check,
        revision=Revision(address=fingerprint(one.origin.address)),
        options_digest=options_digest(one.options.object),
    )


class FailingJournal(MemoryJournal):
    """Can be read and not written, or neither."""

    writes = True
    reads = True

    async def save_all(self, records: object) -> None:
        if not self.writes:
            raise JournalUnavailable("disk full")
        await super().save_all(records)  # type: ignore[arg-type]

    async def record(self, item_id: str) -> Record | None:
        if not self.reads:
            raise JournalUnavailable("cannot read")
        return await super().record(item_id)

    async def recorded(self, item_ids: Collection[str]) -> Mapping[str, Record]:
        if not self.reads:
            raise JournalUnavailable("cannot read")
        return await super().recorded(item_ids)


class Stage:
    """A scheduler at work; what is checked when, and what comes of it, is the test's word."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.began = self.clock.now()
        self.journal = FailingJournal()
        self.queue = LocalQueue(self.clock)
        self.checks: list[tuple[str, float]] = []  # key, seconds since the beginning
        self.failures: list[int] = []
        self.cancelled: list[str] = []
        self.takes = 0.0
        self.outcomes: dict[str, list[Outcome]] = {}
        self.body: Callable[[Item], Awaitable[None]] | None = None
        self.scheduler = Scheduler(
            reconcile=self.check, queue=self.queue, journal=self.journal, clock=self.clock, chance=lambda: 0.5
        )

    async def check(self, one: Item, failures: int) -> Outcome:
        self.checks.append((one.destination.key, self.clock.monotonic()))
        self.failures.append(failures)
        try:
            if self.body:
                await self.body(one)
            if self.takes:
                await self.clock.sleep(self.takes)
        except asyncio.CancelledError:
            self.cancelled.append(one.destination.key)
            raise
        script = self.outcomes.get(one.destination.key, [])
        return script.pop(0) if script else SYNCED

    @asynccontextmanager
    async def working(self, concurrency: int = 8) -> AsyncIterator[None]:
        running = asyncio.create_task(self.scheduler.run(concurrency))
        try:
            yield
        finally:
            running.cancel()
            await asyncio.wait([running])

    def times(self, key: str = "k") -> list[float]:
        return [round(at, 3) for one, at in self.checks if one == key]


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    stage = Stage()
    async with stage.working():
        yield stage


# ── schedules ─────────────────────────────────────────────────────────────────────────────────────
async def test_an_item_is_checked_once_and_then_at_every(stage: Stage) -> None:
    stage.takes = 7
    found = await stage.scheduler.apply(by_id(item()))
    assert found == Difference(added=IdList([item().id]))
    await stage.clock.advance(350)
    assert stage.times() == [0, 100, 200, 300]


async def test_a_check_that_overruns_skips_ticks_and_never_overlaps(stage: Stage) -> None:
    stage.takes = 130
    await stage.scheduler.apply(by_id(item()))
    await stage.clock.advance(700)
    assert stage.times() == [0, 200, 400, 600]


@pytest.mark.parametrize("end", ["it ends", "it is removed", "it fails"])
async def test_an_item_that_is_renamed_while_it_is_checked_is_recorded_with_its_new_name(
    stage: Stage, end: str
) -> None:
    """The check writes the record with the name that it began with; also where its last write cannot be cancelled."""

    async def body(one: Item) -> None:
        try:
            await stage.clock.sleep(10)
        finally:
            await finish(stage.journal.save(synced(one, None)))
        if end == "it fails":
            raise JournalUnavailable("disk full")

    stage.body, new = body, replace(item(), entry="new")
    await stage.scheduler.apply(by_id(item()))
    await stage.clock.advance(1)
    assert (await stage.scheduler.apply(by_id(new))).renamed == IdList([new.id])
    if end == "it is removed":
        await stage.scheduler.apply({})
    await stage.clock.advance(10)
    record = await stage.journal.record(new.id)
    assert record is not None
    assert record.entry == "new"


async def test_a_crowd_is_spread_over_a_second(stage: Stage) -> None:
    stage.scheduler.chance = iter([number / 1000 for number in range(1000)] + [0.5] * 10_000).__next__
    await stage.scheduler.apply(by_id(*(item(str(number)) for number in range(1000))))
    await stage.clock.advance(1)
    at = [at for _, at in stage.checks]
    assert len(at) == 1000
    assert sum(moment < 0.1 for moment in at) < 150


async def test_failures_are_counted_and_the_grid_goes_on_after_them(stage: Stage) -> None:
    stage.outcomes["k"] = [SYNCED, retrying(3), retrying(4), SYNCED, retrying(5)]
    await stage.scheduler.apply(by_id(item()))
    await stage.clock.advance(250)
    assert stage.times() == [0, 100, 103, 107, 200, 205]
    assert stage.failures == [0, 0, 1, 2, 0, 1]


async def test_what_a_breaker_holds_back_is_no_failure(stage: Stage) -> None:
    stage.outcomes["k"] = [retrying(1), *[replace(retrying(2), tried=False)] * 3, retrying(1), SYNCED]
    await stage.scheduler.apply(by_id(item()))
    await stage.clock.advance(50)
    assert stage.failures == [0, 1, 1, 1, 1, 2]


async def test_a_permanent_failure_is_checked_again_at_every(stage: Stage) -> None:
    stage.outcomes["k"] = [MISSING, DENIED]
    await stage.scheduler.apply(by_id(item()))
    await stage.clock.advance(250)
    assert stage.times() == [0, 100, 200]
    assert stage.failures == [0, 0, 0]


async def test_never_is_once_until_the_definition_changes(stage: Stage) -> None:
    stage.outcomes["k"] = [retrying(5), SYNCED]
    await stage.scheduler.apply(by_id(item(every=None)))
    await stage.clock.advance(10_000)
    assert stage.times() == [0, 5]
    assert stage.scheduler.next_check(item().id) is None
    await stage.scheduler.apply(by_id(item(every=None, object=ObjectOptions(acl="private"))))
    await stage.clock.advance(10_000)
    assert stage.times() == [0, 5, 10_000]


async def test_cron_waits_for_its_time_and_the_journal_says_so(stage: Stage) -> None:
    nightly = item(every=None, cron="0 3 * * *", timezone="Europe/Berlin")
    await stage.scheduler.apply(by_id(nightly))
    record = await stage.journal.record(nightly.id)
    assert record is not None
    assert (record.condition.state, record.condition.reason) == (State.WAITING, Reason.SCHEDULE)
    assert record.condition.next_check == stage.scheduler.next_check(nightly.id)
    await stage.clock.advance(3 * 86400)
    first = stage.times()[0]
    assert (stage.began + first - 2 * 3600) % 86400 == pytest.approx(0)
    assert stage.times() == [first, first + 86400, first + 2 * 86400]


async def test_a_suspended_item_is_checked_once_to_report_its_state(stage: Stage) -> None:
    stage.outcomes["k"] = [Outcome(state=State.SUSPENDED)]
    await stage.scheduler.apply(by_id(item(suspend=True)))
    await stage.clock.advance(1000)
    assert stage.times() == [0]
    await stage.scheduler.apply(by_id(item()))
    await stage.clock.advance(150)
    assert stage.times() == [0, 1000, 1100]


async def test_a_trigger_goes_before_all_that_is_due_and_moves_no_tick() -> None:
    stage = Stage()
    stage.takes = 1
    items = [item(str(number)) for number in range(5)]
    await stage.scheduler.apply(by_id(*items))
    async with stage.working(concurrency=1):
        assert await stage.scheduler.trigger(items[4].id)
        assert not await stage.scheduler.trigger("0" * 16)
        await stage.clock.advance(20)
        assert stage.checks[0][0] == "4"
        await stage.scheduler.trigger(items[4].id)
        await stage.clock.advance(85)
    assert len(stage.times("4")) == 3
    assert stage.times("4")[-1] == pytest.approx(100, abs=5)


# ── reloads ───────────────────────────────────────────────────────────────────────────────────────
async def test_unchanged_items_go_on_untouched_even_while_they_run(stage: Stage) -> None:
    stage.takes = 30
    await stage.scheduler.apply(by_id(item("a"), item("b")))
    await stage.clock.advance(10)
    assert not await stage.scheduler.apply(by_id(item("b"), item("a")))
    await stage.clock.advance(120)
    assert stage.cancelled == []
    assert (stage.times("a"), stage.times("b")) == ([0, 100.0], [0, 100.0])


async def test_a_changed_item_that_waits_is_checked_now(stage: Stage) -> None:
    await stage.scheduler.apply(by_id(item()))
    await stage.clock.advance(50)
    await stage.scheduler.apply(by_id(item(source="https://example.org/b")))
    await stage.clock.advance(120)
    assert stage.times() == [0, 50, 150]


async def test_a_changed_item_that_runs_is_cancelled_and_begun_again(stage: Stage) -> None:
    stage.takes = 30
    seen: list[str] = []

    async def body(one: Item) -> None:
        seen.append(one.origin.address)

    stage.body = body
    await stage.scheduler.apply(by_id(item()))
    await stage.clock.advance(10)
    await stage.scheduler.apply(by_id(item(source="https://example.org/b")))
    await stage.clock.advance(60)
    assert stage.cancelled == ["k"]
    assert stage.times() == [0, 10]
    assert seen == ["https://example.org/a", "https://example.org/b"]


async def test_a_changed_cron_item_that_runs_is_begun_again_at_once(stage: Stage) -> None:
    nightly = item(every=None, cron="0 3 * * *")
    await stage.scheduler.apply(by_id(nightly))
    await stage.scheduler.trigger(nightly.id)
    stage.takes = 30
    await stage.clock.advance(10)
    await stage.scheduler.apply(by_id(replace(nightly, origin=Url("https://example.org/b"))))
    await stage.clock.advance(60)
    assert stage.times() == [0, 10]


async def test_another_schedule_cancels_nothing_and_counts_from_now_on(stage: Stage) -> None:
    stage.takes = 30
    await stage.scheduler.apply(by_id(item("runs"), item("waits", every=None)))
    await stage.clock.advance(31)
    await stage.scheduler.trigger(item("runs").id)
    await stage.clock.advance(9)
    await stage.scheduler.apply(by_id(item("runs", every=50.0), item("waits", every=50.0)))
    await stage.clock.advance(75)
    assert stage.cancelled == []
    assert stage.times("runs") == [0, 31, 100]
    assert stage.times("waits") == [0, 40, 90]


async def test_another_name_changes_nothing_but_the_name(stage: Stage) -> None:
    stage.takes = 30
    await stage.scheduler.apply(by_id(item("runs"), item("waits")))
    await stage.clock.advance(10)
    await stage.scheduler.apply(by_id(*(replace(item(key), entry="f") for key in ("runs", "waits"))))
    await stage.clock.advance(100)
    assert stage.cancelled == []
    assert stage.times("runs") == [0, 100]
    assert (found := stage.scheduler.item(item("runs").id)) is not None
    assert found.entry == "f"


async def test_removed_items_are_cancelled_and_dropped_and_may_come_back(stage: Stage) -> None:
    stage.takes = 30
    await stage.scheduler.apply(by_id(item("runs"), item("stays")))
    await stage.clock.advance(10)
    found = await stage.scheduler.apply(by_id(item("stays")))
    assert found == Difference(removed=IdList([item("runs").id]))
    assert stage.cancelled == ["runs"]
    await stage.clock.advance(200)
    assert stage.times("runs") == [0]
    assert not await stage.scheduler.trigger(item("runs").id)
    await stage.scheduler.apply(by_id(item("stays"), item("runs")))
    await stage.clock.advance(1)
    assert stage.times("runs") == [0, 210]


async def test_a_slow_cancellation_keeps_nobody_else_waiting(stage: Stage) -> None:
    async def slow_to_end(one: Item) -> None:
        try:
            await stage.clock.sleep(1000)
        finally:
            if one.destination.key == "slow":
                await stage.clock.sleep(20)

    stage.body = slow_to_end
    await stage.scheduler.apply(by_id(item("slow")))
    await stage.clock.advance(5)
    applying = asyncio.create_task(stage.scheduler.apply(by_id(item("new"))))
    await stage.clock.advance(1)
    assert stage.times("new") == [5]
    assert not applying.done(), "it says that it is done when nothing of the old runs"
    second = asyncio.create_task(stage.scheduler.apply(by_id(item("new"), item("newer"))))
    await stage.clock.advance(1)
    assert stage.times("newer") == [6]
    assert second.done()
    await stage.clock.advance(20)
    assert applying.done()


async def test_items_of_a_changed_store_are_begun_again(stage: Stage) -> None:
    stage.takes = 30
    await stage.scheduler.apply(by_id(item()))
    await stage.clock.advance(10)
    await stage.scheduler.apply(by_id(item()), changed_stores={"default"})
    await stage.clock.advance(50)
    assert stage.cancelled == ["k"]
    assert stage.times() == [0, 10]


# ── restarts ──────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("crowd", [1, records._ASKED + 1])
async def test_after_a_restart_fresh_records_keep_their_time(stage: Stage, crowd: int) -> None:
    fresh = [item(str(number), every=3600.0) for number in range(crowd)]
    stale, done = item("stale", every=3600.0), item("done", every=None)
    for one in fresh:
        await stage.journal.save(synced(one, stage.began + 600))
    await stage.journal.save(synced(replace(stale, origin=Url("https://example.org/old")), stage.began + 600))
    await stage.journal.save(synced(done, None))
    await stage.scheduler.apply(by_id(*fresh, stale, done))
    await stage.clock.advance(10)
    assert [key for key, _ in stage.checks] == ["stale"]
    await stage.clock.advance(600)
    assert {key for key, _ in stage.checks} == {one.destination.key for one in (*fresh, stale)}


async def test_a_distant_next_check_is_journaled_and_a_near_one_is_not(stage: Stage) -> None:
    near, far = item("near", every=WORTH_KEEPING - 1), item("far", every=3600.0)
    for one in (near, far):
        await stage.journal.save(synced(one, None))
    await stage.scheduler.apply(by_id(near, far))
    await stage.clock.advance(10)
    kept = [await stage.journal.record(one.id) for one in (near, far)]
    assert [record and record.condition.next_check for record in kept] == [
        None,
        pytest.approx(stage.began + 3600, abs=0.1),
    ]


async def test_a_retry_leaves_the_next_check_to_the_reconciler(stage: Stage) -> None:
    one = item(every=3600.0)
    await stage.journal.save(synced(one, stage.began + 600))
    stage.outcomes["k"] = [retrying(5)]
    await stage.scheduler.apply(by_id(one))
    await stage.scheduler.trigger(one.id)
    await stage.journal.save(synced(one, None))
    await stage.clock.advance(1)
    assert stage.times() == [0]
    record = await stage.journal.record(one.id)
    assert record is not None
    assert record.condition.next_check is None


async def test_new_items_are_recorded_as_pending_before_their_check_and_returned_ones_again_in_force() -> None:
    stage = Stage()
    back = item("back")
    await stage.journal.save(synced(back, None))
    await stage.journal.retire([back.id], stage.began - 60)
    await stage.scheduler.apply(by_id(item("new"), back))
    new, again = await stage.journal.record(item("new").id), await stage.journal.record(back.id)
    assert new is not None
    assert again is not None
    assert (new.condition.state, new.revision) == (State.PENDING, None)
    assert (again.condition.state, again.removed) == (State.SYNCED, None)


# ── folders ───────────────────────────────────────────────────────────────────────────────────────
async def test_a_file_is_checked_until_it_is_settled_and_then_forgotten(stage: Stage) -> None:
    stage.outcomes["k"] = [retrying(5), DENIED, SYNCED]
    await stage.scheduler.submit(item())
    await stage.clock.advance(1000)
    assert stage.times() == [0, 5, 100]
    assert stage.scheduler.item(item().id) is None


@pytest.mark.parametrize("outcome", [SYNCED, MISSING, Outcome(state=State.SUSPENDED)])
async def test_a_file_that_is_done_or_gone_is_forgotten(stage: Stage, outcome: Outcome) -> None:
    stage.outcomes["k"] = [outcome]
    await stage.scheduler.submit(item())
    await stage.clock.advance(1000)
    assert stage.times() == [0]
    assert stage.scheduler.item(item().id) is None


async def test_a_file_submitted_while_it_is_checked_is_checked_again(stage: Stage) -> None:
    stage.takes = 30
    await stage.scheduler.submit(item())
    await stage.clock.advance(10)
    await stage.scheduler.submit(item())
    await stage.clock.advance(1000)
    assert stage.cancelled == []
    assert stage.times() == [0, 30]
    assert stage.scheduler.item(item().id) is None


async def test_the_newest_definition_of_a_file_wins(stage: Stage) -> None:
    stage.takes = 30
    await stage.scheduler.submit(item())
    await stage.clock.advance(10)
    await stage.scheduler.submit(item(source="file:///srv/b"))
    await stage.clock.advance(1000)
    assert stage.cancelled == ["k"]
    assert stage.times() == [0, 10]


async def test_a_reload_leaves_files_alone_and_a_folder_takes_its_own_along(stage: Stage) -> None:
    stage.takes = 30
    mine, other = replace(item("mine"), entry="inbox"), replace(item("other"), entry="outbox")
    await stage.scheduler.submit(mine)
    await stage.scheduler.submit(other)
    await stage.clock.advance(10)
    await stage.scheduler.apply(by_id(item("url")))
    assert stage.cancelled == []
    await stage.scheduler.withdraw("inbox")
    assert stage.cancelled == ["mine"]
    assert stage.scheduler.item(mine.id) is None
    assert stage.scheduler.item(other.id) == other


async def test_a_file_that_becomes_a_mirror_stays(stage: Stage) -> None:
    await stage.scheduler.submit(item())
    await stage.scheduler.apply(by_id(item()))
    await stage.clock.advance(250)
    assert stage.times() == [0, 100, 200]


async def test_an_item_that_comes_back_ends_the_deletion_of_its_object(stage: Stage) -> None:
    stage.takes = 30
    await stage.scheduler.submit(replace(item(), gone=True))
    await stage.clock.advance(10)
    await stage.scheduler.apply(by_id(item()))
    await stage.clock.advance(50)
    assert (stage.cancelled, stage.times()) == (["k"], [0, 10])
    await stage.scheduler.submit(replace(item(), gone=True))  # a decision from before the item came back
    assert stage.scheduler.item(item().id) == item()


async def test_who_submits_too_much_waits(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduling, "MOST_FILES", 3)
    stage.takes = 30

    async def all_of_them() -> None:
        for number in range(5):
            await stage.scheduler.submit(item(str(number)))

    submitting = asyncio.create_task(all_of_them())
    await stage.clock.advance(10)
    assert len(stage.checks) == 3
    await stage.clock.advance(100)
    assert submitting.done()
    assert len(stage.checks) == 5


# ── a journal that fails ──────────────────────────────────────────────────────────────────────────
async def test_while_the_journal_cannot_be_written_nothing_is_checked(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    items = [item(str(number)) for number in range(20)]
    await stage.scheduler.apply(by_id(*items))
    await stage.clock.advance(50)

    async def failing(one: Item) -> None:
        if not stage.journal.writes:
            raise JournalUnavailable("disk full")

    stage.body, stage.journal.writes = failing, False
    before = len(stage.checks)
    await stage.clock.advance(500)
    assert stage.scheduler.journal_problem == "disk full"
    assert len(stage.checks) - before <= len(items), "a full disk stops all but the checks that found it"
    stage.journal.writes = True
    await stage.clock.advance(31)
    assert stage.scheduler.journal_problem is None
    await stage.clock.advance(100)
    late = {key for key, at in stage.checks if at > 550}
    assert late == {one.destination.key for one in items}, "nothing is lost"
    assert len([one for one in caplog.records if one.name == records.__name__]) == 2, "one line a change"


async def test_tries_on_a_failing_journal_are_spaced(stage: Stage) -> None:
    tries = 0

    async def failing(one: Item) -> None:
        nonlocal tries
        tries += 1
        raise JournalUnavailable("disk full")

    stage.body = failing
    await stage.scheduler.apply(by_id(item()))
    await stage.clock.advance(300)
    assert 10 <= tries <= 25


async def test_a_wave_of_failures_counts_once(stage: Stage) -> None:
    stage.takes = 1
    broken = True

    async def failing(one: Item) -> None:
        await stage.clock.sleep(1)
        if broken:
            raise JournalUnavailable("disk full")

    stage.body = failing
    await stage.scheduler.apply(by_id(*(item(str(number), every=1000.0) for number in range(8))))
    await stage.clock.advance(1.1)
    broken = False
    await stage.clock.advance(3)
    assert len(stage.checks) == 16


async def test_a_journal_that_cannot_be_read_at_a_reload_delays_but_loses_nothing(stage: Stage) -> None:
    stage.journal.reads = False
    await stage.scheduler.apply(by_id(item()))
    assert stage.scheduler.journal_problem == "cannot read"
    assert stage.times() == []
    stage.journal.reads = True
    await stage.clock.advance(5)
    assert stage.scheduler.journal_problem is None
    assert len(stage.times()) == 1


# ── the end ───────────────────────────────────────────────────────────────────────────────────────
async def test_stop_lets_checks_end_within_the_grace_and_cancels_the_rest() -> None:
    stage = Stage()
    stage.takes = 10
    running = asyncio.create_task(stage.scheduler.run(2))
    await stage.scheduler.apply(by_id(item("a")))
    await stage.clock.advance(5)
    stopping = asyncio.create_task(stage.scheduler.stop(20))
    await stage.clock.advance(60)
    await asyncio.gather(stopping, running)
    assert (stage.times("a"), stage.cancelled) == ([0], [])


# ── a wall clock that is set ──────────────────────────────────────────────────────────────────────
HOUR, DAY = 3600.0, 86_400.0
TICK = 1_700_017_200.0 - 1_700_000_000.0
"""03:00 UTC, in seconds from where the clock of these tests begins."""


async def nightly_at(stage: Stage, before: float) -> None:
    """It is `before` seconds ahead of the first tick, and the item waits for it."""
    await stage.scheduler.apply(by_id(item(every=None, cron="0 3 * * *")))
    await stage.clock.advance(TICK - before)
    assert stage.times() == []


@pytest.mark.parametrize("ahead", [600.0, HOUR, 9 * HOUR, 3 * DAY + HOUR])
async def test_a_clock_set_ahead_over_a_tick_brings_the_check_within_a_minute(stage: Stage, ahead: float) -> None:
    async with stage.working():
        await nightly_at(stage, 300.0)
        stage.clock.set_ahead(ahead)
        await stage.clock.advance(60.0)
        assert len(stage.times()) == 1
        await stage.clock.advance(2 * HOUR)
        assert len(stage.times()) == 1, "what was jumped over comes once"


async def test_a_clock_set_ahead_short_of_the_tick_brings_the_check_at_the_tick(stage: Stage) -> None:
    async with stage.working():
        await nightly_at(stage, 2 * HOUR)
        stage.clock.set_ahead(HOUR)
        await stage.clock.advance(HOUR - 60.0)
        assert stage.times() == []
        await stage.clock.advance(61.0)
        assert len(stage.times()) == 1


async def test_a_clock_set_back_before_the_tick_brings_the_check_once_at_the_tick(stage: Stage) -> None:
    async with stage.working():
        await nightly_at(stage, 10.0)
        stage.clock.set_ahead(-HOUR)
        await stage.clock.advance(HOUR)
        assert stage.times() == []
        await stage.clock.advance(11.0)
        assert len(stage.times()) == 1
        await stage.clock.advance(HOUR)
        assert len(stage.times()) == 1


async def test_a_clock_set_back_after_the_tick_brings_it_no_second_time(stage: Stage) -> None:
    async with stage.working():
        await nightly_at(stage, 10.0)
        await stage.clock.advance(20.0)
        assert len(stage.times()) == 1
        stage.clock.set_ahead(-HOUR)
        await stage.clock.advance(20 * HOUR)
        assert len(stage.times()) == 1
        await stage.clock.advance(6 * HOUR)
        assert len(stage.times()) == 2, "the next night's"


async def test_a_clock_that_was_years_ahead_is_followed_back(stage: Stage) -> None:
    stage.clock.set_ahead(1000 * DAY)
    async with stage.working():
        await stage.scheduler.apply(by_id(item(every=None, cron="0 3 * * *")))
        await stage.clock.advance(60.0)
        stage.clock.set_ahead(-1000 * DAY)
        await stage.clock.advance(DAY)
        assert len(stage.times()) == 1


async def test_retries_and_what_a_person_asks_for_do_not_wait_for_a_clock_set_back(stage: Stage) -> None:
    stage.outcomes["k"] = [retrying(30.0), SYNCED, SYNCED]
    async with stage.working():
        await nightly_at(stage, 10.0)
        await stage.clock.advance(11.0)
        assert len(stage.times()) == 1
        stage.clock.set_ahead(-2 * HOUR)
        await stage.clock.advance(30.0)
        assert len(stage.times()) == 2, "the retry"
        assert await stage.scheduler.trigger(item().id)
        await stage.clock.advance(0.0)
        assert len(stage.times()) == 3


async def test_intervals_do_not_care_how_the_clock_is_set(stage: Stage) -> None:
    async with stage.working():
        await stage.scheduler.apply(by_id(item(every=100.0)))
        await stage.clock.advance(10.0)
        stage.clock.set_ahead(-HOUR)
        await stage.clock.advance(100.0)
        assert len(stage.times()) == 2
