"""The history of an item, on every journal: what a write of its record adds, and its bounds."""

from dataclasses import replace

from mirrord.errors import Reason
from mirrord.model import History, Record, RecordedObject, Revision, State
from mirrord.ports.journal import MAX_HISTORY
from tests.support.journals import FULL, Journals, record, transfer
from tests.support.records import with_fields

COPIED = with_fields(FULL, state=State.SYNCED, reason=None, message="")
ID = COPIED.item_id


async def history(journals: Journals) -> History:
    return await (await journals.later()).history(ID)


def copied(transfer_id: str, synced_at: float = 5.0) -> Record:
    return replace(COPIED, object=replace(COPIED.object, transfer_id=transfer_id, synced_at=synced_at))


async def test_what_replaces_nothing_adds_nothing(journals: Journals) -> None:
    for one in (replace(COPIED, object=RecordedObject(), revision=None), COPIED, COPIED):
        await journals.now.save(one)
    await journals.now.save(replace(COPIED, object=replace(COPIED.object, etag='"shown"', etag_from_head=True)))
    assert await history(journals) == History()


async def test_a_copy_that_replaces_an_object_adds_it_as_it_was(journals: Journals) -> None:
    await journals.now.save(COPIED)
    await journals.now.finish("t2", copied("t2", 7.0))
    await journals.now.save(replace(COPIED, object=RecordedObject(), revision=None))
    newest, oldest = (await history(journals)).objects
    assert (oldest.until, oldest.object, oldest.revision) == (7.0, COPIED.object, COPIED.revision)
    assert (oldest.entry, oldest.source) == (COPIED.entry, COPIED.source)
    assert newest.object == copied("t2", 7.0).object


async def test_the_start_of_the_transfer_is_kept_with_its_object(journals: Journals) -> None:
    """Of the record and of the past; other writes of the record change it only with the transfer."""
    for name, started in (("t1", 3.0), ("t2", 5.0)):
        await journals.now.begin(replace(transfer(1), id=name, started=started))
        await journals.now.finish(name, copied(name, 7.0))
        await journals.now.save(replace(copied(name, 7.0), entry="new"))
        await journals.now.save(replace(copied(name, 7.0), object=replace(copied(name, 7.0).object, began=99.0)))
    journal = await journals.later()
    found = await journal.record(ID)
    assert found is not None
    assert found.object.began == 5.0
    await journal.finish("unknown", copied("t3"))
    assert [one.object.began for one in (await journal.history(ID)).objects] == [5.0, 3.0]
    found = await journal.record(ID)
    assert found is not None
    assert found.object.began is None


async def test_an_adopted_object_is_replaced_by_another_etag(journals: Journals) -> None:
    adopted = replace(COPIED, object=replace(COPIED.object, transfer_id=None, etag='"a"'))
    await journals.now.save_all([adopted, adopted])
    await journals.now.save(replace(adopted, object=replace(adopted.object, etag='"b"')))
    assert [one.object.etag for one in (await history(journals)).objects] == ['"a"']


async def test_the_version_that_was_restored_is_kept(journals: Journals) -> None:
    restored = replace(COPIED, revision=Revision(address="a", length=1, restored="v/1"))
    await journals.now.save(restored)
    await journals.now.save(copied("t2"))
    journal = await journals.later()
    past = (await journal.history(ID)).objects[0]
    assert past.revision is not None
    assert past.revision.restored == "v/1"


async def test_a_failure_is_added_once_until_it_changes(journals: Journals) -> None:
    def failing(state: State, message: str) -> Record:
        return with_fields(record(), state=state, reason=Reason.SOURCE_MISSING, message=message, item_id=ID)

    blocked = failing(State.BLOCKED, "404 caf\u00e9")
    for one in (blocked, blocked, failing(State.RETRYING, "503"), with_fields(record(), item_id=ID), blocked):
        await journals.now.save(one)
    found = (await history(journals)).failures
    assert [(one.state, one.message) for one in found] == [
        (State.BLOCKED, "404 caf\u00e9"),
        (State.RETRYING, "503"),
        (State.BLOCKED, "404 caf\u00e9"),
    ]
    assert (found[0].reason, found[0].source) == (Reason.SOURCE_MISSING, blocked.source)
    assert found[0].when > 1e9


async def test_only_the_newest_are_kept(journals: Journals) -> None:
    await journals.now.save_all([copied(f"t{number}") for number in range(MAX_HISTORY + 3)])
    found = (await history(journals)).objects
    assert [one.object.transfer_id for one in found] == [f"t{n}" for n in reversed(range(1 + 1, MAX_HISTORY + 2))]
    assert await (await journals.later()).history("0" * 16) == History()


async def test_it_stays_when_the_item_leaves_and_comes_back(journals: Journals) -> None:
    await journals.now.save(COPIED)
    await journals.now.save(copied("t2"))
    await journals.now.retire([ID], 9.0)
    await journals.now.save(copied("t2"))
    assert len((await history(journals)).objects) == 1
