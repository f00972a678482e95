"""A set of very many hashes, and those that were added twice."""

import random

import pytest

from mirrord.model import Marks, repeated


@pytest.mark.parametrize("count", [0, 1, 5_000])
def test_what_was_added_is_found(count: int) -> None:
    marks, numbers = Marks(), [hash((number, "a")) for number in range(count)]
    for number in numbers:
        marks.add(number)
        assert number in marks
    assert len(marks) == count
    assert all(number in marks for number in numbers)
    assert not any(hash((number, "b")) in marks for number in range(1_000))


def test_hashes_that_were_added_twice() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    both = [[chance.randrange(-3_000, 3_000) for _ in range(500)] for _ in range(2)]
    tables = [Marks(), Marks()]
    for table, numbers in zip(tables, both, strict=True):
        for number in numbers:
            table.add(number)
    everything = both[0] + both[1]
    assert set().union(*repeated(tables)) == {one for one in everything if everything.count(one) > 1}
    assert set().union(*repeated(tables[:1])) == {one for one in both[0] if both[0].count(one) > 1}
    assert not set().union(*repeated([]))
