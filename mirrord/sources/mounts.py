"""Which file system a path is on, by /proc/self/mountinfo, and whether the kernel tells of every change there.

Owns the list of file systems whose changes come from elsewhere (another machine, a process behind FUSE, the lower
layers of a read-only overlay), so that inotify misses them. What cannot be told is taken to have events: a rescan
on a timer finds what they miss. Tells also by which other paths a bind mount shows the same directory.
"""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

MOUNTINFO = "/proc/self/mountinfo"

_NETWORK = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "afs", "davfs"}
_CLUSTER = {"ceph", "glusterfs", "lustre", "gpfs", "beegfs", "ocfs2", "gfs2", "orangefs", "pvfs2"}
_HOST_OR_FUSE = {"9p", "virtiofs", "vboxsf", "vmhgfs", "prl_fs", "fuse", "fuseblk"}
_FROM_ELSEWHERE = _NETWORK | _CLUSTER | _HOST_OR_FUSE
_ESCAPE = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of mountinfo: where, what, and with which options of the file system itself.

    `device` (major:minor) names the file system, `root` is the directory of it that is mounted at `point`.
    """

    point: str
    kind: str
    options: frozenset[str]
    device: str = ""
    root: str = "/"


@dataclass(frozen=True, slots=True)
class Mounts:
    """The mounts at one moment, in the order of mountinfo."""

    mounts: tuple[Mount, ...] = ()

    @classmethod
    def now(cls) -> Self:
        """As the kernel lists them; none where it has no such list."""
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
        """The other paths at which mounts show the same directory (absolute, without links)."""
        own = mount_of(path, self.mounts)
        if own is None:
            return []
        place = _below(own.root, path.removeprefix(own.point.rstrip("/")))
        found = [
            _below(one.point, place.removeprefix(one.root.rstrip("/")))
            for one in self.mounts
            if one.device == own.device and _contains(one.root, place)
        ]
        return [one for one in dict.fromkeys(found) if one != path and self._shows(one, own.device)]

    def _shows(self, path: str, device: str) -> bool:
        """Whether no later mount hides that path."""
        mount = mount_of(path, self.mounts)
        return mount is not None and mount.device == device


def parse(lines: Iterable[str]) -> Iterator[Mount]:
    """The mounts, in order; lines of another form are passed over. Format: proc_pid_mountinfo(5)."""
    for line in lines:
        mount, separator, rest = line.rstrip("\n").partition(" - ")
        fields, about = mount.split(" "), rest.split(" ")
        if separator and len(fields) >= 6 and len(about) >= 3:
            options = frozenset(about[2].split(","))
            yield Mount(_unescaped(fields[4]), about[0], options, fields[2], _unescaped(fields[3]))


def mount_of(path: str, mounts: Iterable[Mount]) -> Mount | None:
    """The mount that `path` (absolute, without links) is on: the longest point, of several the one mounted last."""
    best: Mount | None = None
    for mount in mounts:
        if _contains(mount.point, path) and (best is None or len(mount.point) >= len(best.point)):
            best = mount
    return best


def silent(mount: Mount) -> str:
    """Why changes on this file system may come without events; empty if the kernel tells of all."""
    if mount.kind in _FROM_ELSEWHERE or mount.kind.startswith("fuse."):
        return f"{mount.point} is {mount.kind}, where changes come without events"
    if mount.kind == "overlay" and not any(option.startswith("upperdir=") for option in mount.options):
        return f"{mount.point} is a read-only overlay, whose layers change without events"
    return ""


def silence_at(path: str) -> str:
    """Why changes below `path` may come without events; empty if the kernel tells of all, or nothing can be told."""
    mount = mount_of(os.path.realpath(path), Mounts.now().mounts)
    return silent(mount) if mount is not None else ""


def _contains(directory: str, path: str) -> bool:
    return path == directory or path.startswith(directory.rstrip("/") + "/")


def _below(directory: str, rest: str) -> str:
    return directory.rstrip("/") + rest or "/"


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda found: chr(int(found[1], 8)), text)
