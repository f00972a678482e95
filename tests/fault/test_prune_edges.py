"""Prune at its edges: kill -9 around the DELETE, a store that refuses it, and items that come back meanwhile."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.support.daemon import TOKEN, running
from tests.support.killing import HeldCalls, kill_at
from tests.support.origin import Origin
from tests.support.proxy import Seen, StoreProxy
from tests.support.syncing import events, manifest, sync

SPEED = 3.0
"""How many seconds of the pause before a deletion pass in one real second."""


class World:
    def __init__(self, home: Path, bucket: str, s3_client: Any, origin: Origin, proxy: StoreProxy) -> None:
        self.home, self.bucket, self.s3_client, self.origin, self.proxy = home, bucket, s3_client, origin, proxy
        for key in ("kept", "left"):
            origin.publish(f"/{key}", key.encode())

    def write(self, *keys: str, **options: Any) -> Path:
        entries = [
            {"url": self.origin.url(f"/{key}"), "to": f"s3://{self.bucket}/{key}", "prune": True, **options}
            for key in keys
        ]
        daemon = f"daemon: {{api_token: {TOKEN}}}\n"
        return manifest(self.home, self.proxy.server, f"{daemon}mirrors: {json.dumps(entries)}\n")

    @property
    def keys(self) -> set[str]:
        return {one["Key"] for one in self.s3_client.list_objects_v2(Bucket=self.bucket).get("Contents", [])}


@pytest.fixture
def world(tmp_path: Path, bucket: str, s3_client: Any, origin: Origin, store_proxy: StoreProxy) -> World:
    return World(tmp_path, bucket, s3_client, origin, store_proxy)


@pytest.mark.parametrize(("answered", "back"), [(False, False), (True, True)], ids=["before", "after, and back"])
async def test_killed_at_the_delete(world: World, answered: bool, back: bool) -> None:
    await sync(world.home, world.write("kept", "left"))
    file = world.write("kept")
    assert await kill_at(HeldCalls("DeleteObject", answered=answered), world.proxy, world.home, file)
    world.proxy.clear()
    done = await sync(world.home, world.write(*(["kept", "left"] if back else ["kept"])))
    assert done.code == 0, done.output
    assert world.keys == ({"kept", "left"} if back else {"kept"})
    assert world.proxy.counts["DeleteObject"] == (not answered and not back)
    world.proxy.clear()
    await sync(world.home, file if not back else world.write("kept", "left"))
    assert world.proxy.writes == 0


async def test_a_deletion_that_the_store_refuses_is_said_and_tried_again(world: World) -> None:
    await sync(world.home, world.write("kept", "left"))

    async def refuse(seen: Seen, request: web.Request) -> web.StreamResponse | None:
        return web.Response(status=403) if seen.operation == "DeleteObject" else None

    world.proxy.before = refuse
    done = await sync(world.home, world.write("kept"))
    assert done.code == 1, done.output
    assert [(one["reason"], one["key"]) for one in events(done, "item.blocked")] == [("StoreDenied", "left")]
    assert "Blocked StoreDenied: s3://" in done.out
    assert world.keys == {"kept", "left"}
    world.proxy.before = None
    assert (await sync(world.home, world.write("kept"))).code == 0
    assert world.keys == {"kept"}


async def test_an_object_that_was_replaced_between_listing_and_delete_stays(world: World) -> None:
    await sync(world.home, world.write("kept", "left"))

    async def replace(seen: Seen, request: web.Request) -> web.StreamResponse | None:
        if seen.operation == "HeadObject" and seen.key == "left":
            world.s3_client.put_object(Bucket=world.bucket, Key="left", Body=b"theirs")
        return None

    world.proxy.before = replace
    done = await sync(world.home, world.write("kept"))
    assert world.s3_client.get_object(Bucket=world.bucket, Key="left")["Body"].read() == b"theirs"
    assert "was written by someone else: it stays" in done.err
    assert world.proxy.counts["DeleteObject"] == 0


async def test_an_item_that_comes_back_soon_is_not_deleted(world: World) -> None:
    file = world.write("kept", "left")
    async with running(world.home, str(file), speed=SPEED) as daemon:

        async def are_there() -> bool:
            return world.keys == {"kept", "left"}

        await daemon.wait_for(are_there, what="both objects")
        world.write("kept")
        await asyncio.sleep(2 / SPEED)
        (left,) = (one for one in (await daemon.api("items"))["items"] if one["destination"].endswith("/left"))
        assert (left["state"], left["message"]) == ("Pending", "it left the manifests: its object will be deleted")
        world.write("kept", "left")
        await asyncio.sleep(7 / SPEED)
        assert world.proxy.counts["DeleteObject"] == 0
        states = {one["state"] for one in (await daemon.api("items"))["items"]}
        assert states == {"Synced"}
        world.write("kept")  # and leaves again
        await daemon.log("item.pruned")
        assert world.keys == {"kept"}
