"""The connection of the library to one store, for S3Client and MultipartUploader.

Owns when connections are opened and closed: inside `async with`, all calls share one; else each call opens its own.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Self

from mirrord.declared import Credentials, StoreOptions
from mirrord.frozen import frozen
from mirrord.model import Destination, ProviderName
from mirrord.ports import ObjectStore
from mirrord.s3.session import S3Store
from mirrord.sources.http import HttpSources
from mirrord.transfer.budget import Budget
from mirrord.transfer.writes import ETagAgreement
from mirrord.units import MiB


@frozen
class OpenConnection:
    """The open store and the sources for URLs."""

    store: ObjectStore
    http: HttpSources


@asynccontextmanager
async def open_connection(options: StoreOptions) -> AsyncIterator[OpenConnection]:
    async with S3Store(options) as store, HttpSources() as http:
        yield OpenConnection(store, http)


class StoreConnection:
    """The options of one store and the resources that all its calls share. `S3Client` has the documentation."""

    def __init__(
        self,
        endpoint_url: str | None = "",
        aws_access_key_id: str | None = None,
        aws_secret_access_key: str | None = None,
        *,
        aws_session_token: str | None = None,
        region_name: str | None = None,
        provider: str | None = None,
        memory_limit: int = 128 * MiB,
    ) -> None:
        self.options = StoreOptions(
            name="client",
            provider=ProviderName(provider or ("generic" if endpoint_url else "aws")),
            endpoint_url=endpoint_url or None,
            region=region_name,
            credentials=_credentials(aws_access_key_id, aws_secret_access_key, aws_session_token),
        )
        self.budget = Budget(memory_limit)
        self.etags = ETagAgreement()
        self._open: OpenConnection | None = None
        self._contexts = AsyncExitStack()

    async def __aenter__(self) -> Self:
        if self._open is not None:
            raise RuntimeError("this S3Client is open already")
        self._open = await self._contexts.enter_async_context(open_connection(self.options))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open = None
        self.budget.clear()
        await self._contexts.__aexit__(kind, error, trace)

    def at(self, bucket: str, key: str) -> Destination:
        return Destination(self.options.name, self.options.endpoint, bucket, key)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[OpenConnection]:
        if self._open is not None:
            yield self._open
        else:
            async with open_connection(self.options) as opened:
                yield opened


def _credentials(key: str | None, secret: str | None, token: str | None) -> Credentials | None:
    if not key and not secret:
        return None
    if not key or not secret:
        raise ValueError("give both aws_access_key_id and aws_secret_access_key, or neither for the AWS chain")
    return Credentials.of(key, secret, token)
