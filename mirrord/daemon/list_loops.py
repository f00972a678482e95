"""The loops of the lists in force: one background task for each list, and the items of all of them.

Owns the start and the end of each loop as lists are added, changed and removed, and which entry has an object that
several name. `followed_list` is the loop itself.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from mirrord.daemon.followed_list import MOST_CONFLICTS, FollowedList, ListPorts, carried_over
from mirrord.daemon.supervise import Supervisor
from mirrord.declared import ListSpec
from mirrord.model import Item
from mirrord.ports import Clock, Source
from mirrord.status import ListStatus


@dataclass(slots=True, kw_only=True)
class ListLoops:
    """`stop_outdated`, then `start_missing`, after each change of the lists in force."""

    source_of: Callable[[ListSpec], Source]
    supervisor: Supervisor
    clock: Clock
    _loops: dict[str, FollowedList] = field(default_factory=dict, init=False)

    async def stop_outdated(self, wanted: Mapping[str, ListSpec], changed: Callable[[], Awaitable[None]]) -> None:
        """End the loops of lists that were removed or changed; a changed one keeps its items until it is read.

        `changed`: applies the items of all lists, after one was read. It must not call this method.
        """
        ports = ListPorts(source_of=self.source_of, changed=changed, clock=self.clock)
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

    def add_to(self, items: dict[str, Item]) -> None:
        """Add the items of all lists. An object that another entry has stays with that entry, and the list
        is incomplete."""
        for loop in self._loops.values():
            if loop.show_conflicts(_claim(loop, items)):
                _claim(loop, items)

    @property
    def unknown(self) -> frozenset[str]:
        """The entries of lists that are not complete: no record of theirs counts as gone."""
        return frozenset(entry for entry, loop in self._loops.items() if not loop.known or loop.conflicts)

    def statuses(self) -> tuple[ListStatus, ...]:
        """Each list in force, by name."""
        return tuple(loop.status() for _, loop in sorted(self._loops.items()))

    def take_due(self) -> list[str]:
        """See `FollowedList.take_due`: of all lists."""
        return [item_id for loop in self._loops.values() for item_id in loop.take_due()]

    def read_again(self) -> None:
        """Read all lists now."""
        for loop in self._loops.values():
            loop.read_again()


def _claim(loop: FollowedList, items: dict[str, Item]) -> tuple[str, ...]:
    """Add the items of a list. Returns the conflicts, which are bounded."""
    conflicts: list[str] = []
    for item_id, item in loop.items.items():
        other = items.setdefault(item_id, item)
        if other is not item and len(conflicts) < MOST_CONFLICTS:
            conflicts.append(f"{item.destination} of {item.entry} is also the object of {other.entry}")
    return tuple(conflicts)


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
