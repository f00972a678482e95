"""The rule of `daemon.file_roots`: what is read of this machine is below one of these directories.

Owns the real path of what was opened. A link that is changed between a check of a path and the opening of it
therefore leads nowhere. A hard link has no other real path than its own, so it is allowed. The roots, resolved
once, are in `OwnPaths`.
"""

import os

from mirrord.errors import SourceChanged, SourceDenied
from mirrord.settings import OwnPaths

_REMOVED = " (deleted)"
"""The end of the path of a removed file (proc(5), /proc/PID/fd)."""


def require_path_allowed(path: str, own: OwnPaths | None) -> None:
    """Raises SourceDenied if the path, after following links, is outside of the roots. Opens nothing."""
    if own is not None and own.roots is not None:
        _require_below(os.path.realpath(path), path, own.roots)


def require_allowed(file: int, path: str, own: OwnPaths | None) -> None:
    """Raises SourceDenied if the file or directory that was opened at this path is outside of the roots, and
    SourceChanged if it was removed or renamed meanwhile."""
    if own is None or own.roots is None:
        return
    real = _real_path(file, path)
    _require_below(real, path, own.roots)
    if _is_at(real, os.fstat(file)):
        return
    if real.endswith(_REMOVED) or _real_path(file, path) != real:
        raise SourceChanged(f"{path}: it was removed or renamed while it was opened")
    # It is in another mount namespace, where its path is another one than here.
    raise SourceDenied(f"{path}: its real path is not known, so daemon.file_roots does not allow it")


def _real_path(file: int, path: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{file}")
    except OSError:  # not Linux, or no procfs; `_is_at` then proves that the file opened is the one at the path
        return os.path.realpath(path)


def _is_at(real: str, opened: os.stat_result) -> bool:
    try:
        found = os.lstat(real)
    except OSError:
        return False
    return (found.st_dev, found.st_ino) == (opened.st_dev, opened.st_ino)


def _require_below(real: str, path: str, roots: tuple[str, ...]) -> None:
    if not any(real == root or real.startswith(f"{root.rstrip('/')}/") for root in roots):
        what = "it is" if real == path else f"it leads to {real},"
        raise SourceDenied(f"{path}: {what} outside of daemon.file_roots: move it below one of them, or add its folder")
