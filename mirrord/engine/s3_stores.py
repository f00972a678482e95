"""The classes of stores: S3, the embedded store, and the empty store of a dry run. `stores` has their lifetimes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from logging import getLogger
from pathlib import Path

from mirrord.declared import StoreOptions
from mirrord.engine.descriptors import connections_a_store, descriptors, descriptors_for
from mirrord.errors import LinkRefused, StoreError
from mirrord.model import Destination, ObjectLink, ProviderName
from mirrord.ports import ObjectStore
from mirrord.reconcile.limited_store import LimitedStore
from mirrord.s3.credentials import security_files
from mirrord.s3.embedded.store import EmbeddedStore
from mirrord.s3.empty_store import EmptyStore
from mirrord.s3.file_stats import FileStats, file_stats
from mirrord.s3.session import S3Store
from mirrord.s3.wire.pool import CONNECTIONS

_log = getLogger(__name__)

RENEW_DEADLINE = 30.0
"""Seconds for the AWS credential chain (`credential_process`, a metadata service) to return keys."""


@asynccontextmanager
async def connected(
    options: StoreOptions, directory: Path, read_only: bool, *, stores: int
) -> AsyncIterator[ObjectStore]:
    """The open store, one of `stores` declared ones; the embedded one also runs meanwhile.

    Raises StoreError if it cannot be opened."""
    async with AsyncExitStack() as life:
        if options.provider is ProviderName.EMBEDDED:
            embedded = EmbeddedStore(directory)
            if read_only and not embedded.exists:
                yield EmptyStore()
                return
            options = (await life.enter_async_context(embedded)).options(options)
        yield await life.enter_async_context(S3Store(options, connections=_connections(options.name, stores)))


def _connections(name: str, stores: int) -> int:
    """The most connections of one of so many stores: CONNECTIONS, or fewer if the limit of open files is low."""
    limit = descriptors()
    most = connections_a_store(limit, stores)
    if most >= CONNECTIONS:
        return CONNECTIONS
    _log.warning(
        "store %r: at most %d connections, because the limit of open files (ulimit -n) is %d; from %d on it has %d",
        name,
        most,
        limit,
        descriptors_for(CONNECTIONS, stores),
        CONNECTIONS,
    )
    return most


def security_stats(options: StoreOptions) -> FileStats:
    """The stat fields of the files that the store's keys and certificate authorities are read from."""
    return file_stats(security_files(options))


async def renewed_version(store: ObjectStore, *, again: bool) -> int:
    """Read the store's keys and authorities where their files changed, with `again` all; the number of changes so far.

    If they cannot be read, those before stay in use."""
    if not isinstance(store, S3Store):
        return 0
    try:
        async with asyncio.timeout(RENEW_DEADLINE):
            await (store.reload() if again else store.reload_changed())
    except (StoreError, TimeoutError) as error:
        _log.warning("the former keys and certificates stay in use: %s", str(error) or "the keys were not read in time")
    return store.version


async def presigned(store: ObjectStore, at: Destination, seconds: int) -> ObjectLink:
    """A URL that fetches an object for so many seconds: see `S3Store.link`. `store` is one that `Stores` opened."""
    inner = store.store if isinstance(store, LimitedStore) else store
    if not isinstance(inner, S3Store):
        raise LinkRefused(f"{at}: the store {at.store!r} does not exist yet")
    return await inner.link(at, seconds)
