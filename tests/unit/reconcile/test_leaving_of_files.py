"""The guard for mirrors of one object that leave one file at once."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import pytest

from mirrord.model import Destination, Record, State
from mirrord.planning.decisions.leaving import EntryInForce, LoadedEntries
from mirrord.reconcile.leaving import Leaving
from mirrord.reconcile.left_items import LeftItems
from mirrord.telemetry.fanout import unobserved
from mirrord.testing import ManualClock, MemoryJournal
from tests.support.records import make_record

FILE = "/m.yaml"
MINE = EntryInForce(FILE, prunes=True)
ALL = [f"e{number}" for number in range(100)]


@dataclass
class Desired:
    items: Mapping[str, str]

    def entry_of(self, item_id: str) -> str | None:
        return self.items.get(item_id)

    def pairs(self) -> Iterator[tuple[str, str]]:
        return iter(self.items.items())


def place(key: str) -> Destination:
    return Destination("default", "http://s", "bucket", key)


def recorded(key: str, entry: str) -> Record:
    at = place(key)
    values = {"state": State.SYNCED, "etag": '"e"', "transfer_id": "t", "etag_from_head": True}
    return make_record(item_id=at.item_id, entry=entry, source="https://h/x", destination=at, **values)


class World:
    def __init__(self) -> None:
        self.journal = MemoryJournal()
        self.leaving = Leaving(self.journal, unobserved, ManualClock())

    async def save(self, keys: Mapping[str, str]) -> None:
        await self.journal.save_all([recorded(key, entry) for key, entry in keys.items()])

    async def review(
        self,
        keys: Mapping[str, str],
        most: float | None = None,
        entries: Mapping[str, EntryInForce] | None = None,
        defaults: float | None = None,
    ) -> LeftItems:
        """With these keys and their entries."""
        found = {**dict.fromkeys(keys.values(), MINE), **(entries or {})}
        now = LoadedEntries(
            files={FILE, "/other.yaml"}, entries=found, stores={"default": "http://s"}, most_of={FILE: defaults}
        )
        return await self.leaving.review(Desired({place(key).item_id: entry for key, entry in keys.items()}), now, most)


def singles(names: list[str]) -> dict[str, str]:
    return {f"k/{name}": name for name in names}


@pytest.fixture
async def world() -> World:
    made = World()
    await made.save(singles(ALL))
    await made.review(singles(ALL))
    return made


@pytest.mark.parametrize(("stay", "allowed"), [(90, 10), (89, 0), (1, 0)])
async def test_more_than_ten_and_a_tenth_of_a_file_stay(world: World, stay: int, allowed: int) -> None:
    found = await world.review(singles(ALL[:stay]))
    assert len(await found.allowed()) == allowed
    assert len(found.refused) == (0 if allowed else 100 - stay)
    if not allowed:
        why = found.refused["e99"]
        assert f"{FILE}: {100 - stay} of 100 objects would be deleted" in why
        assert "defaults.prune: {max: 100%}" in why
        assert {found.entry_of(one) for one in await found.blocked()} == set(ALL[stay:])
    assert not (await world.review(singles(ALL))).held


async def test_the_user_allows_it(world: World) -> None:
    assert len((await world.review(singles(ALL[:50]), most=0.49)).refused) == 50
    assert len((await world.review(singles(ALL[:50]), defaults=0.49)).refused) == 50
    large = {ALL[0]: replace(MINE, most=1.0)}
    assert len((await world.review(singles(ALL[:50]), entries=large)).refused) == 50  # of its own objects only
    assert len(await (await world.review(singles(ALL[:50]), most=0.5)).allowed()) == 50
    assert len(await (await world.review(singles(ALL[:50]), defaults=0.5)).allowed()) == 50


async def test_what_the_removed_entries_named_counts(world: World) -> None:
    await world.review(singles(ALL), entries={name: replace(MINE, most=1.0) for name in ALL[50:]})
    assert len(await (await world.review(singles(ALL[:50]))).allowed()) == 50


async def test_renamed_and_moved_entries_delete_nothing(world: World) -> None:
    renamed = {f"k/{name}": f"new {name}" for name in ALL}
    assert not (await world.review(renamed)).held
    other = {entry: replace(MINE, file="/other.yaml") for entry in renamed.values()}
    assert not (await world.review(renamed, entries=other)).held


async def test_entries_with_other_keys_are_guarded_until_all_agree(world: World) -> None:
    moved = {f"other/{name}": name for name in ALL}
    assert len((await world.review(moved)).refused) == 100
    await world.save(moved)
    assert len((await world.review(moved)).refused) == 100
    assert len(await (await world.review(moved, most=1.0)).allowed()) == 100


async def test_large_entries_have_their_own_guard(world: World) -> None:
    """Each of 12 lists loses one of its ten objects."""
    rows = {f"l{number}/{row}": f"list {number}" for number in range(12) for row in range(10)}
    await world.save(rows)
    await world.review(singles(ALL) | rows)
    less = {key: entry for key, entry in rows.items() if not key.endswith("/9")}
    assert len(await (await world.review(singles(ALL) | less)).allowed()) == 12
    found = await world.review(singles(ALL[:88]) | less)
    assert (len(await found.allowed()), len(found.refused)) == (12, 12)
