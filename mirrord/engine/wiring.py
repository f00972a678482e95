"""Chooses every concrete class and opens it: journal, stores, sources, transfers, reconciler.

Owns the order of opening and closing. `engine` is for programs that write and holds the state lock; `read_only` is for
programs that only read.
"""

from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager
from math import inf

from mirrord.declared import ListSpec, StoreOptions
from mirrord.engine.clock import SystemClock
from mirrord.engine.descriptors import descriptors
from mirrord.engine.journals import Standby, journal_to_write
from mirrord.engine.local_files import LocalFiles
from mirrord.engine.read_only_journal import read_journal
from mirrord.engine.stores import Stores
from mirrord.folders.after_upload import AfterUpload
from mirrord.folders.copy_proof import CopyProof
from mirrord.frozen import frozen
from mirrord.journal.lock import StateLock
from mirrord.model import File, FormerSource, Item, S3Object
from mirrord.planning.timing.backoff import Backoff
from mirrord.ports import Clock, Journal, Observer, Source, SourceLimits
from mirrord.ports.tickets import SharedTickets
from mirrord.proxies import UsedProxies
from mirrord.reconcile.breakers import Breakers, Release, ignore_released
from mirrord.reconcile.call_limits import CallLimits
from mirrord.reconcile.file_batch import FileBatches
from mirrord.reconcile.learned_facts import LearnedFacts
from mirrord.reconcile.reconciler import Reconciler
from mirrord.reconcile.request_rates import RequestRates
from mirrord.reconcile.restore import Restoration
from mirrord.reconcile.store_listings import StoreListings
from mirrord.reconcile.sweeper import UploadSweeper
from mirrord.reconcile.transfer_slots import TransferSlots
from mirrord.reconcile.transfers import Transfers
from mirrord.scheduling.queue import LocalQueue
from mirrord.settings import Settings
from mirrord.sources.file import READ_AHEAD
from mirrord.sources.http import HttpSources
from mirrord.sources.stored.prefix import ListedPrefixes, PrefixSource
from mirrord.sources.stored.source import StoredSource
from mirrord.transfer.bandwidth import Bandwidth
from mirrord.transfer.budget import Budget
from mirrord.transfer.retry import RetryPolicy

SYNC_RETRIES = Backoff(tries=6)
"""`sync` and `copy` retry a transient error up to 5 times."""
DAEMON_RETRIES = Backoff(base=1.0, cap=300.0, tries=1_000_000)
"""`run` retries a transient error without end."""


@frozen(kw_only=True)
class Adapters:
    """Open adapters: the journal, the stores and the sources; and what limits the calls of both."""

    breakers: Breakers
    journal: Journal
    stores: Stores
    http: HttpSources
    files: LocalFiles
    clock: Clock
    listed: ListedPrefixes

    def source_of(self, item: Item, *, doubted: bool = False) -> Source:
        """The adapter for an item's source, by the type of its origin. `doubted`: no listing may stand for it."""
        match item.origin:
            case File():
                return self.files.source(item.origin)
            case FormerSource():
                raise AssertionError("the source of an item that left the manifests is not read")
            case S3Object():
                fresh = not doubted and self.listed.shows(item)
                return StoredSource(item.origin, self.stores.at, fresh=fresh)
        return self.http.source(item)

    def list_source(self, spec: ListSpec) -> Source:
        """The adapter for a list itself."""
        if spec.prefix is not None:
            return PrefixSource(spec.prefix, self.stores.at, self.listed)
        if spec.by_url:
            return self.http.list_source(spec.location, spec.options.http)
        return self.files.source(File(None, spec.location))


@frozen(kw_only=True)
class Engine:
    """The open parts that a program works with."""

    queue: LocalQueue
    """Of the checks, for a program that schedules them; large transfers that wait are not counted in it."""
    reconciler: Reconciler
    after_upload: AfterUpload
    """The reconciler, followed by `after_upload`."""
    released: deque[str]
    """Ids of items that need not wait any longer, because their store or host answers again. Empty with a `release`."""
    file_batches: FileBatches
    """New small files, many at a time."""
    sweeper: UploadSweeper
    restoration: Restoration
    journal: Journal
    tickets: SharedTickets | None
    """For workers of the same state; None: there can be none."""
    stores: Stores
    listings: StoreListings
    files: LocalFiles
    list_source: Callable[[ListSpec], Source]
    """See `Adapters.list_source`."""
    budget: Budget
    clock: Clock
    used_proxies: UsedProxies
    """Of the requests to sources."""


@asynccontextmanager
async def engine(
    settings: Settings,
    stores: Mapping[str, StoreOptions],
    observer: Observer,
    retries: Backoff = SYNC_RETRIES,
    release: Release | None = None,
    standby: Standby | None = None,
) -> AsyncIterator[Engine]:
    """An open engine that holds the state lock. Raises JournalLocked, JournalTooNew, JournalUnavailable.

    `release` is called with the items that need not wait any longer; None: they are collected in `Engine.released`.
    `standby`, and what happens to the block if another process takes the state over: see `journal_to_write`.
    """
    descriptors()
    async with AsyncExitStack() as life:
        life.enter_context(StateLock(settings.directory))
        state = await life.enter_async_context(journal_to_write(settings, standby))
        opened = await life.enter_async_context(
            _opened(settings, stores, observer, state.journal, state.tickets, retries=retries, release=release)
        )
        await opened.sweeper.begin()
        yield opened


@asynccontextmanager
async def worker_engine(settings: Settings, observer: Observer, journal: Journal) -> AsyncIterator[Engine]:
    """An open engine of a worker, which uses the journal beside the process that has the state."""
    async with _opened(settings, {}, observer, journal, None, retries=DAEMON_RETRIES, release=None) as opened:
        yield opened


@asynccontextmanager
async def _opened(
    settings: Settings,
    stores: Mapping[str, StoreOptions],
    observer: Observer,
    journal: Journal,
    tickets: SharedTickets | None,
    *,
    retries: Backoff,
    release: Release | None,
) -> AsyncIterator[Engine]:
    bandwidth, released = Bandwidth(settings.bandwidth), None if release else deque[str]()
    breakers = _breakers(settings, released.extend if released is not None else release, retries.tries)
    async with (
        Stores(stores, settings.directory, limits=breakers.calls) as opened,
        _http_sources(settings, breakers, bandwidth) as http,
    ):
        adapters = Adapters(
            breakers=breakers,
            journal=journal,
            stores=opened,
            http=http,
            files=LocalFiles(settings.own_paths, read_ahead=READ_AHEAD),
            clock=SystemClock(),
            listed=ListedPrefixes(SystemClock(), ticks=release is None),
        )
        budget = Budget(settings.memory_limit, bandwidth)
        yield _assembled(adapters, settings, budget, observer, retries, released, tickets)


@asynccontextmanager
async def read_only(
    settings: Settings, stores: Mapping[str, StoreOptions], release: Release | None = None
) -> AsyncIterator[Adapters]:
    """Adapters that change nothing, without the state lock. Raises JournalTooNew, JournalUnavailable.

    `release` as of `engine`. No breaker opens."""
    async with AsyncExitStack() as life:
        breakers = _breakers(settings, release, opens=False)
        yield Adapters(
            breakers=breakers,
            journal=await life.enter_async_context(read_journal(settings)),
            stores=await life.enter_async_context(
                Stores(stores, settings.directory, read_only=True, limits=breakers.calls)
            ),
            http=await life.enter_async_context(_http_sources(settings, breakers)),
            files=LocalFiles(settings.own_paths),
            clock=SystemClock(),
            listed=ListedPrefixes(SystemClock()),
        )


def _breakers(settings: Settings, release: Release | None, tries: float = inf, *, opens: bool = True) -> Breakers:
    release = release or ignore_released
    requests = RequestRates(settings.per_host_requests_per_second)
    calls = CallLimits(release, SystemClock().monotonic)
    return Breakers(tries=tries, release=release, requests=requests, calls=calls, opens=opens)


def _http_sources(settings: Settings, breakers: Breakers, bandwidth: Bandwidth | None = None) -> HttpSources:
    return HttpSources(
        per_host=settings.per_host_connections,
        allow=settings.network_allow,
        paced=SourceLimits(bandwidth, breakers.requests, breakers.calls.host),
    )


def _assembled(
    adapters: Adapters,
    settings: Settings,
    budget: Budget,
    observer: Observer,
    retries: Backoff,
    released: deque[str] | None,
    tickets: SharedTickets | None,
) -> Engine:
    """The engine's parts over open adapters."""
    breakers, differing = adapters.breakers, None if released is None else released.extend
    listings = StoreListings(adapters.journal, adapters.stores.at, adapters.clock, differing=differing)
    queue = LocalQueue(adapters.clock)
    transfers = _transfers(adapters, settings, observer, budget, breakers, queue.apart)
    reconciler = Reconciler(
        journal=adapters.journal,
        store_of=adapters.stores.of,
        source_of=lambda item: adapters.source_of(item, doubted=listings.doubts(item.id)),
        transfers=transfers,
        observer=observer,
        clock=adapters.clock,
        retry=RetryPolicy(rule=retries).wait,
        breakers=breakers,
        listings=listings,
    )
    return Engine(
        queue=queue,
        reconciler=reconciler,
        after_upload=_after_upload(adapters, reconciler, observer, budget),
        released=deque() if released is None else released,
        file_batches=FileBatches(
            transfers=transfers,
            store_of=adapters.stores.of,
            read=adapters.files.read_group,
            breakers=breakers,
            retry=reconciler.retry,
            workers=settings.transfers,
            doubt=listings.doubt,
        ),
        sweeper=UploadSweeper(
            journal=adapters.journal, store_at=adapters.stores.at, observer=observer, clock=adapters.clock
        ),
        restoration=Restoration(transfers),
        journal=adapters.journal,
        tickets=tickets,
        stores=adapters.stores,
        listings=listings,
        files=adapters.files,
        list_source=adapters.list_source,
        budget=budget,
        clock=adapters.clock,
        used_proxies=adapters.http.used_proxies,
    )


def _transfers(
    adapters: Adapters,
    settings: Settings,
    observer: Observer,
    budget: Budget,
    breakers: Breakers,
    apart: Callable[[], AbstractContextManager[None]],
) -> Transfers:
    clock = adapters.clock
    return Transfers(
        journal=adapters.journal,
        observer=observer,
        clock=clock,
        budget=budget,
        slots=TransferSlots(settings.transfers, apart),
        declared=adapters.http.declared,
        learned=LearnedFacts(adapters.journal, clock.now),
        wrote=lambda item: breakers.answered(item, clock.monotonic(), store=True),
    )


def _after_upload(adapters: Adapters, reconciler: Reconciler, observer: Observer, budget: Budget) -> AfterUpload:
    return AfterUpload(
        reconciler=reconciler,
        quarantine=adapters.files.quarantine(),
        journal=adapters.journal,
        proof=CopyProof(
            journal=adapters.journal,
            store_of=adapters.stores.of,
            source_of=adapters.source_of,
            budget=budget,
            observer=observer,
        ),
        observer=observer,
        clock=adapters.clock,
        rival=adapters.files.rival,
    )
