"""Pipes, devices and pseudo files as manifests, secrets and sources, through the real commands."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import environment, mirrord
from tests.support.daemon import running, store_section
from tests.support.stored import keys_in
from tests.support.weed import Server

FOLDER = "folders:\n  - {path: inbox, to: 's3://bucket/'}\n"


async def piped(home: Path, shell: str) -> tuple[int, str]:
    """Run a command in bash, with a function `mirrord` that runs this package."""
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-c",
        f'mirrord() {{ {sys.executable} -m mirrord "$@"; }}; {shell}',
        cwd=home,
        env=environment(home),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(60):
        out, _ = await process.communicate()
    return process.returncode or 0, out.decode()


@pytest.mark.parametrize(
    ("shell", "code"),
    [
        ("mirrord validate - <m.yaml", 0),
        ("cat m.yaml | mirrord validate -", 0),
        ("cat m.yaml | mirrord validate /dev/stdin", 0),
        ("mirrord validate <(cat m.yaml)", 0),
        ("mirrord validate good.yaml <(cat m.yaml)", 0),
        ("echo 'mirors: []' | mirrord validate -", 78),
        ("mirrord validate /dev/zero", 78),
        ("mirrord validate - </dev/zero", 78),
        ("mirrord run <(cat m.yaml)", 78),
        ("cat m.yaml | mirrord run -", 78),
        ("mkfifo p.yaml && mirrord run p.yaml", 78),
    ],
)
async def test_commands_that_end_read_pipes(tmp_path: Path, shell: str, code: int) -> None:
    (tmp_path / "m.yaml").write_text(FOLDER)
    (tmp_path / "good.yaml").write_text("mirrors: []\n")
    ended, output = await piped(tmp_path, shell)
    assert ended == code, output
    assert "Traceback" not in output


async def test_a_secret_that_is_a_pipe_and_a_manifest_that_is_one_hold_up_no_other(
    tmp_path: Path, weed: Server, bucket: str, s3_client: Any
) -> None:
    manifests = tmp_path / "manifests"
    (tmp_path / "inbox").mkdir()
    manifests.mkdir()
    entry = f"folders:\n  - {{path: ../inbox, to: 's3://{bucket}/', settle: 0s, rescan: 300ms}}\n"
    (manifests / "a.yaml").write_text(store_section(weed) + entry)
    os.mkfifo(tmp_path / "fifo")
    async with running(tmp_path, str(manifests)) as daemon:
        secret = "mirrors: [{url: 'https://h.example/x', to: 's3://bucket/x', http: {bearer: '${file:FIFO}'}}]\n"
        (manifests / "b.yaml").write_text(secret.replace("FIFO", str(tmp_path / "fifo")))
        await daemon.log("manifest.rejected", file="b.yaml")
        os.mkfifo(manifests / "c.yaml")
        await daemon.log("manifest.rejected", file="c.yaml")
        for name in ("/dev/zero", "/proc/version"):
            (manifests / "d.yaml").write_text(f"mirrors: [{{url: 'file://{name}', to: 's3://{bucket}{name}'}}]\n")
            blocked = await daemon.log("item.blocked", source=f"file://{name}")
            assert blocked["reason"] == "SourceRefused"
        mark = daemon.mark
        (manifests / "a.yaml").write_text(store_section(weed) + entry.replace("inbox,", "inbox, exclude: ['*.x'],"))
        await daemon.log("manifest.loaded", file="a.yaml", since=mark)
        (tmp_path / "inbox" / "a").write_text("a")
        await daemon.log("transfer.completed", key="a")
        assert await daemon.stop() == 0
    assert keys_in(s3_client, bucket) == {"a"}


@pytest.mark.parametrize("source", ["/proc/version", "/dev/zero", "fifo"])
async def test_copy_refuses_such_sources_by_name(tmp_path: Path, weed: Server, bucket: str, source: str) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "m.yaml").write_text(store_section(weed))
    path = str(tmp_path / source)
    done = await mirrord("copy", path, f"s3://{bucket}/x", "--config", str(tmp_path / "m.yaml"), home=tmp_path)
    assert done.code == 1, done.output
    assert path in done.output
    assert any(word in done.output for word in ("not true", "device", "FIFO")), done.output
