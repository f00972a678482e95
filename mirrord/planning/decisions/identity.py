"""Whether a file, or a source's revision, is the recorded one, also after a reboot or a remount. Pure.

Owns the case that a plain comparison does not cover: a device number is valid only until the device is mounted again
(NFS, btrfs, overlay, LVM and loop devices are numbered in order of their mounts), so an equal file with another device
number is the same file. A write that keeps inode, size, mtime and ctime would need to set back the kernel's clock.
"""

from dataclasses import replace

from mirrord.model import FileIdentity, Revision


def same_state(now: FileIdentity | None, then: FileIdentity | None) -> bool:
    """Whether both are the same state of the same file; False if one of them is unknown."""
    if now is None or then is None:
        return False
    return now == then or replace(then, device=now.device) == now


def same_revision(now: Revision, then: Revision | None) -> bool:
    """Whether both are the same version of the same source. With equal strong ETags the date is ignored."""
    if then is not None and now.strong_etag is not None and now.strong_etag == then.strong_etag:
        then = replace(then, last_modified=now.last_modified)
    if then is not None and same_state(now.file, then.file):
        then = replace(then, file=now.file)
    return now == then
