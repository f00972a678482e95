"""When an uploaded file may go (`after_upload`), under which names it is set aside meanwhile, and what is said. Pure.

Owns the rule that only a proven copy lets a file go, the reserved names, and the numbers that files get which find
their name taken. The steps are `folders.after_upload`', what they do to files is `sources.folder.aside`'s.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count

from pathspec import GitIgnoreSpec

from mirrord.errors import Reason
from mirrord.model import FileIdentity, FileRemoval, Integrity, MoveFile, Record, State, StoredObject
from mirrord.planning.decisions.object_identity import is_ours

ASIDE = ".mirrord-aside"
"""Names that begin so are mirrord's: a file on its way out, hidden from scans, its own name after the dash."""
_LONGEST_NAME = 255
"""Bytes of a file's name, on every file system that Linux has in common use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """What came of a file on its way out. `gone`: it was deleted, or moved to `at`. Else it stands, and `why` says why.

    `why` empty: it is not the file that was proven, so it is looked at like any other. `file`: the proven file, put
    back and now known by this.
    """

    gone: bool = False
    at: str = ""
    why: str = ""
    file: FileIdentity | None = None


def set_aside(name: str) -> str:
    """Where a file of that name is set aside, relative to its directory.

    Beside it, so that this needs no room on a full disk; in a directory only where the name has no room for more.
    """
    beside = f"{ASIDE}-{name}"
    return beside if len(os.fsencode(beside)) <= _LONGEST_NAME else f"{ASIDE}/{name}"


def own_name(aside: str) -> str | None:
    """The name of a file that was set aside beside its place; None: this is no such file."""
    return aside.removeprefix(f"{ASIDE}-") or None if aside.startswith(f"{ASIDE}-") else None


def names_for(name: str) -> Iterator[str]:
    """`a.csv`, then `a.1.csv`, `a.2.csv`, …, for ever: where a file may stand whose name may be taken."""
    yield name
    stem, ext = os.path.splitext(name)
    for number in count(1):
        tail = f".{number}{ext}"
        room = _LONGEST_NAME - len(os.fsencode(tail))
        cut = os.fsencode(stem)[:room].decode("utf-8", "ignore") if len(os.fsencode(stem)) > room else stem
        yield f"{cut}{tail}"


def move_fault(root: str, move: str, exclude: Iterable[str]) -> str | None:
    """Why files of the folder `root` cannot be moved to `move`: they would be found there again. None if they can."""
    below = os.path.relpath(move, root)
    if below.split("/")[0] == "..":
        return None
    left = GitIgnoreSpec.from_lines((".*", *exclude))
    if below != "." and left.match_file(f"{below}/"):
        return None
    return f"{move} is in the folder itself, where what is moved would be uploaded again; name another, or exclude it"


def same_file(now: FileIdentity, then: FileIdentity) -> bool:
    """Whether nothing was written since. A rename changes ctime, so this is for a file that we renamed."""
    return (now.device, now.inode, now.size, now.mtime_ns) == (then.device, then.inode, then.size, then.mtime_ns)


def unproven(record: Record | None) -> str | None:
    """Why the record does not let the file go; None if it does. What was adopted is to be compared first."""
    if (
        record is None
        or record.condition.state is not State.SYNCED
        or record.revision is None
        or record.revision.file is None
    ):
        return "its copy is not known to be whole"
    if record.object.integrity is Integrity.LENGTH:
        return "the store confirmed nothing but the copy's length: remove `checksum: none` from the store"
    return None


def lost(record: Record, stored: StoredObject | None) -> str | None:
    """Why the object that stands is not the copy that the journal has proven; None if it is."""
    if stored is None:
        return "the object was deleted"
    return None if is_ours(record, stored) and stored.size == record.object.size else "the object was replaced"


def has_left(record: Record | None) -> bool:
    """Whether the file was uploaded and then deleted or moved by us, or by a person: nothing is to be read any more."""
    if record is None or record.removed is not None or record.revision is None or record.object.etag is None:
        return False
    return record.condition.state is State.SYNCED or record.condition.reason is Reason.DRIFTED


def left_message(at: str) -> str:
    """What is said of an item whose file is gone for good."""
    return f"uploaded, then moved to {at}" if at else "uploaded, then deleted"


def kept_message(removal: FileRemoval, why: str) -> str:
    """What is said of an item whose file should have gone, and stands."""
    return f"uploaded, but the file could not be {'moved' if isinstance(removal, MoveFile) else 'deleted'}: {why}"
