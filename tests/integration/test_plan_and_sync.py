"""`plan` predicts the next `sync`: compared with its report, and with the store calls that a proxy counts."""

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import mirrord
from mirrord.programs.plan import Plan
from tests.support.origin import Origin
from tests.support.proxy import StoreProxy
from tests.support.syncing import manifest

LATER = 1_900_000_000


@dataclass
class World:
    """A folder with `delete: mirror` and a mirror with `overwrite: owned`, both in sync at first."""

    root: Path
    file: Path
    state: Path
    proxy: StoreProxy
    bucket: str
    s3: Any
    origin: Origin

    async def plan(self) -> Plan:
        return await mirrord.plan([str(self.file)], state=str(self.state), environ={})

    async def sync(self) -> Any:
        return await mirrord.sync([str(self.file)], state=str(self.state), environ={})

    def replace(self, key: str) -> None:
        """Another program writes the object."""
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=b"a stranger's")


@pytest.fixture
async def world(tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, origin: Origin) -> World:
    root = tmp_path / "inbox"
    root.mkdir()
    for name in "abc":
        (root / name).write_bytes(name.encode() * 5000)
    url = origin.publish("/mine", b"mine")
    file = manifest(
        tmp_path,
        store_proxy.server,
        f"mirrors:\n  {url}: {{to: 's3://{bucket}/mine', overwrite: owned}}\n"
        f"folders:\n  - {{path: {root}, to: 's3://{bucket}/in/', settle: 0s, delete: mirror}}\n",
    )
    world = World(root, file, tmp_path / "state" / "mirrord", store_proxy, bucket, s3_client, origin)
    report = await world.sync()
    assert (report.copied, report.failed) == (4, False)
    return world


def new(world: World) -> None:
    (world.root / "new").write_bytes(b"n" * 7000)


def unchanged(world: World) -> None:
    """No change."""


def touched(world: World) -> None:
    os.utime(world.root / "a", (LATER, LATER))


def changed(world: World) -> None:
    (world.root / "a").write_bytes(b"A" * 6000)


def renamed(world: World) -> None:
    (world.root / "a").rename(world.root / "z")


def renamed_and_its_object_replaced(world: World) -> None:
    world.replace("in/a")
    (world.root / "a").rename(world.root / "z")


def deleted(world: World) -> None:
    (world.root / "a").unlink()


def deleted_and_its_object_replaced(world: World) -> None:
    world.replace("in/a")
    (world.root / "a").unlink()


def replaced_by_another_program(world: World) -> None:
    world.origin.publish("/mine", b"mine, changed")
    world.replace("mine")


def withdrawn(world: World) -> None:
    world.origin.withdraw("/mine")


@pytest.mark.parametrize(
    ("happens", "calls", "blocked"),
    [
        (new, {"PutObject": 1}, []),
        (unchanged, {}, []),
        (touched, {}, []),
        (changed, {"PutObject": 1}, []),
        (renamed, {"CopyObject": 1, "DeleteObject": 1}, []),
        (renamed_and_its_object_replaced, {"PutObject": 1}, []),
        (deleted, {"DeleteObject": 1}, []),
        (deleted_and_its_object_replaced, {}, []),
        (replaced_by_another_program, {}, ["Conflict"]),
        (withdrawn, {}, ["SourceMissing"]),
    ],
)
async def test_sync_does_what_plan_predicts(
    world: World, happens: Callable[[World], None], calls: dict[str, int], blocked: list[str]
) -> None:
    happens(world)
    world.proxy.clear()
    planned = await world.plan()
    assert world.proxy.writes == world.proxy.bytes_sent == 0, "a plan only reads"
    sent = [copy for copy in planned.copies if copy.original is None]
    predicted = {
        "PutObject": len(sent),
        "CopyObject": len(planned.copies) - len(sent),
        "DeleteObject": len(planned.removals),
    }
    assert Counter(predicted) == Counter(calls)

    world.proxy.clear()
    report = await world.sync()
    done = {name: world.proxy.counts[name] for name in predicted}
    if happens is not renamed_and_its_object_replaced:  # `sync` tries a server-side copy first, which the store refuses
        assert (done, world.proxy.writes) == (predicted, sum(predicted.values()))
    assert done["PutObject"] == predicted["PutObject"]
    assert world.proxy.bytes_sent >= sum(copy.size or 0 for copy in sent)
    assert bool(world.proxy.bytes_sent) == bool(sent)
    assert report.copied == len(planned.copies)
    assert report.deleted == len(planned.removals)
    assert {(left.item.id, left.outcome.state, left.outcome.reason) for left in report.left} == {
        (left.item.id, left.outcome.state, left.outcome.reason) for left in planned.left
    }
    assert [left.outcome.reason.value for left in planned.left if left.outcome.reason] == blocked
    again = await world.plan()
    assert (again.changes, again.failed) == (0, bool(blocked))
