"""What differs between two sets of items in force: objects that move between mirrors, lists and their definitions."""

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from mirrord.declared import ListSpec
from mirrord.model import Item, SourceOptions
from mirrord.planning.items.items_in_force import ItemsInForce
from mirrord.planning.lists.binding import RowBinding
from mirrord.planning.lists.listed_rows import ListedRows
from mirrord.planning.lists.rows import ListRow
from tests.support.options import make_options

KEYS = "abcd"


def spec(entry: str, every: float) -> ListSpec:
    return ListSpec(
        entry=entry,
        location="/srv/list.txt",
        to="s3://bucket{path}",
        store="default",
        endpoint="http://store",
        options=make_options(every=every),
    )


def rows(entry: str, every: float, urls: Sequence[tuple[str, str]]) -> ListedRows:
    made = ListedRows(spec(entry, every))
    binding = RowBinding(made.spec)
    for line, (host, key) in enumerate(urls, 1):
        row = ListRow(f"https://{host}.example.org/{key}")
        made.add(binding.item(row), row, line)
    return made


ROWS = st.lists(st.tuples(st.sampled_from(["x", "y"]), st.sampled_from(KEYS)), unique_by=lambda one: one[1])
LISTS = st.lists(st.builds(rows, st.sampled_from("AB"), st.sampled_from([60.0, 70.0]), ROWS), max_size=4)


def mirrors(made: ListedRows) -> dict[str, Item]:
    return {item_id: replace(item, entry="mirror") for item_id, item in made.items()}


SETS = st.builds(
    lambda one, lists: ItemsInForce(mirrors(one), lists), st.builds(rows, st.just("m"), st.just(80.0), ROWS), LISTS
)


@given(before=SETS, now=SETS)
def test_every_item_that_is_new_gone_or_different_is_named(before: ItemsInForce, now: ItemsInForce) -> None:
    named = {item_id for item_id in now.changed_since(before, ()) if item_id is not None}
    differ = {item_id for item_id in {*before, *now} if before.get(item_id) != now.get(item_id)}
    assert differ <= named
    assert len(now) == len(list(now)) == len(set(now))


@given(items=SETS)
def test_the_source_of_an_item_is_that_of_the_entry_that_has_it(items: ItemsInForce) -> None:
    for item_id in items:
        item, source = items[item_id], items.source(item_id)
        assert (source.origin, source.options) == (item.origin, item.options)
        assert isinstance(source, SourceOptions) is (item.entry != "mirror")
        assert source.source_at(item.origin.fingerprint) == item.origin
        assert source.source_at("another") is None
