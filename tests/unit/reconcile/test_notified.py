"""What a webhook gets of the checks of an item: with each record, and of attempts that change no record."""

from dataclasses import replace

import pytest

from mirrord.daemon.announcer import Announcer
from mirrord.errors import SourceDenied, SourceUnavailable
from mirrord.events import Event
from mirrord.model import Notice, State
from mirrord.testing import ManualClock
from tests.support.item_world import AT, World


class NotifiedWorld(World):
    def __post_init__(self) -> None:
        super().__post_init__()
        announcer = Announcer(self.journal.outbox, ManualClock())

        def observe(event: Event) -> None:
            self.events.append(event)
            announcer(event)

        transfers = replace(self.reconciler.transfers, observer=observe)  # type: ignore[type-var]
        self.reconciler = replace(self.reconciler, observer=observe, transfers=transfers)

    async def told(self) -> list[str]:
        """The events that are written by now, in order; each is returned once."""
        found = list[str]()
        while rows := await self.journal.outbox.due("r", 2e9, 1):
            found += [str(row.notification.name) for row in rows]
            await self.journal.outbox.delivered(rows)
        return found


@pytest.fixture
async def world() -> NotifiedWorld:
    world = NotifiedWorld()
    await world.journal.outbox.send_to({"r": set(Notice)})
    return world


async def test_a_copy_and_an_unchanged_check(world: NotifiedWorld) -> None:
    await world.check()
    assert await world.told() == ["transfer.completed", "item.synced"]
    await world.check()
    assert await world.told() == []
    world.origin.content, world.origin.etag = b"two", '"2"'
    await world.check()
    assert await world.told() == ["transfer.completed", "item.synced"]


async def test_an_item_that_is_blocked_and_recovers(world: NotifiedWorld) -> None:
    world.origin.fails = SourceDenied("no")
    await world.check()
    await world.check()
    assert await world.told() == ["item.blocked"]
    world.origin.fails = SourceUnavailable("no answer")
    await world.check()
    world.origin.fails = None
    await world.check()
    assert await world.told() == ["transfer.completed", "item.synced", "item.recovered"]


async def test_each_failed_transfer_is_written_at_once_also_where_the_record_stays(world: NotifiedWorld) -> None:
    async def broken(start: int, stop: int) -> None:
        raise SourceUnavailable("the connection broke")

    world.origin.hooks.on_open = broken
    for failures in range(3):
        outcome = await world.check(failures)
        assert outcome.state is State.RETRYING
        assert await world.told() == ["transfer.failed"]


async def test_drift_is_told_with_its_repair_and_once(world: NotifiedWorld) -> None:
    await world.check()
    await world.told()
    del world.store.buckets["bucket"][AT.key]
    world.origin.fails = SourceUnavailable("no answer")
    await world.check()
    world.origin.fails = None
    await world.check()
    assert await world.told() == ["item.drifted", "transfer.completed", "item.synced"]


async def test_an_adopted_object(world: NotifiedWorld) -> None:
    await world.check()
    await world.told()
    world.journal._records.clear()
    assert (await world.check()).adopted
    assert await world.told() == ["item.synced"]
