"""Open stores of a running daemon when what is declared of them changes. Opening asks no network."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mirrord.daemon.stores import Stores
from mirrord.declared import Credentials, StoreOptions
from mirrord.errors import StoreRefused
from mirrord.model import ProviderName


def declared(secret: str, name: str = "a") -> dict[str, StoreOptions]:
    keys = Credentials(access_key_id="key", secret_access_key=secret)
    options = StoreOptions(name=name, provider=ProviderName.GENERIC, endpoint_url="http://s:1", credentials=keys)
    return {name: options}


@pytest.fixture
async def stores(tmp_path: Path) -> AsyncIterator[Stores]:
    async with Stores(declared("one"), tmp_path) as opened:
        yield opened


async def test_a_store_that_stays_as_it_is_stays_open(stores: Stores) -> None:
    first = await stores.named("a")
    assert await stores.replace(declared("one")) == set()
    assert await stores.named("a") is first


async def test_a_changed_store_is_named_and_opened_anew(stores: Stores) -> None:
    first = await stores.named("a")
    assert await stores.replace({**declared("two"), **declared("three", "b")}) == {"a"}
    assert await stores.named("a") is not first


async def test_a_store_that_left_and_came_back_otherwise_is_opened_anew(stores: Stores) -> None:
    first = await stores.named("a")
    assert await stores.replace({}) == set()
    with pytest.raises(StoreRefused, match="no store is named 'a'"):
        await stores.named("a")
    await stores.replace(declared("two"))
    assert await stores.named("a") is not first
