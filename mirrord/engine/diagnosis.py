"""What `doctor` needs of stores: a probe of each, and the source of its keys. The SDK is imported at the first use."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from mirrord.declared import StoreOptions
from mirrord.engine.descriptors import connections_a_store, descriptors
from mirrord.model import ProviderName
from mirrord.ports.probe import StoreProbe


@asynccontextmanager
async def opened_probe(options: StoreOptions, directory: Path, *, create: bool) -> AsyncIterator[StoreProbe | None]:
    """The open store; an embedded one runs meanwhile. None: it never ran, and `create` does not start it.

    Raises StoreError if it cannot be opened."""
    from mirrord.s3.embedded.store import EmbeddedStore
    from mirrord.s3.probed_store import ProbedStore
    from mirrord.s3.wire.pool import CONNECTIONS

    async with AsyncExitStack() as life:
        if options.provider is ProviderName.EMBEDDED:
            embedded = EmbeddedStore(directory)
            if not (create or embedded.exists):
                yield None
                return
            options = (await life.enter_async_context(embedded)).options(options)
        connections = min(CONNECTIONS, connections_a_store(descriptors(), 1))
        yield await life.enter_async_context(ProbedStore(options, connections=connections))


async def key_source(options: StoreOptions) -> str | None:
    """Where the keys come from; None: there are none.

    Raises StoreError: they cannot be read."""
    from mirrord.s3.session import key_source_of

    if options.provider is ProviderName.EMBEDDED:
        return "the state directory (embedded.json)"
    return await key_source_of(options)
