"""The machine: state directory, disk space, inotify, open files. Readers have effects, judgements are pure.

It creates nothing: a state directory that does not exist is judged by the nearest parent that does.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from mirrord.engine.descriptors import descriptors, descriptors_for
from mirrord.frozen import frozen
from mirrord.programs.doctor.findings import DoctorFinding, failed, ok, skipped, warning
from mirrord.units import GiB, MiB, format_size

LEAST_SPACE = 64 * MiB
"""Bytes below which the journal is in danger."""
LITTLE_SPACE = 1 * GiB
CONNECTIONS = 64
"""Connections of a store for which the limit of open files should be enough."""
_INOTIFY = Path("/proc/sys/fs/inotify")


@frozen
class StateFacts:
    """The state directory as it is. `mode` None: it does not exist, and `nearest` is the parent that does."""

    directory: str
    nearest: str
    mode: int | None
    writable: bool
    own: bool
    free: int


def read_state(directory: Path) -> StateFacts:
    """Raises OSError."""
    nearest = next(one for one in (directory, *directory.parents) if one.exists())
    stat, space = nearest.stat(), os.statvfs(nearest)
    return StateFacts(
        directory=str(directory),
        nearest=str(nearest),
        mode=stat.st_mode & 0o7777 if nearest == directory else None,
        writable=os.access(nearest, os.W_OK | os.X_OK),
        own=stat.st_uid == os.geteuid(),
        free=space.f_bavail * space.f_frsize,
    )


def state_findings(facts: StateFacts) -> Iterator[DoctorFinding]:
    """Whether the journal can be kept there, for its owner alone, and for how long."""
    yield _state_rights(facts)
    free = f"{format_size(facts.free)} free"
    if facts.free < LEAST_SPACE:
        yield failed(
            "disk-space", facts.nearest, f"{free}: the journal cannot grow", "free some space, or move --state"
        )
    elif facts.free < LITTLE_SPACE:
        what = f"{free}: the journal of a million items takes about 1 GiB"
        yield warning("disk-space", facts.nearest, what, "free some space, or move --state")
    else:
        yield ok("disk-space", facts.nearest, free)


def _state_rights(facts: StateFacts) -> DoctorFinding:
    name, about = "state-directory", facts.directory
    if not facts.writable:
        user = f"user {os.geteuid()} may not write to {facts.nearest}, so that nothing can be recorded"
        return failed(
            name, about, user, f"chown {os.geteuid()} {facts.nearest}, or name another directory with --state"
        )
    if facts.mode is None:
        return ok(name, about, "does not exist yet; it will be created with the mode 0700")
    if facts.mode & 0o077:
        what = f"has the mode {facts.mode:04o}: other users can see its files (each has the mode 0600)"
        return warning(name, about, what, f"chmod 0700 {about}")
    if not facts.own:
        return warning(name, about, "belongs to another user", f"chown {os.geteuid()} {about}")
    return ok(name, about, f"has the mode {facts.mode:04o} and is writable")


def inotify_limits() -> tuple[int, int] | None:
    """The most watches and instances of a user (inotify(7)); None: there is no inotify."""
    try:
        watches, instances = (int((_INOTIFY / f"max_user_{one}").read_text()) for one in ("watches", "instances"))
    except (OSError, ValueError):
        return None
    return watches, instances


def inotify_finding(directories: int, limits: tuple[int, int] | None) -> DoctorFinding:
    """Whether the directories of all watched folders can be watched: each needs one watch."""
    name, about = "inotify", "folders"
    if limits is None:
        return skipped(name, about, "this system has no inotify; folders are scanned, or watched by other means")
    watches, instances = limits
    found = f"{directories:,} directories, at most {watches:,} watches of this user"
    if directories > watches:
        fix = f"sysctl fs.inotify.max_user_watches={2 * directories}, or `watch: poll`"
        return failed(name, about, f"{found}: changes in the rest are only seen by a rescan", fix)
    if instances < 1 or directories > watches // 2:
        return warning(name, about, f"{found}, which other programs use, too", "raise fs.inotify.max_user_watches")
    return ok(name, about, found)


def open_files() -> int:
    """The limit of open files that applies to this process."""
    return descriptors()


def open_files_finding(limit: int, stores: int) -> DoctorFinding:
    """Whether the stores can have all their connections."""
    wanted = descriptors_for(CONNECTIONS, max(1, stores))
    if limit < wanted:
        what = f"at most {limit:,} (ulimit -n): the stores get fewer connections, so that less is sent at once"
        return warning("open-files", "process", what, f"raise it to {wanted:,} (systemd: LimitNOFILE={wanted})")
    return ok("open-files", "process", f"at most {limit:,}")
