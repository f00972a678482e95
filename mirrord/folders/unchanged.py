"""The files of one folder that are as they were recorded: found together, without an item for each.

Owns the question to the journal about some hundreds of files at once. The rule is `planning.decisions.unchanged`. A
file that is not found here is checked on its own.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from mirrord.declared import FolderSpec
from mirrord.errors import KeyRefused
from mirrord.model import FileIdentity, ItemIds
from mirrord.planning.decisions.prune import ScannedItems
from mirrord.planning.decisions.unchanged import RecordedFile, SeenFile, unchanged_rule
from mirrord.planning.items.bind import has_date, key_of
from mirrord.ports import Found, JournalQueries


class UnchangedFile(NamedTuple):
    """A file that is as it was recorded."""

    item_id: str
    file: FileIdentity
    recorded: RecordedFile


class UnchangedFiles:
    """Finds the unchanged files of a folder. None where each file needs a whole check, or its key a recorded date."""

    def __init__(self, spec: FolderSpec, journal: JournalQueries) -> None:
        self._spec = spec
        self._journal = journal
        self._rule = None if has_date(spec) else unchanged_rule(spec)
        self._ids = ItemIds(spec.target.endpoint, spec.target.bucket)

    async def among(self, found: Sequence[Found]) -> Mapping[str, UnchangedFile]:
        """The unchanged ones of some hundreds of files, by name. Raises JournalError."""
        if self._rule is None or not found:
            return {}
        seen: dict[str, SeenFile] = {}
        names: dict[str, str] = {}
        for one in found:
            file = one.revision.file
            item_id = self._item_id(one.name)
            if file is not None and item_id is not None and names.setdefault(item_id, one.name) == one.name:
                seen[item_id] = SeenFile(one.revision.address, file)
        records = await self._journal.unchanged(seen, self._rule)
        return {names[item_id]: UnchangedFile(item_id, seen[item_id].file, one) for item_id, one in records.items()}

    def _item_id(self, name: str) -> str | None:
        """None: the name makes no key."""
        try:
            return self._ids.of(key_of(self._spec, name, 0.0))
        except KeyRefused:
            return None


def note_seen(seen: ScannedItems, files: Iterable[UnchangedFile]) -> None:
    """A scan saw these unchanged files."""
    for one in files:
        seen.add_recorded(one.item_id, one.file.device, one.recorded)
