"""Starts the servers of the bench, each in its own process that ends with this one: sink, origin, SeaweedFS."""

import json
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from ssl import create_default_context
from typing import Any

from mirrord.s3.embedded.weed import HOST, WeedProcess, free_port
from tests.bench.scenarios import StoreKind
from tests.bench.tls import PEM
from tests.support.weed import Server


@dataclass(frozen=True, slots=True)
class Store:
    """A running store. `server` has a client that reads objects back; a sink has none."""

    kind: StoreKind
    endpoint: str
    server: Server | None = None

    def reset(self, *, keep_objects: bool = False) -> None:
        """Start to count again; a sink forgets its objects, unless they are kept."""
        if self.server is None:
            self._ask("/-/recount" if keep_objects else "/-/reset", "POST")

    def counts(self) -> dict[str, Any] | None:
        """Requests by operation and body bytes since `reset`; None for a store that does not count."""
        return json.loads(self._ask("/-/counts", "GET")) if self.server is None else None

    def _ask(self, path: str, method: str) -> bytes:
        request = urllib.request.Request(self.endpoint + path, method=method)
        context = create_default_context(cafile=str(PEM)) if self.endpoint.startswith("https") else None
        with urllib.request.urlopen(request, timeout=60, context=context) as answer:
            return bytes(answer.read())


@contextmanager
def store(kind: StoreKind) -> Iterator[Store]:
    if kind is StoreKind.WEED:
        with seaweed() as server:
            yield Store(kind, server.endpoint_url, server)
        return
    tls = kind is StoreKind.ECHO_TLS
    with _serving("tests.bench.sink", *(["--echo"] if kind is not StoreKind.SINK else []), tls=tls) as endpoint:
        yield Store(kind, endpoint)


@contextmanager
def origin(directory: Path, *, tls: bool) -> Iterator[str]:
    with _serving("tests.bench.origin", str(directory), tls=tls) as url:
        yield url


@contextmanager
def _serving(module: str, *arguments: str, tls: bool) -> Iterator[str]:
    command = [sys.executable, "-m", module, *arguments, *(["--tls"] if tls else [])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        try:
            port = int(process.stdout.readline())
            yield f"https://localhost:{port}" if tls else f"http://{HOST}:{port}"
        finally:
            process.stdin.close()
            process.wait(60)


@contextmanager
def seaweed() -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="mirrord-bench-weed-", ignore_cleanup_errors=True) as directory:
        port = free_port()
        server = Server(f"http://{HOST}:{port}")
        process = WeedProcess(Path(directory) / "objects", Path(directory) / "weed.log", port, server.credentials)
        process.start()
        try:
            server.wait_until_ready(lambda: process.running)
            yield server
        finally:
            process.kill()
