"""The engine of a program: it gives up transfers of an earlier process before any transfer runs."""

from pathlib import Path

import pytest

from mirrord.engine.stores import Stores
from mirrord.engine.wiring import engine
from mirrord.journal.sqlite.journal import SqliteJournal
from mirrord.model import (
    Destination,
    Item,
    PartSizes,
    Revision,
    State,
    Transfer,
    TransferKind,
    origin_at,
)
from mirrord.planning.decisions.listed import Verdict
from mirrord.reconcile.breakers import Release
from mirrord.settings import Settings
from mirrord.testing import MemoryStore
from tests.support.records import make_record

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


@pytest.mark.parametrize(("release", "checked_now"), [(None, [7]), (lambda _: None, [])], ids=["run", "sync"])
async def test_a_program_that_runs_on_checks_items_whose_objects_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, release: Release | None, checked_now: list[int]
) -> None:
    """`run` takes the released items; a program that ends checks each item once in any case."""
    items = [Item(id=at.item_id, entry="e", origin=origin_at("http://s/x"), destination=at) for at in _places(20)]
    store = MemoryStore()
    await store.ensure_bucket("b")

    async def at(stores: Stores, destination: Destination) -> MemoryStore:
        return store

    monkeypatch.setattr(Stores, "at", at)
    async with engine(Settings(state=tmp_path / "state.db"), {}, lambda event: None, release=release) as opened:
        for number, item in enumerate(items):
            put = await store.put_object(item.destination, memoryview(b"x"), item.options.object)
            etag = '"other"' if number == 7 else put.etag
            row = make_record(
                item_id=item.id,
                entry="e",
                source="x",
                destination=item.destination,
                state=State.SYNCED,
                revision=Revision(address="a"),
                etag=etag,
                size=1,
            )
            await opened.journal.save(row)
        await opened.listings.replace(items, [])
        record = await opened.journal.record(items[0].id)
        assert await opened.listings.verdict(items[0], record) is Verdict.AS_RECORDED
        assert list(opened.released) == [items[number].id for number in checked_now]


def _places(count: int) -> list[Destination]:
    return [Destination("default", "http://store", "b", f"data/{number}") for number in range(count)]
