"""The engine of a program: it gives up transfers of an earlier process before any transfer runs."""

from pathlib import Path

from mirrord.engine.wiring import engine
from mirrord.journal.sqlite.journal import SqliteJournal
from mirrord.model import Destination, PartSizes, Revision, Transfer, TransferKind
from mirrord.settings import Settings

AT = Destination("default", "http://store", "bucket", "key")
UNNAMED = Transfer(
    id="t",
    item_id=AT.item_id,
    destination=AT,
    revision=Revision(address="x"),
    kind=TransferKind.MULTIPART,
    part_sizes=PartSizes.equal(1),
    started=0.0,
)


async def test_an_upload_whose_id_was_never_recorded_is_given_up_before_the_engine_is_used(tmp_path: Path) -> None:
    state = tmp_path / "state.db"
    async with SqliteJournal(state) as journal:
        await journal.begin(UNNAMED)
    async with engine(Settings(state=state), {}, lambda event: None) as opened:
        assert [one async for one in opened.journal.unfinished()] == []
        assert [one.id async for one in opened.journal.given_up()] == ["t"]
