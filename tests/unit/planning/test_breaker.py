"""The breaker: when it opens, whom it lets through, what closes it."""

import pytest

from mirrord.planning.breaker import RULE, SUSPECTS, Breaker, answered, entered, failed, left, waits

HALF = 0.0  # of the chance: pauses are half their bound


def opened(now: float = 0.0) -> Breaker:
    breaker = Breaker()
    for n in range(SUSPECTS):
        assert waits(breaker, now) == 0
        breaker = failed(breaker, f"item {n}", now, HALF)
    return breaker


def test_it_opens_when_several_items_in_a_row_got_no_answer() -> None:
    breaker = opened(100.0)
    assert (breaker.opened, breaker.until) == (1, 100.5)
    assert waits(breaker, 100.0) == 0.5
    assert waits(breaker, 100.5) == 0


def test_one_item_alone_does_not_open_it() -> None:
    breaker = Breaker()
    for _ in range(100):
        breaker = failed(breaker, "item", 0.0, HALF)
    assert waits(breaker, 0.0) == 0


def test_an_answer_in_between_starts_the_count_again() -> None:
    breaker = Breaker()
    for n in range(SUSPECTS - 1):
        breaker = failed(breaker, f"item {n}", 0.0, HALF)
    breaker = failed(answered(breaker, 0.0), "last", 0.0, HALF)
    assert waits(breaker, 0.0) == 0


def test_half_open_lets_one_through_at_a_time() -> None:
    breaker = entered(opened(), "probe")
    assert waits(breaker, 10.0) == RULE.base
    assert waits(left(breaker, "another"), 10.0) == RULE.base
    assert waits(left(breaker, "probe"), 10.0) == 0  # it learned nothing: the next one may


def test_a_probe_that_fails_opens_it_for_longer_up_to_the_cap() -> None:
    breaker, now, pauses = opened(), 1000.0, []
    for _ in range(8):
        breaker = failed(entered(breaker, "probe"), "probe", now, HALF)
        pauses.append(waits(breaker, now))
        now = breaker.until
    assert pauses == [1, 2, 4, 8, 12.5, 12.5, 12.5, 12.5]
    assert breaker.opened == 9


def test_a_probe_that_is_answered_closes_it() -> None:
    assert answered(entered(opened(), "probe"), 10.0) == Breaker()


def test_those_on_their_way_when_it_opened_change_nothing_but_by_an_answer() -> None:
    breaker = entered(opened(), "probe")
    assert failed(breaker, "late", 0.1, HALF) == breaker
    assert answered(breaker, 0.1) == Breaker()


def test_retry_after_opens_it_at_once_and_is_kept_to() -> None:
    breaker = failed(Breaker(), "item", 0.0, HALF, 30.0)
    assert waits(breaker, 1.0) == 29.0
    assert waits(answered(breaker, 1.0), 1.0) == 29.0  # by one that was on its way
    assert waits(failed(breaker, "late", 1.0, HALF, 5.0), 1.0) == 29.0  # the longest counts
    assert waits(failed(breaker, "late", 1.0, HALF), 1.0) == 29.0
    assert answered(entered(breaker, "probe"), 30.0) == Breaker()


@pytest.mark.parametrize("chance", [0.0, 0.5, 0.999])
def test_a_pause_is_never_less_than_half_its_bound(chance: float) -> None:
    breaker = Breaker()
    for n in range(SUSPECTS):
        breaker = failed(breaker, str(n), 0.0, chance)
    assert 0.5 <= breaker.until < 1.0


def test_a_server_that_asks_for_too_much_gets_an_hour() -> None:
    assert failed(Breaker(), "item", 0.0, HALF, 1e9).until == 3600.0
