"""Two sources with one object, one of them a file of a folder: `sync`, `plan` and `run` name the same one as Blocked
(Conflict), and nothing is written over the object of the other. With a real store."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unicodedata import normalize

import pytest

import mirrord
from mirrord.errors import Reason
from mirrord.events import ItemBlocked
from tests.support.daemon import store_section
from tests.support.origin import Origin
from tests.support.proxy import StoreProxy

COMPOSED, DECOMPOSED = (normalize(form, "é.txt") for form in ("NFC", "NFD"))
assert COMPOSED != DECOMPOSED
WRITES = ("PutObject", "CopyObject", "CreateMultipartUpload", "DeleteObject")


def folder(path: str, to: str = "in/", **fields: Any) -> dict[str, Any]:
    return {"path": path, "to": to, "name": path, "settle": "0s", "rescan": "300ms"} | fields


@dataclass
class Case:
    """Files by their paths, and the source of each object that is written. All other files are in conflict."""

    folders: Sequence[dict[str, Any]]
    files: Sequence[str]
    wins: Mapping[str, str]
    """The file by key; `origin`: the mirror or the row of the list."""
    lost: Sequence[str]
    mirror: str = ""
    """The key of a mirror."""
    row: str = ""
    """The key of a row of a list."""
    provider: str = "seaweedfs"


BY_NAME = {"key": "{name}"}
CASES = {
    "one folder": Case(
        [folder("a", **BY_NAME)], ["a/p/x", "a/q/x", "a/q/y"], {"in/x": "a/p/x", "in/y": "a/q/y"}, ["a/q/x"]
    ),
    "one folder, the stem": Case([folder("a", key="{stem}")], ["a/x.1", "a/x.0"], {"in/x": "a/x.0"}, ["a/x.1"]),
    "settling": Case(
        [folder("a", **BY_NAME, settle="100ms")], ["a/p/x", "a/q/x", "a/r/x"], {"in/x": "a/p/x"}, ["a/q/x", "a/r/x"]
    ),
    "two folders": Case([folder("a"), folder("b")], ["b/x", "a/x", "b/y"], {"in/x": "a/x", "in/y": "b/y"}, ["b/x"]),
    "inside the target": Case(
        [folder("a"), folder("b", "in/sub/")],
        ["b/x", "a/sub/x", "a/x"],
        {"in/x": "a/x", "in/sub/x": "a/sub/x"},
        ["b/x"],
    ),
    "by date": Case(
        [folder("a", key="{date:%Y}/{name}"), folder("b", "in/2020/")],
        ["a/p/x", "a/q/x", "b/x", "b/y"],
        {"in/2020/x": "a/p/x", "in/2020/y": "b/y"},
        ["a/q/x", "b/x"],
    ),
    "mirror": Case([folder("a")], ["a/x", "a/y"], {"in/x": "origin", "in/y": "a/y"}, ["a/x"], mirror="in/x"),
    "list": Case([folder("a")], ["a/x", "a/y"], {"in/x": "origin", "in/y": "a/y"}, ["a/x"], row="in/x"),
    "unicode": Case(
        [folder("a")],
        [f"a/{COMPOSED}", f"a/{DECOMPOSED}"],
        {f"in/{COMPOSED}": f"a/{DECOMPOSED}"},
        [f"a/{COMPOSED}"],
        provider="r2",
    ),
    "unicode, settling": Case(
        [folder("a", settle="100ms")],
        [f"a/{COMPOSED}", f"a/{DECOMPOSED}", "a/e"],
        {f"in/{COMPOSED}": f"a/{DECOMPOSED}", "in/e": "a/e"},
        [f"a/{COMPOSED}"],
        provider="r2",
    ),
    "backslash": Case([folder("a")], ["a/p/x", "a/p\\x"], {"in/p/x": "a/p/x"}, ["a/p\\x"]),
    "backslash, settling": Case([folder("a", settle="100ms")], ["a/p/x", "a/p\\x"], {"in/p/x": "a/p/x"}, ["a/p\\x"]),
    "suspended": Case([folder("a", suspend=True), folder("b")], ["a/x", "b/x", "b/y"], {"in/y": "b/y"}, ["b/x"]),
    "no marker": Case([folder("a", ready="*.done", **BY_NAME)], ["a/p/x", "a/q/x", "a/q/x.done"], {}, ["a/q/x"]),
}


@dataclass
class World:
    home: Path
    proxy: StoreProxy
    bucket: str
    s3: Any
    origin: Origin
    case: Case
    events: list[Any] = field(default_factory=list)

    @property
    def file(self) -> Path:
        return self.home / "m.yaml"

    def write(self) -> None:
        for name in self.case.files:
            self.touch(name)
        self.write_manifest()

    def write_manifest(self) -> None:
        folders = [one | {"to": f"s3://{self.bucket}/{one['to']}"} for one in self.case.folders]
        mirrors: list[dict[str, Any]] = []
        if self.case.mirror or self.case.row:
            self.origin.publish("/origin", b"origin")
        if self.case.mirror:
            mirrors.append(
                {"url": self.origin.url("/origin"), "to": f"s3://{self.bucket}/{self.case.mirror}", "name": "m"}
            )
        if self.case.row:
            (self.home / "rows.tsv").write_text(f"url\tkey\n{self.origin.url('/origin')}\t{self.case.row}\n")
            mirrors.append({"list": "rows.tsv", "to": f"s3://{self.bucket}/", "name": "m"})
        section = store_section(self.proxy.server).replace("provider: seaweedfs", f"provider: {self.case.provider}")
        assert f"provider: {self.case.provider}" in section
        self.file.write_text(f"{section}mirrors: {json.dumps(mirrors)}\nfolders: {json.dumps(folders)}\n")

    def touch(self, name: str) -> None:
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
        os.utime(path, (1_600_000_000, 1_600_000_000))

    @property
    def given(self) -> dict[str, Any]:
        return {"state": str(self.home / "state" / "mirrord"), "environ": {}}

    async def sync(self, **more: Any) -> Any:
        self.events.clear()
        self.proxy.clear()
        return await mirrord.sync([str(self.file)], observer=self.events.append, **self.given, **more)

    async def plan(self, **more: Any) -> Any:
        return await mirrord.plan([str(self.file)], **self.given, **more)

    def stored(self) -> dict[str, str]:
        found = self.s3.list_objects_v2(Bucket=self.bucket).get("Contents", ())
        return {
            one["Key"]: self.s3.get_object(Bucket=self.bucket, Key=one["Key"])["Body"].read().decode() for one in found
        }

    def lost(self, left: Sequence[Any]) -> list[str]:
        """The files in conflict."""
        conflicts = [one.item for one in left if one.outcome.reason is Reason.CONFLICT]
        return sorted(os.path.relpath(one.origin.path, self.home) for one in conflicts)

    @property
    def writes(self) -> int:
        return sum(self.proxy.counts[name] for name in WRITES)


@pytest.fixture
def world(tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, origin: Origin, request: Any) -> World:
    world = World(tmp_path, store_proxy, bucket, s3_client, origin, CASES[request.param])
    world.write()
    return world


each = pytest.mark.parametrize("world", CASES, indirect=True)


@each
async def test_sync_and_plan_find_the_conflict_before_anything_is_written(world: World) -> None:
    case = world.case
    planned = await world.plan()
    assert world.lost(planned.left) == sorted(case.lost)
    assert {one.item.destination.key for one in planned.copies} == case.wins.keys()
    assert planned.failed
    for number in range(3):
        report = await world.sync()
        assert world.stored() == dict(case.wins)
        assert world.lost(report.left) == sorted(case.lost)
        assert report.failed
        assert world.writes == (0 if number else len(case.wins)), world.proxy.counts
        events = [one for one in world.events if isinstance(one, ItemBlocked)]
        assert len(events) == len(case.lost)
    planned = await world.plan()
    assert world.lost(planned.left) == sorted(case.lost)
    assert not planned.copies
