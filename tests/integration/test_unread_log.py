"""`mirrord run` whose stderr is a pipe without reads: it continues its work, answers, and ends in time."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from mirrord.daemon.presence import running_daemon
from mirrord.s3.embedded.weed import killed_with_parent
from tests.support.command import environment
from tests.support.daemon import PATIENCE, store_section
from tests.support.origin import Origin
from tests.support.saving import mirrors
from tests.support.stored import keys_in
from tests.support.weed import Server

GRACE = 2.0
OVERHEAD = 15.0
POLL = 0.05
ITEMS = 200
"""Their log lines at level debug are several times the capacity of a pipe."""


@contextmanager
def unread(arguments: Sequence[str], env: Mapping[str, str], cwd: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start `mirrord` with a full pipe as stderr; its process is ended at the end."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    os.write(writing, b"x" * (1 << 20))  # writes as much as fits
    os.set_blocking(writing, True)
    process = subprocess.Popen(
        [sys.executable, "-m", "mirrord", *arguments],
        env=dict(env),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=writing,
        preexec_fn=killed_with_parent(),
    )
    os.close(writing)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        os.close(reading)


async def eventually(done: Any, seconds: float = PATIENCE) -> None:
    async with asyncio.timeout(seconds):
        while not await asyncio.to_thread(done):  # noqa: ASYNC110  there is no event to wait for
            await asyncio.sleep(POLL)


@pytest.mark.parametrize("level", ["debug", "info"])
async def test_items_are_copied_probes_answered_and_sigterm_obeyed(
    tmp_path: Path, weed: Server, bucket: str, s3_client: Any, origin: Origin, level: str
) -> None:
    keys = [f"k{number}" for number in range(ITEMS)]
    for key in keys:
        origin.publish(f"/{key}", key.encode())
    file = tmp_path / "m.yaml"
    file.write_text(f"daemon: {{shutdown_grace: {GRACE:g}s}}\n" + store_section(weed) + mirrors(origin, bucket, *keys))
    arguments = ["run", "--listen", "127.0.0.1:0", "--log-level", level, str(file)]
    with unread(arguments, environment(tmp_path), tmp_path) as process:
        await eventually(lambda: keys_in(s3_client, bucket) == set(keys))
        daemon = running_daemon(tmp_path / "state" / "mirrord")
        assert daemon is not None
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE)) as session:
            for path in ("/livez", "/readyz", "/api/v1/status"):
                async with session.get(daemon.url + path) as answer:
                    assert answer.status == 200
        began = time.monotonic()
        process.terminate()
        assert await asyncio.to_thread(process.wait, PATIENCE) == 0
        assert time.monotonic() - began < GRACE + OVERHEAD


async def test_a_second_signal_ends_it_at_once_though_its_log_is_not_written(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    env = environment(tmp_path, {"MIRRORD_SHUTDOWN_GRACE": "600s"})
    with unread(["run", "--listen", "127.0.0.1:0", "conf"], env, tmp_path) as process:
        await eventually(lambda: running_daemon(tmp_path / "state" / "mirrord"))
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, PATIENCE) in (0, -signal.SIGTERM, -signal.SIGINT)


async def test_sync_ends_too(tmp_path: Path, weed: Server, bucket: str, s3_client: Any, origin: Origin) -> None:
    keys = [f"k{number}" for number in range(ITEMS)]
    for key in keys:
        origin.publish(f"/{key}", key.encode())
    file = tmp_path / "m.yaml"
    file.write_text(store_section(weed) + mirrors(origin, bucket, *keys))
    with unread(["sync", "--log-level", "debug", str(file)], environment(tmp_path), tmp_path) as process:
        assert await asyncio.to_thread(process.wait, PATIENCE) == 0
    assert keys_in(s3_client, bucket) == set(keys)


STUCK = """
import sys, time
from mirrord.cli.process import running
from mirrord.cli.process.signals import process

process.install(["run"])

async def hangs() -> None:
    with process.handling(stop=lambda: None, within=0.5, reload=lambda: None):
        print("stuck", flush=True)
        time.sleep(600)  # blocks the event loop

running.run(hangs())
"""


async def test_the_deadline_of_the_end_does_not_depend_on_the_loop(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        STUCK,
        env=environment(tmp_path),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        preexec_fn=killed_with_parent(),
    )
    assert process.stdout is not None
    try:
        assert await process.stdout.readline() == b"stuck\n"
        process.terminate()
        async with asyncio.timeout(PATIENCE):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
