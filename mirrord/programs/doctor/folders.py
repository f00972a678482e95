"""The folders: whether their files can be read and, where the manifest says so, taken away. `machine` judges inotify.

Walks the directories of each folder, for at most `WALK_SECONDS`; reads no file and writes nothing.
"""

import asyncio
import os
from collections.abc import Iterator
from time import monotonic

from mirrord.declared import FolderSpec
from mirrord.frozen import frozen
from mirrord.model import MoveFile
from mirrord.programs.doctor.findings import DoctorFinding, failed, ok

WALK_SECONDS = 10.0
ANSWER_WITHIN = 30.0
"""Seconds after which a file system counts as hanging."""


@frozen
class FolderFacts:
    """One folder as it is. `problem`: why its root cannot be read; empty: it can. `unreadable` and `unwritable` are the
    first directories without the rights; `whole`: all directories were seen."""

    entry: str
    path: str
    directories: int = 0
    problem: str = ""
    unreadable: str = ""
    unwritable: str = ""
    destination: str = ""
    """Why files cannot be moved there; empty: they can, or nothing is moved."""
    whole: bool = True


async def read_folder(spec: FolderSpec) -> FolderFacts:
    """What the folder's file system answers within ANSWER_WITHIN."""
    try:
        return await asyncio.wait_for(asyncio.to_thread(_read, spec), ANSWER_WITHIN)
    except TimeoutError:
        return FolderFacts(spec.entry, spec.path, problem=f"its file system did not answer in {ANSWER_WITHIN:.0f} s")


def _read(spec: FolderSpec) -> FolderFacts:
    try:
        with os.scandir(spec.path):
            pass
    except OSError as error:
        return FolderFacts(spec.entry, spec.path, problem=(error.strerror or str(error)).lower())
    seen, unreadable, unwritable, whole = 0, "", "", True
    ends = monotonic() + WALK_SECONDS
    for path, _, _ in os.walk(spec.path, followlinks=spec.selection.follow_symlinks, onerror=None):
        seen += 1
        if not os.access(path, os.R_OK | os.X_OK):
            unreadable = unreadable or path
        if spec.removes_files and not os.access(path, os.W_OK | os.X_OK):
            unwritable = unwritable or path
        if monotonic() > ends:
            whole = False
            break
    return FolderFacts(spec.entry, spec.path, seen, "", unreadable, unwritable, _destination(spec), whole)


def _destination(spec: FolderSpec) -> str:
    if not isinstance(spec.after_upload, MoveFile):
        return ""
    place = spec.after_upload.directory
    while not os.path.lexists(place) and place != os.path.dirname(place):
        place = os.path.dirname(place)
    return "" if os.access(place, os.W_OK | os.X_OK) and os.path.isdir(place) else place


def folder_findings(facts: FolderFacts) -> Iterator[DoctorFinding]:
    """Whether the files of one folder will be seen, read and taken away."""
    name, about = "folder", f"{facts.entry}: {facts.path}"
    user = f"user {os.geteuid()}"
    if facts.problem:
        fix = f"create it, mount it, or give {user} the right to read it"
        yield failed(name, about, f"cannot be read: {facts.problem}; none of its files is sent", fix)
        return
    if facts.unreadable:
        what = f"{facts.unreadable} cannot be read, so that no scan is complete and nothing is deleted"
        yield failed(name, about, what, f"give {user} the rights r and x on it, or exclude it")
    else:
        more = "" if facts.whole else " or more"
        yield ok(name, about, f"can be read: {facts.directories:,}{more} directories")
    if facts.unwritable:
        what = f"after_upload cannot take files out of {facts.unwritable}"
        yield failed("after-upload", about, what, f"give {user} the rights w and x on it, or set after_upload: keep")
    if facts.destination:
        what = f"after_upload cannot move files below {facts.destination}"
        yield failed("after-upload", about, what, f"create the directory, and give {user} the rights w and x on it")
