"""The loop that sends to one receiver: order, back-off, dead notifications, and a receiver that is away."""

import asyncio
from collections.abc import Mapping

import pytest

from mirrord.declared import Webhook
from mirrord.errors import JournalUnavailable
from mirrord.model import Notice, OutboxRow, Secret, State
from mirrord.notify.sender import AT_ONCE, LOOK_EVERY, Sender
from mirrord.planning.notifications.delivery import Reply
from mirrord.testing import ManualClock, MemoryJournal
from tests.support.journals import record

HOOK = Webhook(
    url=Secret("https://hooks.example.org/secret?x=1"), notices=frozenset(Notice), headers={"X-A": Secret("b")}
)
OK, DOWN, GONE = Reply(200), Reply(None, "no answer within 15 s"), Reply(410)


class Receiver:
    """Replies what `reply` says for an event's type."""

    def __init__(self) -> None:
        self.reply: Reply | dict[str, Reply] = OK
        self.asked: list[str] = []
        self.at_once = 0
        self._now = 0

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        assert url == HOOK.url.reveal()
        assert headers["X-A"] == "b"
        self._now += 1
        self.at_once = max(self.at_once, self._now)
        await asyncio.sleep(0)
        self._now -= 1
        self.asked.append(headers["webhook-id"])
        name = next(name for name in Notice if f'"type":"{name}"'.encode() in body)
        return self.reply if isinstance(self.reply, Reply) else self.reply.get(name, OK)


class World:
    def __init__(self) -> None:
        self.journal, self.clock, self.receiver = MemoryJournal(), ManualClock(), Receiver()
        self.sender = Sender(
            webhook=HOOK,
            source="//h/mirrord",
            outbox=self.journal.outbox,
            post=self.receiver.post,
            clock=self.clock,
            chance=lambda: 1.0,
        )

    async def blocked(self, *keys: str) -> None:
        await self.journal.save_all([record(key, state=State.BLOCKED) for key in keys])

    async def waiting(self) -> int:
        return (await self.journal.outbox.counts())[HOOK.id].waiting


@pytest.fixture
async def world() -> World:
    world = World()
    await world.journal.outbox.send_to({HOOK.id: set(Notice)})
    return world


async def test_all_items_are_sent_some_at_once_and_each_once(world: World) -> None:
    await world.blocked(*(f"k{number}" for number in range(20)))
    while not await world.sender.send_due():
        pass
    assert len(set(world.receiver.asked)) == len(world.receiver.asked) == 20
    assert world.receiver.at_once == AT_ONCE
    assert await world.waiting() == 0
    assert await world.sender.send_due() == LOOK_EVERY


async def test_a_receiver_that_is_away_is_asked_with_one_at_a_time(world: World) -> None:
    await world.blocked(*(f"k{number}" for number in range(20)))
    world.receiver.reply = DOWN
    assert await world.sender.send_due() == 1.0
    assert await world.sender.send_due() == 2.0
    assert len(world.receiver.asked) == AT_ONCE + 1
    assert world.sender.problem == "no answer within 15 s"
    world.receiver.reply = OK
    assert await world.sender.send_due() == 0.0
    assert world.sender.problem == ""
    await world.sender.send_due()
    assert world.receiver.at_once == AT_ONCE


async def test_a_refused_notification_is_dead_and_the_next_of_its_item_goes_on(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    await world.blocked("k")
    await world.journal.save(record("k", state=State.SYNCED, transfer_id="t"))
    world.receiver.reply = {Notice.ITEM_BLOCKED: GONE}
    while not await world.sender.send_due():
        pass
    counts = (await world.journal.outbox.counts())[HOOK.id]
    assert (counts.waiting, counts.dead, counts.error) == (0, 1, "answered 410")
    assert len(world.receiver.asked) == 3
    assert "https://hooks.example.org/…" in caplog.text
    assert "secret" not in caplog.text


async def test_an_item_waits_for_its_oldest_notification_and_others_do_not(world: World) -> None:
    await world.blocked("k")
    await world.journal.save(record("k", state=State.SYNCED, transfer_id="t"))
    world.receiver.reply = {Notice.ITEM_BLOCKED: DOWN}
    assert await world.sender.send_due() > 0
    await world.journal.save(record("other", state=State.SYNCED, transfer_id="u"))
    assert await world.sender.send_due() == 0.0
    assert await world.waiting() == 3
    world.receiver.reply = OK
    await world.clock.advance(60.0)
    sent: list[OutboxRow] = []
    while rows := await world.journal.outbox.due(HOOK.id, world.clock.now(), 9):
        sent += rows
        await world.sender.send_due()
    assert [row.notification.name for row in sent] == ["item.blocked", "item.synced", "item.recovered"]


async def test_after_a_day_it_is_dead_and_a_failing_journal_only_delays(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("time.time", world.clock.now)
    await world.blocked("k")
    world.receiver.reply = Reply(503)
    running = asyncio.create_task(world.sender.run())
    await world.clock.advance(23 * 3600.0)
    assert await world.waiting() == 1
    assert len(world.receiver.asked) < 50
    due, world.sender.outbox.due = world.sender.outbox.due, _unavailable  # type: ignore[method-assign]
    await world.clock.advance(60.0)
    world.sender.outbox.due = due  # type: ignore[method-assign]
    assert "wait: full" in caplog.text
    await world.clock.advance(3 * 3600.0)
    assert (await world.journal.outbox.counts())[HOOK.id].dead == 1
    running.cancel()


async def _unavailable(*_: object) -> list[OutboxRow]:
    raise JournalUnavailable("full")
