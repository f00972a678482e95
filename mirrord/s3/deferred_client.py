"""The SDK's client of one store and region, opened by the first call that needs it.

Owns when the SDK is imported: it takes 0.3 s of CPU, in a thread, so that the event loop is not stopped meanwhile.
`sdk_session` opens the client.
"""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from types import ModuleType

OpenSdk = Callable[[Any], AbstractAsyncContextManager[Any]]
"""Open a client with the functions of the module `sdk_session`, its argument."""


class DeferredClient:
    """`await client.get_object(Bucket=…)`: any operation of the SDK's client of `region`, by its name in the SDK.

    Entering opens nothing; leaving closes the client.
    """

    def __init__(self, region: str, open_sdk: OpenSdk) -> None:
        self.region = region
        self._open_sdk = open_sdk
        self._client: Any = None
        self._contexts = AsyncExitStack()
        self._lock = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._client = None
        await self._contexts.aclose()

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        if operation.startswith("_"):
            raise AttributeError(operation)
        return partial(self._call, operation)

    async def opened(self) -> Any:
        """The SDK's client. Raises BotoCoreError or ValueError: an endpoint that cannot be used."""
        if self._client is None:
            async with self._lock:
                if self._client is None:
                    self._client = await self._contexts.enter_async_context(self._open_sdk(await sdk_session()))
        return self._client

    async def _call(self, operation: str, **given: Any) -> Any:
        return await getattr(await self.opened(), operation)(**given)


async def sdk_session() -> Any:
    """The module `sdk_session`, with the SDK's description of S3 read."""
    return await asyncio.to_thread(_imported)


def _imported() -> "ModuleType":
    from mirrord.s3 import sdk_session as imported

    imported.service_models()
    return imported
