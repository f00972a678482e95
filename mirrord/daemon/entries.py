"""The entries of the manifests in force, and what the API shows of each. Pure.

Owns their names, kinds and order; `picture` counts their items.
"""

from collections.abc import Iterable, Mapping, Sequence
from heapq import nsmallest

from mirrord.frozen import frozen
from mirrord.model import State
from mirrord.planning.items.expand import Expansion
from mirrord.status import EntryStatus, FolderStatus, ListStatus

MIRROR, LIST, FOLDER = "mirror", "list", "folder"


@frozen
class LastPass:
    """The last reading of a list, or scan of a folder."""

    when: float | None
    problems: tuple[str, ...]


def entries_after(expansion: Expansion, name: str | None, most: int) -> Sequence[tuple[str, str]]:
    """Names and kinds of the first `most` entries with names after `name`, in the order of the names."""
    kinds = {item.entry: MIRROR for one in expansion.files for item in one.items}
    kinds |= {spec.entry: LIST for spec in expansion.lists} | {spec.entry: FOLDER for spec in expansion.folders}
    return nsmallest(most, ((entry, kind) for entry, kind in kinds.items() if name is None or entry > name))


def last_passes(lists: Iterable[ListStatus], folders: Iterable[FolderStatus]) -> Mapping[str, LastPass]:
    """By entry."""
    read = {one.name: LastPass(one.read_at, one.faults) for one in lists}
    return read | {one.name: LastPass(one.last_scan, (one.problem,) if one.problem else ()) for one in folders}


def entry_status(
    name: str, kind: str, counted: tuple[Mapping[State, int], int], last: LastPass | None, staleness: float | None
) -> EntryStatus:
    """One entry; `counted`: its items by state, and the bytes of their objects."""
    states, size = counted
    return EntryStatus(
        name=name,
        kind=kind,
        items=sum(states.values()),
        states=states,
        size=size,
        last_pass=last.when if last else None,
        staleness=staleness,
        problems=last.problems if last else (),
    )
