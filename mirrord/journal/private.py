"""Creates directories and files that only their owner can read: 0700 and 0600, whatever the umask.

Owns the modes of the state directory. Never changes the mode of a directory that it did not create: `--state` may name
a directory that is shared with others, and the files in it are private anyway.
"""

import os
from pathlib import Path

from mirrord.errors import JournalUnavailable


def private_directory(path: Path) -> None:
    """Create the directory `path` (0700) and its missing parents, if it does not exist. Raises JournalUnavailable."""
    try:
        if not path.is_dir():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir(0o700, exist_ok=True)
            path.chmod(0o700)  # the umask may have removed permissions
    except OSError as error:
        raise _unavailable(path, error) from error


def private_file(path: Path) -> None:
    """Create an empty file (0600), or set the mode of an existing one to 0600. Raises JournalUnavailable.

    An existing file is never opened: closing a second descriptor would release SQLite's POSIX locks on it.
    """
    try:
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        if path.stat().st_mode & 0o777 != 0o600:
            path.chmod(0o600)
    except OSError as error:
        raise _unavailable(path, error) from error


def _unavailable(path: Path, error: OSError) -> JournalUnavailable:
    return JournalUnavailable(
        f"cannot make {path} for the state: {error.strerror}; make its directory writable, or name another with --state"
    )
