"""A watched folder whose path becomes another directory: with the real commands and a real store."""

import os
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import mirrord
from tests.support.daemon import running, store_section
from tests.support.stored import keys_in
from tests.support.weed import Server

NAMES = {"a", "b", "sub/c"}


@pytest.fixture
async def manifest(tmp_path: Path, weed: Server, bucket: str) -> str:
    """A folder whose files are mirrored."""
    fill(tmp_path / "inbox", NAMES)
    file = tmp_path / "m.yaml"
    rules = "settle: 0s, rescan: 300ms, delete: mirror"
    file.write_text(store_section(weed) + f"folders:\n  - {{path: inbox, to: 's3://{bucket}/', {rules}}}\n")
    done = await mirrord("sync", str(file), home=tmp_path)
    assert done.code == 0, done.output
    return str(file)


def fill(root: Path, names: set[str]) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)


def replace_by(home: Path, names: set[str]) -> None:
    os.rename(home / "inbox", home / "former")
    fill(home / "inbox", names)


async def test_sync_deletes_nothing_by_itself_and_all_by_word(
    tmp_path: Path, manifest: str, bucket: str, s3_client: Any
) -> None:
    replace_by(tmp_path, {"a", "new"})
    planned = await mirrord("plan", manifest, home=tmp_path)
    assert "PruneGuard" in planned.out, planned.output
    for _ in range(2):
        done = await mirrord("sync", manifest, home=tmp_path)
        assert done.code == 1, done.output
        assert "PruneGuard" in done.output
        assert keys_in(s3_client, bucket) == NAMES | {"new"}
    done = await mirrord("sync", manifest, "--prune-max", "100%", home=tmp_path)
    assert "2 deleted" in done.out, done.output
    assert keys_in(s3_client, bucket) == {"a", "new"}
    (tmp_path / "inbox" / "new").unlink()
    done = await mirrord("sync", manifest, home=tmp_path)
    assert "1 deleted" in done.out, done.output


async def test_run_sees_a_replacement_too_and_the_former_directory_s_return(
    tmp_path: Path, manifest: str, bucket: str, s3_client: Any
) -> None:
    async with running(tmp_path, manifest) as daemon:
        await daemon.synced(*NAMES)
        replace_by(tmp_path, {"a"})
        blocked = await daemon.log("item.blocked", reason="PruneGuard")
        assert "another one" in blocked["message"]
        assert keys_in(s3_client, bucket) == NAMES
        shutil.rmtree(tmp_path / "inbox")
        os.rename(tmp_path / "former", tmp_path / "inbox")
        await daemon.synced(*NAMES)
        (tmp_path / "inbox" / "b").unlink()
        await daemon.log("item.pruned", key="b")
        assert await daemon.stop() == 0
    assert keys_in(s3_client, bucket) == NAMES - {"b"}


async def test_a_device_of_another_number_is_no_other_directory(tmp_path: Path, manifest: str) -> None:
    change = [
        "UPDATE items SET revision = json_set(revision, '$.file[0]', 1000001)",
        "UPDATE roots SET device = '1000001'",
    ]
    with sqlite3.connect(tmp_path / "state" / "mirrord" / "state.db") as journal:
        assert all(journal.execute(one).rowcount > 0 for one in change)
    journal.close()
    (tmp_path / "inbox" / "b").unlink()
    done = await mirrord("sync", manifest, home=tmp_path)
    assert done.code == 0, done.output
    assert "1 deleted" in done.out, done.output
