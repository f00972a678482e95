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
from tests.support.command import mirrord as command
from tests.support.daemon import Daemon, running, scanned, store_section
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
    "a link": Case(
        [folder("a", follow_symlinks=True, **BY_NAME)],
        ["a/p/x", "a/q -> p", "a/y"],
        {"in/x": "a/p/x", "in/y": "a/y"},
        [],
    ),
    "overlapping": Case(
        [folder("a"), folder("a/sub", "in/sub/")], ["a/sub/x", "a/y"], {"in/sub/x": "a/sub/x", "in/y": "a/y"}, []
    ),
    "overlapping, other options": Case(
        [folder("a"), folder("a/sub", "in/sub/", object={"cache_control": "no-store"})],
        ["a/sub/x"],
        {"in/sub/x": "a/sub/x"},
        ["a/sub/x"],
    ),
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
        for one in self.case.folders:
            (self.home / one["path"]).mkdir(parents=True, exist_ok=True)
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
            mirrors.append({"list": "rows.tsv", "to": f"s3://{self.bucket}/", "name": "m", "prune": True})
        section = store_section(self.proxy.server).replace("provider: seaweedfs", f"provider: {self.case.provider}")
        assert f"provider: {self.case.provider}" in section
        self.file.write_text(f"{section}mirrors: {json.dumps(mirrors)}\nfolders: {json.dumps(folders)}\n")

    def touch(self, name: str) -> None:
        name, _, target = name.partition(" -> ")
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if target:
            path.symlink_to(target)
            return
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

    async def shown(self, daemon: Daemon) -> list[str]:
        """The messages of a daemon's conflicts."""
        folders = (await daemon.api("status"))["folders"]
        waits = [wait for one in folders for wait in one["waits"] if wait["kind"] == "conflict"]
        assert all(wait["count"] == len(wait["examples"]) for wait in waits)
        return sorted(message for wait in waits for message in wait["examples"])

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
    assert planned.failed == bool(case.lost)
    for number in range(3):
        report = await world.sync()
        assert world.stored() == dict(case.wins)
        assert world.lost(report.left) == sorted(case.lost)
        assert report.failed == bool(case.lost)
        assert world.writes == (0 if number else len(case.wins)), world.proxy.counts
        events = [one for one in world.events if isinstance(one, ItemBlocked)]
        assert len(events) == len(case.lost)
    planned = await world.plan()
    assert world.lost(planned.left) == sorted(case.lost)
    assert not planned.copies


@pytest.mark.parametrize(
    "world",
    ["one folder", "two folders", "by date", "mirror", "list", "unicode", "a link", "overlapping", "no marker"],
    indirect=True,
)
@pytest.mark.parametrize("first", ["sync", "run"])
async def test_run_and_sync_agree(world: World, first: str) -> None:
    """On the same state directory, and none of them writes what the other one has written."""
    if first == "sync":
        await world.sync()
        assert world.stored() == dict(world.case.wins)
    shown: list[str] = []
    for _ in range(2):
        world.proxy.clear()
        async with running(world.home, str(world.file)) as daemon:
            await scanned(daemon, 3 * len(world.case.folders))
            shown, stored = await world.shown(daemon), world.stored()
            assert await daemon.stop() == 0
    assert world.writes == 0
    for left in ((await world.sync()).left, (await world.plan()).left):
        conflicts = [one for one in left if one.outcome.reason is Reason.CONFLICT]
        assert sorted(one.outcome.message for one in conflicts) == shown
        assert (world.writes, world.stored()) == (0, stored)
        if first == "sync" or len(world.case.folders) == 1:
            assert (world.lost(left), stored) == (sorted(world.case.lost), dict(world.case.wins))


# ── what changes between two passes ───────────────────────────────────────────────────────────────
@pytest.fixture
def empty(tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, origin: Origin) -> World:
    return World(tmp_path, store_proxy, bucket, s3_client, origin, Case([], [], {}, []))


async def passes(world: World, case: Case) -> None:
    """One pass over these folders and files: what it stores and what it leaves."""
    world.case = case
    world.write()
    planned, report = await world.plan(), await world.sync()
    assert (world.stored(), world.lost(report.left)) == (dict(case.wins), sorted(case.lost))
    assert world.lost(planned.left) == sorted(case.lost)
    assert len(report.left) == len(planned.left) == len(case.lost)
    assert report.failed == bool(case.lost)


async def test_a_file_in_conflict_is_copied_once_its_rival_is_gone(empty: World) -> None:
    folders = [folder("a", **BY_NAME)]
    await passes(empty, Case(folders, ["a/p/x", "a/q/x"], {"in/x": "a/p/x"}, ["a/q/x"]))
    (empty.home / "a/p/x").unlink()
    await passes(empty, Case(folders, [], {"in/x": "a/q/x"}, []))
    await passes(empty, Case(folders, ["a/p/x"], {"in/x": "a/p/x"}, ["a/q/x"]))  # it was recorded, and is not the first
    await passes(empty, Case(folders, [], {"in/x": "a/p/x"}, ["a/q/x"]))
    assert empty.writes == 0


async def test_a_moved_file_is_no_conflict(empty: World) -> None:
    folders = [folder("a", **BY_NAME), folder("b", **BY_NAME)]
    await passes(empty, Case(folders, ["a/p/x"], {"in/x": "a/p/x"}, []))
    for before, after in (("a/p/x", "a/o"), ("a/o/x", "b")):
        (empty.home / after).mkdir(exist_ok=True)
        (empty.home / before).rename(empty.home / after / "x")
        await passes(empty, Case(folders, [], {"in/x": "a/p/x"}, []))


async def test_of_two_folders_the_recorded_one_has_precedence_while_its_file_exists(empty: World) -> None:
    folders = [folder("a"), folder("b")]
    await passes(empty, Case(folders, ["b/x"], {"in/x": "b/x"}, []))
    await passes(empty, Case(folders, ["a/x"], {"in/x": "b/x"}, ["a/x"]))
    (empty.home / "b/x").unlink()
    await passes(empty, Case(folders, [], {"in/x": "a/x"}, []))


async def test_no_object_is_deleted_that_another_file_claims(empty: World) -> None:
    folders = [folder("a", delete="mirror", key="{stem}"), folder("b", delete="mirror")]
    await passes(empty, Case(folders, ["a/x.1", "b/x", "b/y"], {"in/x": "a/x.1", "in/y": "b/y"}, ["b/x"]))
    (empty.home / "a/x.1").unlink()
    (empty.home / "b/y").unlink()
    (empty.home / "a/z").touch()  # an empty folder deletes nothing
    await passes(empty, Case(folders, ["a/z"], {"in/x": "b/x", "in/z": "a/z"}, []))
    assert empty.proxy.counts["DeleteObject"] == 1


@pytest.mark.parametrize("after", ["delete", {"move": "../done"}])
async def test_files_that_are_taken_away_follow_each_other(empty: World, after: Any) -> None:
    folders = [folder("a", after_upload=after, **BY_NAME)]
    await passes(empty, Case(folders, ["a/p/x", "a/q/x"], {"in/x": "a/p/x"}, ["a/q/x"]))
    assert not (empty.home / "a/p/x").exists()
    await passes(empty, Case(folders, [], {"in/x": "a/q/x"}, []))
    assert not (empty.home / "a/q/x").exists()


async def test_a_file_gets_its_object_when_the_mirror_leaves(empty: World) -> None:
    """So many others are beside it that a listing shows which ones are unchanged."""
    folders, names = [folder("a")], [f"{number:02}" for number in range(40)]
    others = {f"in/{name}": f"a/{name}" for name in names}
    files = ["a/x", *others.values()]
    await passes(empty, Case(folders, files, {"in/x": "origin"} | others, ["a/x"], mirror="in/x"))
    await passes(empty, Case(folders, [], {"in/x": "a/x"} | others, []))
    await passes(empty, Case(folders, [], {"in/x": "origin"} | others, ["a/x"], mirror="in/x"))


async def test_files_that_were_moved_and_are_in_conflict_now_are_not_gone(empty: World) -> None:
    folders, names = [folder("a"), folder("b", delete="mirror", **BY_NAME)], [f"{number:02}" for number in range(12)]
    (empty.home / "b/p").mkdir(parents=True)
    mine = {f"in/{name}": f"b/p/{name}" for name in names}
    await passes(empty, Case(folders, list(mine.values()), mine, []))
    (empty.home / "b/p").rename(empty.home / "b/q")
    others = {f"in/{name}": f"a/{name}" for name in names}
    await passes(empty, Case(folders, list(others.values()), others, [f"b/q/{name}" for name in names]))


async def test_what_only_does_not_select_has_its_claim(empty: World) -> None:
    empty.case = Case([folder("a"), folder("b")], ["a/x", "b/x", "b/y"], {"in/y": "b/y"}, ["b/x"], mirror="in/z")
    empty.write()
    report = await empty.sync(only=["b"])
    assert (empty.stored(), empty.lost(report.left)) == ({"in/y": "b/y"}, ["b/x"])
    report = await empty.sync(only=["in/y"])
    assert not report.left


async def test_many_files_with_few_keys(empty: World) -> None:
    """More than one batch; the first by name is found among the last."""
    files = [f"a/{number:03}/{number % 7}" for number in range(600)]
    wins = {f"in/{number}": f"a/{number:03}/{number}" for number in range(7)}
    lost = sorted({*files} - {*wins.values()})
    for _ in range(2):
        await passes(empty, Case([folder("a", settle="50ms", **BY_NAME)], files, wins, lost))


async def test_commands_say_it(empty: World) -> None:
    empty.case = CASES["unicode"]
    empty.write()
    planned = await command("plan", str(empty.file), home=empty.home)
    report = empty.home / "report.json"
    done = await command("sync", str(empty.file), "--report", str(report), home=empty.home)
    for output in (planned.output, done.output):
        assert f"{COMPOSED} (Unicode form NFC) and {DECOMPOSED} (Unicode form NFD) have one object" in output
    assert (planned.code, done.code) == (1, 1)
    shown = json.loads(report.read_text())
    assert shown["states"] == {"Blocked": 1}
    assert sorted((one["state"], one["reason"] or "") for one in shown["items"]) == [
        ("Blocked", "Conflict"),
        ("Synced", ""),
    ]
    status = json.loads((await command("status", "--config", str(empty.file), "--json", home=empty.home)).out)
    assert status["totals"] == {"Synced": 1}
