"""The minimum rate of a body: which time counts, over which window."""

import pytest

from mirrord.sources.http.body import MinRate


@pytest.mark.parametrize(
    ("reads", "verdicts"),
    [
        ([(1, 1.0)] * 10, [False] * 9 + [True]),  # a byte a second against 100
        ([(1000, 10.0)], [False]),  # just fast enough
        ([(999, 10.0)], [True]),
        ([(0, 5.0), (1000, 5.0)], [False, False]),  # the average of the window counts
        (
            [(5000, 0.1), (1, 4.0), (1, 5.9), (1, 9.0), (1, 1.0)],
            [False, False, False, False, True],
        ),  # a burst counts for its own window only
        ([(1, 0.0)] * 5, [False] * 5),  # buffered bytes take no waiting
        ([(0, 10.0), (1000, 10.0)], [True, False]),
    ],
)
def test_windows_of_ten_seconds_at_a_hundred_bytes_a_second(
    reads: list[tuple[int, float]], verdicts: list[bool]
) -> None:
    rate = MinRate(100, 10.0)
    assert [rate.add(received, waited) for received, waited in reads] == verdicts
