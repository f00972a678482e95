"""What the rules of leaving items need to know, for programs that read the manifests and lists once."""

from collections.abc import Iterator

from mirrord.manifest.identity import LoadedFiles, invalid_texts, manifest_identity
from mirrord.planning.decisions.leaving import LoadedEntries
from mirrord.planning.items.entries_in_force import entries_in_force, files_with_entries
from mirrord.programs.desired import Desired


class ProgramItems:
    """`DesiredItems` of a program. The items of lists are in its spool."""

    def __init__(self, desired: Desired) -> None:
        self._mirrors = {item.id: item.entry for item in desired.expansion.items}
        self._lists = [spec.entry for spec in desired.expansion.lists]
        self._listed = desired.listed

    def entry_of(self, item_id: str) -> str | None:
        """See `DesiredItems`."""
        number = self._listed.number_of(item_id)
        return self._lists[number] if number is not None else self._mirrors.get(item_id)

    def pairs(self) -> Iterator[tuple[str, str]]:
        """See `DesiredItems`."""
        yield from self._mirrors.items()
        yield from ((item_id, self._lists[number]) for item_id, number in self._listed.numbers())


def loaded_entries(desired: Desired) -> LoadedEntries:
    """What the manifests say, once their lists were read."""
    bad = sorted({problem.file for problem in desired.problems})
    return entries_in_force(
        desired.expansion,
        files=LoadedFiles(file for file in files_with_entries(desired.expansion) if file not in bad),
        identity=manifest_identity,
        stores={name: store.endpoint for name, store in desired.loaded.stores.items()},
        incomplete=desired.listed.incomplete,
        invalid=invalid_texts(bad),
    )
