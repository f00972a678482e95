"""Two sources, one object: which file of a folder is in conflict, and with whom.

Owns the rule: another entry's claim goes first; of one folder's files, the first by name has the object. The files that
lose are shown as Blocked until they or their rivals go. A file that the journal or a claim names may be gone: the
listing is asked whether it stands now.
"""

from contextlib import aclosing

from mirrord.errors import Reason
from mirrord.events import ItemBlocked
from mirrord.folders.binding import Binding
from mirrord.folders.candidates import Candidates, Conflict
from mirrord.folders.ports import FolderPorts
from mirrord.model import Item, Record, State


class Conflicts:
    """The rule for one folder. Files that lose get their entries in `candidates`."""

    def __init__(self, binding: Binding, ports: FolderPorts, candidates: Candidates) -> None:
        self._binding = binding
        self._ports = ports
        self._candidates = candidates

    async def is_lost(self, name: str, item: Item, record: Record | None) -> bool:
        """Whether another source has the file's object before it. Raises what `taken` and the listing raise.

        If the file has it before another file of this folder, that one loses it.
        """
        rival = await self._ports.taken(item, record) or await self._first_file(name, item, record)
        if rival:
            self._lose(name, item, rival, state_of(record))
        return bool(rival)

    async def _first_file(self, name: str, item: Item, record: Record | None) -> str:
        """The file of this folder that has the object before `name`; empty if none."""
        recorded = self._binding.name_of(record.source) if record else None
        for other in dict.fromkeys((self._candidates.claimant(item.id), recorded)):
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
        known = self._candidates.conflicts.get(name)
        message = f"{name} and {rival} have one object, {item.destination}: rename one, or change the folder's `key`"
        since = known.since if known else self._ports.clock.now()
        kept = self._candidates.put(name, Conflict(item, message, since, self._candidates.scan, recorded))
        if kept and (known is None or known.message != message):
            self._ports.observer(ItemBlocked(item=item, reason=Reason.CONFLICT, message=message))

    async def has(self, source: str, item_id: str) -> bool:
        """Whether a file of this folder, by its address, stands now and has that object: for others' `Taken`."""
        name = self._binding.name_of(source)
        item = None if name is None else await self._standing(name)
        return item is not None and item.id == item_id

    async def _standing(self, name: str) -> Item | None:
        """The item of the file of that name, if there is one now."""
        async with aclosing(self._ports.listing.scan((name,))) as places:
            standing = [found async for found in places if found.name == name]
        items = [item for _, item in await self._binding.items(standing) if isinstance(item, Item)]
        return items[0] if items else None


def state_of(record: Record | None) -> State | None:
    """What the journal has of an item in force."""
    return record.condition.state if record is not None and record.removed is None else None
