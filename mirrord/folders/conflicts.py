"""Which file of a folder is in conflict because another source has the same object.

Owns the rule: another entry has precedence; of one folder's files, the first by name has the object. The other files
are Blocked until they or their rivals are gone. A file that a record or a claim names may be gone: the listing checks
whether it exists now.
"""

from contextlib import aclosing

from mirrord.errors import Reason
from mirrord.events import ItemBlocked
from mirrord.folders.binding import Binding
from mirrord.folders.candidates import Candidates, Conflict
from mirrord.folders.ports import FolderPorts
from mirrord.model import Item, Record, State
from mirrord.planning.decisions.claims import conflict_message


class Conflicts:
    """The rule for one folder. Files in conflict get entries in `candidates`."""

    def __init__(self, binding: Binding, ports: FolderPorts, candidates: Candidates) -> None:
        self._binding = binding
        self._ports = ports
        self._candidates = candidates

    async def is_lost(self, name: str, item: Item, record: Record | None) -> bool:
        """Whether another source has precedence for the file's object. Raises the errors of `taken` and the listing.

        If the file has precedence over another file of this folder, the other file becomes a conflict.
        """
        rival = await self._ports.taken(item, record) or await self._first_file(name, item, record)
        if rival is not None:
            self._lose(name, item, rival, state_of(record))
        return rival is not None

    async def _first_file(self, name: str, item: Item, record: Record | None) -> str | None:
        """The file of this folder that has precedence over `name`; None if there is none."""
        recorded = self._binding.name_of(record.source) if record else None
        for other in dict.fromkeys((self._candidates.claimant(item.id), recorded)):
            if other is None or other == name:
                continue
            its_item = await self._item_now(other)
            if its_item is None or its_item.id != item.id:
                continue
            if other < name:
                return other
            self._lose(other, its_item, name, state_of(record))
        return None

    def _lose(self, name: str, item: Item, rival: str, recorded: State | None) -> None:
        known = self._candidates.conflicts.get(name)
        message = conflict_message(name, rival, item.destination)
        since = known.since if known else self._ports.clock.now()
        kept = self._candidates.put(name, Conflict(item, message, since, self._candidates.scan, recorded))
        if kept and (known is None or known.message != message):
            self._ports.observer(ItemBlocked(item=item, reason=Reason.CONFLICT, message=message))

    async def has(self, source: str, item_id: str) -> bool:
        """Whether a file of this folder, by its address, exists now and has that object: for `Taken` of other
        folders."""
        name = self._binding.name_of(source)
        item = None if name is None else await self._item_now(name)
        return item is not None and item.id == item_id

    async def _item_now(self, name: str) -> Item | None:
        """The item of the file of that name; None if the file does not exist now."""
        async with aclosing(self._ports.listing.scan((name,))) as files:
            existing = [found async for found in files if found.name == name]
        items = [item for _, item in await self._binding.items(existing) if isinstance(item, Item)]
        return items[0] if items else None


def state_of(record: Record | None) -> State | None:
    """The recorded state of an item that is in force."""
    return record.condition.state if record is not None and record.removed is None else None
