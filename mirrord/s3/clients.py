"""S3's calls over the clients of one store: one client a region, with keys and certificates that may be replaced.

Owns what makes a refused call succeed when it is made once more: the bucket's region, credentials that were replaced, a
certificate authority that was, a declared bucket that vanished. Owns too how the reason of a refused HEAD is found out,
whose answer has no words. Refuses to repeat a call for any other reason: retrying is policy above the port.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, suppress
from functools import partial
from logging import getLogger
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from mirrord.s3.authorities import CertificateAuthorities
from mirrord.s3.credentials import FileStats, StoreCredentials, file_stats
from mirrord.s3.error_response import STALE_CREDENTIALS, code_of, status_of
from mirrord.s3.http_session import PlainHttpAtTls
from mirrord.s3.regions import region_of
from mirrord.s3.transport import UNANSWERED, is_refused_handshake

_log = getLogger(__name__)

FILE_CHECK_INTERVAL = 1.0
"""Seconds between two looks at whether files of keys or certificates changed."""
RELOAD_PAUSE = 5.0
"""Seconds within which refused calls do not read the keys again: a `credential_process` may be costly."""

_WORDLESS = {"head_object": frozenset({400, 401, 403}), "head_bucket": frozenset({400, 401, 403, 404})}
"""Refusals of a HEAD that have several causes."""

Open = Callable[[str], Any]
Make = Callable[[str], Awaitable[bool]]
"""Create a bucket that is missing and declared; whether it was created."""
_MAKE_OBJECTS = frozenset({"PutObject", "CopyObject", "CreateMultipartUpload"})


class Clients:
    """`await clients.put_object(Bucket=…)`: any operation of an S3 client, by the SDK's names.

    `open_client(region)` gives an async context manager of a client that signs with `keys` and checks certificates with
    `trust`; both are read from `files`.
    """

    def __init__(
        self,
        name: str,
        region: str,
        open_client: Open,
        keys: StoreCredentials,
        trust: CertificateAuthorities,
        files: tuple[Path, ...] = (),
    ) -> None:
        self.make_bucket: Make | None = None
        self._name = name
        self._region = region
        self._open_client = open_client
        self._keys = keys
        self._trust = trust
        self._life = AsyncExitStack()
        self._clients: dict[str, Any] = {}
        self._regions: dict[str, str] = {}  # bucket -> where it is, if not in the store's region
        self._turn = asyncio.Lock()
        self._looked = self._renewed = float("-inf")
        self._files = files
        self._stamps: FileStats = {}
        self.version = 0
        """Counts the replacements of keys or certificates."""

    async def __aenter__(self) -> "Clients":
        """Raises BotoCoreError or ValueError: no such profile, an endpoint that cannot be used."""
        self._stamps = self._now()
        await self._client(self._region)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._clients.clear()
        await self._life.aclose()

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        if operation.startswith("_"):
            raise AttributeError(operation)
        return partial(self._call, operation)

    # ── calls ─────────────────────────────────────────────────────────────────────────────────────
    async def _call(self, operation: str, **given: Any) -> Any:
        await self.reload_changed()
        remedies = [self._find_region, self._renew_for, self._make_bucket]
        while True:
            region, version = self._regions.get(given.get("Bucket", ""), self._region), self.version
            client = await self._client(region)
            try:
                return await getattr(client, operation)(**given)
            except (ClientError, BotoCoreError) as error:
                await self._explain(client, operation, given, error)
                remedy = await self._first(remedies, given, error, region, version)
                if remedy is None:
                    raise
                remedies.remove(remedy)
            _rewind(given.get("Body"))

    async def _first(
        self, remedies: list[Any], given: Mapping[str, Any], error: Exception, region: str, version: int
    ) -> Any:
        for remedy in remedies:
            if await remedy(given, error, region, version):
                return remedy
        return None

    async def _find_region(self, given: Mapping[str, Any], error: Exception, region: str, _version: int) -> bool:
        """Whether the answer names another region for the bucket, which is remembered."""
        bucket = given.get("Bucket")
        if not bucket or not isinstance(error, ClientError):
            return False
        found = region_of(error.response, region)
        if found is None and code_of(error.response) == "IllegalLocationConstraintException":
            wanted = given.get("CreateBucketConfiguration", {}).get("LocationConstraint")
            found = wanted if wanted != region else None
        if found is None:
            return False
        _log.info("store %r: the bucket %s is in the region %s", self._name, bucket, found)
        self._regions[bucket] = found
        return True

    async def _renew_for(self, _given: Mapping[str, Any], error: Exception, _region: str, version: int) -> bool:
        """Whether other keys or certificates may please the store, since they were replaced."""
        stale = isinstance(error, ClientError) and code_of(error.response) in STALE_CREDENTIALS
        if not stale and not is_refused_handshake(error):
            return False
        if version != self.version:
            return True  # by another call, meanwhile
        if asyncio.get_running_loop().time() - self._renewed < RELOAD_PAUSE:
            return False
        with suppress(BotoCoreError, ValueError):
            await self.reload()
        return version != self.version

    async def _make_bucket(self, given: Mapping[str, Any], error: Exception, _region: str, _version: int) -> bool:
        """Whether the bucket is missing, is declared, and was created."""
        if self.make_bucket is None or not isinstance(error, ClientError) or error.operation_name not in _MAKE_OBJECTS:
            return False
        return code_of(error.response) == "NoSuchBucket" and await self.make_bucket(given["Bucket"])

    async def _explain(self, client: Any, operation: str, given: Mapping[str, Any], error: Exception) -> None:
        """Give a HEAD that was refused without words the words with which a GET of the same right is refused."""
        if not isinstance(error, ClientError) or status_of(error.response) not in _WORDLESS.get(operation, ()):
            return
        if code_of(error.response) or region_of(error.response, client.meta.region_name):
            return
        try:
            await _ask(client, operation, given)
        except ClientError as told:
            if code_of(told.response) and status_of(told.response) in _WORDLESS[operation]:
                error.response["Error"] = told.response["Error"]
        except PlainHttpAtTls:
            raise
        except UNANSWERED:
            return

    # ── what may be replaced ──────────────────────────────────────────────────────────────────────
    async def reload_changed(self) -> None:
        """Read keys and certificates again if their files changed; asks at most once a second."""
        now = asyncio.get_running_loop().time()
        if not self._files or now - self._looked < FILE_CHECK_INTERVAL:
            return
        self._looked = now
        if await asyncio.to_thread(self._now) != self._stamps:
            try:
                await self.reload()
            except (BotoCoreError, ValueError) as error:
                _log.warning("store %r: what it had before stays in use: %s", self._name, error)

    async def reload(self) -> None:
        """Read keys and certificates again. Raises BotoCoreError or ValueError; then those before stay in use."""
        async with self._turn:
            self._renewed = asyncio.get_running_loop().time()
            self._stamps = await asyncio.to_thread(self._now)
            changed = await self._trust.load() if self._trust.used else False
            changed = await self._keys.load() or changed
            if changed:
                self.version += 1
                _log.info("store %r: its keys or certificates were replaced and are in use", self._name)

    def _now(self) -> FileStats:
        return file_stats(self._files)

    async def _client(self, region: str) -> Any:
        async with self._turn:
            if region not in self._clients:
                self._clients[region] = await self._life.enter_async_context(self._open_client(region))
            return self._clients[region]


def _rewind(body: Any) -> None:
    if hasattr(body, "seek"):
        body.seek(0)


async def _ask(client: Any, operation: str, given: Mapping[str, Any]) -> None:
    """A GET that needs no more rights than the HEAD."""
    if operation == "head_bucket":
        await client.list_objects_v2(Bucket=given["Bucket"], MaxKeys=1)
    else:
        answer = await client.get_object(Bucket=given["Bucket"], Key=given["Key"], Range="bytes=0-0")
        answer["Body"].close()
