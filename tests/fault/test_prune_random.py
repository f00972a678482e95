"""Random edits of two manifests with `prune`, writes of other programs and kills, with a model: nothing that mirrord
does not own, and nothing that no version asked to delete, is ever deleted; what was asked for is.

MIRRORD_SOAK=1 makes more steps; MIRRORD_SEED=n repeats one seed.
"""

import json
import os
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.killing import HeldCalls, kill_at
from tests.support.measuring import SOAK
from tests.support.origin import Origin
from tests.support.proxy import StoreProxy
from tests.support.syncing import events, manifest, sync

SEED = int(os.environ.get("MIRRORD_SEED", "20261129"))
STEPS = 150 if SOAK else 8
KEYS = [f"k{number}" for number in range(9)]
FILES = ("a.yaml", "b.yaml")


@dataclass
class Model:
    """What the last complete pass had: by key whether it had `prune`, and its file; the objects of other programs."""

    held: dict[str, tuple[bool, str]] = field(default_factory=dict)
    theirs: dict[str, bytes] = field(default_factory=dict)
    owed: set[str] = field(default_factory=set)
    """Keys that left with `prune`, and are to be deleted by the next pass that ends."""


class World:
    def __init__(self, home: Path, bucket: str, s3_client: Any, origin: Origin, proxy: StoreProxy) -> None:
        self.random, self.model = random.Random(SEED), Model()
        self.bucket, self.s3_client, self.origin, self.proxy = bucket, s3_client, origin, proxy
        self.home, self.manifests = home, home / "manifests"
        self.manifests.mkdir()
        manifest(self.manifests, proxy.server, "", name="stores.yaml")
        self.files: dict[str, dict[str, bool]] = {}

    def edit(self) -> None:
        """Each key is in one of the files, with or without `prune`, or in none."""
        self.files = {name: {} for name in FILES}
        for key in self.random.sample(KEYS, self.random.randint(3, len(KEYS))):
            self.files[self.random.choice(FILES)][key] = self.random.random() < 0.7
        for name, keys in self.files.items():
            entries = [
                {"url": self.origin.publish(f"/{key}", key.encode()), "to": self._to(key), "prune": prune}
                for key, prune in keys.items()
            ]
            (self.manifests / name).write_text(f"mirrors: {json.dumps(entries)}\n")

    def break_one(self) -> None:
        name = self.random.choice(FILES)
        self.files[name] = {}
        text = self.random.choice(["", "mirrors: []\n", "mirrors: [{url: \n", None])
        if text is None:
            (self.manifests / name).unlink()
        else:
            (self.manifests / name).write_text(text)

    def write_theirs(self) -> None:
        """Another program writes objects, of any key that no manifest has now."""
        free = [key for key in KEYS if not any(key in keys for keys in self.files.values())]
        for key in self.random.sample(free, min(2, len(free))):
            self.model.theirs[key] = f"theirs {self.random.random()}".encode()
            self.s3_client.put_object(Bucket=self.bucket, Key=key, Body=self.model.theirs[key])

    def _to(self, key: str) -> str:
        return f"s3://{self.bucket}/{key}"

    @property
    def objects(self) -> dict[str, bytes]:
        found = self.s3_client.list_objects_v2(Bucket=self.bucket).get("Contents", [])
        return {
            one["Key"]: self.s3_client.get_object(Bucket=self.bucket, Key=one["Key"])["Body"].read() for one in found
        }

    def review(self) -> set[str]:
        """What this pass may delete, by the rules."""
        desired = {key: (prune, name) for name, keys in self.files.items() for key, prune in keys.items()}
        for key, (prune, name) in list(self.model.held.items()):
            if key not in desired and self.files.get(name):  # its own file says so
                del self.model.held[key]
                if prune:
                    self.model.owed.add(key)
        self.model.owed -= desired.keys()
        self.model.held |= desired
        for key in desired:
            self.model.theirs.pop(key, None)
        return set(self.model.owed)


async def test_nothing_that_is_not_owned_is_deleted(
    tmp_path: Path, bucket: str, s3_client: Any, origin: Origin, store_proxy: StoreProxy
) -> None:
    world = World(tmp_path, bucket, s3_client, origin, store_proxy)
    pruned, killed = set[str](), 0
    for step in range(STEPS):
        world.edit()
        if step % 4 == 3:
            world.break_one()
        if step % 3 == 2:
            world.write_theirs()
        before, allowed = world.objects, world.review()
        if step % 2:
            held = HeldCalls("DeleteObject", answered=world.random.random() < 0.5)
            killed += await kill_at(held, store_proxy, tmp_path, world.manifests)
        done = await sync(tmp_path, world.manifests)
        now = world.objects
        pruned |= {one["key"] for one in events(done, "item.pruned")}
        gone = before.keys() - now.keys()
        assert gone <= allowed, (SEED, step, gone, done.output)
        for key, content in world.model.theirs.items():
            assert now[key] == content, (SEED, step, key)
        assert not (allowed & now.keys()) - world.model.theirs.keys(), (SEED, step, done.output)
        world.model.owed.clear()
        desired = {key for keys in world.files.values() for key in keys}
        assert desired <= now.keys(), (SEED, step, done.output)
    store_proxy.clear()
    await sync(tmp_path, world.manifests)
    assert store_proxy.writes == 0
    assert store_proxy.counts["DeleteObject"] == 0
    assert pruned
    assert killed
