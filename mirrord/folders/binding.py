"""Which object each file of a folder has: by the folder's key template, and by the date that a path keeps.

Owns the query for dates: one for many files, and none where keys have no date. A recorded path keeps its date, even if
its file's mtime or its entry's name has changed; a new path gets its mtime. `planning.items.bind.item_of` makes the
key.
"""

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import TypeVar

from mirrord.declared import FolderSpec
from mirrord.errors import KeyRefused
from mirrord.frozen import frozen
from mirrord.model import Item, Record
from mirrord.planning.decisions.claims import Claim
from mirrord.planning.decisions.decide import options_digest
from mirrord.planning.items.bind import file_of, has_date, item_of, name_of
from mirrord.ports import Found, JournalQueries

F = TypeVar("F", bound=Found)


@frozen
class Binding:
    """Binds the files of one folder. `pending`: the dates of submitted files that have no record yet, by name."""

    spec: FolderSpec
    journal: JournalQueries
    pending: Mapping[str, float] = field(default_factory=dict)

    async def items(self, found: Sequence[F]) -> list[tuple[F, Item | KeyRefused]]:
        """Each file with its item, or with the reason why it has none. For some hundreds at once. Raises
        JournalError."""
        dates = await self._dates([one.name for one in found]) if has_date(self.spec) else {}
        return [(one, self._item(one, dates)) for one in found]

    async def _dates(self, names: Sequence[str]) -> Mapping[str, float]:
        sources = {self.address(name): name for name in names}
        recorded = await self.journal.dates(sources)
        return {sources[source]: dated for source, dated in recorded.items()}

    def _item(self, found: Found, dates: Mapping[str, float]) -> Item | KeyRefused:
        file = found.revision.file
        mtime = 0.0 if file is None else file.mtime_ns / 1e9
        try:
            return item_of(self.spec, found.name, dates.get(found.name, self.pending.get(found.name, mtime)))
        except KeyRefused as error:
            return error

    def address(self, name: str) -> str:
        """The source address of the file of that name."""
        return file_of(self.spec, name).address

    def name_of(self, source: str) -> str | None:
        """The name of the file with this source address; None: it is not in this folder."""
        return name_of(self.spec, source)


def file_claim(folder: FolderSpec, found: Found, record: Record | None, rank: int = 0) -> Claim:
    """The claim of a file on its object. `record`: of that object; `rank`: see `Claim`."""
    source = (folder.entry, file_of(folder, found.name).address)
    return Claim(
        rank=rank,
        entry=folder.entry,
        name=found.name,
        file=found.revision.file,
        options=options_digest(folder.options.object),
        recorded=record is not None and (record.entry, record.source) == source,
    )
