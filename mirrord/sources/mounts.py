"""Which file system a path is on, by /proc/self/mountinfo, and whether the kernel reports every change there.

Owns the list of file systems that are changed from elsewhere (another machine, a process behind FUSE, the lower layers
of a read-only overlay), so that inotify misses changes. An unknown file system is taken to have events: the rescan on a
timer finds what they miss. Owns also which other paths lead to the same directory by a bind mount.
"""

import os
import re
from collections.abc import Iterable, Iterator
from typing import Self

from mirrord.frozen import frozen

MOUNTINFO = "/proc/self/mountinfo"

_NETWORK = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "afs", "davfs"}
_CLUSTER = {"ceph", "glusterfs", "lustre", "gpfs", "beegfs", "ocfs2", "gfs2", "orangefs", "pvfs2"}
_HOST_OR_FUSE = {"9p", "virtiofs", "vboxsf", "vmhgfs", "prl_fs", "fuse", "fuseblk"}
_FROM_ELSEWHERE = _NETWORK | _CLUSTER | _HOST_OR_FUSE
_ESCAPE = re.compile(r"\\([0-7]{3})")


@frozen
class Mount:
    """One line of mountinfo: mount point, type, and the options of the file system itself.

    `device` (major:minor) is the file system; `root` is its directory that is mounted at `point`.
    """

    point: str
    kind: str
    options: frozenset[str]
    device: str = ""
    root: str = "/"


@frozen
class Mounts:
    """The mounts at one moment, in the order of mountinfo."""

    mounts: tuple[Mount, ...] = ()

    @classmethod
    def now(cls) -> Self:
        """As the kernel lists them; empty on a system without that list."""
        try:
            with open(MOUNTINFO, encoding="utf-8", errors="surrogateescape") as lines:
                return cls(tuple(parse(lines)))
        except OSError:
            return cls()

    def below(self, path: str) -> list[str]:
        """The mount points below this directory (absolute, without links)."""
        above = path.rstrip("/") + "/"
        return [one.point for one in self.mounts if one.point.startswith(above) and one.point != path]

    def aliases(self, path: str) -> list[str]:
        """The other paths of the same directory, through other mounts (absolute, without links)."""
        own = mount_of(path, self.mounts)
        if own is None:
            return []
        inside = _below(own.root, path.removeprefix(own.point.rstrip("/")))
        found = [
            _below(one.point, inside.removeprefix(one.root.rstrip("/")))
            for one in self.mounts
            if one.device == own.device and _contains(one.root, inside)
        ]
        return [one for one in dict.fromkeys(found) if one != path and self._shows(one, own.device)]

    def _shows(self, path: str, device: str) -> bool:
        """Whether the path is on that device, so that no later mount hides it."""
        mount = mount_of(path, self.mounts)
        return mount is not None and mount.device == device


def parse(lines: Iterable[str]) -> Iterator[Mount]:
    """The mounts, in order. Lines of another form are ignored. Format: proc_pid_mountinfo(5)."""
    for line in lines:
        mount, separator, rest = line.rstrip("\n").partition(" - ")
        fields, about = mount.split(" "), rest.split(" ")
        if separator and len(fields) >= 6 and len(about) >= 3:
            options = frozenset(about[2].split(","))
            yield Mount(_unescaped(fields[4]), about[0], options, fields[2], _unescaped(fields[3]))


def mount_of(path: str, mounts: Iterable[Mount]) -> Mount | None:
    """The mount that `path` (absolute, without links) is on: the one with the longest mount point; of equal ones the
    last."""
    best: Mount | None = None
    for mount in mounts:
        if _contains(mount.point, path) and (best is None or len(mount.point) >= len(best.point)):
            best = mount
    return best


def silent(mount: Mount) -> str | None:
    """Why changes on this file system may come without events; None if the kernel reports all of them."""
    if mount.kind in _FROM_ELSEWHERE or mount.kind.startswith("fuse."):
        return f"{mount.point} is {mount.kind}, where changes come without events"
    if mount.kind == "overlay" and not any(option.startswith("upperdir=") for option in mount.options):
        return f"{mount.point} is a read-only overlay, whose layers change without events"
    return None


def silence_at(path: str) -> str | None:
    """Why changes below `path` may come without events; None if the kernel reports all of them, or if the file system
    is not known."""
    mount = mount_of(os.path.realpath(path), Mounts.now().mounts)
    return silent(mount) if mount is not None else None


def _contains(directory: str, path: str) -> bool:
    return path == directory or path.startswith(directory.rstrip("/") + "/")


def _below(directory: str, rest: str) -> str:
    return directory.rstrip("/") + rest or "/"


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda found: chr(int(found[1], 8)), text)
