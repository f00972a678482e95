"""The schedule of an entry's items: the entry's own, else that of the defaults."""

import pytest

from mirrord.manifest.schema.entries import DefaultsSection, MirrorSection
from mirrord.model import Schedule
from mirrord.planning.items.options import OptionsOf

ENTRY = {"url": "https://h/x", "to": "s3://bbb/x"}


@pytest.mark.parametrize(
    ("defaults", "entry", "expected"),
    [
        ({}, {}, Schedule(every=3600.0)),
        ({}, {"every": "5m"}, Schedule(every=300.0)),
        ({}, {"every": "never"}, Schedule(every=None)),
        ({}, {"cron": "0 3 * * *"}, Schedule(every=None, cron="0 3 * * *")),
        ({"every": "5m"}, {"cron": "0 3 * * *"}, Schedule(every=None, cron="0 3 * * *")),
        ({"cron": "0 3 * * *", "timezone": "UTC"}, {}, Schedule(every=None, cron="0 3 * * *", timezone="UTC")),
        ({"cron": "0 3 * * *", "timezone": "UTC"}, {"every": "5m"}, Schedule(every=300.0)),
        (
            {"cron": "0 3 * * *", "timezone": "Asia/Tokyo"},
            {"cron": "0 4 * * *"},
            Schedule(every=None, cron="0 4 * * *", timezone="Asia/Tokyo"),
        ),
    ],
)
def test_the_entry_overrides_the_defaults(defaults: dict[str, str], entry: dict[str, str], expected: Schedule) -> None:
    made = OptionsOf(DefaultsSection.model_validate(defaults))(MirrorSection.model_validate({**ENTRY, **entry}))
    assert made.schedule == expected
