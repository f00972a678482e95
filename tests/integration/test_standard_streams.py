"""stdin, stdout and stderr that are closed, full, or have lost their reader."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import pytest

from mirrord.cli.main import commands
from mirrord.s3.embedded.weed import killed_with_parent
from tests.support.command import LONGEST_LINE, environment
from tests.support.daemon import PATIENCE, store_section
from tests.support.origin import Origin
from tests.support.preloaded import fork
from tests.support.saving import mirrors
from tests.support.stored import stored
from tests.support.weed import Server


def shell(home: Path, line: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a line of bash, with a function `mirrord` that runs this package."""
    return subprocess.run(
        ["bash", "-c", f'mirrord() {{ "{sys.executable}" -m mirrord "$@"; }}; {line}'],
        env=environment(home, env),
        cwd=home,
        capture_output=True,
        text=True,
        timeout=PATIENCE * 2,
        check=False,
        preexec_fn=killed_with_parent(),
    )


@pytest.fixture
def manifest(tmp_path: Path, weed: Server, bucket: str, origin: Origin) -> str:
    origin.publish("/a", b"a")
    (tmp_path / "m.yaml").write_text(store_section(weed) + mirrors(origin, bucket, "a"))
    return "m.yaml"


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", "<&- 2>&-"])
async def test_closed_descriptors_harm_nothing(
    tmp_path: Path, manifest: str, bucket: str, s3_client: Any, closed: str
) -> None:
    done = await asyncio.to_thread(shell, tmp_path, f"mirrord sync {manifest} {closed}; echo code $?")
    assert done.stdout.endswith("code 0\n"), (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    assert stored(s3_client, bucket, "a") == b"a"
    journal = (tmp_path / "state" / "mirrord" / "state.db").read_bytes()
    assert journal.startswith(b"SQLite format 3"), "the closed descriptor must not be reused for output"


MANIFEST = "folders: [{path: inbox, to: 's3://bucket/'}]\n"
KEYS = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "MIRRORD_LOG_LEVEL": "error"}
PRINTING = [
    "--help",
    "--version",
    *(f"{name} --help" for name in commands.list_commands(click.Context(commands))),
    "status",
    "status --json",
    "schema",
    "plan m.yaml",
    "plan --json m.yaml",
    "validate m.yaml",
    *(f"completion {shell}" for shell in ("bash", "zsh", "fish")),
    "import urls.txt --to s3://bucket/",
]
"""Every command, and what each of them can print without a daemon and a store."""


def into(output: int, home: Path, command: str) -> subprocess.CompletedProcess[str]:
    """Run the command with this descriptor as stdout."""
    (home / "m.yaml").write_text(MANIFEST)
    (home / "inbox").mkdir()
    return subprocess.run(
        [sys.executable, "-m", "mirrord", *command.split()],
        env=environment(home, KEYS),
        cwd=home,
        stdout=output,
        stderr=subprocess.PIPE,
        text=True,
        timeout=PATIENCE * 2,
        check=False,
        preexec_fn=killed_with_parent(),
    )


@pytest.mark.parametrize("command", ["status --json", "--help"])
async def test_a_reader_that_went_away_ends_a_command_quietly(tmp_path: Path, command: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = await asyncio.to_thread(into, writing, tmp_path, command)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


async def test_every_command_ends_quietly_without_a_reader_and_writes_no_escapes_into_a_pipe(tmp_path: Path) -> None:
    """In forked processes: a fresh interpreter, as above, costs half a second each."""
    (tmp_path / "m.yaml").write_text(MANIFEST)
    (tmp_path / "inbox").mkdir()
    (tmp_path / "urls.txt").write_text("https://example.org/a\n")
    env = environment(tmp_path, {**KEYS, "TERM": "xterm-256color", "COLORTERM": "truecolor", "CLICOLOR_FORCE": "1"})
    for command in PRINTING:
        read = await fork(command.split(), env, tmp_path, limit=LONGEST_LINE)
        out, err = await read.communicate()
        assert read.returncode == 0, (command, err)
        assert out, command
        assert b"\x1b" not in out + err, command
        unread = await fork(command.split(), env, tmp_path, limit=LONGEST_LINE, has_reader=False)
        _, err = await unread.communicate()
        assert (unread.returncode, err) == (141, b""), command


@pytest.mark.parametrize("command", ["status --json", "schema", "plan m.yaml", "--help"])  # one of each way to print
async def test_a_full_output_is_one_line_and_a_failure(tmp_path: Path, command: str) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        done = await asyncio.to_thread(into, full, tmp_path, command)
    finally:
        os.close(full)
    assert (done.returncode, done.stderr) == (1, "mirrord: cannot write the output: No space left on device\n")


@pytest.mark.parametrize(
    ("command", "code"),
    [("nope", 2), ("sync nowhere", 2), ("validate bad.yaml", 78), ("validate m.yaml", 0), ("schema >/dev/full", 1)],
)
async def test_a_full_stderr_leaves_the_exit_code_as_it_is(tmp_path: Path, command: str, code: int) -> None:
    (tmp_path / "m.yaml").write_text(MANIFEST)
    (tmp_path / "inbox").mkdir()
    (tmp_path / "bad.yaml").write_text("mirrors: {https://example.org/a: {evry: 1h}}\n")
    assert (await asyncio.to_thread(shell, tmp_path, f"mirrord {command} 2>/dev/full")).returncode == code


@pytest.mark.parametrize(("output", "code"), [("gone", 141), ("/dev/full", 1)])
async def test_sync_and_copy_do_their_work_first(
    tmp_path: Path, manifest: str, weed: Server, bucket: str, s3_client: Any, origin: Origin, output: str, code: int
) -> None:
    (tmp_path / "b").write_bytes(b"b")
    os.mkfifo(tmp_path / "gone")  # a pipe whose reader closes it before the first write
    for key, command in (("a", f"sync {manifest}"), ("b", f"copy b s3://{bucket}/b --config {manifest}")):
        line = f"{{ test {output} = gone && (exec 9<gone) & }}; exec 8>{output}; wait; mirrord {command} >&8"
        done = await asyncio.to_thread(shell, tmp_path, line)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        assert stored(s3_client, bucket, key) == key.encode()


@pytest.mark.parametrize("output", [">/dev/full 2>/dev/full", ">&- 2>&-", "2> >(true)"])
async def test_run_continues_with_closed_or_full_outputs(
    tmp_path: Path, manifest: str, bucket: str, s3_client: Any, output: str
) -> None:
    line = f"exec {sys.executable} -m mirrord run --listen 127.0.0.1:0 {manifest} {output}"
    process = await asyncio.create_subprocess_exec(
        "bash", "-c", line, env=environment(tmp_path), cwd=tmp_path, preexec_fn=killed_with_parent()
    )
    try:
        async with asyncio.timeout(PATIENCE):
            while not await asyncio.to_thread(_has, s3_client, bucket):
                assert process.returncode is None
                await asyncio.sleep(0.05)
        process.terminate()
        async with asyncio.timeout(PATIENCE):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _has(s3_client: Any, bucket: str) -> bool:
    return bool(s3_client.list_objects_v2(Bucket=bucket).get("Contents"))
