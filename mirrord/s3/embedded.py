"""`provider: embedded`: a SeaweedFS of our own on free loopback ports, kept in the state directory.

Owns who starts it: a command that finds one running joins it; else it starts one and stops it at its end, and the
kernel does if the command is killed. Keeps the generated credentials and the ports in `embedded.json` (0600), the
objects in `embedded/`, the log in `embedded.log`. Hands on `StoreOptions` that any S3 client can use.
"""

import asyncio
import fcntl
import json
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field, replace
from logging import getLogger
from pathlib import Path
from typing import Self

from mirrord.declared import Credentials, StoreOptions
from mirrord.errors import MirrordError, StoreError, StoreRefused, StoreUnavailable
from mirrord.model import Destination, ObjectOptions, ProviderName
from mirrord.s3.session import S3Store
from mirrord.s3.weed import HOST, WeedProcess, free_port
from mirrord.s3.weed_security import UNPROTECTED

_log = getLogger(__name__)

START_DEADLINE = 120.0
"""Long: after kill -9, SeaweedFS was seen to refuse writes for 20 s while it answers all else."""
_POLL = 0.05
_PROBE_DEADLINE = 2.0
_WRITE_DEADLINE = 10.0
"""Longer: the first write to a bucket waits for a volume of its own."""
_UNNAMED = StoreOptions(name="embedded", provider=ProviderName.EMBEDDED)


@dataclass(frozen=True, slots=True)
class _Address:
    """What `embedded.json` holds: enough to join a running store, or to start it again where it was."""

    port: int
    access_key_id: str
    secret_access_key: str = field(repr=False)

    @property
    def credentials(self) -> Credentials:
        return Credentials(access_key_id=self.access_key_id, secret_access_key=self.secret_access_key)

    def fill(self, options: StoreOptions) -> StoreOptions:
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
        self._address: _Address | None = None
        self._life = AsyncExitStack()

    @property
    def exists(self) -> bool:
        """Whether there is one, running or not, so that it may hold objects."""
        return self._file.exists()

    @property
    def endpoint_url(self) -> str:
        return self.options().endpoint_url or ""

    @property
    def credentials(self) -> Credentials:
        return self.options().credentials or Credentials()

    def options(self, declared: StoreOptions | None = None) -> StoreOptions:
        """The declared store with the endpoint and credentials that the running one has."""
        if self._address is None:
            raise RuntimeError("the embedded store is not running; use it inside `async with`")
        return self._address.fill(declared or _UNNAMED)

    async def __aenter__(self) -> Self:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        async with self._alone():
            known = self._read()
            if known is not None and await _answers(known):
                self._address = known
            else:
                self._address = await self._start(known)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._address = None
        await self._life.aclose()

    async def _start(self, known: _Address | None) -> _Address:
        port = free_port(known.port if known else None)
        address = replace(known, port=port) if known else _Address(port, secrets.token_hex(10), secrets.token_hex(20))
        weed = WeedProcess(self._directory / "embedded", self._directory / "embedded.log", port, address.credentials)
        async with AsyncExitStack() as life:
            weed.start()
            life.push_async_callback(weed.stop)
            await _ready(weed, address)
            self._write(address)
            self._life = life.pop_all()
        _log.warning("the embedded store at %s:%d: %s", HOST, port, UNPROTECTED)
        return address

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Two commands that begin at once: one starts the store, the other joins it."""
        lock = os.open(self._directory / "embedded.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            async with asyncio.timeout(START_DEADLINE + 10):
                while not _locked(lock):  # noqa: ASYNC110  no event tells when another process lets go
                    await asyncio.sleep(_POLL)
            yield
        finally:
            os.close(lock)

    def _read(self) -> _Address | None:
        try:
            return _Address(**json.loads(self._file.read_text()))
        except FileNotFoundError:
            return None
        except (TypeError, ValueError) as error:
            raise StoreRefused(f"{self._file} is damaged: {error}; remove it together with embedded/") from error

    def _write(self, address: _Address) -> None:
        fresh = self._file.with_suffix(".json.new")
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(asdict(address), file)
        fresh.replace(self._file)


async def _ready(weed: WeedProcess, address: _Address) -> None:
    """Wait until it stores an object and gives it back."""
    bucket = f"mirrord-check-{secrets.token_hex(4)}"
    try:
        async with asyncio.timeout(START_DEADLINE):
            while weed.running:
                if await _keeps_an_object(address, bucket):
                    return
                await asyncio.sleep(_POLL)
    except TimeoutError:
        pass
    raise StoreUnavailable(f"the embedded store did not start: {weed.failure()}")


async def _keeps_an_object(address: _Address, bucket: str) -> bool:
    """Whether an object can be written and read. It lists buckets sooner than that: before it has volumes."""
    at, content = Destination(_UNNAMED.name, _UNNAMED.endpoint, bucket, "object"), bucket.encode()
    read = bytearray(len(content))
    try:
        async with S3Store(address.fill(_UNNAMED), deadline=_WRITE_DEADLINE) as store:
            await store.ensure_bucket(bucket)
            await store.put_object(at, memoryview(content), ObjectOptions())
            async with store.get_object(at) as stream:
                await stream.readinto(memoryview(read))
            await store.delete_object(at)
            await store.delete_bucket(bucket)
    except MirrordError:
        return False
    return read == content


async def _answers(address: _Address) -> bool:
    """Whether an S3 server is there and takes our credentials, so that it is ours."""
    try:
        async with S3Store(address.fill(_UNNAMED), deadline=_PROBE_DEADLINE) as store:
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
