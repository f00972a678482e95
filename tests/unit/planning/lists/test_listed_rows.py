"""The rows of a list, packed: the same items as were read, and what changed since the last reading."""

import asyncio
import tracemalloc
from dataclasses import replace

from mirrord.aio import in_steps
from mirrord.declared import ListSpec
from mirrord.model import Item, Options
from mirrord.planning.items.items_in_force import ItemsInForce
from mirrord.planning.lists.binding import RowBinding
from mirrord.planning.lists.listed_rows import ListedRows
from mirrord.planning.lists.rows import ListRow, row_of

SPEC = ListSpec(entry="e", location="https://h/x.tsv", to="s3://bucket/", store="s", endpoint="http://s")


def rows(*given: ListRow, spec: ListSpec = SPEC) -> ListedRows:
    made, binding = ListedRows(spec), RowBinding(spec)
    for line, row in enumerate(given, 1):
        made.add(binding.item(row), row, line)
    return made


def row(name: str, **columns: str) -> ListRow:
    return row_of({"url": f"https://h/{name}", **columns})


def item(given: ListRow, spec: ListSpec = SPEC) -> Item:
    return RowBinding(spec).item(given)


def changed(now: ListedRows, before: ListedRows) -> set[str]:
    return {one for one in now.changed_since(before) if one is not None}


def test_the_items_are_those_of_the_rows() -> None:
    given = [row("a"), row("b", key="x/y", size="7", md5="0" * 32, sha256="1" * 64), ListRow("c d", "c d", named=True)]
    made = rows(*given)
    items = [item(one) for one in given]
    assert dict(made) == {one.id: one for one in items}
    assert [made.line_of(one.id) for one in items] == [1, 2, 3]
    assert made.line_of("0" * 16) is None
    assert {directory.prefix: len(ids) for directory, ids in made.directories.items()} == {"": 2, "x/": 1}


def test_only_rows_that_differ_have_changed() -> None:
    before = rows(row("a"), row("b"), row("gone"), row("same"))
    now = rows(row("first"), row("a", size="3"), row("b"), row("same"))  # `b` is in another line
    assert changed(now, before) == {item(row(name)).id for name in ("first", "a", "gone")}
    assert changed(now, now) == set()
    assert changed(rows(), before) == set(before)
    assert changed(before, rows()) == set(before)
    other = replace(SPEC, options=Options(suspend=True))
    assert changed(rows(row("a"), spec=other), rows(row("a"), row("b"))) == {item(row(name)).id for name in "ab"}


def test_missing_rows_are_those_of_the_former_reading() -> None:
    before = rows(row("a", size="1"), row("b"))
    now = rows(row("a", size="2"))
    both = asyncio.run(in_steps(now.with_missing(before)))
    assert dict(both) == {one.id: one for one in (item(row("a", size="2")), item(row("b")))}
    assert list(now.values()) == [item(row("a", size="2"))]
    assert sum(map(len, both.directories.values())) == 2


def test_the_first_entry_with_an_object_has_it() -> None:
    mirror = replace(item(row("a")), entry="mirror")
    one, two = rows(row("a"), row("b")), rows(row("b"), row("c"), spec=replace(SPEC, entry="two"))
    items = ItemsInForce({mirror.id: mirror}, [one, two])
    assert {one.destination.key: one.entry for one in items.values()} == {"a": "mirror", "b": "e", "c": "two"}
    assert {item_id: items[item_id].entry for item_id in items} == dict(items.entries())
    assert len(items) == 3
    assert set(ItemsInForce({mirror.id: mirror}, [one]).conflicts(two)) - {None} == {item(row("b")).id}


def test_a_list_before_another_one_takes_its_objects() -> None:
    one, two = rows(row("a")), rows(row("a"), spec=replace(SPEC, entry="two"))
    before, now = ItemsInForce({}, [one, two]), ItemsInForce({}, [two, one])
    assert item(row("a")).id in set(now.changed_since(before, ()))
    assert set(now.changed_since(now, ())) <= {None}
    assert item(row("a")).id in set(now.changed_since(now, {"s"}))


def test_a_row_takes_little_more_than_its_text() -> None:
    count = 5_000
    binding = RowBinding(SPEC)
    tracemalloc.start()
    made = ListedRows(SPEC)
    for number in range(count):
        given = ListRow(f"https://h/{number:030}")
        made.add(binding.item(given), given, number)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size / count < 300  # of which 180 are those of 4,096 shards; an item takes 700
