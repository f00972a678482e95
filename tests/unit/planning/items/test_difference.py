"""The difference of new desired items: which running transfers stay valid."""

from collections.abc import Collection
from dataclasses import replace

import pytest

from mirrord.model import (
    Destination,
    Drift,
    File,
    HttpOptions,
    IdList,
    Item,
    ObjectOptions,
    Options,
    Secret,
    Url,
    origin_at,
)
from mirrord.planning.items.difference import Difference, same_work
from tests.support.options import make_options


def item(key: str = "k", store: str = "default", **changes: object) -> Item:
    at = Destination(store, "http://store", "b", key)
    made = Item(id=at.item_id, entry="e", origin=origin_at("https://example.org/a"), destination=at, options=Options())
    return replace(made, **changes)  # type: ignore[arg-type]


def by_id(*items: Item) -> dict[str, Item]:
    return {one.id: one for one in items}


def difference(old: dict[str, Item], new: dict[str, Item], changed_stores: Collection[str] = ()) -> Difference:
    found = Difference()
    for item_id in {**old, **new}:
        found.compare(item_id, old, new, changed_stores)
    return found


WORK = [
    item(origin=Url("https://example.org/b")),
    item(store="renamed"),
    item(origin=File("/srv", "a")),
    *(
        item(options=options)
        for options in (
            Options(suspend=True),
            Options(drift=Drift.IGNORE),
            make_options(max_size=5),
            Options(http=HttpOptions(headers={"X-Token": Secret("t")})),
            Options(object=ObjectOptions(tags={"a": "b"})),
        )
    ),
]
SCHEDULE = [
    item(options=make_options(every=60.0)),
    item(options=make_options(every=None)),
    item(options=make_options(every=None, cron="0 3 * * *", timezone="UTC")),
]


@pytest.mark.parametrize("new", WORK, ids=str)
def test_another_source_store_or_option_invalidates_a_transfer(new: Item) -> None:
    assert difference(by_id(item()), by_id(new)) == Difference(changed=IdList([new.id]))
    assert not same_work(item(), new)


@pytest.mark.parametrize("new", SCHEDULE, ids=str)
def test_another_schedule_does_not(new: Item) -> None:
    assert difference(by_id(item()), by_id(new)) == Difference(rescheduled=IdList([new.id]))
    assert same_work(item(), new)


def test_another_name_changes_neither() -> None:
    new = item(entry="f")
    assert difference(by_id(item()), by_id(new)) == Difference(renamed=IdList([new.id]))


def test_a_new_name_is_noted_with_any_other_change() -> None:
    every, other = make_options(every=60.0), Options(suspend=True)
    for new, changed_stores, found in (
        (item(entry="f", options=every), (), Difference(rescheduled=IdList([item().id]), renamed=IdList([item().id]))),
        (item(entry="f", options=other), (), Difference(changed=IdList([item().id]), renamed=IdList([item().id]))),
        (item(entry="f"), {"default"}, Difference(changed=IdList([item().id]), renamed=IdList([item().id]))),
    ):
        assert difference(by_id(item()), by_id(new), changed_stores) == found


def test_added_removed_and_unchanged_items() -> None:
    old, new = by_id(item("a"), item("b"), item("c")), by_id(item("d"), item("c"), item("b"))
    found = difference(old, new)
    assert found == Difference(added=IdList([item("d").id]), removed=IdList([item("a").id]))
    assert found
    assert not difference(old, dict(reversed(by_id(item("a"), item("b"), item("c")).items())))


def test_every_item_of_a_changed_store_has_changed() -> None:
    old = by_id(item("a"), item("b", store="other"))
    assert difference(old, dict(old), {"other"}) == Difference(changed=IdList([item("b", store="other").id]))
