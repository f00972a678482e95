"""`sync --report FILE`: each item of the pass, also when it fails, is interrupted, or has nothing to do."""

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import environment, mirrord, start
from tests.support.origin import Origin, stalls_after
from tests.support.syncing import manifest, sync
from tests.support.weed import Server

FIELDS = {
    "id",
    "entry",
    "source",
    "store",
    "destination",
    "action",
    "state",
    "reason",
    "message",
    "bytes",
    "size",
    "checksum",
    "integrity",
}


class World:
    """A manifest with mirrors, a list and a folder, and the report of its passes."""

    def __init__(self, home: Path, server: Server, bucket: str, origin: Origin) -> None:
        self.home, self.server, self.bucket, self.origin = home, server, bucket, origin
        self.report = home / "report.json"
        self._published: set[str] = set()
        (home / "in").mkdir()

    def write(self, *keys: str, rows: str = "", **options: Any) -> Path:
        entries: list[dict[str, Any]] = [
            {"url": self._url(key), "to": f"s3://{self.bucket}/{key}", "prune": True} for key in keys
        ]
        (self.home / "urls.txt").write_text("".join(f"{self._url(row)}\n" for row in rows))
        entries.append({"list": "urls.txt", "to": f"s3://{self.bucket}/", "name": "mine", **options})
        folder = {"path": "in", "to": f"s3://{self.bucket}/in/", "settle": "0s", "delete": "mirror"}
        return manifest(self.home, self.server, f"mirrors: {json.dumps(entries)}\nfolders: {json.dumps([folder])}\n")

    def _url(self, key: str) -> str:
        if key not in self._published:
            self._published.add(key)
            self.origin.publish(f"/{key}", key.encode())
        return self.origin.url(f"/{key}")

    def read(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.report.read_text())
        assert all(one.keys() == FIELDS for one in found["items"])
        return found

    def actions(self) -> dict[str, str]:
        items = self.read()["items"]
        shown = {one["destination"].removeprefix(f"s3://{self.bucket}/"): one["action"] for one in items}
        assert len(shown) == len(items)
        return shown


@pytest.fixture
def world(tmp_path: Path, weed: Server, bucket: str, origin: Origin) -> World:
    return World(tmp_path, weed, bucket, origin)


async def test_each_item_is_in_the_report_with_what_happened(world: World) -> None:
    for name in ("f1", "f2"):
        (world.home / "in" / name).write_bytes(b"file")
    file = world.write("a", "b", rows="xy")
    done = await sync(world.home, file, "--report", str(world.report))
    assert done.code == 0, done.output
    assert world.actions() == dict.fromkeys(("a", "b", "x", "y", "in/f1", "in/f2"), "copied")
    found = world.read()
    assert (found["version"], found["complete"], found["error"], found["copied"]) == (1, True, None, 6)
    (a,) = (one for one in found["items"] if one["entry"].endswith("/a"))
    assert (a["state"], a["reason"], a["bytes"], a["size"]) == ("Synced", None, 1, 1)
    assert a["checksum"].startswith("crc64nvme:")
    (world.home / "in" / "f2").unlink()
    file = world.write("a", "new", rows="xy")
    world.origin.publish("/x", b"changed")
    done = await sync(world.home, file, "--report", str(world.report))
    assert world.actions() == {
        "a": "unchanged",
        "b": "deleted",
        "new": "copied",
        "x": "copied",
        "y": "unchanged",
        "in/f1": "unchanged",
        "in/f2": "deleted",
    }
    (same,) = (one for one in world.read()["items"] if one["entry"].endswith("/a"))
    assert (same["bytes"], same["checksum"]) == (0, a["checksum"])
    assert not [name for name in os.listdir(world.home) if name.endswith(".tmp")]


async def test_suspended_blocked_and_guarded_items_are_in_it(world: World) -> None:
    names = [f"f{number}" for number in range(13)]
    for name in names:
        (world.home / "in" / name).write_bytes(b"file")
    await sync(world.home, world.write("a", rows="xy", suspend=True))
    for name in names[1:]:
        (world.home / "in" / name).unlink()
    file = world.write("a", "nowhere", rows="xy", suspend=True)
    text = file.read_text().replace(f"{world.origin.url('')}/nowhere", f"{world.origin.url('')}/gone")
    file.write_text(text)
    done = await sync(world.home, file, "--report", str(world.report))
    assert done.code == 1
    actions = world.actions()
    assert {key: actions[key] for key in ("a", "nowhere", "in/f0")} == {
        "a": "unchanged",
        "nowhere": "blocked",
        "in/f0": "unchanged",
    }
    reasons = {one["destination"].rpartition("/")[2]: one["reason"] for one in world.read()["items"]}
    assert [reasons[name] for name in names[1:]] == ["PruneGuard"] * 12
    assert world.read()["states"] == {"Blocked": 13, "Suspended": 2}
    assert "13 Blocked" in done.out
    planned = await mirrord("plan", str(file), home=world.home)
    assert "13 Blocked" in planned.out


async def test_standard_output_has_the_report_alone(world: World) -> None:
    done = await sync(world.home, world.write("a"), "--report", "-")
    assert [one["action"] for one in json.loads(done.out)["items"]] == ["copied"]
    assert "1 copied" in done.err


async def test_a_file_that_cannot_be_written_is_an_error_before_the_pass(world: World) -> None:
    file = world.write("a")
    for path in (world.home / "in", world.home / "nowhere" / "report.json"):
        done = await sync(world.home, file, "--report", str(path))
        assert (done.code, "--report" in done.err) == (2, True), done.output
    assert not world.origin.asked("/a")
    done = await sync(world.home, file, "--report", "/dev/full")
    assert (done.code, "the report could not be written: No space left on device" in done.err) == (1, True), done.output
    assert world.origin.asked("/a")


async def test_a_pass_that_does_not_end_says_what_happened_so_far(world: World) -> None:
    file = world.write("a")
    await sync(world.home, file)
    slow = {"url": world.origin.publish("/slow", b"x" * 1000), "to": f"s3://{world.bucket}/slow"}
    text = file.read_text()
    file.write_text(text.replace("mirrors: [", f"mirrors: [{json.dumps(slow)}, "))
    world.origin.behave("/slow", stalls_after(10))
    arguments = ["sync", str(file), "--report", str(world.report), "--log-format", "json"]
    process = await start(arguments, environment(world.home), cwd=world.home)
    async with asyncio.timeout(60):
        while not world.origin.asked("/slow"):  # noqa: ASYNC110 - the origin is in another thread
            await asyncio.sleep(0.05)
    await asyncio.sleep(1)
    process.send_signal(signal.SIGINT)
    await process.communicate()
    found = world.read()
    assert (found["complete"], found["error"]) == (False, "interrupted")
    assert [one["action"] for one in found["items"]] == ["unchanged"]


async def test_an_invalid_manifest_is_said_in_the_report(world: World) -> None:
    file = world.write("a")
    (world.home / "bad").mkdir()
    bad = world.home / "bad" / "bad.yaml"
    bad.write_text("mirrors: [{}]\n")
    done = await mirrord("sync", str(file), str(bad), "--report", str(world.report), home=world.home)
    assert done.code == 78
    found = world.read()
    assert (found["complete"], len(found["items"]), bool(found["problems"])) == (True, 1, True)
