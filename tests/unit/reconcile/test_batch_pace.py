"""Whether batches follow each other: by the CPU that the process took until the last ones ended."""

import pytest

from mirrord.aio import UsedCores
from mirrord.reconcile.batch_pace import BatchPace


@pytest.mark.parametrize(
    ("cores", "expected"),
    [([], True), ([1.0], True), ([0.1], False), ([0.3, 1.0], True), ([1.0, 1.0, 0.4], True), ([1.0, 0.4, 0.4], False)],
    ids=["at first", "busy", "waits for the store", "busy again", "one slow batch", "two slow batches"],
)
def test_busy_by_the_last_batches(monkeypatch: pytest.MonkeyPatch, cores: list[float], expected: bool) -> None:
    pace = BatchPace()
    for used in cores:
        monkeypatch.setattr(UsedCores, "since_last", lambda _, used=used: used)
        pace.end()
    assert pace.one_by_one is expected


def test_the_time_without_batches_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = [0.0, 1.0]
    monkeypatch.setattr(UsedCores, "since_last", lambda _: asked.pop(0))
    pace = BatchPace()
    pace.begin()
    pace.end()
    assert (pace.one_by_one, asked) == (True, [])
