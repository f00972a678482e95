"""The calls of `ports.Journal` for many files at once, on every journal: begun, finished and asked for together."""

from dataclasses import replace

import pytest

from mirrord.errors import JournalError
from mirrord.model import FileIdentity, Record, Revision, State
from tests.support.journals import FULL, Journals, at, by_id, every, part, record, transfer

FILE = FileIdentity(64769, 7, 4096, 1_700_000_000_123_456_789, 1_700_000_000_987_654_321)
ENDPOINT = at("k").endpoint


def of_file(key: str, file: FileIdentity, **changes: object) -> Record:
    return record(key, state=State.SYNCED, revision=Revision(address="a", length=file.size, file=file), **changes)


async def test_many_are_begun_together(journals: Journals) -> None:
    many = [transfer(number, item_id=at(f"k{number}").item_id) for number in (1, 2, 3)]
    await journals.now.begin_all(many)
    journal = await journals.later()
    assert await every(journal.unfinished()) == many
    assert await journal.open_of(at("k2").item_id) == [many[1]]


async def test_if_one_cannot_be_begun_none_is(journals: Journals) -> None:
    known = transfer(2, item_id=at("known").item_id)
    await journals.now.begin(known)
    assert await journals.now.open_of(at("k1").item_id) == []
    with pytest.raises(JournalError):
        await journals.now.begin_all([transfer(number, item_id=at(f"k{number}").item_id) for number in (1, 2, 3)])
    journal = await journals.later()
    assert await every(journal.unfinished()) == [known]
    assert await journal.open_of(at("k1").item_id) == []


async def test_many_are_finished_together(journals: Journals) -> None:
    records = [record(f"k{number}", transfer_id=f"t-{number}") for number in (1, 2)]
    await journals.now.begin_all([transfer(number, item_id=at(f"k{number}").item_id) for number in (1, 2, 3)])
    await journals.now.part_done("t-1", part(1))
    await journals.now.finish_all([*((str(one.object.transfer_id), one) for one in records), ("t-none", FULL)])
    journal = await journals.later()
    assert await every(journal.records()) == by_id(*records, FULL)
    assert [one.id for one in await every(journal.unfinished())] == ["t-3"]  # type: ignore[attr-defined]
    assert await journal.parts("t-1") == []
    assert await journal.open_of(at("k1").item_id) == []


async def test_nothing_is_begun_or_finished(journals: Journals) -> None:
    await journals.now.begin_all([])
    await journals.now.finish_all([])
    assert list(await (await journals.later()).new_files({}, ENDPOINT)) == []


@pytest.mark.parametrize("given_up", [None, 5.0])
async def test_new_files_have_no_record_and_no_transfer(journals: Journals, given_up: float | None) -> None:
    ids = {name: at(name).item_id for name in ("recorded", "retired", "running", "new", "another")}
    others = {name: replace(FILE, inode=number) for number, name in enumerate(ids, 100)}
    await journals.now.save_all([record("recorded"), record("retired", removed=5.0)])
    await journals.now.begin(transfer(1, item_id=ids["running"]))
    if given_up is not None:
        await journals.now.give_up("t-1", given_up)
    journal = await journals.later()
    found = await journal.new_files({ids[name]: file for name, file in others.items()}, ENDPOINT)
    assert list(found) == [ids["new"], ids["another"]]


@pytest.mark.parametrize(
    ("recorded", "endpoint", "new"),
    [
        (FILE, ENDPOINT, False),
        (replace(FILE, device=1, ctime_ns=1), ENDPOINT, False),
        (FILE, "http://another", True),
        (replace(FILE, inode=8), ENDPOINT, True),
        (replace(FILE, size=8), ENDPOINT, True),
        (replace(FILE, mtime_ns=8), ENDPOINT, True),
    ],
)
async def test_a_file_that_an_object_was_made_from_is_not_new(
    journals: Journals, recorded: FileIdentity, endpoint: str, new: bool
) -> None:
    """As `made_from`: the store may copy that object."""
    await journals.now.save(of_file("old name", recorded))
    journal = await journals.later()
    assert bool(await journal.new_files({at("new").item_id: FILE}, endpoint)) is new
    assert bool(await journal.made_from(FILE, endpoint)) is not new


async def test_large_numbers_of_files_are_compared(journals: Journals) -> None:
    """Inodes of network file systems have 64 bits."""
    large = replace(FILE, inode=2**64 - 2)
    await journals.now.save(of_file("old", large))
    journal = await journals.later()
    assert list(await journal.new_files({at("new").item_id: large}, ENDPOINT)) == []
