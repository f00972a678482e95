"""Whether a file, or a source's revision, is the one that was recorded: across a reboot or a remount, too. Pure.

Owns the one thing that a plain comparison gets wrong: the number of a device names it only until it is mounted again
(NFS, btrfs, overlay, LVM and loop devices are numbered as they come), so an equal file on another number is no other
file. A write that left inode, size, mtime and ctime as they were would have to turn back the clock of the kernel.
"""

from dataclasses import replace

from mirrord.model import FileIdentity, Revision


def same_state(now: FileIdentity | None, then: FileIdentity | None) -> bool:
    """Whether both are the same state of the same file; not if either is unknown."""
    if now is None or then is None:
        return False
    return now == then or replace(then, device=now.device) == now


def same_revision(now: Revision, then: Revision | None) -> bool:
    """Whether both are the same version of the same source. Beside a strong ETag a date says nothing."""
    if then is not None and now.strong_etag is not None and now.strong_etag == then.strong_etag:
        then = replace(then, last_modified=now.last_modified)
    if then is not None and same_state(now.file, then.file):
        then = replace(then, file=now.file)
    return now == then
