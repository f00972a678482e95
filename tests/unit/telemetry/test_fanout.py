"""Many observers behind one: order, and a broken one that breaks nothing."""

import logging

import pytest

from mirrord.events import Event, ManifestLoaded
from mirrord.telemetry.fanout import Observers

FIRST = ManifestLoaded(file="a.yaml", items=1)
SECOND = ManifestLoaded(file="b.yaml", items=2)


def test_each_event_goes_to_each_observer_in_order() -> None:
    seen: list[tuple[str, Event]] = []
    tell = Observers([lambda event: seen.append(("x", event)), lambda event: seen.append(("y", event))])
    tell(FIRST)
    tell(SECOND)
    assert seen == [("x", FIRST), ("y", FIRST), ("x", SECOND), ("y", SECOND)]


def test_one_that_raises_is_reported_once_and_called_again(caplog: pytest.LogCaptureFixture) -> None:
    called: list[Event] = []
    seen: list[Event] = []

    def broken(event: Event) -> None:
        called.append(event)
        raise ValueError("no such column")

    tell = Observers([broken, seen.append])
    with caplog.at_level(logging.WARNING):
        tell(FIRST)
        tell(SECOND)
    assert called == seen == [FIRST, SECOND]
    (record,) = caplog.records
    assert "a subscriber failed on manifest.loaded" in record.getMessage()
    assert record.exc_info is not None
    assert "no such column" in str(record.exc_info[1])


def test_an_interrupt_is_not_swallowed() -> None:
    def interrupted(event: Event) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Observers([interrupted])(FIRST)
