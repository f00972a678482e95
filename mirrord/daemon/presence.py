"""`daemon.json` in the state directory: the process id and the URL of the running daemon.

Owns the file (mode 0600). The daemon writes it atomically once it listens, and removes it at its end; `status` and
`trigger` read it. A file that kill -9 left names a process that no longer exists, and counts as no daemon. The file
holds no secret.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from mirrord._version import __version__
from mirrord.errors import JournalUnavailable
from mirrord.frozen import frozen
from mirrord.journal.private import private_directory

PRESENCE_FILE = "daemon.json"


@frozen
class Presence:
    """A running daemon. `url` is empty if it has no HTTP server."""

    pid: int
    url: str
    version: str


@contextmanager
def registered(directory: Path, url: str) -> Iterator[None]:
    """Register this process as the daemon of the state in `directory` until the context ends. Needs the StateLock.

    Raises JournalUnavailable if the file cannot be written.
    """
    mine = Presence(os.getpid(), url, __version__)
    private_directory(directory)
    _write(directory / PRESENCE_FILE, mine)
    try:
        yield
    finally:
        if _read(directory / PRESENCE_FILE) == mine:
            with suppress(OSError):  # a stale file is harmless: its process is gone
                (directory / PRESENCE_FILE).unlink()


def running_daemon(directory: Path) -> Presence | None:
    """The running daemon of the state in `directory`; None if there is none."""
    presence = _read(directory / PRESENCE_FILE)
    return presence if presence is not None and _is_running(presence.pid) else None


def _write(path: Path, presence: Presence) -> None:
    fresh = path.with_suffix(".json.new")
    try:
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "w") as stream:
            os.fchmod(stream.fileno(), 0o600)  # the umask may have removed bits
            json.dump(asdict(presence), stream)
        fresh.replace(path)
    except OSError as error:
        raise JournalUnavailable(f"cannot write {path}: {error.strerror}; free space, or mend its directory") from error


def _read(path: Path) -> Presence | None:
    """The content of the file; None if it is missing, not readable or not valid."""
    try:
        content = json.loads(path.read_text())
        return Presence(int(content["pid"]), str(content["url"] or ""), str(content["version"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _is_running(pid: int) -> bool:
    """Whether another process with this id runs. Each container counts from 1, so an id is soon used again."""
    if pid <= 0 or pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return not _ended(pid)


def _ended(pid: int) -> bool:
    """Whether it has ended and its parent has not read its exit status yet (proc(5), state Z)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] == "Z"
