"""The guards before a deletion: which scans are trusted, how much one pass may delete, which objects are ours."""

from dataclasses import replace
from hashlib import sha256

import pytest

from mirrord.model import (
    META_TRANSFER,
    Destination,
    FileIdentity,
    Item,
    Record,
    Revision,
    State,
    StoredObject,
    origin_at,
)
from mirrord.planning.decisions.object_identity import is_ours
from mirrord.planning.decisions.prune import DirectoryId, ScannedItems, is_other_directory, prune_refusal, trusted
from tests.support.records import make_record


@pytest.mark.parametrize(
    ("complete", "files", "verdict"),
    [(True, 1, True), (True, 0, False), (False, 1, False), (False, 0, False), (False, 1000, False)],
)
def test_which_scans_are_trusted(complete: bool, files: int, verdict: bool) -> None:
    assert trusted(complete=complete, files=files) is verdict


@pytest.mark.parametrize(
    ("gone", "held", "most", "allowed"),
    [
        (0, 0, None, True),
        (10, 10, None, True),  # few
        (11, 11, None, False),
        (11, 109, None, False),
        (11, 110, None, True),  # a tenth
        (100, 1000, None, True),
        (101, 1000, None, False),
        (1000, 1000, 0.5, False),
        (500, 1000, 0.5, True),
        (501, 1000, 0.5, False),
        (1000, 1000, 1.0, True),
        (100, 1000, 0.01, False),
        (10, 1000, 0.0, True),
    ],
)
def test_how_much_may_be_deleted_in_one_pass(gone: int, held: int, most: float | None, allowed: bool) -> None:
    assert (prune_refusal(gone, held, most) is None) is allowed


@pytest.mark.parametrize(
    ("gone", "held", "most", "allowed"),
    [(0, 10, None, True), (1, 10_000, None, False), (1, 2, 0.5, True), (2, 2, 0.5, False), (2, 2, 1.0, True)],
)
def test_another_directory_deletes_nothing_unless_it_is_allowed(
    gone: int, held: int, most: float | None, allowed: bool
) -> None:
    assert (prune_refusal(gone, held, most, replaced=True) is None) is allowed


@pytest.mark.parametrize(
    ("then", "now", "moved", "another"),
    [
        (None, (1, 2), set(), False),  # the first scan, or a journal of a former version
        ((1, 2), None, set(), False),
        ((1, 2), (1, 2), set(), False),
        ((1, 2), (1, 3), set(), True),
        ((1, 2), (9, 2), set(), True),
        ((1, 2), (9, 2), {(1, 9)}, False),  # a reboot numbered the devices anew
        ((1, 2), (9, 2), {(1, 8), (7, 9)}, True),
        ((1, 2), (9, 3), {(1, 9)}, True),
    ],
)
def test_when_a_directory_is_another_one(
    then: DirectoryId | None, now: DirectoryId | None, moved: set[tuple[int, int]], another: bool
) -> None:
    assert is_other_directory(then, now, moved) is another


def test_a_refusal_names_the_option_that_allows_it() -> None:
    assert prune_refusal(12, 40) == (
        "12 of 40 objects would be deleted, more than 10 and more than 10%, so none is: "
        "bring the files back, or allow it with prune: {max: 100%} or sync --prune-max 100%"
    )


@pytest.mark.parametrize(
    ("transfer_id", "stamp", "etag", "ours"),
    [
        ("t1", "t1", '"e1"', True),
        ("t1", "t2", '"e1"', False),
        ("t1", "t1", '"e2"', False),
        ("t1", None, '"e1"', False),
        (None, None, '"e1"', False),
    ],
)
def test_which_object_is_ours(transfer_id: str | None, stamp: str | None, etag: str, ours: bool) -> None:
    at = Destination("default", "http://store", "bucket", "key")
    record = make_record(
        item_id=at.item_id,
        entry="inbox",
        source="file:///a",
        destination=at,
        state=State.SYNCED,
        transfer_id=transfer_id,
        etag='"e1"',
        etag_from_head=True,
    )
    metadata = {} if stamp is None else {META_TRANSFER: stamp}
    assert is_ours(record, StoredObject(size=1, etag=etag, metadata=metadata)) is ours


FILE = FileIdentity(device=1, inode=2, size=3, mtime_ns=4, ctime_ns=5)
AT = Destination("default", "http://store", "bucket", "a")
ITEM = Item(id=AT.item_id, entry="inbox", origin=origin_at("file:///in/a"), destination=AT)
RECORD = make_record(
    item_id=AT.item_id,
    entry="inbox",
    source=ITEM.origin.address,
    destination=AT,
    state=State.SYNCED,
    revision=Revision(address="a", file=FILE),
)


@pytest.mark.parametrize(
    ("record", "file", "recorded", "moved"),
    [
        (RECORD, FILE, 1, set()),
        (RECORD, replace(FILE, device=9), 1, {(1, 9)}),
        (RECORD, replace(FILE, device=9, ctime_ns=6), 1, set()),  # another file may stand where one was not mounted
        (RECORD, None, 1, set()),
        (None, FILE, 0, set()),
        (replace(RECORD, removed=1.0), replace(FILE, device=9), 0, set()),
        (replace(RECORD, source="file:///in/b"), replace(FILE, device=9), 0, set()),
        (replace(RECORD, entry="former name"), FILE, 0, set()),
        (replace(RECORD, revision=None), FILE, 1, set()),
    ],
)
def test_what_a_found_file_adds_to_the_scan(
    record: Record | None, file: FileIdentity | None, recorded: int, moved: set[tuple[int, int]]
) -> None:
    seen = ScannedItems()
    seen.add_found(ITEM, record, file)
    assert ITEM.id in seen
    assert (seen.recorded, seen.moved) == (recorded, moved)


def test_added_items_are_found_again() -> None:
    ids = [sha256(str(number).encode()).hexdigest()[:16] for number in range(5000)]
    seen = ScannedItems()
    for item_id in ids[::2]:
        seen.add(item_id)
    assert [item_id in seen for item_id in ids] == [True, False] * 2500
    seen.add(ids[1])
    assert ids[1] in seen, "also after it was asked"
