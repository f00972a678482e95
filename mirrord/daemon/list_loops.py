"""The loops of the lists in force: one background task for each list, and the items of all of them.

Owns the start and the end of each loop as lists are added, changed and removed, and which entry has an object that
several name. `followed_list` is the loop itself.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain

from mirrord.aio import cooperatively
from mirrord.daemon.followed_list import MOST_CONFLICTS, FollowedList, ListPorts, carried_over
from mirrord.daemon.supervise import Supervisor
from mirrord.declared import ListSpec
from mirrord.model import Item
from mirrord.planning.items.items_in_force import ItemsInForce
from mirrord.ports import Clock, Source
from mirrord.status import ListStatus


@dataclass(slots=True, kw_only=True)
class ListLoops:
    """`stop_outdated`, then `start_missing`, after each change of the lists in force."""

    source_of: Callable[[ListSpec], Source]
    supervisor: Supervisor
    clock: Clock
    _loops: dict[str, FollowedList] = field(default_factory=dict, init=False)
    _taking: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    async def stop_outdated(self, wanted: Mapping[str, ListSpec], changed: Callable[[], Awaitable[None]]) -> None:
        """End the loops of lists that were removed or changed; a changed one keeps its items until it is read.

        `changed`: applies the items of all lists, after one was read. It must not call this method.
        """
        ports = ListPorts(source_of=self.source_of, changed=changed, clock=self.clock, taking=self._taking)
        before = dict(self._loops)
        for entry, loop in before.items():
            if loop.spec != wanted.get(entry):
                await self.supervisor.stop(_task(entry))
        self._loops = {
            entry: before[entry]
            if entry in before and before[entry].spec == spec
            else FollowedList(spec, ports, carried_over(_predecessor(spec, before, wanted), spec))
            for entry, spec in wanted.items()
        }

    def start_missing(self) -> None:
        """Start a loop for each list that has none."""
        for entry, loop in self._loops.items():
            if _task(entry) not in self.supervisor.names:
                self.supervisor.start(_task(entry), loop.run)

    async def added_to(self, mirrors: Mapping[str, Item]) -> tuple[ItemsInForce, frozenset[str]]:
        """The items of mirrors and of all lists, and the entries of lists that are not complete: no record of theirs
        counts as gone. An object that another entry has stays with that entry, and the list is incomplete."""
        items = ItemsInForce(mirrors)
        async with self._taking:
            for loop in self._loops.values():
                await loop.show_conflicts(await _conflicts(loop, items))
                items = ItemsInForce(mirrors, (*items.lists, *loop.items.lists))
            unknown = (entry for entry, loop in self._loops.items() if not loop.known or loop.conflicts)
            return items, frozenset(unknown)

    def statuses(self) -> tuple[ListStatus, ...]:
        """Each list in force, by name."""
        return tuple(loop.status() for _, loop in sorted(self._loops.items()))

    def take_due(self) -> Iterator[str]:
        """See `FollowedList.take_due`: of all lists."""
        return chain.from_iterable([loop.take_due() for loop in self._loops.values()])

    def read_again(self, entry: str | None = None) -> bool:
        """Read all lists, or that of this entry, now. Returns whether there are any."""
        loops = [loop for name, loop in self._loops.items() if entry in (None, name)]
        for loop in loops:
            loop.read_again()
        return bool(loops)


async def _conflicts(loop: FollowedList, items: ItemsInForce) -> tuple[str, ...]:
    """The conflicts of a list with the items before it, which are bounded."""
    found: dict[str, str] = {}
    async for item_id in cooperatively(chain.from_iterable(map(items.conflicts, loop.items.lists))):
        if item_id is not None:
            at, of = loop.items[item_id].destination, items.entry_of(item_id)
            found[item_id] = f"{at} of {loop.spec.entry} is also the object of {of}"
            if len(found) == MOST_CONFLICTS:
                break
    return tuple(found.values())


def _predecessor(
    spec: ListSpec, before: Mapping[str, FollowedList], wanted: Mapping[str, ListSpec]
) -> FollowedList | None:
    """The list of this entry before, or that of an entry that was renamed to it."""
    if spec.entry in before:
        return before[spec.entry]
    removed = (loop for entry, loop in before.items() if entry not in wanted)
    return next((loop for loop in removed if loop.spec.location == spec.location), None)


def _task(entry: str) -> str:
    return f"list {entry}"
