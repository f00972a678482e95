"""Chooses every concrete class and puts them together: journal, stores, sources, transfers, reconciler.

Owns the order of opening and closing. Refuses to start without the state lock where a program writes.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from mirrord.daemon.clock import SystemClock
from mirrord.daemon.descriptors import descriptors
from mirrord.daemon.stores import Stores
from mirrord.declared import StoreOptions
from mirrord.folders.after_upload import AfterUpload
from mirrord.journal.lock import StateLock
from mirrord.journal.sqlite.journal import SqliteJournal
from mirrord.model import File, Item
from mirrord.planning.timing.backoff import Backoff
from mirrord.ports import Clock, Journal, Observer, Source
from mirrord.reconcile.attempt import Transfers
from mirrord.reconcile.breakers import Breakers
from mirrord.reconcile.janitor import Janitor
from mirrord.reconcile.reconciler import Reconciler
from mirrord.settings import OwnPaths, Settings
from mirrord.sources.file import file_source
from mirrord.sources.folder import FolderQuarantine, Overlaps
from mirrord.sources.http import HttpSources
from mirrord.sources.mounts import Mounts
from mirrord.transfer.budget import Budget
from mirrord.transfer.retry import RetryPolicy

SYNC_RETRIES = Backoff(tries=6)
"""`sync` and `copy` try a transient error again up to 5 times."""
DAEMON_RETRIES = Backoff(base=1.0, cap=300.0, tries=1_000_000)
"""`run` never gives a transient error up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """What a program works with, open."""

    reconciler: Reconciler
    departures: AfterUpload
    """The reconciler, and what comes after an upload."""
    overlaps: Overlaps
    """Which files several folders match; to be told of the folders."""
    breakers: Breakers
    janitor: Janitor
    journal: Journal
    stores: Stores
    budget: Budget
    clock: Clock


@asynccontextmanager
async def engine(
    settings: Settings, stores: Mapping[str, StoreOptions], observer: Observer, retries: Backoff = SYNC_RETRIES
) -> AsyncIterator[Engine]:
    """An open engine that holds the state lock. Raises JournalLocked, JournalTooNew, JournalUnavailable."""
    clock = SystemClock()
    descriptors()
    async with AsyncExitStack() as life:
        life.enter_context(StateLock(settings.directory))
        journal = await life.enter_async_context(SqliteJournal(settings.state))
        pool = await life.enter_async_context(Stores(stores, settings.directory))
        http = await life.enter_async_context(HttpSources(per_host=settings.per_host_connections))
        budget = Budget(settings.memory_limit)
        breakers = Breakers(tries=retries.tries)
        transfers = Transfers(
            journal=journal,
            observer=observer,
            clock=clock,
            budget=budget,
            slots=asyncio.Semaphore(settings.transfers),
            declared=http.declared,
            wrote=lambda item: breakers.answered(item, clock.monotonic(), store=True),
        )
        reconciler = Reconciler(
            journal=journal,
            store_of=pool.of,
            source_of=partial(source_of, http, settings.own_paths),
            transfers=transfers,
            observer=observer,
            clock=clock,
            retry=RetryPolicy(rule=retries).wait,
            breakers=breakers,
        )
        overlaps = Overlaps(Mounts.now)
        departures = AfterUpload(
            looks=reconciler,
            asides=FolderQuarantine(settings.own_paths),
            journal=journal,
            store_of=pool.of,
            source_of=partial(source_of, http, settings.own_paths),
            budget=budget,
            observer=observer,
            clock=clock,
            rival=overlaps.rival,
        )
        janitor = Janitor(journal=journal, store_at=pool.at, observer=observer, clock=clock)
        await janitor.begin()
        yield Engine(
            reconciler=reconciler,
            departures=departures,
            overlaps=overlaps,
            breakers=breakers,
            janitor=janitor,
            journal=journal,
            stores=pool,
            budget=budget,
            clock=clock,
        )


def source_of(http: HttpSources, own: OwnPaths, item: Item) -> Source:
    """The adapter for an item's source, by the type of its origin. What is in `own` is refused."""
    return file_source(item.origin, own) if isinstance(item.origin, File) else http.source(item)
