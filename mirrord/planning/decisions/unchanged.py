"""Whether a file of a folder is as it was recorded, so that its check would change and record nothing. Pure.

Owns this one rule, for many files at a time: `sync` asks a listing for the objects of such files (`listed`), a scan of
`run` skips them. The journal compares the records (`ports.JournalQueries.unchanged`). What the rule does not cover gets
a whole check.
"""

from typing import NamedTuple

from mirrord.declared import FolderSpec
from mirrord.model import FileIdentity, Integrity, Record, State
from mirrord.planning.decisions.decide import options_digest
from mirrord.planning.decisions.identity import same_state


class SeenFile(NamedTuple):
    """A file as a scan found it. `address`: as `Revision.address`."""

    address: str
    file: FileIdentity


class UnchangedRule(NamedTuple):
    """What the records of a folder's unchanged files have in common."""

    entry: str
    options_digest: str
    readback: bool


class RecordedFile(NamedTuple):
    """The record of an unchanged file: the file's device then, and whether the record has the folder's entry."""

    device: int
    of_entry: bool


def unchanged_rule(folder: FolderSpec) -> UnchangedRule | None:
    """The rule for the files of a folder; None: each of them needs a whole check. So it is where a check may change
    something although nothing changed: with `suspend`, and where files are removed after their upload."""
    options = folder.options
    if options.suspend or folder.removes_files or options.requires.checksum is not None:
        return None
    return UnchangedRule(folder.entry, options_digest(options.object), options.readback)


def unchanged_record(
    rule: UnchangedRule, seen: SeenFile, record: Record | None, *, transfers: bool
) -> RecordedFile | None:
    """The file's record, if it is unchanged; else None. `transfers`: the journal has a transfer of its item that did
    not end, or whose remains at the store are not removed yet."""
    if record is None or record.removed is not None or transfers:
        return None
    condition, revision = record.condition, record.revision
    if (condition.state, condition.reason, condition.message) != (State.SYNCED, None, ""):
        return None
    if record.object.options_digest != rule.options_digest:
        return None
    if rule.readback and record.object.integrity not in (None, Integrity.READBACK):
        return None
    if revision is None or revision.address != seen.address or not same_state(seen.file, revision.file):
        return None
    return None if revision.file is None else RecordedFile(revision.file.device, record.entry == rule.entry)
