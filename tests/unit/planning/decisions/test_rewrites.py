"""Which options changed, which headers a rewrite needs of the source, and how many rewrites are many."""

from dataclasses import replace

import pytest

from mirrord.model import Destination, Item, ObjectLock, ObjectOptions, Record, State, origin_at
from mirrord.planning.decisions.decide import options_digest
from mirrord.planning.decisions.rewrites import (
    are_many,
    changed_options,
    has_hold_of,
    has_lock_of,
    hold_to_set,
    kept_class,
    lock_to_set,
    needs_headers,
)
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
        (ObjectOptions(encryption="AES256"), ObjectOptions(customer_key="k"), ("encryption",)),
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


def item(source: str, options: ObjectOptions) -> Item:
    return Item(
        id=AT.item_id, entry="e", origin=origin_at(source), destination=AT, options=make_options(object=options)
    )


def record(transfer_id: str | None) -> Record:
    return make_record(
        item_id=AT.item_id, entry="e", source="s", destination=AT, state=State.SYNCED, transfer_id=transfer_id
    )


@pytest.mark.parametrize(("rewrites", "objects", "many"), [(1, 1, False), (2, 2, True), (1, 10, False), (2, 19, True)])
def test_many_are_more_than_a_tenth_of_several(rewrites: int, objects: int, many: bool) -> None:
    assert are_many(rewrites, objects) is many


@pytest.mark.parametrize(
    ("then", "now", "shown", "kept"),
    [
        (None, None, "GLACIER_IR", "GLACIER_IR"),  # a rule of the bucket changed it
        (None, None, None, None),
        (None, None, "STANDARD", None),
        ("STANDARD_IA", "STANDARD_IA", "GLACIER_IR", "GLACIER_IR"),
        ("STANDARD_IA", "STANDARD_IA", "STANDARD_IA", None),
        ("STANDARD_IA", None, "GLACIER_IR", None),  # edited
        ("STANDARD_IA", "ONEZONE_IA", "GLACIER_IR", None),
    ],
)
def test_a_storage_class_that_no_edit_named_stays(
    then: str | None, now: str | None, shown: str | None, kept: str | None
) -> None:
    assert kept_class(ObjectOptions(storage_class=then), ObjectOptions(storage_class=now), shown) == kept


def test_where_the_former_options_are_not_known_only_a_named_class_is_set() -> None:
    assert kept_class(None, ObjectOptions(), "STANDARD_IA") == "STANDARD_IA"
    assert kept_class(None, ObjectOptions(storage_class="ONEZONE_IA"), "STANDARD_IA") is None


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


def test_a_lock_may_end_a_little_earlier_than_counted_from_the_record() -> None:
    wanted = ObjectOptions(lock_mode="GOVERNANCE", retain=1005.0)
    assert has_lock_of(GOVERNED, wanted, 1000.0)
    assert lock_to_set(GOVERNED, wanted, 1000.0, 1100.0) is None
    assert not has_lock_of(GOVERNED, wanted, 1010.0)
    assert not has_lock_of(COMPLIANT, wanted, 1000.0)
    assert not has_lock_of(None, wanted, 1000.0)


HELD, FREED, SILENT = ObjectOptions(legal_hold=True), ObjectOptions(legal_hold=False), ObjectOptions()


@pytest.mark.parametrize(
    ("shown", "then", "now", "hold"),
    [
        (None, SILENT, HELD, True),
        (False, HELD, HELD, True),
        (True, SILENT, HELD, None),
        (True, HELD, FREED, False),
        (None, HELD, FREED, False),  # the credentials may not read it
        (False, HELD, FREED, None),
        (True, HELD, SILENT, None),
        (True, SILENT, FREED, None),  # that of another program
        (True, None, FREED, None),
        (True, FREED, FREED, None),
    ],
)
def test_a_legal_hold_is_released_only_by_false_after_true(
    shown: bool | None, then: ObjectOptions | None, now: ObjectOptions, hold: bool | None
) -> None:
    assert hold_to_set(shown, then, now) is hold


def test_what_is_asked_for_is_shown() -> None:
    assert has_lock_of(None, HELD, 1000.0)
    assert not has_lock_of(GOVERNED, HELD, 1000.0)
    assert [has_hold_of(shown, HELD) for shown in (True, False, None)] == [True, False, False]
    assert [has_hold_of(shown, FREED) for shown in (True, False, None)] == [False, True, True]


def test_only_a_true_legal_hold_is_another_option() -> None:
    digests = {options_digest(one) for one in (SILENT, FREED, replace(SILENT, lock_mode=None))}
    assert len(digests) == 1
    assert options_digest(HELD) not in digests
    locked = ObjectOptions(lock_mode="GOVERNANCE", retain=5.0)
    assert options_digest(locked) == options_digest(replace(locked, legal_hold=False))
    assert options_digest(locked) != options_digest(replace(locked, legal_hold=True))
    assert changed_options(SILENT, FREED) == ()
    assert changed_options(HELD, FREED) == changed_options(SILENT, replace(locked, legal_hold=True)) == ("lock",)
