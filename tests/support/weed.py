"""Fixtures of one real SeaweedFS per pytest session: `weed`, `bucket`, `store`, `s3_client` (boto3)."""

import json
import os
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from mirrord.declared import Credentials, StoreOptions
from mirrord.model import Destination, ProviderName
from mirrord.s3.embedded.weed import HOST, WeedProcess, free_port
from mirrord.s3.session import S3Store
from tests.support.wires import request_options

READY_DEADLINE = 60.0
KMS_KEY = "test-key"
"""A key of the session's KMS."""
SESSION_PREFIX = b"mirrord-weed-"


@dataclass(frozen=True)
class Server:
    """An S3 server for the tests: its address and its credentials."""

    endpoint_url: str
    access_key_id: str = "test-access-key"
    secret_access_key: str = field(default="test-secret-key", repr=False)
    provider: ProviderName = ProviderName.SEAWEEDFS

    @property
    def credentials(self) -> Credentials:
        return Credentials.of(self.access_key_id, self.secret_access_key)

    def options(self, name: str = "default", **changed: Any) -> StoreOptions:
        """A declared store at this server; `changed` overrides fields of StoreOptions."""
        given: dict[str, Any] = {
            "provider": self.provider,
            "endpoint_url": self.endpoint_url,
            "region": "us-east-1",
            "credentials": self.credentials,
            "requests": request_options(),
        }
        return StoreOptions(name=name, **(given | changed))

    def destination(self, bucket: str, key: str) -> Destination:
        options = self.options()
        return Destination(options.name, options.endpoint, bucket, key)

    def client(self, **config: Any) -> Any:
        """A boto3 client, independent of mirrord's S3 client."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint_url,
            region_name="us-east-1",
            aws_access_key_id=self.access_key_id,
            aws_secret_access_key=self.secret_access_key,
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}, **config),
        )

    def wait_until_ready(self, alive: Any) -> None:
        """Poll until the server accepts the credentials. Raises RuntimeError after READY_DEADLINE or if it ended."""
        client = self.client(connect_timeout=2, read_timeout=5)
        deadline = time.monotonic() + READY_DEADLINE
        while True:
            try:
                client.list_buckets()
                return
            except (BotoCoreError, ClientError) as error:
                if not alive() or time.monotonic() > deadline:
                    raise RuntimeError(f"the test store at {self.endpoint_url} did not start") from error
                time.sleep(0.05)
            finally:
                client.close()


def children_of(process: int) -> list[int]:
    """Process ids of the children of all its threads, including zombies."""
    lists = [task / "children" for task in Path(f"/proc/{process}/task").iterdir()]
    return [int(child) for one in lists for child in one.read_text().split()]


def embedded_processes() -> list[int]:
    """Process ids of this process's SeaweedFS children, without that of the session."""
    commands = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children_of(os.getpid())}
    return [pid for pid, command in commands.items() if b"weed\0mini" in command and SESSION_PREFIX not in command]


class WeedWithKms(WeedProcess):
    """A SeaweedFS with a KMS in its memory, which makes keys by any name: without one it refuses SSE-KMS."""

    def __init__(self, directory: Path, server: Server, port: int) -> None:
        super().__init__(directory / "objects", directory / "weed.log", port, server.credentials)
        self._config = directory / "s3.json"
        self._server = server

    def _arguments(self) -> Sequence[str]:
        keys = {"accessKey": self._server.access_key_id, "secretKey": self._server.secret_access_key}
        identity = {"name": "test", "credentials": [keys], "actions": ["Admin", "Read", "Write", "List", "Tagging"]}
        local = {"type": "local", "enableOnDemandCreate": True}
        kms = {"default_provider": "local", "providers": {"local": local}}
        self._config.write_text(json.dumps({"identities": [identity], "kms": kms}))
        return [*super()._arguments(), f"-s3.config={self._config}"]


@pytest.fixture(scope="session")
def weed() -> Iterator[Server]:
    """One real SeaweedFS for the whole session, with its own directory and port range."""
    with tempfile.TemporaryDirectory(prefix=SESSION_PREFIX.decode(), ignore_cleanup_errors=True) as directory:
        port = free_port()
        server = Server(f"http://{HOST}:{port}")
        process = WeedWithKms(Path(directory), server, port)
        process.start()
        try:
            server.wait_until_ready(lambda: process.running)
            yield server
        finally:
            process.kill()


@pytest.fixture(scope="session")
def s3_client(weed: Server) -> Iterator[Any]:
    """A boto3 client of the session's SeaweedFS, to read what mirrord wrote independently of mirrord's code."""
    client = weed.client()
    yield client
    client.close()


def fresh_bucket(client: Any) -> str:
    name = f"test-{uuid.uuid4().hex[:12]}"
    client.create_bucket(Bucket=name)
    return name


@pytest.fixture
def bucket(s3_client: Any) -> Iterator[str]:
    """A new, empty bucket at the session's SeaweedFS, deleted after the test.

    weed needs a volume for each bucket and has about 70 volumes: buckets that stay would leave none for later tests.
    """
    name = fresh_bucket(s3_client)
    yield name
    s3_client.delete_bucket(Bucket=name)


@pytest.fixture
async def store(weed: Server) -> AsyncIterator[S3Store]:
    """An open S3Store at the session's SeaweedFS."""
    async with S3Store(weed.options()) as opened:
        yield opened
