"""`after_upload: delete | move` with the real `mirrord run`, `sync` and `plan` and a real store."""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from mirrord.events import Event, TransferCompleted
from mirrord.planning.decisions.file_removal import QUARANTINE, quarantine_name
from mirrord.programs import api
from tests.support.command import mirrord
from tests.support.daemon import TOKEN, Daemon, running, scanned, scans
from tests.support.inbox import files_below, manifest, md5, objects
from tests.support.proxy import StoreProxy
from tests.support.weed import Server

BODY = {"a.csv": b"a", "sub/b.csv": b"b" * 100_000, "sub/deep/c.csv": b"", "x" * 251 + ".csv": b"long"}
SUMS = {name: md5(content) for name, content in BODY.items()}


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    (tmp_path / "inbox").mkdir()
    return tmp_path / "inbox"


def drop(inbox: Path, files: dict[str, bytes] = BODY) -> None:
    for name, content in files.items():
        (inbox / name).parent.mkdir(parents=True, exist_ok=True)
        (inbox / name).write_bytes(content)


def tree(root: Path) -> dict[str, bytes]:
    found = {}
    for path in files_below(root):
        with suppress(FileNotFoundError):  # it has been removed meanwhile
            found[str(path.relative_to(root))] = path.read_bytes()
    return found


def everything(root: Path) -> list[str]:
    return [str(path.relative_to(root)) for path in root.rglob("*")]


def declared(home: Path, server: Server, bucket: str, after: Any, **fields: Any) -> str:
    given = {"settle": "50ms", "rescan": "500ms", "after_upload": after} | fields
    (home / "m.yaml").write_text(manifest(server, home / "inbox", bucket, **given))
    return str(home / "m.yaml")


async def emptied(daemon: Daemon, inbox: Path) -> None:
    await daemon.wait_for(lambda: not files_below(inbox), 60, "an empty inbox")


async def until_message(daemon: Daemon, key: str, message: str) -> None:
    async def says() -> bool:
        return message in (await daemon.items()).get(key, {}).get("message", "")

    await daemon.wait_for(says, 60, f"{key}: {message}")


@pytest.mark.parametrize("after", ["delete", {"move": "done"}])
async def test_run_takes_uploaded_files_away_and_their_items_stay_in_sync(
    tmp_path: Path, weed: Server, bucket: str, s3_client: Any, inbox: Path, after: Any
) -> None:
    drop(inbox)
    file = declared(tmp_path, weed, bucket, after)
    env = {"MIRRORD_API_TOKEN": TOKEN}
    async with running(tmp_path, file, env=env) as daemon:
        await emptied(daemon, inbox)
        message = "uploaded, then deleted" if after == "delete" else f"uploaded, then moved to {tmp_path}/done/a.csv"
        await until_message(daemon, "a.csv", message)
        drop(inbox, {"a.csv": b"another"})
        await emptied(daemon, inbox)
        item = (await daemon.items())["a.csv"]
        status, _ = await daemon.ask(f"/api/v1/items/{item['id']}/sync", "POST", token=TOKEN)
        assert status // 100 == 2
        s3_client.delete_object(Bucket=bucket, Key="sub/b.csv")
        item = (await daemon.items())["sub/b.csv"]
        await daemon.ask(f"/api/v1/items/{item['id']}/sync", "POST", token=TOKEN)
        await until_message(daemon, "sub/b.csv", "the object was deleted, and its file has left")
    listed = objects(s3_client, bucket)
    assert listed == {key: sum_ for key, sum_ in SUMS.items() if key != "sub/b.csv"} | {"a.csv": md5(b"another")}
    if after != "delete":
        assert tree(tmp_path / "done") == {**BODY, "a.1.csv": b"another"}
    async with running(tmp_path, file, env=env) as daemon:
        await daemon.log("folder.rescanned")
        states = await daemon.states()
        assert states == {**dict.fromkeys(BODY, "Synced"), "sub/b.csv": "Blocked"}
        assert not daemon.logged("item.blocked")


async def sync(home: Path, file: str) -> list[Event]:
    """The events of a successful `sync`; in this process, for a fast test."""
    events: list[Event] = []
    report = await api.sync([file], state=str(home / "state"), environ={}, observer=events.append)
    assert not report.failed, report
    return events


async def test_plan_predicts_the_next_sync(
    tmp_path: Path, weed: Server, bucket: str, s3_client: Any, inbox: Path
) -> None:
    drop(inbox, {"a.csv": b"a", "sub/b.csv": b"b"})
    file = declared(tmp_path, weed, bucket, {"move": "done"})
    for _ in range(2):  # plan changes nothing
        planned = await mirrord("plan", file, "--json", "--exit-code", home=tmp_path)
        changes = json.loads(planned.out)["changes"]
        assert planned.code == 3
        assert [(one["action"], one["source"].removeprefix(f"file://{inbox}/")) for one in changes] == [
            ("copy", "a.csv"),
            ("copy", "sub/b.csv"),
            ("move-file", "a.csv"),
            ("move-file", "sub/b.csv"),
        ]
        assert changes[2]["to"] == str(tmp_path / "done")
    assert "2 files to take away" in (await mirrord("plan", file, home=tmp_path)).out
    done = await mirrord("sync", file, home=tmp_path)
    assert done.code == 0, done.output
    assert (tree(inbox), tree(tmp_path / "done")) == ({}, {"a.csv": b"a", "sub/b.csv": b"b"})
    assert objects(s3_client, bucket) == {"a.csv": md5(b"a"), "sub/b.csv": md5(b"b")}
    assert (await mirrord("plan", file, "--exit-code", home=tmp_path)).code == 0
    assert (await mirrord("verify", file, home=tmp_path)).code == 0


async def test_what_was_uploaded_before_leaves_once_its_object_is_found_standing(
    tmp_path: Path, weed: Server, bucket: str, s3_client: Any, inbox: Path
) -> None:
    """Also without a journal: then the bytes are compared, and different ones are sent again first."""
    drop(inbox, {"a": b"a", "b": b"b"})
    await sync(tmp_path, declared(tmp_path, weed, bucket, "keep"))
    assert set(tree(inbox)) == {"a", "b"}
    stamp = s3_client.head_object(Bucket=bucket, Key="a")["Metadata"]
    s3_client.put_object(Bucket=bucket, Key="a", Body=b"x", Metadata=stamp)
    (state,) = (tmp_path / "state").rglob("state.db")
    for path in state.parent.glob("state.db*"):
        path.unlink()
    events = await sync(tmp_path, declared(tmp_path, weed, bucket, "delete"))
    assert tree(inbox) == {}
    assert objects(s3_client, bucket) == {"a": md5(b"a"), "b": md5(b"b")}
    assert [one.item.destination.key for one in events if isinstance(one, TransferCompleted)] == ["a"]


@pytest.mark.parametrize("kept", ["everything", "no journal", "not the content"])
async def test_sync_finishes_quarantined_files_after_a_kill(
    tmp_path: Path, weed: Server, bucket: str, s3_client: Any, inbox: Path, kept: str
) -> None:
    drop(inbox, BODY)
    await sync(tmp_path, declared(tmp_path, weed, bucket, "keep"))
    for name in BODY:
        path = inbox / name
        aside = path.parent / quarantine_name(path.name)
        aside.parent.mkdir(exist_ok=True)
        path.rename(aside)
        if kept == "not the content":
            aside.write_bytes(b"written to meanwhile")
    if kept == "no journal":
        for path in (tmp_path / "state").rglob("state.db*"):
            path.unlink()
    await sync(tmp_path, declared(tmp_path, weed, bucket, "delete"))
    assert tree(inbox) == {}
    assert {path for path in everything(inbox) if QUARANTINE in path} == set()
    expected = dict.fromkeys(SUMS, md5(b"written to meanwhile")) if kept == "not the content" else SUMS
    assert objects(s3_client, bucket) == expected


async def test_hard_links_leave_one_by_one(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, s3_client: Any, inbox: Path
) -> None:
    """The removal of one name changes the ctime of the others: they are removed too."""
    drop(inbox, {"a": b"linked"})
    for name in ("b", "c", ".elsewhere"):
        os.link(inbox / "a", inbox / name)
    file = declared(tmp_path, store_proxy.server, bucket, "delete")
    async with running(tmp_path, file) as daemon:
        await daemon.wait_for(lambda: set(tree(inbox)) == {".elsewhere"}, 60, "the links to leave")
        for name in ("a", "b", "c"):
            await until_message(daemon, name, "uploaded, then deleted")
    assert objects(s3_client, bucket) == dict.fromkeys(("a", "b", "c"), md5(b"linked"))
    assert tree(inbox) == {".elsewhere": b"linked"}


async def test_a_folder_that_keeps_its_files_gets_back_what_was_set_aside(
    tmp_path: Path, weed: Server, bucket: str, s3_client: Any, inbox: Path
) -> None:
    drop(inbox, {quarantine_name("a"): b"a"})
    await sync(tmp_path, declared(tmp_path, weed, bucket, "keep"))
    assert tree(inbox) == {"a": b"a"}
    assert objects(s3_client, bucket) == {"a": md5(b"a")}


async def test_a_store_that_proves_nothing_keeps_the_files_and_the_items_say_so(
    tmp_path: Path, weed: Server, bucket: str, inbox: Path
) -> None:
    drop(inbox, {"a": b"a"})
    file = declared(tmp_path, weed, bucket, "delete")
    text = (tmp_path / "m.yaml").read_text()
    (tmp_path / "m.yaml").write_text(
        text.replace("    provider: seaweedfs\n", "    provider: seaweedfs\n    checksum: none\n")
    )
    assert "1 to copy" in (await mirrord("plan", file, home=tmp_path)).out
    async with running(tmp_path, file) as daemon:
        await until_message(daemon, "a", "uploaded, but the file could not be deleted: the store confirmed nothing but")
        assert await daemon.states() == {"a": "Synced"}
    assert tree(inbox) == {"a": b"a"}


async def test_a_failed_action_is_reported_and_retried_at_each_rescan_only(
    tmp_path: Path, store_proxy: StoreProxy, bucket: str, inbox: Path
) -> None:
    (tmp_path / "done").write_bytes(b"no directory")
    drop(inbox, {"a": b"a", "b": b"b"})
    file = declared(tmp_path, store_proxy.server, bucket, {"move": "done"})
    with (inbox / "b").open("ab") as writer:
        async with running(tmp_path, file) as daemon:
            await until_message(daemon, "a", f"the file could not be moved: {tmp_path}/done: Not a directory")
            await until_message(daemon, "b", "somebody has it open for writing")
            assert await daemon.states() == {"a": "Synced", "b": "Synced"}
            heads = store_proxy.counts["HeadObject"]
            before = await scans(daemon)
            await scanned(daemon, 4)
            tries = await scans(daemon) - before + 2  # two may have been in progress
            asked = store_proxy.counts["HeadObject"] - heads
            assert 4 <= asked <= 4 * tries, "two files, two HEADs each"
            assert store_proxy.counts["PutObject"] == 2
            assert len([line for line in daemon.lines if "Not a directory" in line["event"]]) == 1
            (tmp_path / "done").unlink()
            await daemon.wait_for(lambda: not (inbox / "a").exists(), 60, "a to leave")
            writer.write(b", twice")
            writer.close()
            await emptied(daemon, inbox)
    assert tree(tmp_path / "done") == {"a": b"a", "b": b"b, twice"}


async def test_files_leave_with_their_dates_and_markers_stay(
    tmp_path: Path, weed: Server, bucket: str, s3_client: Any, inbox: Path
) -> None:
    """A new file with the name of a removed file, on another day, is another object, not an edit."""
    (inbox / "_SUCCESS").touch()
    file = declared(tmp_path, weed, bucket, "delete", key="{date:%Y-%m-%d}/{path}", ready="_SUCCESS")
    env = {"MIRRORD_API_TOKEN": TOKEN}
    async with running(tmp_path, file, env=env) as daemon:
        for day, moment in (("2026-01-01", 1767225600), ("2026-01-02", 1767312000)):
            (inbox / ".a").write_bytes(day.encode())
            os.utime(inbox / ".a", (moment, moment))
            (inbox / ".a").rename(inbox / "a")
            await daemon.wait_for(lambda: not (inbox / "a").exists(), 60, "a to leave")
            await until_message(daemon, f"{day}/a", "uploaded, then deleted")
        item = (await daemon.items())["2026-01-01/a"]
        await daemon.ask(f"/api/v1/items/{item['id']}/sync", "POST", token=TOKEN)
        await scanned(daemon, 2)
        assert await daemon.states() == {"2026-01-01/a": "Synced", "2026-01-02/a": "Synced"}
    assert os.listdir(inbox) == ["_SUCCESS"]
    assert objects(s3_client, bucket) == {f"{day}/a": md5(day.encode()) for day in ("2026-01-01", "2026-01-02")}


async def test_objects_of_files_that_left_survive_delete_mirror(
    tmp_path: Path, weed: Server, bucket: str, s3_client: Any, inbox: Path
) -> None:
    drop(inbox, {"a": b"a", "b": b"b"})
    await sync(tmp_path, declared(tmp_path, weed, bucket, "delete"))
    drop(inbox, {"c": b"c", "d": b"d"})
    file = declared(tmp_path, weed, bucket, "keep", delete="mirror")
    await sync(tmp_path, file)
    (inbox / "c").unlink()
    await sync(tmp_path, file)
    assert set(objects(s3_client, bucket)) == {"a", "b", "d"}
