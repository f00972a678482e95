"""Numbers by item id in sorted arrays: as a dict has them, in a tenth of the memory."""

import tracemalloc
from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from mirrord.model import IdTable


def item_id(number: int) -> str:
    return sha256(b"%d" % number).hexdigest()[:16]


IDS = st.integers(0, 30).map(item_id)


@given(st.lists(st.tuples(IDS, st.one_of(st.none(), st.floats(allow_nan=False)))))
def test_it_has_what_a_dict_has(steps: list[tuple[str, float | None]]) -> None:
    table, known = IdTable("dQ"), dict[str, tuple[float, int]]()
    for number, (one, value) in enumerate(steps):
        if value is None:
            table.discard(one)
            known.pop(one, None)
        else:
            table.put(one, value, number)
            known[one] = value, number
    assert list(table) == sorted(known)
    assert len(table) == len(known)
    assert {one: table.get(one) for one in map(item_id, range(31)) if one in table} == known


@given(st.lists(st.tuples(st.sampled_from(["add", "lower", "put"]), IDS, st.integers(0, 9))))
def test_an_item_is_added_once_and_its_number_lowered(steps: list[tuple[str, str, int]]) -> None:
    table, known = IdTable("Q"), dict[str, int]()
    for step, one, number in steps:
        before = known.get(one)
        if step == "add":
            assert table.add(one, number) == (None if before is None else (before,))
            known.setdefault(one, number)
        elif step == "lower":
            assert table.lower(one, number) == (before is None or number < before)
            known[one] = min(number, known.get(one, number))
        else:
            table.put(one, number)
            known[one] = number
    assert {one: table.get(one) for one in table} == {one: (number,) for one, number in known.items()}
    assert len(table) == len(known)


def test_a_table_of_the_same_ids_keeps_the_times_that_are_known() -> None:
    one, other, former = IdTable("Q"), IdTable("d"), IdTable("d")
    for number in range(100):
        one.put(item_id(number), number)
    for number in range(50, 200):
        other.put(item_id(number), 2.0)
    former.put(item_id(60), 3.0)
    former.put(item_id(1), 4.0)
    made = IdTable("d")
    for _ in made.follow(one, [other, former], 1.0):
        if item_id(61) in made:
            made.put(item_id(61), 5.0)
    assert list(made) == list(one)
    assert [made.get(item_id(number)) for number in (0, 1, 60, 61)] == [(1.0,), (4.0,), (2.0,), (5.0,)]
    assert sorted(filter(None, one.common(other))) == sorted(item_id(number) for number in range(50, 100))
    assert sorted(other.without(one)) == sorted(item_id(number) for number in range(100, 200))
    copied = one.copy()
    copied.discard(item_id(0))
    assert (len(copied), len(one)) == (99, 100)


def test_a_number_of_an_item_takes_eight_bytes() -> None:
    count = 20_000
    tracemalloc.start()
    table = IdTable("dd")
    for number in range(count):
        table.put(item_id(number), 1.0, 2.0)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size / count < 130  # 4,096 shards are most of it; 24 with a million items
