"""When an uploaded file may be deleted or moved (`after_upload`), its reserved name meanwhile, and the messages. Pure.

Owns the rule that a file is removed only if its copy is proven, the reserved names, and the numbers of files whose name
is in use. `folders.after_upload` owns the steps, `sources.folder.quarantine` the changes of files.
"""

import os
from collections.abc import Iterable, Iterator
from itertools import count

from mirrord.errors import Reason
from mirrord.frozen import frozen
from mirrord.model import FileIdentity, FileRemoval, Integrity, MoveFile, Record, State, StoredObject
from mirrord.planning.decisions.object_identity import is_ours, is_recorded

QUARANTINE = ".mirrord-aside"
"""Names with this prefix are reserved for mirrord: a file that is being removed, hidden from scans, with its original
name after the dash."""
_LONGEST_NAME = 255
"""Bytes of a file's name on all common file systems of Linux."""


@frozen(kw_only=True)
class RemovalResult:
    """The result of the removal of a file. `gone`: it was deleted, or moved to `at`. Otherwise it exists; `why`: the
    reason.

    `why` None: it is not the proven file, so it is checked like any other file. `file`: the new identity of the proven
    file after it got its name back.
    """

    gone: bool = False
    at: str | None = None
    why: str | None = None
    file: FileIdentity | None = None


def quarantine_name(name: str) -> str:
    """The name of a file during its removal, relative to its directory.

    It is in the same directory, because a full disk may have no space for a new one. Only a name that would be too long
    is in a subdirectory.
    """
    beside = f"{QUARANTINE}-{name}"
    return beside if len(os.fsencode(beside)) <= _LONGEST_NAME else f"{QUARANTINE}/{name}"


def original_name(reserved: str) -> str | None:
    """The name of a file before its removal began; None: this is not a reserved name."""
    return reserved.removeprefix(f"{QUARANTINE}-") or None if reserved.startswith(f"{QUARANTINE}-") else None


def numbered_names(name: str) -> Iterator[str]:
    """`a.csv`, then `a.1.csv`, `a.2.csv`, … without end: the names to try for a file whose name may be in use."""
    yield name
    stem, ext = os.path.splitext(name)
    for number in count(1):
        tail = f".{number}{ext}"
        room = _LONGEST_NAME - len(os.fsencode(tail))
        cut = os.fsencode(stem)[:room].decode("utf-8", "ignore") if len(os.fsencode(stem)) > room else stem
        yield f"{cut}{tail}"


def move_fault(root: str, move: str, exclude: Iterable[str]) -> str | None:
    """Why files of the folder `root` cannot be moved to `move`: a scan would find them again. None if they can."""
    from pathspec import GitIgnoreSpec  # here: few folders move their files, and the import takes 8 ms

    below = os.path.relpath(move, root)
    if below.split("/")[0] == "..":
        return None
    left = GitIgnoreSpec.from_lines((".*", *exclude))
    if below != "." and left.match_file(f"{below}/"):
        return None
    return f"{move} is in the folder itself, where what is moved would be uploaded again; name another, or exclude it"


def same_file(now: FileIdentity, then: FileIdentity) -> bool:
    """Whether nothing was written to the file since. It ignores ctime, which mirrord's own rename changed."""
    return (now.device, now.inode, now.size, now.mtime_ns) == (then.device, then.inode, then.size, then.mtime_ns)


def why_unproven(record: Record | None) -> str | None:
    """Why the record does not allow the removal of the file; None if it does. An adopted object of ours must be
    compared first; one of another tool has no transfer id that a HEAD could show."""
    if (
        record is None
        or record.condition.state is not State.SYNCED
        or record.revision is None
        or record.revision.file is None
    ):
        return "its copy is not known to be whole"
    if record.object.transfer_id is None:
        return "another tool uploaded it, so no transfer id proves the object: set `adopt: false` to send it again"
    if record.object.integrity is Integrity.LENGTH:
        return "the store confirmed nothing but the copy's length: remove `checksum: none` from the store"
    return None


def why_lost(record: Record, stored: StoredObject | None) -> str | None:
    """Why the stored object is not the recorded and proven copy; None if it is. A record without a transfer id is of an
    adopted object, whose file mirrord never removes."""
    if stored is None:
        return "the object was deleted"
    is_same = is_ours if record.object.transfer_id is not None else is_recorded
    return None if is_same(record, stored) and stored.size == record.object.size else "the object was replaced"


def is_removed(record: Record | None) -> bool:
    """Whether the file was uploaded and then deleted or moved, by mirrord or by a user: there is no source to read any
    more."""
    if record is None or record.removed is not None or record.revision is None or record.object.etag is None:
        return False
    return record.condition.state is State.SYNCED or record.condition.reason is Reason.DRIFTED


def removed_message(at: str | None) -> str:
    """The message of an item whose file was moved to `at`, or deleted (None)."""
    return f"uploaded, then moved to {at}" if at else "uploaded, then deleted"


def kept_message(removal: FileRemoval, why: str) -> str:
    """The message of an item whose file could not be deleted or moved."""
    return f"uploaded, but the file could not be {'moved' if isinstance(removal, MoveFile) else 'deleted'}: {why}"
