"""An S3 client of one store that corrects the cause of a refused call and then repeats the call.

Owns the corrections: the region of the bucket, credentials and certificate authorities that were replaced, the way of
signing, a declared bucket that is missing. No call is repeated for another reason: retries are policy above the port.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from logging import getLogger
from typing import Any, Self, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from mirrord.frozen import frozen
from mirrord.model import StoredObject
from mirrord.s3.answers.error_response import code_of
from mirrord.s3.answers.head_reason import add_reason
from mirrord.s3.body_request import BodyRequest
from mirrord.s3.regions import region_of
from mirrord.s3.security import StoreSecurity
from mirrord.s3.wire.signing import time_stamp
from mirrord.s3.wire.store_signing import StoreSigning

_log = getLogger(__name__)

OpenClient = Callable[[str], Any]
"""An async context manager of the SDK's client for a region."""
SendBody = Callable[[Any, BodyRequest], Awaitable[StoredObject]]
"""Send a PutObject or UploadPart with a client that `OpenClient` opened."""
CreateBucket = Callable[[str], Awaitable[bool]]
"""Create a bucket if it is declared and missing; whether it was created."""
_OBJECT_WRITES = frozenset({"PutObject", "CopyObject", "CreateMultipartUpload"})


class RegionClients:
    """The SDK's clients of one store: one for each region, opened at its first use."""

    def __init__(self, open_client: OpenClient, send_body: SendBody) -> None:
        self.send_body = send_body
        self._open_client = open_client
        self._clients: dict[str, Any] = {}
        self._contexts = AsyncExitStack()
        self._lock = asyncio.Lock()

    async def of(self, region: str) -> Any:
        """Raises BotoCoreError or ValueError: an endpoint that cannot be used."""
        if (client := self._clients.get(region)) is not None:
            return client
        async with self._lock:
            if region not in self._clients:
                self._clients[region] = await self._contexts.enter_async_context(self._open_client(region))
            return self._clients[region]

    async def close(self) -> None:
        self._clients.clear()
        await self._contexts.aclose()


@frozen
class _Failure:
    """A failed call: its arguments, its error, and with which region, version of the keys and version of the signing
    rules it was sent."""

    arguments: Mapping[str, Any]
    error: Exception
    region: str
    version: int
    signing: int


T = TypeVar("T")
Send = Callable[[Any], Awaitable[T]]
"""One request with a client that `OpenClient` opened."""
Correction = Callable[[_Failure], Awaitable[bool]]
"""Correct the cause of a failure; whether the call can succeed now."""


class CorrectingClient:
    """`await client.put_object(Bucket=…)`: any operation of an S3 client, by its name in the SDK.

    `clients` use the credentials and authorities of `security` and sign by `signing`; `region` is the store's. They are
    closed with this client. Without `signing`, the SDK signs.
    """

    def __init__(
        self,
        name: str,
        region: str,
        clients: RegionClients,
        security: StoreSecurity,
        create_bucket: CreateBucket,
        signing: StoreSigning | None = None,
    ) -> None:
        self.security = security
        self._signing = signing
        self._name = name
        self._region = region
        self._clients = clients
        self._create_bucket = create_bucket
        self._bucket_regions: dict[str, str] = {}  # of buckets that are not in the store's region

    async def __aenter__(self) -> Self:
        """Raises BotoCoreError or ValueError: an endpoint that cannot be used."""
        await self._clients.of(self._region)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._clients.close()

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        if operation.startswith("_"):
            raise AttributeError(operation)
        return partial(self._call, operation)

    async def _call(self, operation: str, **given: Any) -> Any:
        return await self._corrected(operation, given, lambda client: getattr(client, operation)(**given))

    async def of_bucket(self, bucket: str) -> Any:
        """The client of the bucket's region, as far as the answers so far have shown that region."""
        return await self._clients.of(self._bucket_regions.get(bucket, self._region))

    def stamp(self) -> str:
        """The time for a signature, by the store's clock as far as it is known."""
        return self._signing.stamp() if self._signing else time_stamp(time.time())

    def send_body(self, request: BodyRequest) -> Awaitable[StoredObject]:
        """PutObject or UploadPart."""
        send = self._clients.send_body
        given = {"Bucket": request.at.bucket}
        return self._corrected(request.method, given, lambda client: send(client, request))

    async def _corrected(self, operation: str, given: Mapping[str, Any], send: Send[T]) -> T:
        """Send with the client of the bucket's region, again after each correction. `given` has the bucket."""
        await self.security.reload_changed()
        corrections: list[Correction] | None = None
        while True:
            region, version = self._bucket_regions.get(given.get("Bucket", ""), self._region), self.security.version
            signing = self._signing.version if self._signing else 0
            client = await self._clients.of(region)
            try:
                return await send(client)
            except (ClientError, BotoCoreError) as error:
                await add_reason(client, region, operation, given, error)
                corrections = self._corrections() if corrections is None else corrections
                if not await _corrected(_Failure(given, error, region, version, signing), corrections):
                    raise

    def _corrections(self) -> list[Correction]:
        return [self._find_region, self._reload_security, self._adapt_signing, self._create_missing_bucket]

    async def _find_region(self, failure: _Failure) -> bool:
        """Whether the answer names another region for the bucket. It is used from now on."""
        bucket, error = failure.arguments.get("Bucket"), failure.error
        if not bucket or not isinstance(error, ClientError):
            return False
        found = region_of(error.response, failure.region) or _region_of_constraint(error, failure)
        if found is None:
            return False
        _log.info("store %r: the bucket %s is in the region %s", self._name, bucket, found)
        self._bucket_regions[bucket] = found
        return True

    async def _reload_security(self, failure: _Failure) -> bool:
        return await self.security.reload_after(failure.error, failure.version)

    async def _adapt_signing(self, failure: _Failure) -> bool:
        if self._signing is None or not isinstance(failure.error, ClientError):
            return False
        return self._signing.learned_from(failure.error.response, failure.signing)

    async def _create_missing_bucket(self, failure: _Failure) -> bool:
        error = failure.error
        if not isinstance(error, ClientError) or error.operation_name not in _OBJECT_WRITES:
            return False
        return code_of(error.response) == "NoSuchBucket" and await self._create_bucket(failure.arguments["Bucket"])


async def _corrected(failure: _Failure, corrections: list[Correction]) -> bool:
    """Apply the first correction that is possible. Each is applied at most once in a call."""
    for correct in corrections:
        if await correct(failure):
            corrections.remove(correct)
            return True
    return False


def _region_of_constraint(error: ClientError, failure: _Failure) -> str | None:
    """The region of a CreateBucket that the endpoint of another region refused."""
    if code_of(error.response) != "IllegalLocationConstraintException":
        return None
    wanted: str | None = failure.arguments.get("CreateBucketConfiguration", {}).get("LocationConstraint")
    return wanted if wanted != failure.region else None
