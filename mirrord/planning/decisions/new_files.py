"""Which files of a folder are new and small, so that many of them are sent together. Pure.

Owns this one rule. Such a file has only one way: it is read, sent with If-None-Match, proven and recorded. Every other
file, and one for which anything else happens on that way, gets a check of its own (`reconcile`).
"""

from mirrord.declared import FolderSpec
from mirrord.model import FileIdentity, Overwrite
from mirrord.planning.decisions.listed import Verdict
from mirrord.units import KiB

MOST_BYTES = 256 * KiB
"""The largest file that is sent together with others. For larger ones the cost of a check does not count."""


def needs_only_a_put(folder: FolderSpec) -> bool:
    """Whether the objects of new small files of the folder need nothing but a put: the entry demands nothing of their
    bytes or objects, and follows no links."""
    options, requires = folder.options, folder.options.requires
    if options.suspend or options.readback or options.overwrite is not Overwrite.ALWAYS:
        return False
    if requires.checksum is not None or requires.content_type is not None or requires.max_size is not None:
        return False
    return not folder.selection.follow_symlinks


def sends_together(folder: FolderSpec) -> bool:
    """Whether new small files of the folder need nothing else before or after that put either: no marker decides about
    them, and they stay where they are."""
    return needs_only_a_put(folder) and not (folder.removes_files or folder.selection.ready)


def is_small(file: FileIdentity | None) -> bool:
    """Whether the file is small enough. An empty file is left to its own check, as its size may be untrue."""
    return file is not None and 0 < file.size <= MOST_BYTES


def is_free(verdict: Verdict) -> bool:
    """Whether a put with If-None-Match is the next step for a key: a complete listing lacks it."""
    return verdict is Verdict.ABSENT
