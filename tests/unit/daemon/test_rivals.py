"""Which other source has the object that a folder's file claims, while the daemon runs."""

from dataclasses import dataclass, replace

import pytest

from mirrord.daemon.rivals import rival_of
from mirrord.errors import SourceTimedOut
from mirrord.folders.ports import Rival
from mirrord.model import Destination, File, FileIdentity, Item, Record, State, origin_at
from mirrord.planning.decisions.claims import Claim
from tests.support.records import make_record

AT = Destination("s", "http://store", "bucket", "in/x")
RANKS = {"a": 0, "b": 1, "c": 2}


@dataclass
class Folder:
    """A folder with at most one file."""

    entry: str
    inode: int = 0
    wanted: bool = False
    down: bool = False

    async def claim_of(self, source: str, item_id: str) -> Claim | None:
        if self.down:
            raise SourceTimedOut("it does not answer")
        assert (source, item_id) == (f"file:///{self.entry}/x", AT.item_id)
        return Claim(0, self.entry, "x", FileIdentity(1, self.inode, 1, 1, 1)) if self.inode else None

    def wants(self, item_id: str) -> bool:
        return self.wanted and item_id == AT.item_id


def item(entry: str) -> Item:
    return Item(id=AT.item_id, entry=entry, origin=File(f"/{entry}", "x"), destination=AT)


MIRROR = replace(item("m"), origin=origin_at("https://example.org/x"))


def recorded(entry: str) -> Record:
    one = item(entry)
    return make_record(state=State.SYNCED, item_id=one.id, entry=entry, source=one.origin.address, destination=AT)


async def rival(
    entry: str, *others: Folder, submitted: Item | None = None, record: Record | None = None, gone: bool = False
) -> Rival | None:
    claim = None if gone else Claim(0, entry, "x", FileIdentity(1, 7, 1, 1, 1))
    folders = {entry: Folder(entry, 7), **{one.entry: one for one in others}}
    return await rival_of(folders, RANKS, lambda _: submitted, entry, item(entry), claim, record)


def file_in(entry: str) -> str:
    return f"file:///{entry}/x in the folder {entry}"


@pytest.mark.parametrize("gone", [False, True])
async def test_a_mirror_has_precedence(gone: bool) -> None:
    assert await rival("a", submitted=MIRROR, record=recorded("a"), gone=gone) == Rival("the mirror m")


async def test_a_file_without_rivals() -> None:
    assert await rival("a") is None
    assert await rival("a", submitted=item("a"), record=recorded("a")) is None
    assert await rival("a", Folder("b", 1, wanted=True)) is None


@pytest.mark.parametrize("entry", ["a", "c"])
async def test_the_recorded_file_has_precedence_while_it_exists(entry: str) -> None:
    assert await rival(entry, Folder("b", 1), record=recorded("b")) == Rival(file_in("b"))
    assert await rival(entry, Folder("b"), record=recorded("b")) is None
    assert await rival(entry, record=recorded("b")) is None, "the folder is not in force"
    assert await rival(entry, Folder("b", down=True), record=recorded("b")) == Rival(file_in("b"))


@pytest.mark.parametrize(("entry", "loses"), [("a", False), ("c", True)])
async def test_of_files_that_are_not_recorded_yet_that_of_the_first_folder_has_it(entry: str, loses: bool) -> None:
    found = await rival(entry, Folder("b", 1), submitted=item("b"))
    assert found == (Rival(file_in("b")) if loses else None)
    assert await rival("b", Folder("c", 1), submitted=item("c")) is None
    gone = await rival(entry, Folder("b"), Folder("a" if loses else "c", 1), submitted=item("b"), record=recorded("b"))
    assert gone is None


async def test_one_file_in_two_folders() -> None:
    assert await rival("a", Folder("b", 7), record=recorded("b")) == Rival(file_in("b"), same_file=True)


async def test_the_object_of_a_file_that_is_gone_is_that_of_another_folders_file() -> None:
    assert await rival("a", Folder("b"), record=recorded("a"), gone=True) is None
    assert await rival("a", Folder("b", wanted=True), record=recorded("a"), gone=True) == Rival(
        "a file in the folder b"
    )
    assert await rival("a", Folder("b", 1), submitted=item("b"), record=recorded("a"), gone=True) == Rival(file_in("b"))
