"""After which time out of sync an item is stale."""

import pytest

from mirrord.model import Destination, File, Item, Options, Origin, Schedule, origin_at
from mirrord.planning.notifications.staleness import longest_gap, stale_after

HOUR, DAY = 3600.0, 86400.0
URL, FOLDER, LOCAL = origin_at("https://h/x"), File("/in", "x"), File(None, "/x")


def limit(schedule: Schedule, origin: Origin = URL, **options: object) -> float | None:
    at = Destination("default", "http://e", "b", "k")
    made = Options(schedule=schedule, **options)
    return stale_after(Item(id=at.item_id, entry="e", origin=origin, destination=at, options=made))


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (Schedule(every=2 * HOUR), 6 * HOUR),
        (Schedule(every=60.0), HOUR),
        (Schedule(every=None), None),
        (Schedule(every=None, cron="0 3 * * *"), 3 * DAY),
        (Schedule(every=None, cron="*/5 * * * *"), HOUR),
        (Schedule(every=None, cron="0 9-17 * * 1-5"), 3 * (2 * DAY + 16 * HOUR)),
        (Schedule(every=None, cron="* 9-17 * * 1-5"), 3 * (2 * DAY + 15 * HOUR + 60)),
        (Schedule(every=None, cron="@monthly"), 3 * 31 * DAY),
    ],
)
def test_the_default_is_three_times_the_longest_wait_for_a_check(schedule: Schedule, expected: float | None) -> None:
    assert limit(schedule) == expected


def test_summer_time_makes_a_day_of_25_hours() -> None:
    assert longest_gap("0 12 * * *", "Europe/Berlin") == 25 * HOUR


def test_the_value_of_the_entry_counts() -> None:
    assert limit(Schedule(), stale_after=9 * DAY) == 9 * DAY
    assert limit(Schedule(), stale_after=None) is None
    assert limit(Schedule(), suspend=True, stale_after=9 * DAY) is None


def test_files_of_folders_have_no_default() -> None:
    assert limit(Schedule(), FOLDER) is None
    assert limit(Schedule(), FOLDER, stale_after=2 * HOUR) == 2 * HOUR
    assert limit(Schedule(every=2 * HOUR), LOCAL) == 6 * HOUR
