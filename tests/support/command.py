"""Runs the real `mirrord` command as a separate process, with a minimal environment.

The process is forked from one that has already imported mirrord (`preloaded`), unless a test needs a fresh interpreter.
"""

import asyncio
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from ctypes import CDLL
from dataclasses import dataclass
from pathlib import Path

from mirrord.s3.embedded.weed import killed_with_parent
from tests.support.preloaded import REPOSITORY, Forked, fork

KEPT = ("PATH", "LANG", "LC_ALL", "TMPDIR")
"""Variables that every process needs. Others are not passed on: tests must not depend on the user's environment."""
AT_START = re.compile(r"PYTHON|LANG|LC_|LOCPATH|SSL_|NO_COLOR|FORCE_COLOR|BOTO_")
"""Variables that the interpreter or a library reads only once, at its start."""
POLL = 0.05
LONGEST_LINE = 8 * 1024 * 1024


@dataclass(frozen=True)
class Completed:
    """Result of a command. `peak` is the last value of VmHWM that was read before the end, in bytes."""

    code: int
    out: str
    err: str
    peak: int

    @property
    def output(self) -> str:
        return f"exit {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


def environment(home: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """A clean environment whose HOME and state are below `home`."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    return {
        **kept,
        "HOME": str(home),
        "XDG_STATE_HOME": str(home / "state"),
        "PYTHONPATH": str(REPOSITORY),
        "AWS_EC2_METADATA_DISABLED": "true",
        **(extra or {}),
    }


def obeys_modes() -> Callable[[], None]:
    """As `killed_with_parent`; the child also obeys the modes of files even if it runs as root."""
    set_death_signal, kernel = killed_with_parent(), CDLL(None)

    def before_exec() -> None:
        if set_death_signal is not None:
            set_death_signal()
        if os.geteuid() == 0:
            for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
                kernel.prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP

    return before_exec


def _differs_at_start(env: Mapping[str, str]) -> bool:
    usual = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    return any(AT_START.match(name) and env[name] != usual.get(name) for name in env)


Process = asyncio.subprocess.Process | Forked


async def start(
    arguments: Sequence[str],
    env: Mapping[str, str],
    cwd: Path | None = None,
    *,
    modes: bool = False,
    fresh: bool = False,
    speed: float = 1.0,
) -> Process:
    """Start `mirrord` with both outputs piped. The caller ends it; it also ends with this process.

    `fresh`: in a new interpreter, for a test of the start or of the memory. `speed`: the factor by which its clock
    runs faster, see `preloaded.fork`. `modes`: see `obeys_modes`.
    """
    if not (fresh or modes or _differs_at_start(env)):
        return await fork(arguments, env, cwd, limit=LONGEST_LINE, speed=speed)
    assert speed == 1.0, "the clock of a fresh interpreter cannot run faster"
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "mirrord",
        *arguments,
        env=dict(env),
        cwd=cwd,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=LONGEST_LINE,
        preexec_fn=obeys_modes() if modes else killed_with_parent(),
    )


async def mirrord(
    *arguments: str,
    home: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    seconds: float = 120,
    fresh: bool = False,
    speed: float = 1.0,
) -> Completed:
    """Run `mirrord` to its end; killed after `seconds`. `fresh`, `speed`: see `start`."""
    process = await start(arguments, environment(home, env), cwd or home, fresh=fresh, speed=speed)
    peaks: list[int] = []
    watch = asyncio.create_task(_watch_peak(process.pid, peaks))
    try:
        out, err = await asyncio.wait_for(process.communicate(), seconds)
    finally:
        watch.cancel()
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return Completed(process.returncode, out.decode(), err.decode(), max(peaks, default=0))


def peak_memory(pid: int) -> int | None:
    """VmHWM of a process in bytes; None if it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) * 1024 if found else None


async def _watch_peak(pid: int, peaks: list[int]) -> None:
    while (peak := peak_memory(pid)) is not None:
        peaks.append(peak)
        await asyncio.sleep(POLL)
