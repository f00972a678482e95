"""A folder that contains the state directory: with the real commands and a real store."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.command import mirrord
from tests.support.daemon import running, scanned, store_section
from tests.support.stored import keys_in
from tests.support.weed import Server


@pytest.fixture(params=["", "daemon: {state: 'sqlite:///HOME/state.db'}\n"], ids=["below", "beside the files"])
def manifest(request: pytest.FixtureRequest, tmp_path: Path, weed: Server, bucket: str) -> str:
    file = tmp_path / "m.yaml"
    entry = f"folders:\n  - {{path: ., to: 's3://{bucket}/', settle: 0s, rescan: 300ms, exclude: ['*.yaml']}}\n"
    file.write_text(request.param.replace("HOME", str(tmp_path)) + store_section(weed) + entry)
    (tmp_path / "a").write_text("a")
    return str(file)


def found(home: Path) -> Path:
    (journal,) = home.rglob("state.db")
    return journal


def add(manifest: str, text: str) -> None:
    with open(manifest, "a") as file:
        file.write(text)


async def test_only_the_folder_s_files_are_uploaded(tmp_path: Path, manifest: str, bucket: str, s3_client: Any) -> None:
    for _ in range(2):
        done = await mirrord("sync", manifest, home=tmp_path)
        assert done.code == 0, done.output
        assert keys_in(s3_client, bucket) == {"a"}
    assert done.err.count("own state") == 1, done.output
    async with running(tmp_path, manifest) as daemon:
        (tmp_path / "b").write_text("b")
        await daemon.synced("a", "b")
        await scanned(daemon, 3)
        assert await daemon.states() == {"a": "Synced", "b": "Synced"}
        assert daemon.output.count("own state") == 1
        assert await daemon.stop() == 0
    assert keys_in(s3_client, bucket) == {"a", "b"}


async def test_neither_copy_nor_a_mirror_takes_the_journal(
    tmp_path: Path, manifest: str, bucket: str, s3_client: Any
) -> None:
    assert (await mirrord("sync", manifest, home=tmp_path)).code == 0
    journal = found(tmp_path)
    (tmp_path / "link").symlink_to(journal.parent)
    for source in (journal, tmp_path / "link" / "state.db"):
        done = await mirrord("copy", str(source), f"s3://{bucket}/x", "--config", manifest, home=tmp_path)
        assert done.code == 1, done.output
        assert "own state" in done.output
    add(manifest, f"mirrors:\n  'file://{journal}': s3://{bucket}/y\n")
    done = await mirrord("sync", manifest, home=tmp_path)
    assert done.code == 1, done.output
    assert "own state" in done.output
    assert keys_in(s3_client, bucket) == {"a"}
