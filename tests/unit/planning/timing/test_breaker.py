"""The breaker: when it opens, which items pass, and what closes it."""

import pytest

from mirrord.planning.timing.breaker import (
    RULE,
    SPACING,
    SUSPECTS,
    Breaker,
    admitted,
    answered,
    failed,
    is_open,
    reached,
    reserved,
    returned,
    waits,
)

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


def test_half_open_one_item_passes_at_a_time() -> None:
    breaker = admitted(opened(), "probe")
    assert waits(breaker, 10.0) == RULE.base
    assert waits(returned(breaker, "another"), 10.0) == RULE.base
    assert waits(returned(breaker, "probe"), 10.0) == 0  # without a result: the next item may try


def test_a_probe_that_fails_opens_it_for_longer_up_to_the_cap() -> None:
    breaker, now, pauses = opened(), 1000.0, []
    for _ in range(8):
        breaker = failed(admitted(breaker, "probe"), "probe", now, HALF)
        pauses.append(waits(breaker, now))
        now = breaker.until
    assert pauses == [1, 2, 4, 8, 12.5, 12.5, 12.5, 12.5]
    assert breaker.opened == 9


def test_a_probe_that_is_answered_closes_it() -> None:
    assert answered(admitted(opened(), "probe"), 10.0) == Breaker()


def test_results_from_before_it_opened_count_only_if_they_are_answers() -> None:
    breaker = admitted(opened(), "probe")
    assert failed(breaker, "late", 0.1, HALF) == breaker
    assert answered(breaker, 0.1) == Breaker()


def test_retry_after_opens_it_at_once_until_its_end() -> None:
    breaker = failed(Breaker(), "item", 0.0, HALF, 30.0)
    assert waits(breaker, 1.0) == 29.0
    assert waits(answered(breaker, 1.0), 1.0) == 29.0  # by an item that passed before
    assert waits(failed(breaker, "late", 1.0, HALF, 5.0), 1.0) == 29.0  # the longest counts
    assert waits(failed(breaker, "late", 1.0, HALF), 1.0) == 29.0
    assert answered(admitted(breaker, "probe"), 30.0) == Breaker()


@pytest.mark.parametrize("chance", [0.0, 0.5, 0.999])
def test_a_pause_is_never_less_than_half_its_bound(chance: float) -> None:
    breaker = Breaker()
    for n in range(SUSPECTS):
        breaker = failed(breaker, str(n), 0.0, chance)
    assert 0.5 <= breaker.until < 1.0


def test_a_retry_after_is_limited_to_an_hour() -> None:
    assert failed(Breaker(), "item", 0.0, HALF, 1e9).until == 3600.0


# ── slowed: there are answers, and none is good ───────────────────────────────────────────────────
def slowed(now: float = 0.0) -> Breaker:
    breaker = Breaker()
    for n in range(SUSPECTS):
        breaker = failed(breaker, f"item {n}", now, HALF, answer=True)
    return breaker


def test_answers_of_5xx_slow_it_down_and_do_not_open_it() -> None:
    breaker = slowed(100.0)
    assert breaker.opened
    assert not is_open(breaker)
    assert waits(breaker, 100.0, fresh=True) == 0, "one that never failed goes at once"
    assert waits(breaker, 100.0) == 0.5, "one that failed waits"


@pytest.mark.parametrize(
    ("answers", "opens"),
    [
        ([False] * SUSPECTS, True),
        ([True] + [False] * SUSPECTS, True),
        ([False] * (SUSPECTS - 1) + [True], False),
        ([True, False] * SUSPECTS, False),
        ([True] * SUSPECTS, False),
    ],
)
def test_it_opens_only_if_several_in_a_row_got_no_answer(answers: list[bool], opens: bool) -> None:
    breaker = Breaker()
    for n, answer in enumerate(answers):
        breaker = failed(breaker, f"item {n}", 0.0, HALF, answer=answer)
    assert breaker.opened
    assert is_open(breaker) is opens


def test_slowed_one_item_passes_at_a_time_and_the_next_after_a_pause() -> None:
    breaker = admitted(slowed(), "one")
    assert waits(breaker, 1.0, fresh=True) == SPACING
    breaker = failed(breaker, "one", 1.0, HALF, answer=True, fresh=True)
    assert waits(breaker, 1.0, fresh=True) == pytest.approx(SPACING)
    assert waits(breaker, 1.0 + SPACING, fresh=True) == 0
    assert breaker.opened == 1, "that one never failed before says nothing of how long it lasts"


def test_slowed_those_that_failed_wait_for_those_that_did_not() -> None:
    breaker, first = reserved(slowed(), 10.0, 0.0)
    breaker, second = reserved(breaker, 10.0, 0.0)
    assert (first, second) == pytest.approx((0.0, SPACING))
    assert waits(breaker, 10.0) == pytest.approx(2 * SPACING)
    assert waits(breaker, 10.0 + 2 * SPACING) == 0


def test_slowed_moments_are_reserved_up_to_the_cap() -> None:
    breaker, moment, count = slowed(), 0.0, 0
    while moment is not None:
        breaker, moment = reserved(breaker, 0.0, 0.0)
        count += 1
    assert count == pytest.approx(RULE.cap / SPACING + 2, abs=1)


def test_slowed_probes_of_those_that_failed_come_less_and_less_often() -> None:
    breaker, now, pauses = slowed(), 1000.0, []
    for _ in range(6):
        breaker = failed(admitted(breaker, "item 1"), "item 1", now, HALF, answer=True)
        pauses.append(waits(breaker, now))
        now = breaker.until
    assert pauses == [1, 2, 4, 8, 12.5, 12.5]


@pytest.mark.parametrize("breaker", [opened(), slowed(), admitted(slowed(), "probe")])
def test_one_good_answer_ends_it(breaker: Breaker) -> None:
    assert answered(breaker, 10.0) == Breaker()


def test_an_open_breaker_with_5xx_answers_is_slowed() -> None:
    breaker = failed(admitted(opened(), "probe"), "probe", 10.0, HALF, answer=True)
    assert breaker.opened == 2
    assert not is_open(breaker)


def test_a_slowed_breaker_without_answers_opens() -> None:
    breaker, now = slowed(), 10.0
    for n in range(SUSPECTS):
        assert not is_open(breaker)
        breaker, now = failed(admitted(breaker, f"new {n}"), f"new {n}", now, HALF, fresh=True), now + 1
    assert is_open(breaker)
    assert waits(breaker, now - 1, fresh=True) > 0


def test_a_retry_after_holds_for_all_items() -> None:
    breaker = failed(slowed(), "item", 0.0, HALF, 30.0, answer=True)
    assert waits(breaker, 1.0, fresh=True) == 29.0
    assert waits(breaker, 30.0, fresh=True) == 0


def test_a_probe_that_does_not_return_blocks_others_for_a_limited_time() -> None:
    breaker = admitted(slowed(), "slow", 30.0)
    assert waits(breaker, 29.0, fresh=True) == SPACING
    assert waits(breaker, 30.0, fresh=True) == 0
    breaker = admitted(breaker, "next", 60.0)
    assert failed(breaker, "slow", 40.0, HALF, answer=True).opened == breaker.opened, "late news"


def test_an_answer_to_a_read_before_a_write_only_ends_the_silence() -> None:
    breaker = reached(admitted(opened(), "probe"))
    assert breaker.opened
    assert not is_open(breaker)
    assert reached(Breaker()) == Breaker()
