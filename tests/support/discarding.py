"""Fixture `discarding`: a store that counts calls and bytes and keeps no data, for transfers larger than the disk.

It is the bench's sink in a process of its own. It returns each checksum that it receives without verifying it, so it
cannot be used for tests of integrity.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.bench.scenarios import StoreKind
from tests.bench.servers import Store, store
from tests.support.weed import Server


@dataclass(frozen=True)
class Discarding:
    """Counts of calls by operation, and of body bytes received."""

    sink: Store

    @property
    def server(self) -> Server:
        return Server(self.sink.endpoint)

    @property
    def calls(self) -> Counter[str]:
        return Counter((self.sink.counts() or {})["calls"])

    @property
    def received(self) -> int:
        return int((self.sink.counts() or {})["bytes"])


@pytest.fixture
def discarding() -> Iterator[Discarding]:
    """A new store for each test."""
    with store(StoreKind.ECHO) as sink:
        yield Discarding(sink)
