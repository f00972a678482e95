"""Pauses: full jitter under a doubling bound, added to Retry-After."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirrord.planning.timing.backoff import Backoff, exhausted, pause

RULE = Backoff(base=0.5, cap=30.0, tries=5, longest_retry_after=60.0)


@pytest.mark.parametrize(
    ("failures", "chance", "retry_after", "expected"),
    [
        (1, 0.0, None, 0.0),
        (1, 0.5, None, 0.25),
        (2, 0.5, None, 0.5),
        (4, 0.5, None, 2.0),
        (7, 0.5, None, 15.0),
        (7, 0.5, 10.0, 25.0),
        (1, 0.0, 10.0, 10.0),
        (1, 0.0, 1e9, 60.0),
        (1, 0.0, -5.0, 0.0),
        (10_000, 0.5, None, 15.0),
    ],
)
def test_pause(failures: int, chance: float, retry_after: float | None, expected: float) -> None:
    assert pause(RULE, failures, chance, retry_after) == pytest.approx(expected)


def test_jitter_of_a_half_leaves_at_least_half_of_the_bound() -> None:
    half = Backoff(base=0.5, cap=30.0, jitter=0.5)
    assert [pause(half, 3, chance) for chance in (0.0, 0.5, 1.0)] == [1.0, 1.5, 2.0]


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True), st.one_of(st.none(), st.floats(0, 1e6)))
def test_a_pause_is_bounded_and_never_shorter_than_retry_after(
    failures: int, chance: float, asked: float | None
) -> None:
    waited = pause(RULE, failures, chance, asked)
    assert min(asked or 0.0, 60.0) <= waited <= min(asked or 0.0, 60.0) + RULE.cap


def test_tries_include_the_first() -> None:
    assert [exhausted(RULE, failures) for failures in (1, 4, 5, 6)] == [False, False, True, True]
