"""Turns of items at a host with a limit on requests: table tests of the arithmetic."""

import pytest

from mirrord.planning.timing.request_rate import (
    RequestLine,
    longest_turn,
    most_tokens,
    turn,
    without_turn,
)


@pytest.mark.parametrize(("rate", "tokens"), [(0.1, 1.0), (10.0, 1.0), (50.0, 5.0), (1000.0, 100.0)])
def test_a_pause_is_caught_up_by_a_tenth_of_a_second_and_by_one_request_at_least(rate: float, tokens: float) -> None:
    assert most_tokens(rate) == pytest.approx(tokens)


def test_turns_are_as_far_apart_as_requests() -> None:
    line, given = RequestLine(), []
    for _ in range(4):
        line, at = turn(line, 100.0, 0.1, 10.0)
        given.append(at)
    assert given == [pytest.approx(one) for one in (0.1, 0.2, 0.3, 0.4)]


def test_a_turn_is_not_before_a_token() -> None:
    line, at = turn(RequestLine(until=100.2), 100.0, 0.7, 10.0)
    assert at == pytest.approx(0.7)
    assert line.until == pytest.approx(100.8)


@pytest.mark.parametrize("rate", [0.05, 1.0, 100.0])
def test_turns_go_ahead_so_far_and_no_further(rate: float) -> None:
    line, given = RequestLine(), 0
    while (after := turn(line, 0.0, 0.0, rate))[1] is not None:
        line, given = after[0], given + 1
    assert given == pytest.approx(longest_turn(rate) * rate, abs=1.1)
    assert after[0] == line


def test_the_more_items_have_no_turn_the_less_often_each_asks() -> None:
    line, waits = RequestLine(), []
    for _ in range(100_000):
        line, wait = without_turn(line, 0.0, 10.0, 0.0)
        waits.append(wait)
    assert (waits[0], waits[-1]) == (2.5, 500.0)
    line, wait = without_turn(line, 900.0, 10.0, 0.5)
    assert wait == pytest.approx(750.0, rel=1e-3), "the same period"
    line, wait = without_turn(line, 1001.0, 10.0, 0.0)
    assert (wait, line.asked) == (pytest.approx(500.0, rel=1e-3), 1), "the next one"
    _, wait = without_turn(line, 2002.0, 10.0, 0.0)
    assert wait == 2.5, "no request was made meanwhile"
