"""The stores of one process: each opened when an item first needs it, once, and closed at the end.

Owns which class serves a store, the life of the embedded one, and the creation of declared buckets. A store that
cannot be opened fails the items that need it, and is tried again with the next.
"""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self

from mirrord.declared import StoreOptions
from mirrord.errors import StoreRefused
from mirrord.model import Item, ProviderName
from mirrord.ports import ObjectStore
from mirrord.s3.embedded import EmbeddedStore
from mirrord.s3.session import S3Store


class Stores:
    """`async with Stores(options, state_directory) as stores: store = await stores.of(item)`."""

    def __init__(self, options: Mapping[str, StoreOptions], directory: Path) -> None:
        self._options = options
        self._directory = directory
        self._open: dict[str, ObjectStore] = {}
        self._turns: dict[str, asyncio.Lock] = {}
        self._life = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._life.aclose()

    async def of(self, item: Item) -> ObjectStore:
        """The open store of an item."""
        return await self.named(item.destination.store)

    async def named(self, name: str) -> ObjectStore:
        """The open store of that name. Raises what opening it raises."""
        async with self._turns.setdefault(name, asyncio.Lock()):
            if name not in self._open:
                self._open[name] = await self._opened(name)
            return self._open[name]

    async def _opened(self, name: str) -> ObjectStore:
        if name not in self._options:
            raise StoreRefused(f"no store is named {name!r}")
        options = self._options[name]
        if options.provider is ProviderName.EMBEDDED:
            embedded = await self._life.enter_async_context(EmbeddedStore(self._directory))
            options = embedded.options(options)
        store = await self._life.enter_async_context(S3Store(options))
        for bucket, wanted in options.buckets.items():
            if wanted.create:
                await store.ensure_bucket(bucket, region=wanted.region, versioning=wanted.versioning)
        return store
