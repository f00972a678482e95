"""The stores of one process: each is opened once, when an item first needs it, and closed at the end.

Owns when a store is opened, and what is known of stores that could not be opened: they fail the items that need them,
and the next of these items tries again. `s3_stores` chooses a store's class, and is imported with the first store: the
SDK takes 0.3 s. `buckets` creates the declared buckets.

With `read_only` nothing is created: missing declared buckets are in `missing`, and an `EmptyStore` replaces an embedded
store that never ran.
"""

import asyncio
import gc
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import cache
from pathlib import Path
from typing import Self

from mirrord.declared import StoreOptions
from mirrord.engine.buckets import Buckets
from mirrord.engine.measured_stores import MeasuredStores
from mirrord.errors import StoreRefused
from mirrord.model import Destination, FormerSource, Item
from mirrord.ports import ObjectStore
from mirrord.providers import facts_of
from mirrord.providers.measured import KnownFacts, MeasuredProfile
from mirrord.reconcile.call_limits import CallLimits
from mirrord.reconcile.limited_store import LimitedStore
from mirrord.s3.file_stats import FileStats, file_stats


class Stores:
    """`async with Stores(options, state_directory) as stores: store = await stores.of(item)`."""

    def __init__(
        self,
        options: Mapping[str, StoreOptions],
        directory: Path,
        *,
        read_only: bool = False,
        limits: CallLimits | None = None,
    ) -> None:
        self._options = options
        self._directory = directory
        self._read_only = read_only
        self._limits = limits or CallLimits()
        self._buckets: dict[str, Buckets] = {}
        self._open: dict[str, tuple[StoreOptions, LimitedStore]] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._versions: dict[str, int] = {}
        self._refused: dict[str, FileStats] = {}  # stores that could not be opened, and the state of their files then
        self._proxies: dict[str, str] = {}
        self._measured = MeasuredStores(directory)
        self._resources = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._resources.aclose()

    async def replace(self, options: Mapping[str, StoreOptions]) -> set[str]:
        """Use these options from now on; returns the names of changed stores. A running transfer keeps its store."""
        changed = {name for name, one in options.items() if name in self._options and self._options[name] != one}
        self._options = options  # a replaced store stays open until the end: a transfer may still use it
        return changed

    @property
    def missing(self) -> set[tuple[str, str]]:
        """(store, bucket) of each bucket that would be created, in the stores opened so far."""
        return {(name, bucket) for name, one in self._buckets.items() for bucket in one.missing}

    @property
    def differences(self) -> tuple[str, ...]:
        """How existing buckets differ from their declaration, in the stores opened so far."""
        found = (one.differences[bucket] for one in self._buckets.values() for bucket in one.differences)
        return tuple(sorted(found))

    @property
    def proxies(self) -> Mapping[str, str]:
        """The proxy, without its userinfo, by the stores that were opened and have one."""
        return self._proxies

    async def of(self, item: Item) -> ObjectStore:
        """The open store of an item. Raises StoreError, also if its declared bucket could not be created."""
        if isinstance(item.origin, FormerSource):  # to be deleted at its endpoint, and nowhere else
            return await self.at(item.destination)
        name = item.destination.store
        store = await self.named(name)
        await self._buckets[name].require(item.destination.bucket)
        return store

    async def at(self, destination: Destination) -> ObjectStore:
        """The open store of a recorded object: the store of that name, else any store at that endpoint.

        Raises StoreRefused if no such store is declared any more."""
        options = self._options.get(destination.store)
        if options is not None and options.endpoint == destination.endpoint:
            return await self.named(destination.store)
        other = next((name for name, one in self._options.items() if one.endpoint == destination.endpoint), None)
        if other is not None:
            return await self.named(other)
        if options is not None:
            raise StoreRefused(
                f"the store {destination.store!r} was at {destination.endpoint} and is now at {options.endpoint}"
            )
        return await self.named(destination.store)

    async def named(self, name: str) -> ObjectStore:
        """The open store of that name. Raises StoreError if it cannot be opened."""
        known = self._open.get(name)
        if known is not None and known[0] is self._options.get(name):  # each check asks, and the lock takes 5 us
            return known[1]
        async with self._locks.setdefault(name, asyncio.Lock()):
            options = self._options.get(name)
            if options is None:
                raise StoreRefused(f"no store is named {name!r}")
            if name not in self._open or self._open[name][0] != options:
                from mirrord.engine.s3_stores import security_stats

                self._refused[name] = security_stats(options)
                self._open[name] = options, await self._opened(name, options)
                del self._refused[name]
                _keep_what_exists()
            return self._open[name][1]

    async def renewed(self, *, again: bool = False) -> set[str]:
        """Use replaced keys and certificates from now on, and what `doctor` measured; returns the names of the stores
        of keys and certificates.

        `again`: read them also where no file changed, and include stores that could not be opened."""
        await self._use_measured()
        names = await self._repaired(again=again)
        if self._open:
            from mirrord.engine.s3_stores import renewed_version

            for name, (_, store) in tuple(self._open.items()):
                version = await renewed_version(store.store, again=again)
                if version != self._versions.get(name, 0):
                    self._versions[name] = version
                    names.add(name)
        return names

    async def _use_measured(self) -> None:
        if await asyncio.to_thread(self._measured.changed, time.time()):
            for options, store in self._open.values():
                store.profile = self._profile(options)

    def _profile(self, options: StoreOptions) -> MeasuredProfile:
        known = KnownFacts.of(facts_of(options.provider), options.checksum)
        return MeasuredProfile(known, self._measured.at(options.endpoint))

    async def _repaired(self, *, again: bool) -> set[str]:
        names = set()
        for name, before in tuple(self._refused.items()):
            now = await asyncio.to_thread(file_stats, tuple(before))
            if name in self._options and (again or now != before):
                names.add(name)
                self._refused[name] = now
        return names

    async def _opened(self, name: str, options: StoreOptions) -> LimitedStore:
        from mirrord.engine.s3_stores import connected
        from mirrord.s3.policies import proxy_of

        opening = connected(options, self._directory, self._read_only, stores=len(self._options))
        opened = await self._resources.enter_async_context(opening)
        await self._use_measured()
        store = LimitedStore(opened, self._limits.store(name), self._profile(options))
        self._proxies.pop(name, None)
        if proxy := proxy_of(options):
            self._proxies[name] = proxy.shown
        buckets = Buckets(store, options, read_only=self._read_only)
        await buckets.prepare()
        self._buckets[name] = buckets
        return store


def _keep_what_exists() -> None:
    """Full collections need not visit what exists by now (botocore's models, our modules, the items): they would stop
    the loop for up to 0.3 s.

    Only in a command: the garbage of a program that uses the library must be freed."""
    if is_command():
        gc.freeze()


@cache
def is_command() -> bool:
    """Whether the command line froze its modules. Asked once: each time, the interpreter counts the frozen objects, at
    20 ms for each million."""
    return gc.get_freeze_count() > 0
