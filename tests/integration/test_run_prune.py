"""Prune by a running daemon: after a reload, after a restart, of a list, and what status and page show."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemon import TOKEN, Daemon, running, store_section
from tests.support.gate import Gate
from tests.support.origin import Origin
from tests.support.proxy import StoreProxy
from tests.support.weed import Server

SPEED = 3.0
"""How many seconds of the pause before a deletion, of schedules and of retries pass in one real second."""


class World:
    """A directory with manifests of mirrors of one origin."""

    def __init__(self, home: Path, server: Server, bucket: str, s3_client: Any, origin: Origin) -> None:
        self.home, self.bucket, self.s3_client, self.origin = home, bucket, s3_client, origin
        self.manifests = home / "manifests"
        self.manifests.mkdir()
        self.write("a")
        (self.manifests / "stores.yaml").write_text(f"daemon: {{api_token: {TOKEN}}}\n{store_section(server)}")

    def entry(self, key: str, **options: Any) -> dict[str, Any]:
        url = self.origin.publish(f"/{key}", key.encode())
        return {"url": url, "to": f"s3://{self.bucket}/{key}", "prune": True, **options}

    def write(self, name: str, *entries: dict[str, Any]) -> None:
        (self.manifests / f"{name}.yaml").write_text(f"mirrors: {json.dumps(entries)}\n")

    @property
    def keys(self) -> set[str]:
        found = self.s3_client.list_objects_v2(Bucket=self.bucket).get("Contents", [])
        return {one["Key"] for one in found}

    async def has(self, daemon: Daemon, *keys: str) -> None:
        async def are_there() -> bool:
            return self.keys == set(keys)

        await daemon.wait_for(are_there, what=f"{keys} in the bucket, not {self.keys}")


@pytest.fixture
def world(tmp_path: Path, weed: Server, bucket: str, s3_client: Any, origin: Origin) -> World:
    return World(tmp_path, weed, bucket, s3_client, origin)


async def states(daemon: Daemon) -> dict[str, tuple[str, str | None]]:
    items = (await daemon.api("items"))["items"]
    return {one["destination"].rpartition("/")[2]: (one["state"], one["reason"]) for one in items}


async def test_what_leaves_by_an_edit_or_while_it_is_down_is_deleted(world: World) -> None:
    kept, left, moved, later = (world.entry(key) for key in ("kept", "left", "moved", "later"))
    world.write("a", kept, left, moved, later)
    async with running(world.home, str(world.manifests), speed=SPEED) as daemon:
        await world.has(daemon, "kept", "left", "moved", "later")
        world.write("a", kept, later)
        await asyncio.sleep(1.5 / SPEED)  # two edits, one after the other: an entry is moved to another file
        world.write("b", moved)
        line = await daemon.log("item.pruned")
        assert line["key"] == "left"
        await world.has(daemon, "kept", "moved", "later")
        assert set(await states(daemon)) == {"kept", "moved", "later"}
    world.write("a", kept)
    world.write("b")
    async with running(world.home, str(world.manifests), speed=SPEED) as daemon:
        await world.has(daemon, "kept", "moved")  # b.yaml is empty

        async def only_one_is_shown() -> bool:  # records leave after their objects
            return set(await states(daemon)) == {"kept"}

        await daemon.wait_for(only_one_is_shown, what="only kept")
        world.write("a", kept, {**later, "prune": False})
        await world.has(daemon, "kept", "moved", "later")
        world.write("a", {**kept, "to": f"s3://{world.bucket}/new"})
        await world.has(daemon, "new", "moved", "later")


async def test_a_guarded_list_is_blocked_until_it_is_allowed(world: World) -> None:
    rows, keys = world.home / "manifests" / "urls.txt", [f"n{number}" for number in range(12)]
    urls = {key: world.origin.publish(f"/{key}", b"x") for key in keys}
    rows.write_text("".join(f"{url}\n" for url in urls.values()))
    entry = {"list": "urls.txt", "to": f"s3://{world.bucket}/", "name": "mine", "prune": True, "every": "1h"}
    world.write("a", entry)
    async with running(world.home, str(world.manifests), speed=SPEED) as daemon:
        await world.has(daemon, *keys)
        rows.write_text(f"{urls['n0']}\n")

        async def is_blocked() -> bool:
            return list((await states(daemon)).values()).count(("Blocked", "PruneGuard")) == 11

        await daemon.wait_for(is_blocked, what="11 items Blocked")
        assert world.keys == set(keys)
    async with running(world.home, str(world.manifests), speed=SPEED) as daemon:
        await daemon.wait_for(is_blocked, what="11 items Blocked after a restart")
        world.write("a", {**entry, "prune": {"max": "95%"}})
        await world.has(daemon, "n0")

        async def only_one_is_shown() -> bool:  # records leave after their objects
            return await states(daemon) == {"n0": ("Synced", None)}

        await daemon.wait_for(only_one_is_shown, what="only n0")


async def test_a_row_with_the_object_of_another_entry_makes_a_list_incomplete(world: World) -> None:
    rows, urls = world.manifests / "urls.txt", {key: world.origin.publish(f"/{key}", b"x") for key in "abc"}
    rows.write_text(f"{urls['a']}\n{urls['b']}\n")
    mine = {"list": "urls.txt", "to": f"s3://{world.bucket}/", "name": "mine", "prune": True, "every": "1h"}
    world.write("a", mine, world.entry("c"))
    async with running(world.home, str(world.manifests), speed=SPEED) as daemon:
        await world.has(daemon, "a", "b", "c")
        rows.write_text(f"{urls['a']}\n{urls['c']}\n")
        await daemon.log(f"s3://{world.bucket}/c of mine is also the object of s3://{world.bucket}/c")
        await asyncio.sleep(7 / SPEED)
        assert world.keys == {"a", "b", "c"}
        assert set(await states(daemon)) == {"a", "b", "c"}
        rows.write_text(f"{urls['a']}\n")
        await world.has(daemon, "a", "c")


@pytest.mark.parametrize("moved", [False, True])
async def test_an_entry_renamed_while_its_object_is_copied_is_deleted_when_it_leaves(
    world: World, store_proxy: StoreProxy, moved: bool
) -> None:
    """Nothing is deleted by the new name, in the same file or another; the transfer goes on."""
    entry, other = world.entry("k", name="old"), world.entry("o")
    gate, file = Gate.before(store_proxy, "PutObject", key="k"), "b" if moved else "a"
    stores = f"daemon: {{api_token: {TOKEN}}}\n{store_section(store_proxy.server)}"
    (world.manifests / "stores.yaml").write_text(stores)
    world.write("a", entry, other)
    async with running(world.home, str(world.manifests), speed=SPEED) as daemon:
        await gate.reached()
        if moved:
            world.write("a", other)
        world.write(file, {**entry, "name": "new"}, *(() if moved else (other,)))

        async def is_renamed() -> bool:
            return (await daemon.items())["k"]["entry"] == "new"

        await daemon.wait_for(is_renamed, what="the new name")
        gate.open()
        await daemon.synced("k", "o")
        assert await is_renamed()
        await asyncio.sleep(6 / SPEED)
        assert world.keys == {"k", "o"}
        assert len(daemon.logged("transfer.completed")) == 2
        world.write(file, world.entry("p") if moved else other)
        await world.has(daemon, "o", *(("p",) if moved else ()))
