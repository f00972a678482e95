"""Which other source in force has the object that a folder's file claims: the items of mirrors and lists, and the files
of the other folders that are recorded, or submitted and not recorded yet.

Owns where the claims of other folders are found. `planning.decisions.claims` has the rule.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol

from mirrord.errors import SourceTimedOut
from mirrord.folders.ports import Rival
from mirrord.model import Item, Record
from mirrord.planning.decisions.claims import Claim, file_text, holder, mirror_text

Named = tuple[str, str]
"""A folder's entry, and the address of a source."""


class OtherFolder(Protocol):
    """The part of a folder's loop that is needed here."""

    async def claim_of(self, source: str, item_id: str) -> Claim | None: ...

    def wants(self, item_id: str) -> bool: ...


async def rival_of(
    folders: Mapping[str, OtherFolder],
    ranks: Mapping[str, int],
    scheduled: Callable[[str], Item | None],
    entry: str,
    item: Item,
    claim: Claim | None,
    record: Record | None,
) -> Rival | None:
    """The source that has the object of a file of the folder `entry`; None: the file has it. `claim` None: the file is
    gone, so that the file of any other folder has it. `ranks`: the positions of the folders in the manifests."""
    other = scheduled(item.id)
    if other is not None and other.folder_file is None:
        return Rival(mirror_text(other.entry))
    recorded = [(record.entry, record.source)] if record is not None else []
    submitted = [(other.entry, other.origin.address)] if other is not None else []
    for named in dict.fromkeys((*recorded, *submitted)):
        found = await _claim_of(folders, named, item.id) if named[0] != entry else None
        if found is None:
            continue
        found = replace(found, rank=ranks[named[0]], recorded=named in recorded)
        if claim is None or holder((replace(claim, rank=ranks[entry]), found)) == found:
            return Rival(file_text(named[1], named[0]), same_file=claim is not None and claim.is_file_of(found))
    if claim is None:
        waits = (name for name, folder in folders.items() if name != entry and folder.wants(item.id))
        return next((Rival(f"a file in the folder {name}") for name in waits), None)
    return None


async def _claim_of(folders: Mapping[str, OtherFolder], named: Named, item_id: str) -> Claim | None:
    """The claim of that file on the object; so it has one while its folder does not answer."""
    entry, source = named
    folder = folders.get(entry)
    try:
        return await folder.claim_of(source, item_id) if folder is not None else None
    except SourceTimedOut:
        return Claim(0, entry, source)
