"""`JournalQueries.unchanged`, on every journal: the same answer as `planning.decisions.unchanged.unchanged_record`."""

from dataclasses import replace
from typing import Any

import pytest

from mirrord.errors import Reason
from mirrord.model import FileIdentity, Integrity, Record, Revision, State
from mirrord.planning.decisions.unchanged import SeenFile, UnchangedRule, unchanged_record
from tests.support.journals import Journals, record, transfer

FILE = FileIdentity(64769, 2**63 + 7, 4096, 1_700_000_000_123_456_789, 1_700_000_000_987_654_321)
REVISION = Revision(address="0123456789abcdef", length=4096, file=FILE)
SEEN = SeenFile(REVISION.address, FILE)

RECORDS: dict[str, dict[str, Any]] = {
    "as it was": {},
    "of another entry": {"entry": "another"},
    "with a digest": {"revision": replace(REVISION, digest="sha256:" + "0" * 64)},
    "on another device": {"revision": replace(REVISION, file=replace(FILE, device=7))},
    "its file is to be removed": {"revision": replace(REVISION, departs=True)},
    "of another address": {"revision": replace(REVISION, address="f" * 16)},
    "without a file": {"revision": replace(REVISION, file=None)},
    "without a revision": {"revision": None},
    "another inode": {"revision": replace(REVISION, file=replace(FILE, inode=1))},
    "another size": {"revision": replace(REVISION, length=1, file=replace(FILE, size=1))},
    "another mtime": {"revision": replace(REVISION, file=replace(FILE, mtime_ns=1))},
    "another ctime": {"revision": replace(REVISION, file=replace(FILE, ctime_ns=1))},
    "a longer ctime": {"revision": replace(REVISION, file=replace(FILE, ctime_ns=FILE.ctime_ns * 10 + 1))},
    "retired": {"removed": 5.0},
    "with a message": {"message": "uploaded, but the file could not be deleted: busy"},
    "with a reason": {"reason": Reason.DRIFTED},
    "with other options": {"options_digest": "f" * 16},
    "of unknown options": {"options_digest": None},
    "read back": {"integrity": Integrity.READBACK},
    "of unknown integrity": {"integrity": None},
    **{f"state {state.value}": {"state": state} for state in State if state is not State.SYNCED},
}


def of_file(key: str, **changes: Any) -> Record:
    return record(
        key,
        **{
            "entry": "ordner ü'",
            "state": State.SYNCED,
            "revision": REVISION,
            "etag": '"e"',
            "integrity": Integrity.LENGTH,
            "options_digest": "0" * 16,
            **changes,
        },
    )


@pytest.mark.parametrize("readback", [False, True])
async def test_the_answer_is_that_of_the_rule(journals: Journals, readback: bool) -> None:
    rule = UnchangedRule("ordner ü'", "0" * 16, readback)
    records = {name: of_file(name, **changes) for name, changes in RECORDS.items()}
    await journals.now.save_all(list(records.values()))
    asked = {one.item_id: SEEN for one in records.values()} | {"0" * 16: SEEN}
    journal = await journals.later()
    expected = {
        one.item_id: known
        for one in records.values()
        if (known := unchanged_record(rule, SEEN, one, transfers=False)) is not None
    }
    assert await journal.unchanged(asked, rule) == expected
    assert len(expected) == (2 if readback else 7)
    assert await journal.unchanged({}, rule) == {}


async def test_a_file_whose_item_has_a_transfer_is_not_unchanged(journals: Journals) -> None:
    """An unfinished one, and one that was given up: a whole check finds out what it left at the store."""
    rule = UnchangedRule("ordner ü'", "0" * 16, readback=False)
    done, begun, left = (of_file(name) for name in ("done", "begun", "left"))
    await journals.now.save_all([done, begun, left])
    for one in (begun, left):
        await journals.now.begin(transfer(id=f"of {one.item_id}", item_id=one.item_id, destination=one.destination))
    await journals.now.give_up(f"of {left.item_id}", 5.0)
    journal = await journals.later()
    asked = {one.item_id: SEEN for one in (done, begun, left)}
    assert list(await journal.unchanged(asked, rule)) == [done.item_id]


async def test_a_thousand_files_are_asked_about_at_once(journals: Journals) -> None:
    rule = UnchangedRule("ordner ü'", "0" * 16, readback=False)
    many = [of_file(f"k{number}") for number in range(1_000)]
    await journals.now.save_all(many)
    journal = await journals.later()
    assert len(await journal.unchanged({one.item_id: SEEN for one in many}, rule)) == 1_000
