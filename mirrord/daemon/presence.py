"""`daemon.json` in the state directory: that a daemon runs here, and where it can be asked.

Owns the file (0600): written whole by the daemon once it listens, removed when it ends, and read by `status` and
`trigger`. What kill -9 left behind names a process that is gone, and counts as no daemon. Holds no secret.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from mirrord._version import __version__
from mirrord.errors import JournalUnavailable
from mirrord.journal.private import private_directory

PRESENCE_FILE = "daemon.json"


@dataclass(frozen=True, slots=True)
class Presence:
    """A daemon that runs. `url` is empty if it listens nowhere."""

    pid: int
    url: str
    version: str


@contextmanager
def present(directory: Path, url: str) -> Iterator[None]:
    """Say that this process is the daemon of the state in `directory`, for as long as the context lasts.

    Raises JournalUnavailable if the file cannot be written. Whoever enters holds the StateLock.
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


def found(directory: Path) -> Presence | None:
    """The daemon that runs on the state in `directory`; None if there is none."""
    said = _read(directory / PRESENCE_FILE)
    return said if said is not None and _lives(said.pid) else None


def _write(path: Path, presence: Presence) -> None:
    fresh = path.with_suffix(".json.new")
    try:
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "w") as stream:
            os.fchmod(stream.fileno(), 0o600)  # the umask may have taken some of it
            json.dump(asdict(presence), stream)
        fresh.replace(path)
    except OSError as error:
        raise JournalUnavailable(f"cannot write {path}: {error.strerror}; free space, or mend its directory") from error


def _read(path: Path) -> Presence | None:
    """What the file says; None if there is none, or if it is not ours to read or understand."""
    try:
        said = json.loads(path.read_text())
        return Presence(int(said["pid"]), str(said["url"] or ""), str(said["version"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _lives(pid: int) -> bool:
    """Whether it is a process other than this one: a pid is taken again soon where each container counts from 1."""
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
    """Whether it has ended and only waits for its parent to take notice (proc(5), state Z)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] == "Z"
