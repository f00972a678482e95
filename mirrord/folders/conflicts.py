"""Which file of a folder is in conflict because another source has the same object.

Owns the comparison of each file with those that are known to claim its object: the file in the record, and one that
waits or was submitted. `planning.decisions.claims` has the rule. The other files are Blocked until they or their rivals
are gone. A file that a record or a claim names may be gone: the listing checks whether it exists now.
"""

from contextlib import aclosing

from mirrord.errors import Reason
from mirrord.events import ItemBlocked
from mirrord.folders.binding import Binding, file_claim
from mirrord.folders.candidates import Candidates, Conflict
from mirrord.folders.ports import FolderPorts, Rival
from mirrord.model import Item, Record, State
from mirrord.planning.decisions.claims import Claim, conflict_message, holder
from mirrord.ports import Found


class Conflicts:
    """The rule for one folder. Files in conflict get entries in `candidates`."""

    def __init__(self, binding: Binding, ports: FolderPorts, candidates: Candidates) -> None:
        self._binding = binding
        self._ports = ports
        self._candidates = candidates

    async def is_lost(self, found: Found, item: Item, record: Record | None) -> bool:
        """Whether another source has precedence for the file's object. Raises the errors of `taken` and the listing.

        If the file has precedence over another file of this folder, the other file becomes a conflict.
        """
        claim = self._claim(found, record)
        rival = await self._ports.taken(item, claim, record) or await self._first_file(claim, item, record)
        if rival is None:
            return False
        if rival.same_file:
            self._candidates.forget(found.name)
        else:
            self._lose(found.name, item, rival.text, state_of(record))
        return True

    async def _first_file(self, claim: Claim, item: Item, record: Record | None) -> Rival | None:
        """The file of this folder that has precedence over this one; None if there is none."""
        recorded = self._binding.name_of(record.source) if record else None
        for name in dict.fromkeys((self._candidates.claimant(item.id), recorded)):
            found = None if name in (None, claim.name) else await self._file_now(name, item.id)
            if found is None:
                continue
            other, its_item = found
            if holder((claim, other)).name == other.name:
                return Rival(other.name, claim.is_file_of(other))
            if claim.is_file_of(other):
                self._candidates.forget(other.name)
            else:
                self._lose(other.name, its_item, claim.name, state_of(record))
        return None

    def _lose(self, name: str, item: Item, rival: str, recorded: State | None) -> None:
        known = self._candidates.conflicts.get(name)
        message = conflict_message(name, rival, item.destination)
        since = known.since if known else self._ports.clock.now()
        kept = self._candidates.put(name, Conflict(item, message, since, self._candidates.scan, recorded))
        if kept and (known is None or known.message != message):
            self._ports.observer(ItemBlocked(item=item, reason=Reason.CONFLICT, message=message))

    async def claim_of(self, source: str, item_id: str) -> Claim | None:
        """The claim of a file of this folder, by its address, on that object; None if the file does not exist now, or
        has another object. For `Taken` of other folders."""
        name = self._binding.name_of(source)
        found = None if name is None else await self._file_now(name, item_id)
        return None if found is None else found[0]

    async def _file_now(self, name: str, item_id: str) -> tuple[Claim, Item] | None:
        """The file of that name and its item; None if it does not exist now, or has another object."""
        async with aclosing(self._ports.listing.scan((name,))) as files:
            existing = [found async for found in files if found.name == name]
        for found, item in await self._binding.items(existing):
            if isinstance(item, Item) and item.id == item_id:
                return self._claim(found, None), item
        return None

    def _claim(self, found: Found, record: Record | None) -> Claim:
        return file_claim(self._binding.spec, found, record)


def state_of(record: Record | None) -> State | None:
    """The recorded state of an item that is in force."""
    return record.condition.state if record is not None and record.removed is None else None
