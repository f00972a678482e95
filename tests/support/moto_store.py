"""Fixture `moto_server`: moto's server of S3 in a thread of the tests, a store that keeps all in memory."""

from collections.abc import Iterator

import pytest

from mirrord.model import ProviderName
from tests.support.weed import Server


@pytest.fixture(scope="session")
def moto_server() -> Iterator[Server]:
    """It checks no credentials."""
    from moto.server import ThreadedMotoServer  # takes a second

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield Server(f"http://{host}:{port}", provider=ProviderName.GENERIC)
    finally:
        server.stop()
