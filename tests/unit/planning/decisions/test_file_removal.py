"""The rules of `after_upload`: reserved names, and the records that allow the removal of a file."""

from dataclasses import replace
from itertools import islice

import pytest

from mirrord.errors import Reason
from mirrord.model import (
    META_TRANSFER,
    DeleteFile,
    Destination,
    FileIdentity,
    Integrity,
    MoveFile,
    Record,
    Revision,
    State,
    StoredObject,
)
from mirrord.planning.decisions.file_removal import (
    QUARANTINE,
    is_removed,
    kept_message,
    numbered_names,
    original_name,
    quarantine_name,
    removed_message,
    same_file,
    why_lost,
    why_unproven,
)
from tests.support.records import make_record, with_fields

FILE = FileIdentity(1, 2, 3, 4, 5)
AT = Destination("default", "http://store", "bucket", "a")
RECORD = make_record(
    item_id=AT.item_id,
    entry="inbox",
    source="file:///srv/inbox/a",
    destination=AT,
    state=State.SYNCED,
    revision=Revision(address="x", file=FILE),
    transfer_id="t",
    etag='"e"',
    size=3,
    integrity=Integrity.FULL_OBJECT,
    etag_from_head=True,
)
STANDING = StoredObject(size=3, etag='"e"', metadata={META_TRANSFER: "t"})


@pytest.mark.parametrize("name", ["a", "a.csv", "ü" * 120, ".x", "-"])
def test_the_reserved_name_is_in_the_same_directory_and_contains_the_name(name: str) -> None:
    assert quarantine_name(name) == f"{QUARANTINE}-{name}"
    assert original_name(quarantine_name(name)) == name


@pytest.mark.parametrize("name", ["a" * 255, "ü" * 127, "a" * 241])
def test_a_name_that_is_too_long_is_reserved_in_a_subdirectory(name: str) -> None:
    assert quarantine_name(name) == f"{QUARANTINE}/{name}"


@pytest.mark.parametrize("name", [QUARANTINE, "a", ".a", f"a{QUARANTINE}-a"])
def test_other_names_are_not_reserved(name: str) -> None:
    assert original_name(name) is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.csv", ["a.csv", "a.1.csv", "a.2.csv"]),
        ("a", ["a", "a.1", "a.2"]),
        ("a.tar.gz", ["a.tar.gz", "a.tar.1.gz", "a.tar.2.gz"]),
        ("x" * 251 + ".csv", ["x" * 251 + ".csv", "x" * 249 + ".1.csv", "x" * 249 + ".2.csv"]),
    ],
)
def test_numbers_for_a_name_that_is_in_use(name: str, expected: list[str]) -> None:
    assert list(islice(numbered_names(name), 3)) == expected


def test_a_number_never_splits_a_character() -> None:
    for name in islice(numbered_names("ü" * 127 + "x"), 12):
        assert len(name.encode()) <= 255


def test_only_a_rename_keeps_the_proven_file_the_same() -> None:
    assert same_file(replace(FILE, ctime_ns=9), FILE)
    for change in ("device", "inode", "size", "mtime_ns"):
        assert not same_file(replace(FILE, **{change: 9}), FILE)


@pytest.mark.parametrize("level", [Integrity.FULL_OBJECT, Integrity.COMPOSITE, Integrity.MD5, Integrity.READBACK, None])
def test_a_file_with_a_proven_copy_may_be_removed(level: Integrity | None) -> None:
    assert why_unproven(with_fields(RECORD, integrity=level)) is None


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (None, "not known to be whole"),
        (with_fields(RECORD, state=State.RETRYING), "not known to be whole"),
        (replace(RECORD, revision=None), "not known to be whole"),
        (replace(RECORD, revision=Revision(address="x")), "not known to be whole"),
        (with_fields(RECORD, integrity=Integrity.LENGTH), "nothing but the copy's length"),
        (with_fields(RECORD, integrity=None, transfer_id=None), "another tool uploaded it"),
    ],
)
def test_a_file_without_a_proven_copy_is_kept(record: Record | None, why: str) -> None:
    assert why in (why_unproven(record) or "")


@pytest.mark.parametrize(
    ("standing", "why"),
    [
        (STANDING, ""),
        (None, "deleted"),
        (replace(STANDING, etag='"f"'), "replaced"),
        (replace(STANDING, metadata={}), "replaced"),
        (replace(STANDING, size=4), "replaced"),
    ],
)
def test_the_object_must_still_be_the_recorded_one(standing: StoredObject | None, why: str) -> None:
    assert why_lost(RECORD, standing) == (f"the object was {why}" if why else None)


@pytest.mark.parametrize(("etag", "why"), [(STANDING.etag, None), ('"f"', "the object was replaced")])
def test_the_adopted_object_of_another_tool_is_known_by_its_etag(etag: str, why: str | None) -> None:
    """Its file was deleted by a user: mirrord never removes it."""
    assert why_lost(with_fields(RECORD, transfer_id=None), replace(STANDING, etag=etag, metadata={})) == why


def test_which_records_allow_a_missing_file() -> None:
    assert is_removed(RECORD)
    assert is_removed(with_fields(RECORD, state=State.BLOCKED, reason=Reason.DRIFTED))
    assert not is_removed(None)
    for other in (
        replace(RECORD, removed=1.0),
        replace(RECORD, revision=None),
        with_fields(RECORD, etag=None),
        with_fields(RECORD, state=State.BLOCKED, reason=Reason.SOURCE_MISSING),
        with_fields(RECORD, state=State.RETRYING),
    ):
        assert not is_removed(other)


def test_the_messages_of_items() -> None:
    assert removed_message(None) == "uploaded, then deleted"
    assert removed_message("/done/a") == "uploaded, then moved to /done/a"
    assert kept_message(DeleteFile(), "no") == "uploaded, but the file could not be deleted: no"
    assert kept_message(MoveFile("/done"), "no") == "uploaded, but the file could not be moved: no"
