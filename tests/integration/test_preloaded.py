"""A forked command equals one in a fresh interpreter: output, environment, directory, signals and exit code."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from tests.support.command import environment, mirrord, start
from tests.support.preloaded import Forked

REFUSED = "mirrors: {'http://h/${NAME}': 's3://b/'}\nwrong: 1\n"


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["fly"], ["validate", "m.yaml"], ["status"]], ids=str)
async def test_its_output_equals_that_of_a_fresh_interpreter(tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "m.yaml").write_text(REFUSED)
    forked, fresh = [await mirrord(*arguments, home=tmp_path, env={"NAME": "n"}, fresh=one) for one in (False, True)]
    assert (forked.code, forked.out, forked.err) == (fresh.code, fresh.out, fresh.err)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGKILL, -signal.SIGKILL)])
async def test_it_receives_signals_and_its_exit_status_is_reported(tmp_path: Path, number: int, code: int) -> None:
    (tmp_path / "conf").mkdir()
    process = await start(
        ["run", "--log-format", "json", "--listen", "127.0.0.1:0", "conf"], environment(tmp_path), tmp_path
    )
    assert isinstance(process, Forked)
    assert b"{" in await process.stderr.readline()
    assert process.returncode is None
    assert os.readlink(f"/proc/{process.pid}/cwd") == str(tmp_path)
    process.send_signal(number)
    assert await asyncio.wait_for(process.wait(), 60) == code == process.returncode


async def test_what_an_interpreter_reads_when_it_starts_makes_it_a_fresh_one(tmp_path: Path) -> None:
    process = await start(["--version"], environment(tmp_path, {"LC_ALL": "C.UTF-8", "PYTHONUTF8": "0"}), tmp_path)
    assert isinstance(process, asyncio.subprocess.Process)
    assert (await process.communicate())[0].startswith(b"mirrord")
