"""Totals and lists of items agree for every combination of records, waiting files and running transfers."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirrord.daemon import picture
from mirrord.daemon.board import Board
from mirrord.daemon.control import Controller
from mirrord.daemon.health import Health
from mirrord.daemon.picture import FILE_GONE, LONGEST_ENTRY_FRESH, LONGEST_FRESH, Totals, with_gone_files
from mirrord.daemon.supervise import Supervisor
from mirrord.declared import FolderSpec
from mirrord.errors import Reason, SourceTimedOut
from mirrord.events import TransferFailed, TransferStarted
from mirrord.folders.waiting import WaitingFile
from mirrord.model import (
    EVERY,
    Destination,
    EntryCounts,
    Item,
    ItemFilter,
    ItemOrder,
    ItemPlace,
    Record,
    State,
    TransferKind,
    origin_at,
)
from mirrord.status import ItemStatus
from mirrord.testing import ManualClock, MemoryJournal
from mirrord.web.query import SORTS
from tests.support.folder_world import SPEC
from tests.support.records import make_record, with_fields

T = TypeVar("T")

RECORDED = [State.SYNCED, State.PENDING, State.RETRYING, State.BLOCKED, State.WAITING]
HELD = [State.WAITING, State.BLOCKED]
ITEMS = 6


def item(n: int) -> Item:
    at = Destination("default", "http://store", "b", f"key {n}")
    return Item(id=at.item_id, entry="in", origin=origin_at(f"file:///inbox/{n}"), destination=at)


def record(n: int, state: State) -> Record:
    one = item(n)
    return make_record(
        item_id=one.id,
        entry="in",
        source=one.origin.address,
        destination=one.destination,
        state=state,
        message="as recorded",
        since=since_of(n),
    )


def since_of(n: int) -> float:
    return 100.0 + n % 3


def status(n: int, state: State) -> ItemStatus:
    one = item(n)
    return ItemStatus(
        id=one.id,
        entry="in",
        source=one.origin.address,
        destination=str(one.destination),
        store="default",
        state=state,
        since=since_of(n),
    )


async def ask(_root: str, work: Callable[[], T]) -> T:
    """A folder that answers."""
    return work()


@dataclass
class FakeAppliedState:
    """What of `daemon.applied_state` the picture is drawn from."""

    holds: list[WaitingFile] = field(default_factory=list)

    def waiting(self, entry: str | None = None) -> Iterator[WaitingFile]:
        return iter(self.holds if entry in (None, "in") else [])

    def specs(self) -> Mapping[str, FolderSpec]:
        return {}

    @property
    def folders(self) -> "FakeAppliedState":
        return self

    @property
    def files(self) -> "FakeAppliedState":
        return self

    async def run_in_pool(self, root: str, work: Callable[[], T]) -> T:
        return await ask(root, work)

    @property
    def scheduler(self) -> "FakeAppliedState":
        return self

    def next_check(self, _item_id: str) -> float | None:
        return None


async def nothing_to_read() -> None: ...


class World:
    def __init__(self, recorded: Mapping[int, State], held: list[tuple[int, State]], running: set[int]) -> None:
        self.clock = ManualClock()
        self.journal = MemoryJournal()
        self.journal._records = {item(n).id: record(n, state) for n, state in recorded.items()}
        self.board = Board(self.clock)
        for n in running:
            self.board(TransferStarted(item=item(n), transfer_id=f"t{n}", kind=TransferKind.PUT))
        applied: Any = FakeAppliedState(
            [
                WaitingFile(
                    item(n).id,
                    state,
                    recorded.get(n),
                    since_of(n),
                    partial(status, n, state),
                )
                for n, state in sorted(held, key=lambda one: one[1] is State.WAITING)
            ]
        )
        unused: Any = None
        notifications: Any = SimpleNamespace(supervisor=Supervisor(self.clock))
        self.totals = Totals(self.journal, self.clock, applied.waiting, self.board.unfinished)
        self.control = Controller(
            applied=applied,
            notifications=notifications,
            stale=unused,
            journal=self.journal,
            board=self.board,
            health=Health(self.clock),
            totals=self.totals,
            started=0.0,
            read_again=nothing_to_read,
        )

    def give_objects(self, recorded: Iterable[int]) -> None:
        """Some of the records have a size, and a time of their copy."""
        for n in recorded:
            size, copied = (None if n % 4 == 3 else n % 4), (None if n % 3 == 2 else float(n % 2))
            known = self.journal._records[item(n).id]
            self.journal._records[item(n).id] = with_fields(known, size=size, synced_at=copied)

    async def rows(self, state: State | None, limit: int, text: str | None = None) -> list[ItemStatus]:
        rows: list[ItemStatus] = []
        cursor: str | None = None
        for _ in range(50):
            page = await self.control.items(state=state, text=text, cursor=cursor, limit=limit)
            assert len(page.items) <= limit
            rows += page.items
            if page.cursor is None:
                return rows
            cursor = page.cursor
        raise AssertionError("pages without end")

    async def sorted_rows(self, order: ItemOrder, wanted: ItemFilter, limit: int) -> list[ItemStatus]:
        rows: list[ItemStatus] = []
        after: ItemPlace | None = None
        for _ in range(50):
            page = await self.control.sorted_items(order, wanted, after, limit)
            assert len(page.items) <= limit
            rows += page.items
            if page.last is None:
                return rows
            after = page.last
        raise AssertionError("pages without end")


def in_order(rows: list[ItemStatus], order: ItemOrder) -> list[ItemStatus]:
    """Sorted by Python, state after state."""

    def value(one: ItemStatus) -> tuple[float | str, str]:
        found = order.value(destination=one.destination, since=one.since, copied=one.synced_at, size=one.size)
        return found, one.id

    rows = sorted(rows, key=value, reverse=order.descending)
    return sorted(rows, key=lambda one: order.states.index(one.state)) if order.states else rows


@given(
    recorded=st.dictionaries(st.integers(0, ITEMS), st.sampled_from(RECORDED)),
    held=st.lists(st.tuples(st.integers(0, ITEMS), st.sampled_from(HELD)), unique=True),
    running=st.sets(st.integers(0, ITEMS)),
    limit=st.integers(1, 8),
    order=st.sampled_from([one for one in SORTS.values() if one is not None]),
)
def test_rows_and_totals_agree(
    recorded: dict[int, State], held: list[tuple[int, State]], running: set[int], limit: int, order: ItemOrder
) -> None:
    async def compare() -> None:
        world = World(recorded, held, running)
        world.give_objects(recorded)
        rows = await world.rows(None, limit)
        assert [one.id for one in rows] == sorted({one.id for one in rows}), "each once, in order"
        assert {one.id for one in rows} == {item(n).id for n in {*recorded, *running, *(n for n, _ in held)}}
        counts = await world.control.counts()
        assert counts == Counter(one.state for one in rows)
        for state in State:
            fit = await world.rows(state, limit)
            assert fit == [one for one in rows if one.state is state]
            assert await world.rows(state, limit, "key") == fit
            for wanted in (ItemFilter(state), ItemFilter(state, "in", "KEY")):
                assert await world.sorted_rows(order, wanted, limit) == in_order(fit, order)
        for wanted in (EVERY, ItemFilter(text="key"), ItemFilter(entry="in")):
            assert await world.sorted_rows(order, wanted, limit) == in_order(rows, order)
        assert await world.sorted_rows(order, ItemFilter(entry="other"), limit) == []
        for one in rows:
            assert await world.control.item(one.id) == one
        of_entry, _ = await world.totals.of_entry("in", [item(n).id for n in running])
        assert of_entry == counts

    asyncio.run(compare())


async def test_a_new_file_that_is_sent_is_shown_before_it_is_recorded() -> None:
    world = World({}, [], {1})
    (row,) = (await world.control.items()).items
    assert (row.state, row.source, row.entry, row.store) == (State.TRANSFERRING, "file:///inbox/1", "in", "default")
    assert await world.control.counts() == {State.TRANSFERRING: 1}
    failed = TransferFailed(item=item(1), transfer_id="t1", reason=Reason.STORE_DENIED, message="403", duration=1.0)
    world.board(failed)
    assert (await world.control.items()).items == ()


async def test_a_running_transfer_shows_no_earlier_reason() -> None:
    world = World({1: State.RETRYING}, [], {1})
    (row,) = (await world.control.items()).items
    assert (row.state, row.message, row.reason) == (State.TRANSFERRING, "", None)


async def test_a_large_entry_is_counted_less_often_and_a_small_one_each_time() -> None:
    world = World(dict.fromkeys(range(5), State.SYNCED), [], set())
    counted, entry_counts = list[str | None](), world.journal.entry_counts

    async def slow(entry: str, after: str | None = None) -> EntryCounts:
        counted.append(after)
        world.clock._elapsed += 1.0
        return await entry_counts(entry, after)

    world.journal.entry_counts = slow  # type: ignore[method-assign]
    assert await world.totals.of_entry("in", []) == ({State.SYNCED: 5}, 0)
    assert await world.totals.of_entry("in", [item(9).id]) == ({State.SYNCED: 5, State.TRANSFERRING: 1}, 0)
    assert len(counted) == 2, "two steps, once"
    await world.clock.advance(LONGEST_ENTRY_FRESH)
    await world.totals.of_entry("in", [])
    assert len(counted) == 4
    world.journal._records.popitem()
    world.journal._records.popitem()
    world.journal._records.popitem()
    await world.clock.advance(LONGEST_ENTRY_FRESH)
    for _ in range(2):
        await world.totals.of_entry("in", [])
    assert len(counted) == 6, "a small entry is not kept"


async def test_slow_counts_of_totals_are_made_less_often() -> None:
    world, counted = World({}, [], set()), 0

    async def totals() -> Mapping[State, int]:
        nonlocal counted
        counted += 1
        await world.clock.sleep(0.3)
        return {}

    world.journal.totals = totals  # type: ignore[assignment, method-assign]
    asked = asyncio.create_task(world.totals.now())
    await world.clock.advance(0.3)
    await asked
    await world.clock.advance(0.9)
    await world.totals.now()
    assert counted == 1
    await world.clock.advance(LONGEST_FRESH)
    asked = asyncio.create_task(world.totals.now())
    await world.clock.advance(0.3)
    await asked
    assert counted == 2


@pytest.mark.parametrize("delete", ["keep", "mirror"])
async def test_the_row_of_a_deleted_file_has_a_message(tmp_path: Path, delete: str) -> None:
    (tmp_path / "stands").touch()
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "no directory").touch()
    names = ["stands", "dangling", "gone", "gone/too", "no directory/x"]
    rows = [
        ItemStatus(
            id=name, entry="in", source=f"file://{tmp_path}/{name}", destination="", store="", state=State.SYNCED
        )
        for name in names
    ]
    folder = replace(SPEC, entry="in", path=str(tmp_path), delete=delete)
    shown = {one.id: one.message for one in await with_gone_files(rows, {"in": folder}, ask)}
    assert shown == {
        "stands": "",
        "dangling": "",
        "gone": FILE_GONE[delete],
        "gone/too": FILE_GONE[delete],
        "no directory/x": FILE_GONE[delete],
    }


async def test_only_synced_files_of_folders_are_checked(tmp_path: Path) -> None:
    gone = {"source": f"file://{tmp_path}/gone", "destination": "", "store": ""}
    rows = [
        ItemStatus(id="1", entry="mirror", state=State.SYNCED, **gone),
        ItemStatus(id="2", entry="in", state=State.BLOCKED, reason=Reason.DRIFTED, message="drifted", **gone),
        ItemStatus(id="3", entry="in", state=State.SYNCED, message="uploaded, then deleted", **gone),
        ItemStatus(id="4", entry="in", state=State.SYNCED, source="https://h/x", destination="", store=""),
    ]
    assert await with_gone_files(rows, {"in": replace(SPEC, entry="in", path=str(tmp_path))}, ask) == rows


async def test_a_folder_that_does_not_answer_does_not_affect_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(root: str, work: Callable[[], T]) -> T:
        if root == "/hangs":
            await asyncio.Event().wait()
        if root == "/down":
            raise SourceTimedOut("/down has not answered for 30 s")
        return work()

    monkeypatch.setattr(picture, "FILE_DEADLINE", 0.05)
    roots = {"answers": str(tmp_path), "hangs": "/hangs", "down": "/down"}
    rows = [
        ItemStatus(id=entry, entry=entry, source=f"file://{root}/x", destination="", store="", state=State.SYNCED)
        for entry, root in roots.items()
    ]
    specs = {entry: replace(SPEC, entry=entry, path=root) for entry, root in roots.items()}
    shown = {one.id: one.message for one in await with_gone_files(rows, specs, hang)}
    assert shown == {"answers": FILE_GONE["keep"], "hangs": "", "down": ""}
