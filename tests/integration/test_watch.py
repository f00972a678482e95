"""`mirrord status --watch` at a real terminal (a pty): the whole screen, its size, its keys and its end."""

import asyncio
import fcntl
import os
import re
import signal
import struct
import sys
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from mirrord.model import State
from mirrord.web.access import Access
from mirrord.web.application import application
from mirrord.web.server import Server
from tests.support.command import environment, mirrord
from tests.support.scripted_control import ScriptedControl, item_of, no_metrics

ENTERED, LEFT = b"\x1b[?1049h", b"\x1b[?1049l"
"""The alternate screen of xterm and its descendants."""


class Terminal:
    """A command at a terminal, and all that it wrote there."""

    def __init__(self, process: asyncio.subprocess.Process, ours: int) -> None:
        self.process = process
        self.seen = bytearray()
        self._ours = ours

    async def shows(self, wanted: bytes) -> None:
        """Wait until the command has written this since the last call."""
        while (at := self.seen.find(wanted)) < 0:
            self.seen += await asyncio.to_thread(os.read, self._ours, 4096)
        del self.seen[:at]

    def type(self, keys: bytes) -> None:
        os.write(self._ours, keys)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    @property
    def echoes(self) -> bool:
        """Whether typed keys are shown, and read line by line: the usual mode."""
        modes = termios.tcgetattr(self._ours)[3]
        return bool(modes & termios.ECHO and modes & termios.ICANON)


@asynccontextmanager
async def at_a_terminal(url: str, home: Path, **env: str) -> AsyncIterator[Terminal]:
    ours, theirs = os.openpty()
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 20, 90, 0, 0))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "mirrord", "status", "--watch", "--url", url,
        env=environment(home, {"TERM": "xterm", **env}), stdin=theirs, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    try:
        async with asyncio.timeout(60):
            yield Terminal(process, ours)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        os.close(theirs)
        os.close(ours)


@pytest.fixture
def control() -> ScriptedControl:
    return ScriptedControl()


@pytest.fixture
async def server(control: ScriptedControl) -> AsyncIterator[Server]:
    async with Server("127.0.0.1:0", application(control, no_metrics, Access("t0ken"))) as server:
        yield server


@pytest.mark.parametrize("end", ["q", "Ctrl-C", "SIGTERM"])
async def test_it_takes_the_whole_screen_and_gives_it_back(
    control: ScriptedControl, server: Server, tmp_path: Path, end: str
) -> None:
    one = control.put(item_of("a"), State.PENDING)
    async with at_a_terminal(server.url, tmp_path) as terminal:
        await terminal.shows(ENTERED)
        await terminal.shows(b"items: 1 Pending")
        await terminal.shows(b"q or Ctrl-C ends")
        control.change(one, State.SYNCED)
        await terminal.shows(b"items: 1 Synced")
        assert not terminal.echoes
        if end == "q":
            terminal.type(b"xq")
        else:
            terminal.process.send_signal(signal.SIGTERM if end == "SIGTERM" else signal.SIGINT)
        await terminal.shows(LEFT)
        assert await terminal.process.wait() == 0
        assert terminal.echoes
        assert b"Traceback" not in terminal.seen


async def test_it_fits_the_terminal_as_it_is_resized(control: ScriptedControl, server: Server, tmp_path: Path) -> None:
    for number in range(30):
        control.put(item_of(f"blocked-{number}"), State.BLOCKED, message="m" * 300)
    async with at_a_terminal(server.url, tmp_path) as terminal:
        await terminal.shows(b"more lines)")
        await terminal.shows(b"q or Ctrl-C ends")
        terminal.resize(4, 40)
        await terminal.shows(b"items: 30 Blocked" + b" " * 23)  # 40 columns
        await terminal.shows(b"q or Ctrl-C ends")


async def test_the_last_status_stays_while_the_daemon_does_not_answer(control: ScriptedControl, tmp_path: Path) -> None:
    async with Server("127.0.0.1:0", application(control, no_metrics, Access("t0ken"))) as server:
        url, address = server.url, server.url.removeprefix("http://")
        control.put(item_of("a"), State.PENDING)
        async with at_a_terminal(url, tmp_path) as terminal:
            await terminal.shows(b"items: 1 Pending")
            await server.__aexit__(None, None, None)
            await terminal.shows(b"not up to date: no daemon answers at")
            await terminal.shows(b"items: 1 Pending")
            async with Server(address, application(ScriptedControl(), no_metrics, Access("t0ken"))):
                await terminal.shows(b"items: none")


async def test_nothing_at_the_address_is_an_error_without_a_screen(tmp_path: Path) -> None:
    async with at_a_terminal("http://127.0.0.1:9", tmp_path) as terminal:
        await terminal.shows(b"no daemon answers at")
        assert await terminal.process.wait() == 1
        assert ENTERED not in terminal.seen


@pytest.mark.parametrize("env", [{"TERM": "dumb"}, {"NO_COLOR": "1"}])
async def test_a_dumb_terminal_gets_lines_and_no_color_no_colours(
    control: ScriptedControl, server: Server, tmp_path: Path, env: dict[str, str]
) -> None:
    control.put(item_of("a"), State.BLOCKED)
    async with at_a_terminal(server.url, tmp_path, **env) as terminal:
        await terminal.shows(b"items: 1 Blocked")
        await terminal.shows(b"not in sync:")
        colours = re.search(rb"\x1b\[[0-9;]*3[0-9]m", terminal.seen)
        assert colours is None
        if env.get("TERM") == "dumb":
            await terminal.shows(b"items: 1 Blocked")
            assert b"\x1b" not in terminal.seen


@pytest.mark.parametrize("more", [{}, {"FORCE_COLOR": "1"}])
async def test_into_a_pipe_no_escape_sequence_is_written(tmp_path: Path, more: dict[str, str]) -> None:
    plain = await mirrord("status", "--help", home=tmp_path, env={"TERM": "xterm-256color", **more})
    shown = await mirrord("status", home=tmp_path, env={"TERM": "xterm-256color", **more})
    assert "\x1b" not in plain.output + shown.output
