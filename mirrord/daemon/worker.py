"""A worker: checks items for the process that has the state in PostgreSQL, by the same manifests.

Owns what a worker knows and opens: manifests and lists in force, stores and sources, a lease of its own. It schedules
nothing, watches no folders, and prunes nothing. It writes notifications into the outbox, and sends none: the process
that has the state does. `scheduling.ticket_worker` works on the tickets.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from logging import getLogger

from mirrord.aio import drain
from mirrord.daemon.announcer import Announcer
from mirrord.daemon.daemon import CHECKS
from mirrord.daemon.follow import READ_EVERY
from mirrord.daemon.list_loops import ListLoops
from mirrord.daemon.manifests import Manifests
from mirrord.daemon.supervise import Supervisor
from mirrord.engine.clock import SystemClock
from mirrord.engine.journals import worker_state
from mirrord.engine.wiring import Engine, worker_engine
from mirrord.errors import JournalError, JournalUnavailable
from mirrord.events import Event
from mirrord.frozen import frozen
from mirrord.planning.items.items_in_force import ItemsInForce
from mirrord.planning.notifications.receivers import webhooks_of
from mirrord.ports import Clock, JournalOutbox, Observer
from mirrord.ports.tickets import WorkerTickets
from mirrord.scheduling.ticket_worker import TicketWorker
from mirrord.settings import Settings

_log = getLogger(__name__)

AGAIN = 1.0
"""Seconds until a worker begins again, after its lease or the connection was lost."""
AFTER_ERROR = 10.0
"""Seconds after an error that is none of the journal."""


STARTING = "it has read no manifests yet"


@frozen
class Replica:
    """What a process is made of that works on a shared state."""

    paths: Sequence[str]
    settings: Settings
    environ: Mapping[str, str]
    observer: Observer

    async def work(self, said: Callable[[str], object]) -> None:
        """Work until cancelled. A worker that was paused for too long, or cut off, begins again with a new lease.

        `said` is called with why it does not work, and with an empty text once it does.
        """
        clock, settings = SystemClock(), self.settings
        manifests, slots = Manifests(self.paths, self.environ, clock, self.observer), settings.transfers + CHECKS
        while True:
            try:
                async with (
                    worker_state(settings, slots) as state,
                    worker_engine(
                        settings, _announcing(self.observer, state.journal.outbox, clock), state.journal
                    ) as opened,
                    Supervisor(clock) as supervisor,
                ):
                    known = _known(manifests, opened, supervisor)
                    await known.read()
                    said("")
                    await _work(known, state.tickets, opened, slots)
            except JournalError as error:
                said(str(error))
                _log.warning("this worker begins again: %s", error)
                await clock.sleep(AGAIN)
            except Exception as error:  # noqa: BLE001 - the process would stand by without working
                said(str(error))
                _log.exception("this worker failed, and begins again")
                await clock.sleep(AFTER_ERROR)


async def _work(known: "KnownItems", tickets: WorkerTickets, opened: Engine, slots: int) -> None:
    worker = TicketWorker(
        tickets=tickets,
        reconcile=opened.reconciler.reconcile,
        item=lambda item_id: known.items.get(item_id),
        clock=opened.clock,
        slots=slots,
        apart=lambda: opened.queue.waiting_apart,
    )
    both = [asyncio.create_task(known.follow()), asyncio.create_task(worker.run())]
    try:
        await asyncio.gather(*both)
    finally:
        await drain(both)


def _announcing(observer: Observer, outbox: JournalOutbox, clock: Clock) -> Observer:
    """The observer, and one by which failed transfers and drift reach the webhooks."""
    announcer = Announcer(outbox, clock)

    def observe(event: Event) -> None:
        observer(event)
        announcer(event)

    return observe


def _known(manifests: Manifests, opened: Engine, supervisor: Supervisor) -> "KnownItems":
    lists = ListLoops(source_of=opened.list_source, supervisor=supervisor, clock=opened.clock)
    return KnownItems(manifests=manifests, opened=opened, lists=lists)


@dataclass(slots=True, kw_only=True)
class KnownItems:
    """The items of mirrors and lists in force: `read`, then `follow`."""

    manifests: Manifests
    opened: Engine
    lists: ListLoops
    items: ItemsInForce = field(default_factory=ItemsInForce)
    _applying: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    async def read(self) -> None:
        """Read the manifests, and use them."""
        await self.manifests.read()
        await self._apply()

    async def follow(self) -> None:
        """Use each change of the manifests, lists and keys, until cancelled."""
        while True:
            await self.opened.clock.sleep(READ_EVERY)
            self.opened.released.clear()  # the process that has the state decides when an item is checked
            if await self.manifests.read():
                await self._apply()
            await self.opened.stores.renewed()
            with suppress(JournalUnavailable):  # the next one writes them; running checks wait for PostgreSQL
                await self.opened.journal.outbox.flush()

    async def _apply(self) -> None:
        async with self._applying:
            current = self.manifests.current
            webhooks = webhooks_of(current.loaded.daemon)
            self.opened.journal.outbox.write_for({one.id: one.notices for one in webhooks.values()})
            await self.opened.stores.replace(current.loaded.stores)
            await self.lists.stop_outdated({spec.entry: spec for spec in current.expansion.lists}, self._apply_items)
        await self._apply_items()
        self.lists.start_missing()

    async def _apply_items(self) -> None:
        """The same after a list was read."""
        async with self._applying:
            mirrors = {item.id: item for item in self.manifests.current.expansion.items}
            items, _ = await self.lists.added_to(mirrors)
            await self.opened.files.replace((), items.local())
            await self.opened.listings.replace(items, ())
            self.items = items
