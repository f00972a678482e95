"""The time of an item's next check: the grid of `every`, cron at both changes of summer time, never, failures."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirrord.errors import Reason
from mirrord.model import (
    Destination,
    Item,
    ListedRevision,
    ObjectOptions,
    Options,
    Outcome,
    RecordedSchedule,
    Revision,
    S3Object,
    Schedule,
    State,
    fingerprint,
    origin_at,
)
from mirrord.planning.decisions.decide import options_digest
from mirrord.planning.timing.schedule import (
    AFTER_LAST_RETRY,
    JITTER,
    LONGEST_JITTER,
    Wait,
    cron_after,
    first_delay,
    first_wait,
    is_current,
    jitter,
    next_tick,
    next_wait,
)
from tests.support.records import make_record, with_fields

NOW = 1_700_000_000.0
SYNCED = Outcome(state=State.SYNCED)
BLOCKED = Outcome(state=State.BLOCKED, reason=Reason.SOURCE_MISSING)
AT = Destination("default", "http://store", "b", "k")
HOURLY = Schedule(every=3600.0)
NEVER = Schedule(every=None)
NIGHTLY = Schedule(every=None, cron="0 3 * * *", timezone="Europe/Berlin")
MIDDLE = 0.5  # the chance that means no jitter


def item(schedule: Schedule = HOURLY, source: str = "https://example.org/a", entry: str = "a") -> Item:
    return Item(
        id=AT.item_id, entry=entry, origin=origin_at(source), destination=AT, options=Options(schedule=schedule)
    )


def record_of(one: Item, **changes: object) -> RecordedSchedule:
    record = make_record(
        item_id=one.id,
        entry=one.entry,
        source=one.shown_source,
        destination=one.destination,
        state=State.SYNCED,
        revision=Revision(address=fingerprint(one.origin.address), etag='"1"'),
        options_digest=options_digest(one.options.object),
    )
    return with_fields(record, **changes).schedule


def utc(text: str) -> float:
    return datetime.fromisoformat(text + "+00:00").timestamp()


# ── every ─────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("tick", "began", "now", "expected"),
    [
        (100.0, 100.0, 100.5, 110.0),
        (100.0, 99.6, 99.9, 110.0),  # an early check by jitter serves its tick
        (100.0, 100.4, 109.9, 110.0),
        (100.0, 100.0, 110.0, 110.0),  # ended right on the next tick
        (100.0, 100.0, 110.1, 120.0),  # overran: that tick is missed
        (100.0, 100.0, 135.0, 140.0),
        (100.0, 95.0, 95.5, 100.0),  # a trigger before the tick: the tick stays
        (100.0, 95.0, 104.0, 110.0),  # ahead of it, and it passed meanwhile
        (5000.0, 95.0, 96.0, 106.0),  # the clock was set back by hours
    ],
)
def test_the_grid_of_every(tick: float, began: float, now: float, expected: float) -> None:
    assert next_tick(Schedule(every=10.0), tick, began, now) == expected


@given(
    every=st.floats(0.1, 1e6),
    looks=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.floats(0, 3.5)), min_size=1, max_size=40),
)
def test_a_schedule_never_drifts_or_goes_back(every: float, looks: list[tuple[float, float]]) -> None:
    """For any duration of checks (in periods) and any chance, each tick is whole periods after the first."""
    schedule, first, tick, due = Schedule(every=every), NOW, NOW, NOW
    for chance, took in looks:
        ended = due + took * every
        wait = next_wait(schedule, SYNCED, tick, due, ended, chance)
        assert wait is not None
        steps = (wait.tick - first) / every
        assert steps == pytest.approx(round(steps), abs=1e-3)
        assert wait.tick > tick
        assert ended <= wait.due
        assert wait.due - max(ended, wait.tick) <= jitter(every) + 1e-6
        if took < 1 - 2 * JITTER:
            assert wait.tick == pytest.approx(tick + every), "no tick is missed by a look within its period"
        tick, due = wait.tick, wait.due


@pytest.mark.parametrize(
    ("every", "chance", "expected"),
    [
        (100.0, 0.0, 95.0),
        (100.0, MIDDLE, 100.0),
        (100.0, 0.75, 102.5),
        (1_000_000.0, 0.0, 1_000_000.0 - LONGEST_JITTER),
    ],
)
def test_jitter_is_five_percent_either_way_and_bounded(every: float, chance: float, expected: float) -> None:
    wait = next_wait(Schedule(every=every), SYNCED, NOW, NOW, NOW, chance)
    assert wait == Wait(NOW + every, NOW + expected)


# ── outcomes ──────────────────────────────────────────────────────────────────────────────────────
def retrying(retry_in: float | None) -> Outcome:
    return Outcome(state=State.RETRYING, reason=Reason.SOURCE_UNAVAILABLE, retry_in=retry_in)


@pytest.mark.parametrize(
    ("schedule", "outcome", "expected"),
    [
        (HOURLY, SYNCED, Wait(NOW + 3600, NOW + 3600)),
        (HOURLY, BLOCKED, Wait(NOW + 3600, NOW + 3600)),
        (HOURLY, retrying(7.0), Wait(NOW, NOW + 9.0)),
        (HOURLY, retrying(None), Wait(NOW + 3600, NOW + 3600)),
        (HOURLY, Outcome(state=State.SUSPENDED), None),
        (NEVER, SYNCED, None),
        (NEVER, BLOCKED, None),
        (NEVER, retrying(7.0), Wait(NOW, NOW + 9.0)),
        (NEVER, retrying(None), Wait(NOW, NOW + 2 + AFTER_LAST_RETRY)),
    ],
)
def test_what_follows_an_outcome(schedule: Schedule, outcome: Outcome, expected: Wait | None) -> None:
    assert next_wait(schedule, outcome, NOW, NOW, NOW + 2, MIDDLE) == expected


def test_after_retries_the_grid_is_the_same() -> None:
    wait = next_wait(HOURLY, retrying(40.0), NOW, NOW, NOW + 1, MIDDLE)
    assert wait is not None
    assert next_wait(HOURLY, SYNCED, wait.tick, wait.due, wait.due + 5, MIDDLE) == Wait(NOW + 3600, NOW + 3600)


# ── the first check ───────────────────────────────────────────────────────────────────────────────
def test_one_item_starts_at_once_and_many_within_a_second() -> None:
    assert first_delay(HOURLY, 0.999, 1) == 0.0
    assert first_delay(HOURLY, 0.999, 11) == pytest.approx(0.00999)
    assert first_delay(HOURLY, 0.5, 1001) == pytest.approx(0.5)
    assert first_delay(HOURLY, 0.5, 1_000_000) == pytest.approx(0.5)
    assert first_delay(Schedule(every=0.2), 0.5, 1_000_000) == pytest.approx(0.1)
    assert first_delay(NEVER, 0.5, 1_000_000) == pytest.approx(0.5)


def test_an_item_without_a_record_is_checked_now() -> None:
    assert first_wait(item(), None, NOW, MIDDLE) == Wait(NOW, NOW)
    assert first_wait(item(NEVER), None, NOW, MIDDLE) == Wait(NOW, NOW)


@pytest.mark.parametrize(
    ("next_check", "expected"),
    [
        (NOW + 600, NOW + 600),
        (NOW - 600, NOW),
        (NOW + 9000, NOW + 3600),  # `every` was made shorter meanwhile
        (None, NOW),
    ],
)
def test_after_a_restart_a_current_record_keeps_its_next_check(next_check: float | None, expected: float) -> None:
    wait = first_wait(item(), record_of(item(), next_check=next_check), NOW, MIDDLE)
    assert wait == Wait(expected, expected)


NOON, THREE = utc("2026-01-10T12:00"), utc("2026-01-11T02:00")


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (None, THREE),
        ({"next_check": THREE}, THREE),
        ({"next_check": NOON + 90 * 86400}, THREE),  # for another line
        ({"next_check": NOON - 3600}, NOON),  # missed while mirrord was down
        ({"next_check": None}, THREE),
        ({"state": State.BLOCKED, "next_check": THREE}, THREE),
        ({"state": State.RETRYING, "next_check": NOON + 5}, NOON),  # interrupted
        ({"state": State.WAITING, "revision": None, "next_check": THREE}, THREE),
        ({"state": State.RETRYING, "next_check": NOON - 3600, "removed": NOON - 60}, THREE),
    ],
)
def test_the_first_check_by_cron(known: dict[str, object] | None, expected: float) -> None:
    record = None if known is None else record_of(item(NIGHTLY), **known)
    assert first_wait(item(NIGHTLY), record, NOON, MIDDLE) == Wait(expected, expected)


def test_never_is_checked_once_for_each_definition() -> None:
    assert first_wait(item(NEVER), record_of(item(NEVER)), NOW, MIDDLE) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"state": State.BLOCKED},
        {"state": State.RETRYING},
        {"revision": None},
        {"revision": Revision(address=fingerprint("https://example.org/other"))},
        {"options_digest": options_digest(ObjectOptions(cache_control="no-store"))},
        {"options_digest": None},
        {"removed": NOW - 60},
    ],
)
def test_a_definition_that_is_not_recorded_is_checked_now(changes: dict[str, object]) -> None:
    known = record_of(item(NEVER), next_check=NOW + 600, **changes)
    assert not is_current(item(NEVER), known)
    assert first_wait(item(NEVER), known, NOW, MIDDLE) == Wait(NOW, NOW)


@pytest.mark.parametrize(
    ("listed", "expected"),
    [(("p/", 3, '"1"'), True), (("p/", 3, "1"), True), (("p/", 4, '"1"'), False), (("p/", 3, '"2"'), False)],
)
def test_an_object_that_a_listing_shows_changed_is_checked_now(listed: tuple[str, int, str], expected: bool) -> None:
    source = S3Object(replace(AT, key="p/k"), ListedRevision(*listed))
    one = replace(item(), origin=source)
    known = record_of(one, revision=Revision(address=source.fingerprint, etag='"1"', length=3), next_check=NOW + 600)
    assert is_current(one, known) is expected
    assert first_wait(one, known, NOW, MIDDLE) == (Wait(NOW + 600, NOW + 600) if expected else Wait(NOW, NOW))


def test_a_suspended_item_is_checked_once_to_report_its_state() -> None:
    suspended = replace(item(NEVER), options=Options(schedule=NEVER, suspend=True))
    assert first_wait(suspended, record_of(suspended), NOW, MIDDLE) == Wait(NOW, NOW)


# ── cron ──────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("line", "zone", "after", "expected"),
    [
        ("0 3 * * *", None, "2026-01-10T02:59:59", "2026-01-10T03:00"),
        ("0 3 * * *", None, "2026-01-10T03:00", "2026-01-11T03:00"),
        ("0 3 * * *", "UTC", "2026-01-10T12:00", "2026-01-11T03:00"),
        ("0 3 * * *", "Europe/Berlin", "2026-01-10T12:00", "2026-01-11T02:00"),
        ("0 3 * * *", "Europe/Berlin", "2026-07-10T12:00", "2026-07-11T01:00"),
        ("*/15 * * * *", "Asia/Kathmandu", "2026-01-10T12:01", "2026-01-10T12:15"),
        ("0 0 29 2 *", None, "2026-03-01T00:00", "2028-02-29T00:00"),
        ("0 12 * * mon-fri", None, "2026-01-09T13:00", "2026-01-12T12:00"),
        ("0 0 13 * 5", None, "2026-01-03T00:00", "2026-01-09T00:00"),  # day of month or weekday, as in cron(8)
        ("@hourly", None, "2026-01-10T12:01", "2026-01-10T13:00"),
        ("@daily", None, "2026-01-10T12:01", "2026-01-11T00:00"),
        ("@weekly", None, "2026-01-10T12:01", "2026-01-11T00:00"),
        ("@monthly", None, "2026-01-10T12:01", "2026-02-01T00:00"),
        ("@yearly", None, "2026-01-10T12:01", "2027-01-01T00:00"),
    ],
)
def test_cron(line: str, zone: str | None, after: str, expected: str) -> None:
    assert cron_after(line, zone, utc(after)) == utc(expected)


def ticks(line: str, zone: str, start: str, end: str) -> list[str]:
    found, at = [], utc(start)
    while (at := cron_after(line, zone, at)) < utc(end):
        found.append(datetime.fromtimestamp(at, UTC).strftime("%d %H:%M"))
    return found


GAP = ("2026-03-28T12:00", "2026-03-30T12:00")  # Berlin, 29 March: 02:00 becomes 03:00 (01:00 UTC)
FOLD = ("2026-10-24T12:00", "2026-10-26T12:00")  # Berlin, 25 October: 03:00 becomes 02:00 (01:00 UTC)


def test_a_time_in_the_gap_of_spring_comes_right_after_it() -> None:
    assert ticks("30 2 * * *", "Europe/Berlin", *GAP) == ["29 01:00", "30 00:30"]


def test_a_time_in_the_fold_of_autumn_comes_once_in_its_first_hour() -> None:
    assert ticks("30 2 * * *", "Europe/Berlin", *FOLD) == ["25 00:30", "26 01:30"]


def test_asked_within_the_second_hour_of_the_fold_the_next_is_tomorrow() -> None:
    assert cron_after("30 2 * * *", "Europe/Berlin", utc("2026-10-25T01:10")) == utc("2026-10-26T01:30")


def test_every_hour_is_every_hour_through_gap_and_fold() -> None:
    night = ["00:00", "01:00", "02:00", "03:00"]
    spring = ticks("0 * * * *", "Europe/Berlin", "2026-03-28T23:30", "2026-03-29T03:30")
    autumn = ticks("0 * * * *", "Europe/Berlin", "2026-10-24T23:30", "2026-10-25T03:30")
    assert spring == [f"29 {hour}" for hour in night]
    assert autumn == [f"25 {hour}" for hour in night]


@pytest.mark.parametrize(
    ("tick", "began", "now", "expected"),
    [
        ("2026-01-10T02:00", "2026-01-10T02:00", "2026-01-10T02:10", "2026-01-11T02:00"),
        ("2026-01-10T02:00", "2026-01-10T01:59:59.9", "2026-01-10T01:59:59.95", "2026-01-11T02:00"),  # clocks differ
        ("2026-01-10T02:00", "2026-01-09T20:00", "2026-01-09T20:01", "2026-01-10T02:00"),  # asked for by a person
        ("2026-01-10T02:00", "2026-01-09T20:00", "2026-01-10T02:01", "2026-01-11T02:00"),
        ("2026-01-10T02:00", "2026-01-10T02:00", "2026-01-12T05:00", "2026-01-13T02:00"),  # overran two nights
    ],
)
def test_what_follows_a_look_by_cron(tick: str, began: str, now: str, expected: str) -> None:
    assert next_tick(NIGHTLY, utc(tick), utc(began), utc(now)) == utc(expected)


def test_cron_has_no_jitter() -> None:
    at = utc("2026-01-10T02:00")
    assert next_wait(NIGHTLY, SYNCED, at, at, at + 1, 0.9) == Wait(at + 86400, at + 86400)


@pytest.mark.parametrize(
    ("line", "zone", "said"),
    [
        ("61 * * * *", None, "'61 \\* \\* \\* \\*' is not a cron line \\(Bad minute\\); write five fields"),
        ("0 3 * *", None, "is not a cron line"),
        ("0 0 31 2 *", None, "is not a cron line|names no day"),
        ("0 3 * * *", "Europe/Atlantis", "'Europe/Atlantis' is not a time zone; write it like Europe/Berlin"),
        ("0 3 * * *", "Europe", "is not a time zone"),
        ("0 3 * * *", "../etc/passwd", "is not a time zone"),
        ("0 3 * * *", "", "is not a time zone"),
    ],
)
def test_what_is_wrong_is_said(line: str, zone: str | None, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        cron_after(line, zone, 0.0)
