"""Signals during the start, before the signal handlers of the program, and mirrord as process 1 of a container."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from mirrord.s3.embedded.weed import killed_with_parent
from tests.support.command import environment
from tests.support.daemon import Daemon, started

AT_IMPORT = """
import os, signal, sys
from importlib.abc import MetaPathFinder

class Signalling(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == {module!r} and not sent:
            sent.append(name)
            os.kill(os.getpid(), signal.{name})

sent = []
sys.argv = ["mirrord", *{arguments!r}]
sys.meta_path.insert(0, Signalling())
from mirrord.__main__ import main
main()
"""
"""Start mirrord; it sends itself the signal `name` when it imports `module`."""
MANY = 40_000


@asynccontextmanager
async def signalled(home: Path, name: str, module: str, arguments: Sequence[str]) -> AsyncIterator[Daemon]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        AT_IMPORT.format(module=module, name=name, arguments=list(arguments)),
        env=environment(home),
        cwd=home,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        preexec_fn=killed_with_parent(),
    )
    daemon = Daemon(process)
    try:
        yield daemon
    finally:
        await daemon.close()


MODULES = ["mirrord.cli.main", "click", "mirrord.engine.wiring", "mirrord.telemetry.logs", "uvloop"]


ENDINGS = [("SIGTERM", "run", 0), ("SIGINT", "sync", 1), ("SIGINT", "run", 0), ("SIGTERM", "sync", 1)]
MOMENTS = [(module, *one) for at, module in enumerate(MODULES) for one in (ENDINGS[:2], ENDINGS[2:])[at % 2]]
"""Each two of module, signal and command meet: a start takes half a second."""


@pytest.mark.parametrize(("module", "name", "command", "code"), MOMENTS)
async def test_a_signal_to_end_is_obeyed_from_the_first_line_on(
    tmp_path: Path, module: str, name: str, command: str, code: int
) -> None:
    (tmp_path / "m.yaml").write_text("folders: [{path: inbox, to: 's3://bucket/'}]\n")
    async with signalled(tmp_path, name, module, [command, "m.yaml"]) as daemon:
        assert await daemon.ended() == code, daemon.output
        assert [line for line in daemon.noise if line] == (["mirrord: interrupted"] if command == "sync" else []), (
            daemon.output
        )
        assert not daemon.logged("daemon.ready")


@pytest.mark.parametrize("module", MODULES)
async def test_a_hang_up_is_remembered_until_there_is_something_to_reload(tmp_path: Path, module: str) -> None:
    (tmp_path / "secret").write_text("one")
    (tmp_path / "m.yaml").write_text("daemon: {api_token: '${file:secret}', listen: none}\n")
    async with signalled(tmp_path, "SIGHUP", module, ["run", "m.yaml"]) as daemon:
        await daemon.log("daemon.ready")
        assert await daemon.stop() == 0
        assert not daemon.noise, daemon.output


async def test_sigterm_while_very_many_mirrors_load_ends_it_soon(tmp_path: Path) -> None:
    lines = (f"  http://127.0.0.1:9/{number}: s3://bucket/{number}\n" for number in range(MANY))
    store = "stores: {default: {provider: minio, endpoint_url: 'http://127.0.0.1:9'}}\n"
    (tmp_path / "m.yaml").write_text(f"{store}mirrors:\n{''.join(lines)}")
    async with started(tmp_path, "m.yaml") as daemon:
        memory = Path(f"/proc/{daemon.process.pid}/statm")
        await daemon.wait_for(lambda: int(memory.read_text().split()[1]) > 30_000, what="it reads")  # memory pages
        assert await daemon.stop(20) == 0
        assert not daemon.lines, daemon.output
        assert not daemon.noise, daemon.output
    async with started(tmp_path, "m.yaml") as daemon:
        await daemon.wait_for((tmp_path / "state" / "mirrord" / "state.db").exists, 180, "the journal is open")
        assert await daemon.stop(20) == 0
        assert not daemon.noise, daemon.output


# ── process 1 ─────────────────────────────────────────────────────────────────────────────────────
UNSHARE = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child"]
_can = shutil.which("unshare") is not None and subprocess.run([*UNSHARE, "true"], check=False).returncode == 0
AS_FIRST = """
import os, sys
for _ in range(3):
    if os.fork() == 0:  # an orphan: process 1 becomes its parent
        os._exit(0)
os.execv(sys.executable, [sys.executable, "-m", "mirrord", *sys.argv[1:]])
"""
"""A program that starts orphans and then becomes mirrord as process 1."""


@pytest.mark.skipif(not _can, reason="no namespaces for this user")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 0)])
async def test_as_process_1_it_obeys_signals_and_reaps_orphans(tmp_path: Path, number: int, code: int) -> None:
    (tmp_path / "conf").mkdir()
    process = await asyncio.create_subprocess_exec(
        *UNSHARE,
        sys.executable,
        "-c",
        AS_FIRST,
        "run",
        "--listen",
        "none",
        "conf",
        env=environment(tmp_path),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        preexec_fn=killed_with_parent(),
    )
    daemon = Daemon(process)
    try:
        await daemon.log("daemon.ready")
        (first,) = children(process.pid)
        (mirrord,) = children(first)
        assert state(mirrord) != "Z", "the orphans are reaped, and mirrord still runs"
        os.kill(first, signal.SIGHUP)
        os.kill(first, number)
        assert await daemon.ended() == code, daemon.output
        assert daemon.lines[-1]["event"] == "daemon.stopped"
        assert not daemon.noise, daemon.output
    finally:
        await daemon.close()


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
