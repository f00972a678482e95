"""Chooses every concrete class and puts them together: journal, stores, sources, transfers, reconciler.

Owns the order of opening and closing. Refuses to start without the state lock where a program writes.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from mirrord.declared import StoreOptions
from mirrord.engine.clock import SystemClock
from mirrord.engine.descriptors import descriptors
from mirrord.engine.local_files import LocalFiles
from mirrord.engine.stores import Stores
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
from mirrord.settings import Settings
from mirrord.sources.http import HttpSources
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
    breakers: Breakers
    janitor: Janitor
    journal: Journal
    stores: Stores
    files: LocalFiles
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
        files = LocalFiles(settings.own_paths)
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
            source_of=partial(source_of, http, files),
            transfers=transfers,
            observer=observer,
            clock=clock,
            retry=RetryPolicy(rule=retries).wait,
            breakers=breakers,
        )
        departures = AfterUpload(
            looks=reconciler,
            asides=files.quarantine(),
            journal=journal,
            store_of=pool.of,
            source_of=partial(source_of, http, files),
            budget=budget,
            observer=observer,
            clock=clock,
            rival=files.rival,
        )
        janitor = Janitor(journal=journal, store_at=pool.at, observer=observer, clock=clock)
        await janitor.begin()
        yield Engine(
            reconciler=reconciler,
            departures=departures,
            breakers=breakers,
            janitor=janitor,
            journal=journal,
            stores=pool,
            files=files,
            budget=budget,
            clock=clock,
        )


def source_of(http: HttpSources, files: LocalFiles, item: Item) -> Source:
    """The adapter for an item's source, by the type of its origin."""
    return files.source(item.origin) if isinstance(item.origin, File) else http.source(item)
