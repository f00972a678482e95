"""daemon.json: its content, its mode, and when it counts as a running daemon."""

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from mirrord._version import __version__
from mirrord.daemon.presence import PRESENCE_FILE, Presence, registered, running_daemon
from mirrord.errors import JournalUnavailable

URL = "http://127.0.0.1:8420"


@pytest.fixture
def other() -> Iterator[subprocess.Popen[bytes]]:
    """Another process that waits for its input to end."""
    with subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        yield process
        process.kill()


def say(directory: Path, **changed: object) -> None:
    said = {"pid": os.getppid(), "url": URL, "version": "9.9"} | changed
    (directory / PRESENCE_FILE).write_text(json.dumps(said))


def test_it_exists_while_the_daemon_runs_and_is_private(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with registered(tmp_path / "state", URL):
            file = tmp_path / "state" / PRESENCE_FILE
            assert json.loads(file.read_text()) == {"pid": os.getpid(), "url": URL, "version": __version__}
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
            assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
            assert os.listdir(tmp_path / "state") == [PRESENCE_FILE]
    finally:
        os.umask(before)
    assert os.listdir(tmp_path / "state") == []


def test_it_is_removed_after_an_error_and_another_daemons_file_is_kept(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), registered(tmp_path, URL):
        raise RuntimeError
    assert os.listdir(tmp_path) == []
    with registered(tmp_path, URL):
        say(tmp_path)
    assert os.listdir(tmp_path) == [PRESENCE_FILE]


def test_a_running_daemon_is_found(tmp_path: Path) -> None:
    say(tmp_path)
    assert running_daemon(tmp_path) == Presence(os.getppid(), URL, "9.9")
    say(tmp_path, url="")
    assert running_daemon(tmp_path) == Presence(os.getppid(), "", "9.9")


def test_a_file_left_by_kill_9_counts_as_no_daemon(tmp_path: Path, other: subprocess.Popen[bytes]) -> None:
    say(tmp_path, pid=other.pid)
    assert running_daemon(tmp_path) is not None
    other.kill()
    os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
    assert running_daemon(tmp_path) is None, "ended, and its parent has not noticed yet"
    other.wait()
    assert running_daemon(tmp_path) is None


def test_a_daemon_of_another_user_counts(tmp_path: Path) -> None:
    say(tmp_path)
    with patch("os.kill", side_effect=PermissionError):
        assert running_daemon(tmp_path) is not None


def test_our_own_pid_counts_as_reused(tmp_path: Path) -> None:
    say(tmp_path, pid=os.getpid())
    assert running_daemon(tmp_path) is None


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"pid": "x", "url": "", "version": ""}',
        "\udcff",
        "7",
        f'{{"pid": {10**30}, "url": "", "version": ""}}',
    ],
)
def test_an_invalid_file_counts_as_no_daemon(tmp_path: Path, content: str) -> None:
    (tmp_path / PRESENCE_FILE).write_bytes(content.encode("utf-8", "surrogateescape"))
    assert running_daemon(tmp_path) is None
    assert running_daemon(tmp_path / "nowhere") is None


def test_a_path_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "daemon.json.new").mkdir()
    with pytest.raises(JournalUnavailable, match=r"cannot write .*daemon\.json"), registered(tmp_path, URL):
        pass
