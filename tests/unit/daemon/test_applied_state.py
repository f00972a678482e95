"""The applied state: which items count as removed while no daemon ran, and the pauses in which the loop can answer."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Mapping
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

import pytest

from mirrord.daemon.applied_state import AppliedState
from mirrord.daemon.folder_loops import FolderLoops
from mirrord.daemon.health import Health
from mirrord.daemon.leaving_items import LeavingItems
from mirrord.daemon.list_loops import ListLoops
from mirrord.daemon.manifests import Manifests
from mirrord.daemon.restores import RequestedRestores
from mirrord.daemon.supervise import Supervisor
from mirrord.declared import FolderSpec
from mirrord.engine.local_files import LocalFiles
from mirrord.engine.stores import Stores
from mirrord.errors import JournalError, RestoreRefused
from mirrord.folders.after_upload import AfterUpload
from mirrord.folders.copy_proof import CopyProof
from mirrord.model import Destination, Holder, IdTable, Item, Outcome, Record, RecordedObject, Revision, State
from mirrord.planning.items.difference import Difference
from mirrord.reconcile.leaving import Leaving
from mirrord.reconcile.store_listings import StoreListings
from mirrord.scheduling.queue import LocalQueue
from mirrord.scheduling.scheduler import Scheduler
from mirrord.settings import Settings
from mirrord.testing import AutoAdvancingClock, ManualClock, MemoryJournal, MemorySource, MemoryStore
from mirrord.transfer.budget import Budget
from mirrord.units import MiB
from tests.support.records import make_record

SOUND = "stores: {default: {endpoint_url: 'http://s:1'}}\nmirrors: [{url: 'http://h/x', to: 's3://bucket/x'}]\n"
BROKEN = "mirrors: [{url: 'http://h/y', to: 's3://bucket/y'}"


def recorded(entry: str) -> Record:
    at = Destination("default", "http://s:1", "bucket", entry)
    return make_record(item_id=at.item_id, entry=entry, source=f"http://h/{entry}", destination=at, state=State.SYNCED)


class NoArrivals:
    """No folder is in force."""

    def arrive(self, folder: FolderSpec, item: Item, revision: Revision, *, just_appeared: bool) -> None:
        raise AssertionError(folder, item, revision, just_appeared)

    def forget(self, entry: str) -> None: ...


class Scene:
    """The applied state over the manifests in a directory; nothing is transferred."""

    def __init__(self, directory: Path, supervisor: Supervisor) -> None:
        files = LocalFiles(Settings(state=directory / "state" / "state.db").own_paths)
        clock, self.journal = AutoAdvancingClock(), MemoryJournal()
        self.directory, self.list, self.list_clock = directory, MemorySource(), ManualClock()
        self.manifests = Manifests([str(directory)], {}, clock, self.ignore)
        scheduler = Scheduler(reconcile=self.reconcile, queue=LocalQueue(clock), journal=self.journal, clock=clock)
        self.listings = StoreListings(self.journal, self.no_store_at, clock)
        folders = FolderLoops(
            scheduler=scheduler,
            after_upload=AfterUpload(
                reconciler=self,
                quarantine=files.quarantine(),
                journal=self.journal,
                proof=CopyProof(
                    journal=self.journal,
                    store_of=self.store_of,
                    source_of=self.source_of,
                    budget=Budget(MiB),
                    observer=self.ignore,
                ),
                observer=self.ignore,
                clock=clock,
            ),
            files=files,
            arrivals=NoArrivals(),
            journal=self.journal,
            supervisor=supervisor,
            observer=self.ignore,
            clock=clock,
        )
        unused: Any = None
        self.applied = AppliedState(
            manifests=self.manifests,
            scheduler=scheduler,
            folders=folders,
            lists=ListLoops(source_of=lambda _: self.list, supervisor=supervisor, clock=self.list_clock),
            leaving=LeavingItems(
                manifests=self.manifests,
                scheduler=scheduler,
                leaving=Leaving(self.journal, self.ignore, clock),
                clock=clock,
            ),
            restores=RequestedRestores(self.reconcile, unused, self.store_of),
            stores=Stores({}, directory),
            files=files,
            listings=self.listings,
            journal=self.journal,
            health=Health(clock),
            clock=clock,
        )

    def ignore(self, _event: object) -> None: ...

    async def reconcile(self, item: Item, failures: int = 0) -> Outcome:
        return Outcome(state=State.SYNCED)

    async def store_of(self, item: Item) -> MemoryStore:
        raise AssertionError("no store is needed")

    async def no_store_at(self, at: Destination) -> MemoryStore:
        raise AssertionError("no store is needed")

    def source_of(self, item: Item) -> None:
        raise AssertionError("no source is needed")

    async def apply(self, **files: str) -> None:
        for name, text in files.items():
            (self.directory / f"{name}.yaml").write_text(text)
        await self.manifests.read()
        await self.applied.apply()

    async def until_applied(self, rows: int) -> None:
        """Until the list, which has so many rows then, is read and applied."""
        (loop,) = self.applied.lists._loops.values()
        for _ in range(1_000_000):
            if len(loop.items) == rows and loop._read_at is not None and not loop._unapplied:
                return
            await asyncio.sleep(0)
        raise AssertionError("the list is not applied")

    async def removed(self, entry: str) -> bool:
        record = await self.journal.record(recorded(entry).item_id)
        assert record is not None
        return record.removed is not None


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with Supervisor(ManualClock()) as supervisor:
        yield Scene(tmp_path, supervisor)


async def test_items_removed_while_no_daemon_ran_are_retired_at_the_start(scene: Scene) -> None:
    await scene.journal.save(recorded("y"))
    await scene.apply(a=SOUND)
    assert await scene.removed("y")


async def test_an_invalid_file_at_the_start_retires_no_item_until_it_is_valid(scene: Scene) -> None:
    await scene.journal.save_all([recorded("y"), recorded("left")])
    await scene.apply(a=SOUND, b=BROKEN)
    assert not await scene.removed("y")
    assert not await scene.removed("left")
    await scene.apply(b=f"{BROKEN}]\n")
    assert not await scene.removed("y")
    assert await scene.removed("left")


LIST = f"{SOUND}- {{list: 'http://h/l.txt', to: 's3://bucket/', name: l, every: 1h}}\n".replace(
    "mirrors: [{url: 'http://h/x', to: 's3://bucket/x'}]", "mirrors:\n- {url: 'http://h/x', to: 's3://bucket/x'}"
)


async def test_items_of_a_list_are_retired_only_when_it_was_read_wholly(scene: Scene) -> None:
    scene.list.content = b"y\nftp://h/z\n"
    rows = [replace(recorded(name), entry="l") for name in ("y", "left")]
    await scene.journal.save_all([*rows, recorded("other")])
    await scene.apply(a=LIST)
    assert await scene.removed("other")
    await scene.list_clock.run_ready()
    assert scene.applied.scheduler.item(rows[0].item_id) is not None
    assert not await scene.removed("left")
    scene.list.content, scene.list.etag = b"y\n", '"2"'
    await scene.list_clock.advance(3600)
    assert await scene.removed("left")
    assert not await scene.removed("y")
    scene.list.content, scene.list.etag = b"x\n", '"3"'  # x is the object of another entry: a bad row
    await scene.list_clock.advance(3600)
    assert not await scene.removed("y")
    (status,) = scene.applied.lists.statuses()
    assert status.faults == ("s3://bucket/x of l is also the object of s3://bucket/x",)
    scene.list.content, scene.list.etag = b"z\n", '"4"'
    await scene.list_clock.advance(3600)
    assert await scene.removed("y")


async def test_listings_know_the_items_and_which_of_them_a_user_wants_to_be_checked(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[object] = []

    async def replace(items: Mapping[str, Item], folders: object) -> None:
        told.extend(item.entry for item in items.values())

    monkeypatch.setattr(scene.listings, "replace", replace)
    monkeypatch.setattr(scene.listings, "doubt", told.append)
    await scene.apply(a="mirrors: [{url: 'http://h/x', to: 's3://bucket/x', name: one}]")
    await scene.applied.trigger("an id")
    assert told == ["one", "an id"]


async def test_what_a_list_shows_at_its_time_under_cron_is_checked_then(scene: Scene) -> None:
    scene.list.content = b"y\n"
    await scene.apply(a=LIST.replace("every: 1h", "cron: '0 * * * *'"))
    await scene.list_clock.run_ready()
    scheduler = scene.applied.scheduler
    assert (scheduler.next_check(recorded("y").item_id) or 0.0) > scene.applied.clock.now()
    scene.list.content, scene.list.etag = b"y\nz\n", '"2"'
    await scene.list_clock.advance(3600)
    assert (scheduler.next_check(recorded("y").item_id) or 0.0) > scene.applied.clock.now()
    assert (scheduler.next_check(recorded("z").item_id) or inf) <= scene.applied.clock.now()


async def test_nothing_leaves_by_a_list_whose_rows_are_not_applied_yet(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its reading ends while the items of other entries are applied."""
    listed = "mirrors: [{list: l.txt, to: 's3://bucket/', name: mine, prune: true}]\n"
    record = replace(recorded("y"), entry="mine", object=RecordedObject(transfer_id="t", etag='"e"'))
    await scene.journal.save(record)
    await scene.journal.hold({Holder(file=str(scene.directory / "b.yaml"), entry="mine"): [record.item_id]})
    apply = Scheduler.apply

    async def meanwhile(*given: Any) -> Difference:
        for loop in scene.applied.lists._loops.values():
            loop.known = True
        return await apply(*given)

    monkeypatch.setattr(Scheduler, "apply", meanwhile)
    await scene.apply(a=SOUND, b=listed)
    assert await scene.journal.record(record.item_id) == record


async def test_a_list_is_not_applied_with_manifests_that_are_not_applied_yet(scene: Scene) -> None:
    """Else the items in force were compared with the next manifests, and leaving items had no holder in the journal."""
    await scene.apply(a=SOUND.replace("'}]", "', prune: true}]"))
    before = [one async for one in scene.journal.held()]
    (scene.directory / "a.yaml").write_text(SOUND.replace("/x'", "/z'"))
    await scene.manifests.read()
    await scene.applied._apply_lists()
    assert len(before) == 1
    assert [one async for one in scene.journal.held()] == before


@pytest.mark.parametrize("restarted", [False, True])
async def test_the_records_of_a_renamed_entry_have_its_new_name(scene: Scene, restarted: bool) -> None:
    """Also if it was renamed while nothing ran; nothing else in a record changes, and a retired one keeps its name."""
    known, gone = recorded("x"), replace(recorded("y"), removed=1.0)
    await scene.journal.save_all([known, gone])
    if not restarted:
        await scene.apply(a=SOUND.replace("'}]", "', name: x}]"))
        assert await scene.journal.record(known.item_id) == known
    await scene.apply(a=SOUND.replace("'}]", "', name: new}]"))
    assert await scene.journal.record(known.item_id) == replace(known, entry="new")
    assert await scene.journal.record(gone.item_id) == gone


async def test_a_restore_of_an_item_that_leaves_before_its_check_is_refused(scene: Scene) -> None:
    """The scheduler does not run here, so the check does not come."""
    await scene.apply(a=SOUND)
    request = scene.applied.restores.request(recorded("x").item_id, "v", scene.applied.trigger)
    asked = asyncio.create_task(request)
    await asyncio.sleep(0)
    await scene.apply(a=SOUND)
    assert not asked.done()
    await scene.apply(a=SOUND.replace("/x'", "/z'"))
    with pytest.raises(RestoreRefused, match="left the manifests"):
        async with asyncio.timeout(5):
            await asked


async def test_deletions_begin_after_a_pause_once_the_journal_can_be_read(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each item that left is given to the scheduler once, and none that came back in the pause."""
    monkeypatch.setattr("mirrord.daemon.leaving_items._BATCH", 2)
    rows = "".join(f", {{url: 'http://h/{n}', to: 's3://bucket/{n}'}}" for n in range(5))
    pruned = SOUND.replace("mirrors:", "defaults: {prune: {max: 100%}}\nmirrors:")
    await scene.apply(a=pruned.replace("}]", "}" + rows + "]"))
    await scene.apply(a=pruned)
    await scene.apply(a=pruned.replace("}]", "}" + rows.split("},")[0] + "}]"))
    given, reads, left, done = list[str](), list[int](), scene.applied.leaving, asyncio.Event()
    recorded_of, submit = scene.journal.recorded, left.scheduler.submit

    async def failing(item_ids: Collection[str]) -> Mapping[str, Record]:
        reads.append(len(item_ids))
        if len(reads) == 2:
            raise JournalError("full")
        return await recorded_of(item_ids)

    async def submitted(item: Item) -> None:
        given.append(item.destination.key)
        await submit(item)
        if len(given) == 4:
            done.set()

    monkeypatch.setattr(scene.journal, "recorded", failing)
    monkeypatch.setattr(Scheduler, "submit", lambda _, item: submitted(item))
    running = asyncio.create_task(left.run())
    async with asyncio.timeout(5):
        await done.wait()
    running.cancel()
    assert sorted(given) == ["1", "2", "3", "4"]
    assert reads == [2, 2, 2], "the second one again"


# ── pauses ────────────────────────────────────────────────────────────────────────────────────────
class Turns:
    """Counts reads and writes of tables by item id, of which each step of a change has some for each item."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls = self.most = 0
        for name in ("put", "add", "discard", "__contains__", "get"):
            monkeypatch.setattr(IdTable, name, self.counted(getattr(IdTable, name)))

    def counted(self, method: Callable[..., object]) -> Callable[..., object]:
        def called(*given: object) -> object:
            self.calls += 1
            return method(*given)

        return called

    async def most_in_one_turn(self, change: Coroutine[Any, Any, None]) -> int:
        """The most calls without a turn of the loop for others."""
        changing = asyncio.ensure_future(change)
        while not changing.done():
            before = self.calls
            await asyncio.sleep(0)
            self.most = max(self.most, self.calls - before)
        await changing
        return self.most


MANY = 4_000
CHANGES = [
    ("every: 1h", "every: 2h"),
    ("every: 2h", "every: 2h, drift: ignore"),
    ("name: l", "name: other"),
    ("every: 2h", "cron: '0 3 * * *'"),
    ("bucket/'", "bucket/other/'"),
    ("drift: ignore", "drift: ignore, prune: {max: 100%}"),
]


async def test_no_change_of_a_long_list_keeps_the_loop(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """One after the other; at last the list is removed."""
    scene.list.content = b"".join(b"%d\n" % number for number in range(MANY))
    manifest = LIST

    async def applied() -> None:
        await scene.apply(a=manifest)
        if manifest != SOUND:
            await scene.until_applied(MANY)

    turns = Turns(monkeypatch)
    assert await turns.most_in_one_turn(applied()) < MANY
    for before, after in CHANGES:
        assert before in manifest
        manifest = manifest.replace(before, after)
        assert await turns.most_in_one_turn(applied()) < MANY, after
    manifest = SOUND
    assert await turns.most_in_one_turn(applied()) < MANY, "removed"


@pytest.mark.parametrize(
    ("content", "rows"), [(b"new\nftp://bad/row\n", MANY + 1), (b"new\n", 1)], ids=["bad", "other"]
)
async def test_no_reading_of_a_list_keeps_the_loop(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, content: bytes, rows: int
) -> None:
    scene.list.content = b"".join(b"%d\n" % number for number in range(MANY))
    await scene.apply(a=LIST)
    await scene.until_applied(MANY)
    scene.list.content, scene.list.etag = content, '"2"'
    scene.applied.lists.read_again()
    assert await Turns(monkeypatch).most_in_one_turn(scene.until_applied(rows)) < MANY
