"""Two sources, one object: which file of a folder has to stand back, and for whom.

Owns the rule (another entry's claim goes first; of one folder's files, the first by name has the object) and the files
that lost, which are shown as Blocked until they or their rivals go. Asks the listing what stands now, for what the
journal or a claim says may be gone. Refuses to keep more than `MOST_CONFLICTS`: the others are held back all the same.
"""

from collections.abc import Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass

from mirrord.errors import Reason
from mirrord.events import ItemBlocked
from mirrord.folders.binding import Binding
from mirrord.folders.ports import FolderPorts
from mirrord.model import Item, Record, State

MOST_CONFLICTS = 1_000
"""Conflicts that are kept to be shown."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """A file whose object another source has. `since` is seconds since the epoch, `recorded` as of `Unsettled`."""

    item: Item
    message: str
    since: float
    scan: int
    recorded: State | None = None


class Conflicts:
    """Those of one folder, by the names of the files that lost. `let_go`: such a file waits for nothing any more."""

    def __init__(self, binding: Binding, ports: FolderPorts, let_go: Callable[[str], None]) -> None:
        self._binding = binding
        self._ports = ports
        self._let_go = let_go
        self._lost: dict[str, Conflict] = {}
        self._scan = 0

    def __iter__(self) -> Iterator[Conflict]:
        """Nothing may change meanwhile."""
        return iter(self._lost.values())

    def begin_scan(self) -> None:
        """A scan of the whole folder begins."""
        self._scan += 1

    def end_scan(self) -> None:
        """It was complete: a conflict that it did not come across is over."""
        self._lost = {name: one for name, one in self._lost.items() if one.scan == self._scan}

    def forget(self, name: str) -> None:
        """The file is gone, or has its object."""
        self._lost.pop(name, None)

    async def is_lost(self, name: str, item: Item, record: Record | None, claimed_by: str | None) -> bool:
        """Whether another source has the file's object before it. `claimed_by`: the file that waits for that object.

        Who comes after it by name loses the object to it. Raises what `taken` and the listing raise.
        """
        rival = await self._ports.taken(item, record) or await self._first_file(name, item, record, claimed_by)
        if rival:
            self._lose(name, item, rival, state_of(record))
        return bool(rival)

    async def _first_file(self, name: str, item: Item, record: Record | None, claimed_by: str | None) -> str:
        """The file of this folder that has the object before `name`; empty if none."""
        recorded = self._binding.name_of(record.source) if record else None
        for other in dict.fromkeys((claimed_by, recorded)):
            if other is None or other == name:
                continue
            its_item = await self._standing(other)
            if its_item is None or its_item.id != item.id:
                continue
            if other < name:
                return other
            self._lose(other, its_item, name, state_of(record))
        return ""

    def _lose(self, name: str, item: Item, rival: str, recorded: State | None) -> None:
        known = self._lost.get(name)
        message = f"{name} and {rival} have one object, {item.destination}: rename one, or change the folder's `key`"
        self._let_go(name)
        if known is None and len(self._lost) >= MOST_CONFLICTS:
            return
        since = known.since if known else self._ports.clock.now()
        self._lost[name] = Conflict(item, message, since, self._scan, recorded)
        if known is None or known.message != message:
            self._ports.observer(ItemBlocked(item=item, reason=Reason.CONFLICT, message=message))

    async def has(self, source: str, item_id: str) -> bool:
        """Whether a file of this folder, by its address, stands now and has that object: for others' `Taken`."""
        name = self._binding.name_of(source)
        item = None if name is None else await self._standing(name)
        return item is not None and item.id == item_id

    async def _standing(self, name: str) -> Item | None:
        """The item of the file of that name, if there is one now."""
        async with aclosing(self._ports.listing.look((name,))) as places:
            standing = [found async for found in places if found.name == name]
        items = [item for _, item in await self._binding.items(standing) if isinstance(item, Item)]
        return items[0] if items else None


def state_of(record: Record | None) -> State | None:
    """What the journal has of an item in force."""
    return record.state if record is not None and record.removed is None else None
