"""The new small files of one folder: found together, with one question to the journal for many.

The rule is `planning.decisions.new_files`; `reconcile.file_batch` sends them. A file that is not found here is checked
on its own.
"""

from collections.abc import Sequence

from mirrord.declared import FolderSpec
from mirrord.model import FileIdentity, Item
from mirrord.planning.decisions.new_files import is_free, is_small, needs_only_a_put
from mirrord.ports import Found, JournalQueries
from mirrord.reconcile.file_batch import NewFile
from mirrord.reconcile.store_listings import StoreListings


class NewFiles:
    """Finds the new small files of a folder; none where each file needs a whole check."""

    def __init__(self, spec: FolderSpec, journal: JournalQueries, listings: StoreListings) -> None:
        self._spec = spec
        self._journal = journal
        self._listings = listings
        self._together = needs_only_a_put(spec) and not spec.removes_files  # what follows the put is in its own check

    async def among(self, found: Sequence[tuple[Found, Item]]) -> dict[str, NewFile]:
        """The new ones of some hundreds of settled files, by item id. Raises JournalError."""
        small = self._small(found) if self._together else {}
        if not small:
            return {}
        files = {item_id: one.file for item_id, one in small.items()}
        new = list(await self._journal.new_files(files, self._spec.target.endpoint))
        verdicts = await self._listings.verdicts(self._spec, new) if new else ()
        return {item_id: small[item_id] for item_id, one in zip(new, verdicts, strict=True) if is_free(one)}

    def _small(self, found: Sequence[tuple[Found, Item]]) -> dict[str, NewFile]:
        """By item id. Of two files with one key, the first."""
        small: dict[str, NewFile] = {}
        max_size = self._spec.options.requires.max_size
        for one, item in found:
            file: FileIdentity | None = one.revision.file
            if file is not None and is_small(file, max_size):
                small.setdefault(item.id, NewFile(item, one.revision, file))
        return small
