"""Commands without any work: no manifest at PATH, or an `--only` that matches no entry and no item."""

from pathlib import Path

import pytest

from tests.support.command import environment, mirrord, start
from tests.support.daemon import store_section
from tests.support.weed import Server


@pytest.mark.parametrize("command", ["validate", "sync", "plan", "verify"])
async def test_a_directory_without_manifests_is_a_usage_error(command: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").touch()
    ended = await mirrord(command, "empty", home=tmp_path)
    assert ended.code == 2, ended.output
    assert "no manifest in empty: a directory is searched for *.yaml and *.yml" in ended.err


@pytest.mark.parametrize("command", ["sync", "plan", "verify"])
async def test_an_only_that_means_nothing_is_a_usage_error(command: str, weed: Server, tmp_path: Path) -> None:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "a.csv").write_bytes(b"a")
    file = tmp_path / "m.yaml"
    folder = "folders: [{path: inbox, to: s3://anywhere/in/, name: drop, settle: 0s}]\n"
    file.write_text(f"{store_section(weed)}mirrors: {{}}\n{folder}")
    ended = await mirrord(command, str(file), "--only", "nosuch*", home=tmp_path)
    assert ended.code == 2, ended.output
    assert "--only nosuch*: no entry has such a name, and no item such a key" in ended.err
    file.write_text(f"{file.read_text()}\nmirors: []\n")  # the invalid file could have the entry
    ended = await mirrord(command, str(file), "--only", "nosuch*", home=tmp_path)
    assert ended.code == 78, ended.output


async def test_a_folder_that_is_named_and_empty_is_something(weed: Server, tmp_path: Path) -> None:
    (tmp_path / "inbox").mkdir()
    file = tmp_path / "m.yaml"
    file.write_text(f"{store_section(weed)}folders: [{{path: inbox, to: s3://anywhere/in/, name: drop}}]\n")
    ended = await mirrord("plan", str(file), "--only", "drop", home=tmp_path)
    assert ended.code == 0, ended.output


async def test_run_starts_on_an_empty_directory_and_logs_it_once(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    process = await start(["run", "empty", "--listen", "none", "--log-format", "json"], environment(tmp_path), tmp_path)
    assert process.stderr is not None
    lines = []
    async for line in process.stderr:
        lines.append(line.decode())
        if "daemon.ready" in lines[-1]:
            process.terminate()
    assert await process.wait() == 0
    assert sum("no manifest in empty yet" in line for line in lines) == 1, lines


async def test_a_dangling_link_is_reported_by_validate(tmp_path: Path) -> None:
    home = tmp_path / "manifests"
    home.mkdir()
    (home / "good.yaml").write_text("mirrors: {https://example.org/a: s3://bbb/a}\n")
    (home / "bad.yaml").symlink_to("nowhere.yaml")
    ended = await mirrord("validate", str(home), home=tmp_path)
    assert ended.code == 78, ended.output
    assert "bad.yaml:1:1: cannot be read: a link to" in ended.err
    assert "good.yaml: valid" in ended.out
