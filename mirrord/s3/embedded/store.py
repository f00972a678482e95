"""`provider: embedded`: a private SeaweedFS on free loopback ports, with its data in the state directory.

Owns when it starts and stops: a command uses the store that runs already; else the command starts one and stops it at
its end, and the kernel ends the store if the command is killed. The generated credentials and the ports are in
`embedded.json` (0600), the objects in `embedded/`, the log in `embedded.log`. Gives `StoreOptions` that any S3 client
can use. `weed` runs the process.
"""

import asyncio
import fcntl
import json
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, field, replace
from logging import getLogger
from pathlib import Path
from typing import Self

from mirrord.declared import Credentials, StoreOptions
from mirrord.errors import MirrordError, StoreError, StoreRefused, StoreUnavailable
from mirrord.frozen import frozen
from mirrord.model import Destination, ObjectOptions, ProviderName
from mirrord.s3.embedded.weed import HOST, WeedProcess, free_port
from mirrord.s3.embedded.weed_security import UNPROTECTED
from mirrord.s3.session import S3Store

_log = getLogger(__name__)

START_DEADLINE = 120.0
"""Seconds. Long: after kill -9, SeaweedFS refused writes for 20 s (observed), while it answered all other calls."""
_POLL = 0.05
_PROBE_DEADLINE = 2.0
_WRITE_DEADLINE = 10.0
"""Longer: the first write to a bucket waits until the bucket has its own volume."""
_UNNAMED = StoreOptions(name="embedded", provider=ProviderName.EMBEDDED)


@frozen
class _Server:
    """The content of `embedded.json`: what is needed to use a running store, or to start it on the same port."""

    port: int
    access_key_id: str
    secret_access_key: str = field(repr=False)

    @property
    def credentials(self) -> Credentials:
        return Credentials.of(self.access_key_id, self.secret_access_key)

    def applied_to(self, options: StoreOptions) -> StoreOptions:
        return replace(options, endpoint_url=f"http://{HOST}:{self.port}", credentials=self.credentials)


class EmbeddedStore:
    """`async with EmbeddedStore(state_directory) as embedded: S3Store(embedded.options(store_options))`.

    Entering takes about two seconds when a store must be started, up to 20 if it was killed before. Raises
    StoreRefused: weed or cryptography is not installed, or `embedded.json` is damaged. Raises StoreUnavailable: weed
    could not store an object within two minutes (with the last lines of its log).
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._file = directory / "embedded.json"
        self._server: _Server | None = None
        self._contexts = AsyncExitStack()

    @property
    def exists(self) -> bool:
        """Whether there is a store in the directory, running or not. It may have objects."""
        return self._file.exists()

    @property
    def endpoint_url(self) -> str:
        return self.options().endpoint_url or ""

    @property
    def credentials(self) -> Credentials:
        return self.options().credentials or Credentials()

    def options(self, declared: StoreOptions | None = None) -> StoreOptions:
        """The declared store, with the endpoint and credentials of the running one."""
        if self._server is None:
            raise RuntimeError("the embedded store is not running; use it inside `async with`")
        return self._server.applied_to(declared or _UNNAMED)

    async def __aenter__(self) -> Self:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        async with self._start_lock():
            saved = self._read()
            if saved is not None and await _is_running(saved):
                self._server = saved
            else:
                self._server = await self._start(saved)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server = None
        await self._contexts.aclose()

    async def _start(self, saved: _Server | None) -> _Server:
        port = free_port(saved.port if saved else None)
        server = replace(saved, port=port) if saved else _Server(port, secrets.token_hex(10), secrets.token_hex(20))
        weed = WeedProcess(self._directory / "embedded", self._directory / "embedded.log", port, server.credentials)
        async with AsyncExitStack() as contexts:
            weed.start()
            contexts.push_async_callback(weed.stop)
            await _wait_until_ready(weed, server)
            self._write(server)
            self._contexts = contexts.pop_all()
        _log.warning("the embedded store at %s:%d: %s", HOST, port, UNPROTECTED)
        return server

    @asynccontextmanager
    async def _start_lock(self) -> AsyncIterator[None]:
        """Of two commands that begin at the same time, one starts the store and the other uses it."""
        lock = os.open(self._directory / "embedded.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            async with asyncio.timeout(START_DEADLINE + 10):
                while not _locked(lock):  # noqa: ASYNC110  there is no event for another process's release
                    await asyncio.sleep(_POLL)
            yield
        finally:
            os.close(lock)

    def _read(self) -> _Server | None:
        try:
            return _Server(**json.loads(self._file.read_text()))
        except FileNotFoundError:
            return None
        except (TypeError, ValueError) as error:
            raise StoreRefused(f"{self._file} is damaged: {error}; remove it together with embedded/") from error

    def _write(self, server: _Server) -> None:
        new = self._file.with_suffix(".json.new")
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(asdict(server), file)
        new.replace(self._file)


async def _wait_until_ready(weed: WeedProcess, server: _Server) -> None:
    """Wait until an object can be written and read. StoreUnavailable: the process ended, or START_DEADLINE passed."""
    bucket = f"mirrord-check-{secrets.token_hex(4)}"
    try:
        async with asyncio.timeout(START_DEADLINE):
            while weed.running:
                if await _stores_an_object(server, bucket):
                    return
                await asyncio.sleep(_POLL)
    except TimeoutError:
        pass
    raise StoreUnavailable(f"the embedded store did not start: {weed.failure()}")


async def _stores_an_object(server: _Server, bucket: str) -> bool:
    """Whether an object can be written and read. ListBuckets works earlier, before there are volumes."""
    at, content = Destination(_UNNAMED.name, _UNNAMED.endpoint, bucket, "object"), bucket.encode()
    read = bytearray(len(content))
    try:
        async with S3Store(server.applied_to(_UNNAMED), deadline=_WRITE_DEADLINE) as store:
            await store.ensure_bucket(bucket)
            await store.put_object(at, memoryview(content), ObjectOptions())
            async with store.get_object(at) as stream:
                await stream.readinto(memoryview(read))
            await store.delete_object(at)
            await store.delete_bucket(bucket)
    except MirrordError:
        return False
    return read == content


async def _is_running(server: _Server) -> bool:
    """Whether an S3 server answers at the port and accepts the saved credentials, so that it is this store."""
    try:
        async with S3Store(server.applied_to(_UNNAMED), deadline=_PROBE_DEADLINE) as store:
            await store.list_buckets()
    except StoreError:
        return False
    return True


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
