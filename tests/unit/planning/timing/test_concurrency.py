"""The limit of calls at once: what a refused call, and one that succeeded, make of it."""

from dataclasses import replace

import pytest

from mirrord.planning.timing.concurrency import (
    FORGOTTEN_AFTER,
    GROW_EVERY,
    ConcurrencyLimit,
    answered,
    begun,
    refused,
)


def limit(at_once: int, **more: object) -> ConcurrencyLimit:
    known = ConcurrencyLimit(limit=at_once, most=16, changed=100.0, refused=100.0, generation=1)
    return replace(known, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("before", "running", "after"),
    [
        (None, 16, 8),
        (None, 2, 1),
        (8, 8, 4),
        (5, 5, 3),
        (8, 3, 2),  # fewer run than are allowed: half of those
        (2, 2, 1),
        (1, 1, 1),
    ],
)
def test_a_refused_call_halves_the_calls_at_once(before: int | None, running: int, after: int) -> None:
    known = refused(None if before is None else limit(before), running, generation=1, now=200.0)
    assert known is not None
    assert (known.limit, known.most, known.changed) == (after, running if before is None else 16, 200.0)


def test_the_refusal_of_the_only_call_sets_no_limit() -> None:
    assert refused(None, 1, 0, 0.0) is None


def test_all_calls_that_were_sent_before_a_decrease_count_as_one_refusal() -> None:
    known = refused(None, 16, 0, 10.0)
    for running in range(15, 4, -1):
        known = refused(known, running, 0, 11.0)
    assert known is not None
    assert (known.limit, known.changed, known.refused) == (8, 10.0, 11.0)
    known = refused(known, 8, 1, 12.0)
    assert known is not None
    assert (known.limit, known.generation) == (4, 2)


def test_it_ends_at_the_most_calls_that_ran_when_one_was_refused() -> None:
    known = refused(limit(8, most=9, generation=2), 12, 1, 101.0)
    assert known is not None
    assert known.most == 12


@pytest.mark.parametrize(
    ("known", "after", "expected"),
    [
        (limit(4, full=True), GROW_EVERY, 5),
        (limit(4, full=True), GROW_EVERY - 0.01, 4),
        (limit(4), 10.0, 4),  # not used in full
        (limit(4), FORGOTTEN_AFTER, None),
        (limit(15, full=True), GROW_EVERY, None),  # as before the first refusal
        (limit(1, full=True, most=1), GROW_EVERY, None),
    ],
)
def test_calls_that_succeed_raise_it_each_second_while_it_is_used(
    known: ConcurrencyLimit, after: float, expected: int | None
) -> None:
    grown = answered(known, 100.0 + after)
    assert (grown and grown.limit) == expected
    assert grown is None or grown.limit == known.limit or not grown.full


def test_it_is_used_in_full_when_as_many_calls_run() -> None:
    assert not begun(limit(4), 3).full
    assert begun(limit(4), 4).full


def test_a_call_that_is_refused_alone_shows_that_fewer_calls_do_not_help() -> None:
    known = refused(limit(2), 2, 1, 101.0)
    assert known is not None
    assert not known.alone
    alone = refused(known, 1, 2, 102.0)
    assert alone is not None
    assert alone.alone
    after = answered(alone, 102.5)
    assert after is not None
    assert not after.alone
