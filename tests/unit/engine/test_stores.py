"""Open stores of a running daemon when their declarations change. Opening uses no network."""

import gc
import time
from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path

import pytest

from mirrord.declared import Credentials, StoreOptions
from mirrord.engine import stores as stores_module
from mirrord.engine.measured_stores import keep_measured
from mirrord.engine.stores import Stores
from mirrord.errors import StoreRefused
from mirrord.model import Destination, FormerSource, Item, ProviderName
from mirrord.providers.measured import KEPT_FOR, MeasuredFacts


def declared(secret: str, name: str = "a", endpoint: str = "http://s:1") -> dict[str, StoreOptions]:
    keys = Credentials.of("key", secret)
    options = StoreOptions(name=name, provider=ProviderName.GENERIC, endpoint_url=endpoint, credentials=keys)
    return {name: options}


@pytest.fixture
async def stores(tmp_path: Path) -> AsyncIterator[Stores]:
    async with Stores(declared("one"), tmp_path) as opened:
        yield opened


async def test_an_unchanged_store_stays_open(stores: Stores) -> None:
    first = await stores.named("a")
    assert await stores.replace(declared("one")) == set()
    assert await stores.named("a") is first


async def test_a_changed_store_is_reported_and_opened_again(stores: Stores) -> None:
    first = await stores.named("a")
    assert await stores.replace({**declared("two"), **declared("three", "b")}) == {"a"}
    assert await stores.named("a") is not first


async def test_a_recorded_object_is_found_at_its_endpoint_after_a_rename_of_the_store(
    stores: Stores,
) -> None:
    there = Destination("a", "http://s:1", "bucket", "key")
    assert await stores.at(there) is await stores.named("a")
    await stores.replace({**declared("one", endpoint="http://other:1"), **declared("two", "b")})
    assert await stores.at(there) is await stores.named("b")


async def test_an_object_at_an_undeclared_endpoint_is_not_searched_elsewhere(stores: Stores) -> None:
    await stores.replace(declared("one", endpoint="http://other:1"))
    with pytest.raises(StoreRefused, match="the store 'a' was at http://s:1 and is now at http://other:1"):
        await stores.at(Destination("a", "http://s:1", "bucket", "key"))


async def test_an_item_that_left_is_not_deleted_at_another_endpoint(stores: Stores) -> None:
    """The check of its deletion may begin while the stores of an edit are already in use."""
    there = Destination("a", "http://s:1", "bucket", "key")
    left = Item(id=there.item_id, entry="e", origin=FormerSource("https://h/x"), destination=there, gone=True)
    assert await stores.of(left) is await stores.named("a")
    await stores.replace(declared("one", endpoint="http://other:1"))
    with pytest.raises(StoreRefused):
        await stores.of(left)


async def test_a_store_that_returns_with_other_options_is_opened_again(stores: Stores) -> None:
    first = await stores.named("a")
    assert await stores.replace({}) == set()
    with pytest.raises(StoreRefused, match="no store is named 'a'"):
        await stores.named("a")
    await stores.replace(declared("two"))
    assert await stores.named("a") is not first


@pytest.mark.parametrize("is_command", [False, True])
async def test_only_a_command_keeps_what_exists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_command: bool
) -> None:
    """A program that uses the library opens stores often: its garbage must be freed. Counting takes long."""
    calls: list[str] = []

    def counted() -> int:
        calls.append("count")
        return int(is_command)

    monkeypatch.setattr(gc, "get_freeze_count", counted)
    monkeypatch.setattr(gc, "freeze", lambda: calls.append("freeze"))
    monkeypatch.setattr(stores_module, "is_command", cache(stores_module.is_command.__wrapped__))
    for _ in range(2):
        async with Stores(declared("one"), tmp_path) as stores:
            await stores.named("a")
    assert calls == ["count"] + ["freeze"] * 2 * is_command


async def test_an_open_store_uses_what_is_measured_meanwhile(
    stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await stores.named("a")
    assert store.provider.max_parts == 10_000
    measured = MeasuredFacts("", time.time(), (("max_parts", 1_000),))
    keep_measured(tmp_path, "http://s:1", measured)
    assert await stores.renewed() == set(), "no key was replaced: no item is checked again"
    assert store.provider.max_parts == 1_000
    assert await stores.named("a") is store
    await stores.replace(declared("two"))
    assert (await stores.named("a")).provider.max_parts == 1_000, "a store that is opened later uses it, too"
    monkeypatch.setattr(time, "time", lambda: measured.when + KEPT_FOR)
    await stores.renewed()
    assert (await stores.named("a")).provider.max_parts == 10_000


async def test_what_was_measured_before_counts_when_a_store_is_opened(tmp_path: Path) -> None:
    keep_measured(tmp_path, "http://s:1", MeasuredFacts("", time.time(), (("max_parts", 1_000),)))
    async with Stores(declared("one"), tmp_path) as stores:
        assert (await stores.named("a")).provider.max_parts == 1_000
