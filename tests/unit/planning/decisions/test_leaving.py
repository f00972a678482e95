"""Which held items left: the rules of guarantee 9 for one holder, and for one record."""

from dataclasses import replace

import pytest

from mirrord.errors import Reason
from mirrord.model import Destination, Holder, Record, State
from mirrord.planning.decisions.leaving import (
    EntryInForce,
    Fate,
    LoadedEntries,
    fate,
    fate_of_record,
    same_place,
    store_now,
)
from tests.support.records import make_record

AT = Destination("default", "http://s", "bucket", "dir/key")
HOLDER = Holder(file="/m.yaml", entry="mine")
RECORD = make_record(item_id=AT.item_id, entry="mine", source="https://h/name", destination=AT, state=State.SYNCED)
NOW = LoadedEntries(files={"/m.yaml", "/o.yaml"}, entries={}, stores={"default": "http://s"})
MINE = EntryInForce("/m.yaml", prunes=True)


def having(entry: EntryInForce) -> LoadedEntries:
    return replace(NOW, entries={"mine": entry})


@pytest.mark.parametrize(
    ("holder", "now", "expected"),
    [
        (HOLDER, NOW, Fate.LEAVES),
        (HOLDER, having(MINE), Fate.LEAVES),
        (HOLDER, having(replace(MINE, prunes=False)), Fate.LEAVES),  # the last version that had the item counts
        (HOLDER, having(replace(MINE, file="/o.yaml")), Fate.LEAVES),
        (HOLDER, having(replace(MINE, suspended=True)), Fate.STAYS),
        (HOLDER, having(replace(MINE, complete=False)), Fate.STAYS),
        (HOLDER, replace(NOW, files={"/o.yaml"}), Fate.STAYS),
        (HOLDER, replace(NOW, files=()), Fate.STAYS),
        (HOLDER, replace(NOW, invalid=None), Fate.STAYS),
        (replace(HOLDER, suspended=True), NOW, Fate.FORGOTTEN),  # it left suspended: nobody asked for the deletion
        (replace(HOLDER, suspended=True), having(MINE), Fate.LEAVES),
    ],
)
def test_the_fate_of_the_items_of_a_holder(holder: Holder, now: LoadedEntries, expected: Fate) -> None:
    assert fate(holder, now) is expected


GUARDED = replace(RECORD, condition=replace(RECORD.condition, state=State.BLOCKED, reason=Reason.PRUNE_GUARD))


@pytest.mark.parametrize(
    ("record", "now", "expected"),
    [
        (RECORD, NOW, Fate.LEAVES),
        (replace(RECORD, removed=1.0), NOW, Fate.LEAVES),
        (replace(RECORD, entry="another"), NOW, Fate.FORGOTTEN),  # a folder has the object since
        (RECORD, replace(NOW, unknown=(("http://s", "s3://bucket/dir/"),)), Fate.STAYS),
        (RECORD, replace(NOW, unknown=(("http://s", "s3://bucket"),)), Fate.STAYS),
        (RECORD, replace(NOW, unknown=(("http://s", "s3://bucket/other/"),)), Fate.LEAVES),
        (RECORD, replace(NOW, unknown=(("http://t", "s3://bucket/dir/"),)), Fate.LEAVES),
        (RECORD, replace(NOW, invalid=("mirrors: [{url: https://h/x, to: s3://bucket/dir/key",)), Fate.STAYS),
        (RECORD, replace(NOW, invalid=("mirrors: [{url: https://h/name",)), Fate.STAYS),
        (RECORD, replace(NOW, invalid=("mirrors: [{name: mine",)), Fate.STAYS),
        (RECORD, replace(NOW, invalid=("mirrors: [{url: https://h/x",)), Fate.LEAVES),
        (RECORD, replace(NOW, stores={"renamed": "http://s"}), Fate.LEAVES),
        (
            RECORD,
            replace(NOW, stores={"default": "http://t"}),
            Fate.FORGOTTEN,
        ),  # at the old endpoint nothing is deleted
        (RECORD, replace(NOW, stores={"default": "http://t", "old": "http://s"}), Fate.FORGOTTEN),  # a migration
        (RECORD, replace(NOW, stores={"other": "http://t"}), Fate.STAYS),  # its store may be declared again
        (GUARDED, NOW, Fate.LEAVES),
        (GUARDED, having(MINE), Fate.LEAVES),
        (GUARDED, having(replace(MINE, prunes=False)), Fate.FORGOTTEN),  # called off
    ],
)
def test_the_fate_of_a_recorded_item(record: Record, now: LoadedEntries, expected: Fate) -> None:
    assert fate_of_record(HOLDER, record, now) is expected


def test_an_object_is_deleted_in_the_store_that_has_its_endpoint_now() -> None:
    assert store_now(AT, {"a": "http://t", "default": "http://s"}) == AT
    assert store_now(AT, {"a": "http://t", "b": "http://s"}) == replace(AT, store="b")


@pytest.mark.parametrize(
    ("entry", "holder"),
    [
        (MINE, HOLDER),
        (replace(MINE, most=0.5, suspended=True), replace(HOLDER, most=0.5, suspended=True)),
        (replace(MINE, prunes=False), None),
        (replace(MINE, file=None), None),  # from a pipe: the next one may be another program's
    ],
)
def test_the_holder_of_the_items_of_an_entry(entry: EntryInForce, holder: Holder | None) -> None:
    assert entry.holder("mine") == holder


@pytest.mark.parametrize(
    ("entry", "text", "expected"),
    [
        ("s3://b/r/{n}/m{n}.gz", "{url: 'https://h/m{n}.gz', to: 's3://b/r/{n}/', matrix", Fate.STAYS),
        ("s3://b/lists/", "{list: urls.txt, to: 's3://${B}/lists/'", Fate.STAYS),
        ("s3://b/lists/", "{list: urls.txt, to: 's3://b/others/'", Fate.LEAVES),
    ],
)
def test_an_entry_without_a_name_is_found_in_an_invalid_file(entry: str, text: str, expected: Fate) -> None:
    holder, record = replace(HOLDER, entry=entry), replace(RECORD, entry=entry)
    assert fate_of_record(holder, record, replace(NOW, invalid=(text,))) is expected


def test_addresses_that_may_be_the_same_object() -> None:
    assert same_place(AT, {"default": "http://s", "also": "http://s"}) == []
    assert same_place(AT, {"default": "http://s", "public": "http://p"}) == [
        Destination("public", "http://p", "bucket", "dir/key")
    ]
    assert same_place(replace(AT, key="dir\\key"), {"default": "http://s"}) == [AT]
