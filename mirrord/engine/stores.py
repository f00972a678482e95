"""The stores of one process: each is opened once, when an item first needs it, and closed at the end.

Owns the choice of a store's class, and the lifetime of the embedded store; `buckets` creates the declared buckets. A
store that cannot be opened fails the items that need it; the next of these items tries again.

With `read_only` nothing is created: missing declared buckets are in `missing`, and an `EmptyStore` replaces an embedded
store that never ran.
"""

import asyncio
import gc
from collections.abc import Mapping
from contextlib import AsyncExitStack
from logging import getLogger
from pathlib import Path
from typing import Self

from mirrord.declared import StoreOptions
from mirrord.engine.buckets import Buckets
from mirrord.errors import StoreError, StoreRefused
from mirrord.model import Destination, Item, ProviderName
from mirrord.ports import ObjectStore
from mirrord.s3.credentials import FileStats, file_stats, security_files
from mirrord.s3.embedded.store import EmbeddedStore
from mirrord.s3.empty_store import EmptyStore
from mirrord.s3.session import S3Store

_log = getLogger(__name__)

RENEW_DEADLINE = 30.0
"""Seconds for the AWS credential chain (`credential_process`, a metadata service) to return keys."""


class Stores:
    """`async with Stores(options, state_directory) as stores: store = await stores.of(item)`."""

    def __init__(self, options: Mapping[str, StoreOptions], directory: Path, *, read_only: bool = False) -> None:
        self._options = options
        self._directory = directory
        self._read_only = read_only
        self._buckets: dict[str, Buckets] = {}
        self._open: dict[str, tuple[StoreOptions, ObjectStore]] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._versions: dict[str, int] = {}
        self._refused: dict[str, FileStats] = {}  # stores that could not be opened, and the state of their files then
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

    async def of(self, item: Item) -> ObjectStore:
        """The open store of an item. Raises StoreError, also if its declared bucket could not be created."""
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
        async with self._locks.setdefault(name, asyncio.Lock()):
            options = self._options.get(name)
            if options is None:
                raise StoreRefused(f"no store is named {name!r}")
            if name not in self._open or self._open[name][0] != options:
                self._refused[name] = file_stats(security_files(options))
                self._open[name] = options, await self._opened(name, options)
                del self._refused[name]
                # What exists by now (botocore's models, our modules, the items) stays: each full collection would
                # visit 100,000s of objects and stop the loop for up to 0.3 s.
                gc.freeze()
            return self._open[name][1]

    async def renewed(self, *, again: bool = False) -> set[str]:
        """Use replaced keys and certificates from now on; returns the names of their stores.

        `again`: read them also where no file changed, and include stores that could not be opened."""
        names = await self._repaired(again=again)
        for name, (_, store) in tuple(self._open.items()):
            if isinstance(store, S3Store):
                await _renew(store, again)
                if store.version != self._versions.get(name, 0):
                    self._versions[name] = store.version
                    names.add(name)
        return names

    async def _repaired(self, *, again: bool) -> set[str]:
        names = set()
        for name, before in tuple(self._refused.items()):
            now = await asyncio.to_thread(file_stats, tuple(before))
            if name in self._options and (again or now != before):
                names.add(name)
                self._refused[name] = now
        return names

    async def _opened(self, name: str, options: StoreOptions) -> ObjectStore:
        store = await self._connected(options)
        buckets = Buckets(store, options, read_only=self._read_only)
        await buckets.prepare()
        self._buckets[name] = buckets
        return store

    async def _connected(self, options: StoreOptions) -> ObjectStore:
        if options.provider is ProviderName.EMBEDDED:
            embedded = EmbeddedStore(self._directory)
            if self._read_only and not embedded.exists:
                return EmptyStore()
            options = (await self._resources.enter_async_context(embedded)).options(options)
        return await self._resources.enter_async_context(S3Store(options))


async def _renew(store: S3Store, again: bool) -> None:
    try:
        async with asyncio.timeout(RENEW_DEADLINE):
            await (store.reload() if again else store.reload_changed())
    except (StoreError, TimeoutError) as error:
        _log.warning("the former keys and certificates stay in use: %s", str(error) or "the keys were not read in time")
