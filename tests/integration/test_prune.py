"""Prune of mirrors and lists by `sync`, shown by `plan`: what leaves, what stays, and whose word counts."""

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from mirrord.journal.sqlite.journal import SqliteJournal
from tests.support.command import mirrord
from tests.support.origin import Origin
from tests.support.syncing import events, manifest, sync
from tests.support.weed import Server


class World:
    """A manifest of mirrors of one origin, its store, and the keys of the bucket."""

    def __init__(self, home: Path, server: Server, bucket: str, s3_client: Any, origin: Origin) -> None:
        self.home, self.server, self.bucket, self.s3_client, self.origin = home, server, bucket, s3_client, origin
        self.file = home / "m.yaml"

    def entry(self, key: str, **options: Any) -> dict[str, Any]:
        url = self.origin.publish(f"/{key}", key.encode())
        return {"url": url, "to": f"s3://{self.bucket}/{key}", "prune": True, **options}

    def rows(self, *keys: str, more: str = "", ended: bool = True) -> None:
        """`ended`: the file is old enough that its writer has ended."""
        urls = [self.origin.publish(f"/{key}", key.encode()) for key in keys]
        (self.home / "urls.txt").write_text("".join(f"{url}\n" for url in urls) + more)
        if ended:
            os.utime(self.home / "urls.txt", (time.time() - 60, time.time() - 60))

    def list_entry(self, **options: Any) -> dict[str, Any]:
        return {"list": "urls.txt", "to": f"s3://{self.bucket}/", "name": "mine", "prune": True, **options}

    def write(self, *entries: dict[str, Any], name: str = "m.yaml") -> Path:
        body = f"mirrors: {json.dumps(entries)}\n"
        if name == "m.yaml":
            return manifest(self.home, self.server, body)
        (self.home / name).write_text(body)
        return self.home / name

    async def sync(self, *more: str, code: int = 0) -> set[str]:
        """The keys whose objects were deleted."""
        done = await sync(self.home, self.file, *more)
        assert done.code == code, done.output
        return {one["key"] for one in events(done, "item.pruned")}

    async def plan(self, *more: str) -> list[dict[str, Any]]:
        done = await mirrord("plan", str(self.file), "--json", *more, home=self.home)
        return [one for one in json.loads(done.out)["changes"] if one["action"] == "delete"]

    @property
    def keys(self) -> set[str]:
        found = self.s3_client.list_objects_v2(Bucket=self.bucket).get("Contents", [])
        return {one["Key"] for one in found}


@pytest.fixture
def world(tmp_path: Path, weed: Server, bucket: str, s3_client: Any, origin: Origin) -> World:
    return World(tmp_path, weed, bucket, s3_client, origin)


async def test_what_left_is_planned_and_deleted_once(world: World) -> None:
    kept = world.entry("kept")
    world.write(kept, world.entry("left"))
    assert await world.sync() == set()
    world.write(kept)
    (planned,) = await world.plan()
    assert planned["destination"] == f"s3://{world.bucket}/left"
    assert planned["why"] == f"it left {world.file}"
    assert world.keys == {"kept", "left"}
    done = await mirrord("plan", str(world.file), "--exit-code", home=world.home)
    assert (done.code, "1 to delete" in done.out) == (3, True), done.output
    assert await world.sync("--only", "*") == set()
    done = await sync(world.home, world.file)
    assert [one["key"] for one in events(done, "item.pruned")] == ["left"]
    assert "1 deleted" in done.out
    assert world.keys == {"kept"}
    assert await world.sync() == set()
    assert await world.plan() == []
    world.write(kept, world.entry("left"))
    assert await world.sync() == set()
    assert world.keys == {"kept", "left"}


async def test_a_file_that_says_nothing_leaves_nothing(world: World) -> None:
    world.write(world.entry("kept"))
    other = world.write(world.entry("other"), name="other.yaml")
    assert (await mirrord("sync", str(world.home), home=world.home)).code == 0
    for text in ("", "# nothing\n", "mirrors: []\n", "mirrors: [{url: 1\n", "mirrors: [{}]\n", None):
        if text is None:
            other.unlink()
        else:
            other.write_text(text)
        done = await mirrord("sync", str(world.home), home=world.home)
        assert world.keys == {"kept", "other"}, (text, done.output)
    assert await world.sync() == set()  # other.yaml is not among PATH
    assert world.keys == {"kept", "other"}


async def test_the_prune_of_the_last_version_that_held_an_item_counts(world: World) -> None:
    kept = world.entry("kept", prune=False)
    world.write(kept, world.entry("unasked", prune=False), world.entry("asked"))
    assert await world.sync() == set()
    world.write({**kept, "prune": True})
    assert await world.sync() == {"asked"}
    assert world.keys == {"kept", "unasked"}
    matrix = {**world.entry("m1"), "url": world.origin.url("/m{n}"), "to": f"s3://{world.bucket}/m{{n}}"}
    world.origin.publish("/m2", b"m2")
    world.write(kept, {**matrix, "matrix": {"n": ["1", "2"]}})
    assert await world.sync() == set()
    world.write(kept, {**matrix, "matrix": {"n": ["1"]}, "prune": False})
    assert await world.sync() == {"m2"}
    assert world.keys == {"kept", "unasked", "m1"}


async def test_a_renamed_or_moved_entry_deletes_nothing(world: World) -> None:
    kept, moved = world.entry("kept"), world.entry("moved")
    world.write(kept, moved)
    await world.sync()
    world.write(kept, {**moved, "name": "other"})
    assert await world.sync() == set()
    world.write(kept)
    world.write({**moved, "name": "other"}, name="other.yaml")
    done = await mirrord("sync", str(world.home), "--log-format", "json", home=world.home)
    assert (done.code, events(done, "item.pruned")) == (0, [])
    world.write(world.entry("third"), name="other.yaml")
    done = await mirrord("sync", str(world.home), "--log-format", "json", home=world.home)
    assert [one["key"] for one in events(done, "item.pruned")] == ["moved"]
    world.write({**kept, "to": f"s3://{world.bucket}/new"})
    assert await world.sync() == {"kept"}
    assert world.keys == {"new", "third"}


async def test_objects_of_others_stay(world: World) -> None:
    """Replaced since, or written by another program before."""
    kept = world.entry("kept")
    world.s3_client.put_object(Bucket=world.bucket, Key="theirs", Body=b"theirs")
    world.write(kept, world.entry("replaced"), world.entry("theirs", overwrite="never"))
    await sync(world.home, world.file)  # theirs is Blocked
    world.s3_client.put_object(Bucket=world.bucket, Key="replaced", Body=b"replaced")
    world.write(kept)
    done = await sync(world.home, world.file)
    assert events(done, "item.pruned") == []
    assert "was written by someone else: it stays" in done.err
    assert world.keys == {"kept", "replaced", "theirs"}
    assert await world.plan() == []


async def test_a_list_prunes_when_it_is_whole_and_within_the_guard(world: World) -> None:
    names = [f"n{number}" for number in range(20)]
    world.rows(*names)
    world.write(world.list_entry())
    assert await world.sync() == set()
    world.rows(*names[2:], more="ftp://h/bad\n")
    assert await world.sync(code=1) == set()
    (world.home / "urls.txt").write_text("")
    assert await world.sync(code=1) == set()
    world.rows(*names[2:])
    assert await world.sync() == {"n0", "n1"}
    world.rows(*names[14:])
    done = await sync(world.home, world.file)
    assert done.code == 1
    assert "12 of 18 objects would be deleted" in done.out
    assert events(done, "item.blocked")[0]["reason"] == "PruneGuard"
    status = await mirrord("status", "--config", str(world.file), home=world.home)
    assert "PruneGuard" in status.out
    world.write(world.list_entry(prune={"max": "50%"}))
    assert await world.sync(code=1) == set()
    world.write(world.list_entry(suspend=True))
    assert await world.sync("--prune-max", "100%") == set()
    world.write(world.list_entry(prune={"max": "70%"}))
    assert await world.sync() == set(names[2:14])
    assert world.keys == set(names[14:])


async def test_the_guard_can_be_allowed_once_or_called_off(world: World) -> None:
    names = [f"n{number}" for number in range(12)]
    kept, mine = world.entry("kept"), world.list_entry()
    world.rows(*names)
    world.write(kept, mine)
    await world.sync()
    world.write(kept)
    assert await world.sync(code=1) == set()
    assert await world.sync("--prune-max", "100%") == set(names)
    world.write(kept, mine)
    await world.sync()
    world.rows(names[0])
    assert await world.sync(code=1) == set()
    world.write(kept, {**mine, "prune": False})
    assert await world.sync() == set()
    world.write(kept, mine)
    assert await world.sync("--prune-max", "100%") == set()
    assert world.keys == {"kept", *names}


async def test_another_endpoint_deletes_nothing_at_the_old_one(world: World) -> None:
    kept = world.entry("kept")
    world.write(kept, world.entry("left"))
    await world.sync()
    world.write(kept)
    text = world.file.read_text()
    world.file.write_text(text.replace("127.0.0.1", "localhost"))
    await sync(world.home, world.file)
    assert world.keys == {"kept", "left"}
    async with SqliteJournal(world.home / "state" / "mirrord" / "state.db", read_only=True) as journal:
        assert [one async for one, holder in journal.held() if holder.entry.endswith("left")] == []


async def test_an_entry_that_goes_to_another_endpoint_of_its_store_keeps_its_object(world: World) -> None:
    kept = world.entry("kept")
    world.write(kept, world.entry("left"))
    await world.sync()
    stores = world.file.read_text().partition("mirrors:")[0]
    section = stores.removeprefix("stores:\n")
    public = section.replace("default:", "public:").replace("127.0.0.1", "localhost")
    mirrors = json.dumps([{**kept, "store": "public"}])
    world.file.write_text(f"{stores}{public}mirrors: {mirrors}\n")
    assert [one["destination"] for one in await world.plan()] == [f"s3://{world.bucket}/left"]
    assert await world.sync() == {"left"}
    assert world.keys == {"kept"}


async def test_a_store_that_moved_loses_nothing_at_its_former_endpoint_under_a_new_name(world: World) -> None:
    """As in a migration: `old` is declared as the source of the new store."""
    kept = world.entry("kept")
    world.write(kept, world.entry("left"))
    await world.sync()
    section = world.file.read_text().partition("mirrors:")[0].removeprefix("stores:\n")
    moved = section.replace("127.0.0.1", "localhost") + section.replace("default:", "old:")
    mirrors = json.dumps([{**kept, "to": f"s3://{world.bucket}/new", "store": "default"}])
    world.file.write_text(f"stores:\n{moved}mirrors: {mirrors}\n")
    assert await world.plan() == []
    assert await world.sync() == set()
    assert world.keys == {"kept", "left", "new"}


async def test_nothing_leaves_by_a_list_that_is_being_written(world: World) -> None:
    names = [f"n{number}" for number in range(5)]
    world.rows(*names)
    world.write(world.list_entry())
    await world.sync()

    async def write_on() -> None:
        await asyncio.sleep(1.0)
        world.rows(*names)

    world.rows(*names[:2], ended=False)
    await asyncio.gather(sync(world.home, world.file), write_on())
    assert world.keys == set(names)
