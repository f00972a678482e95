"""Which options changed, which headers a rewrite needs of the source, and how many rewrites are many."""

import pytest

from mirrord.model import Destination, File, Item, ObjectLock, ObjectOptions, Record, State, origin_at
from mirrord.planning.decisions.rewrites import are_many, changed_options, lock_to_set, needs_headers
from tests.support.options import make_options
from tests.support.records import make_record

AT = Destination("s", "http://e", "b", "k")
NONE = ObjectOptions()
TYPED = ObjectOptions(content_type="text/x")


@pytest.mark.parametrize(
    ("then", "now", "names"),
    [
        (NONE, ObjectOptions(cache_control="a", metadata={"a": "b"}), ("cache_control", "metadata")),
        (ObjectOptions(tags={"a": "1"}), ObjectOptions(tags={"a": "2"}), ("tags",)),
        (NONE, ObjectOptions(encryption="aws:kms", kms_key_id="k"), ("encryption",)),
        (NONE, NONE, ()),
        (None, TYPED, ()),
    ],
)
def test_changed_options_have_the_names_of_the_manifest(
    then: ObjectOptions | None, now: ObjectOptions, names: tuple[str, ...]
) -> None:
    assert changed_options(then, now) == names


@pytest.mark.parametrize(
    ("then", "now", "transfer_id", "needed"),
    [
        (NONE, ObjectOptions(acl="private"), "t", False),
        (TYPED, NONE, "t", True),
        (ObjectOptions(content_encoding="gzip"), NONE, "t", True),
        (NONE, TYPED, "t", False),
        (None, NONE, "t", True),
        (None, ObjectOptions(content_type="a", content_encoding="b"), "t", False),
        (NONE, ObjectOptions(acl="private"), None, True),  # adopted: it shows the headers of another tool
    ],
)
def test_headers_are_asked_for_where_the_object_does_not_show_them(
    then: ObjectOptions | None, now: ObjectOptions, transfer_id: str | None, needed: bool
) -> None:
    assert needs_headers(item("http://s/x", now), record(transfer_id), then) is needed
    assert not needs_headers(item("/x", now), record(transfer_id), then), "a file has none"


def item(source: str, options: ObjectOptions) -> Item:
    origin = File(None, source) if source.startswith("/") else origin_at(source)
    return Item(id=AT.item_id, entry="e", origin=origin, destination=AT, options=make_options(object=options))


def record(transfer_id: str | None) -> Record:
    return make_record(
        item_id=AT.item_id, entry="e", source="s", destination=AT, state=State.SYNCED, transfer_id=transfer_id
    )


@pytest.mark.parametrize(("rewrites", "objects", "many"), [(10, 10, False), (11, 110, False), (11, 109, True)])
def test_many_are_more_than_ten_and_more_than_a_tenth(rewrites: int, objects: int, many: bool) -> None:
    assert are_many(rewrites, objects) is many


GOVERNED, COMPLIANT = ObjectLock("GOVERNANCE", 2000.0), ObjectLock("COMPLIANCE", 2000.0)


@pytest.mark.parametrize(
    ("shown", "mode", "retain", "lock"),
    [
        (None, "GOVERNANCE", 1500.0, ObjectLock("GOVERNANCE", 2500.0)),
        (None, "GOVERNANCE", 50.0, None),  # it would be over
        (None, None, None, None),
        (GOVERNED, None, None, None),
        (GOVERNED, "GOVERNANCE", 1000.0, None),
        (GOVERNED, "GOVERNANCE", 900.0, None),
        (GOVERNED, "GOVERNANCE", 1500.0, ObjectLock("GOVERNANCE", 2500.0)),
        (GOVERNED, "COMPLIANCE", 900.0, COMPLIANT),
        (COMPLIANT, "GOVERNANCE", 900.0, None),
        (COMPLIANT, "GOVERNANCE", 1500.0, ObjectLock("COMPLIANCE", 2500.0)),
    ],
)
def test_a_lock_is_never_made_shorter_or_weaker(
    shown: ObjectLock | None, mode: str | None, retain: float | None, lock: ObjectLock | None
) -> None:
    """Written at 1000; it is 1100 now."""
    assert lock_to_set(shown, ObjectOptions(lock_mode=mode, retain=retain), 1000.0, 1100.0) == lock
