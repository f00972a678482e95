"""`after_upload: delete | move` through the real `mirrord run`, `sync` and `plan`, on a real store."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import mirrord
from tests.support.daemon import TOKEN, Daemon, running
from tests.support.inbox import manifest, md5, objects
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
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def declared(home: Path, server: Server, bucket: str, after: Any, **fields: Any) -> str:
    given = {"settle": "50ms", "rescan": "500ms", "after_upload": after} | fields
    (home / "m.yaml").write_text(manifest(server, home / "inbox", bucket, **given))
    return str(home / "m.yaml")


async def emptied(daemon: Daemon, inbox: Path) -> None:
    await daemon.wait_for(lambda: not any(path.is_file() for path in inbox.rglob("*")), 60, "an empty inbox")


async def said(daemon: Daemon, key: str, message: str) -> None:
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
        await said(daemon, "a.csv", message)
        drop(inbox, {"a.csv": b"another"})
        await emptied(daemon, inbox)
        item = (await daemon.items())["a.csv"]
        status, _ = await daemon.ask(f"/api/v1/items/{item['id']}/sync", "POST", token=TOKEN)
        assert status // 100 == 2
        s3_client.delete_object(Bucket=bucket, Key="sub/b.csv")
        item = (await daemon.items())["sub/b.csv"]
        await daemon.ask(f"/api/v1/items/{item['id']}/sync", "POST", token=TOKEN)
        await said(daemon, "sub/b.csv", "the object was deleted, and its file has left")
    listed = objects(s3_client, bucket)
    assert listed == {key: sum_ for key, sum_ in SUMS.items() if key != "sub/b.csv"} | {"a.csv": md5(b"another")}
    if after != "delete":
        assert tree(tmp_path / "done") == {**BODY, "a.1.csv": b"another"}
    async with running(tmp_path, file, env=env) as daemon:
        await daemon.log("folder.rescanned")
        states = await daemon.states()
        assert states == {**dict.fromkeys(BODY, "Synced"), "sub/b.csv": "Blocked"}
        assert not daemon.logged("item.blocked")
