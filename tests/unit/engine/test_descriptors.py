"""The share of each store in the limit of open files."""

import logging
from pathlib import Path

import pytest

from mirrord.declared import Credentials, StoreOptions
from mirrord.engine import s3_stores
from mirrord.engine.descriptors import connections_a_store, descriptors_for
from mirrord.engine.stores import Stores
from mirrord.model import ProviderName
from mirrord.s3.wire.pool import CONNECTIONS


@pytest.mark.parametrize(
    ("limit", "stores", "connections"), [(2**31, 1, 2**29), (1024, 1, 256), (1024, 8, 32), (256, 1, 64), (3, 9, 1)]
)
def test_connections_of_stores_are_at_most_half_of_the_descriptors(limit: int, stores: int, connections: int) -> None:
    assert connections_a_store(limit, stores) == connections


@pytest.mark.parametrize("stores", [1, 7])
def test_the_limit_that_is_named_suffices(stores: int) -> None:
    limit = descriptors_for(CONNECTIONS, stores)
    assert connections_a_store(limit, stores) == CONNECTIONS
    assert connections_a_store(limit - 1, stores) < CONNECTIONS


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        (2048, []),
        (
            128,
            [
                "store 's1': at most 10 connections, because the limit of open files (ulimit -n) is 128; "
                "from 768 on it has 64"
            ],
        ),
    ],
)
async def test_a_store_has_fewer_connections_and_says_so_if_the_limit_is_low(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, limit: int, said: list[str]
) -> None:
    monkeypatch.setattr(s3_stores, "descriptors", lambda: limit)
    keys = Credentials.of("key", "secret")
    names = ["s1", "s2", "s3"]
    options = StoreOptions(name="s1", provider=ProviderName.GENERIC, endpoint_url="http://s:1", credentials=keys)
    async with Stores(dict.fromkeys(names, options), tmp_path) as stores:
        await stores.named("s1")
    assert [one.message for one in caplog.records if one.levelno >= logging.WARNING] == said
