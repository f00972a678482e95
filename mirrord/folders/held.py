"""The files of one folder that are held back, as people are shown them: in conflict, without marker, or unsettled.

Owns their words and nothing else. There may be 100,000, so that a status is put together only where it is shown.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from mirrord.declared import FolderSpec
from mirrord.errors import Reason
from mirrord.folders.conflicts import Conflict, Conflicts
from mirrord.folders.settling import Settling, Unsettled
from mirrord.folders.unmarked import Lacking, Unmarked
from mirrord.model import Item, State
from mirrord.planning.items.bind import item_of
from mirrord.ports import Clock
from mirrord.status import ItemStatus


class Held(NamedTuple):
    """A file that is held back; `state` takes the place of the recorded one, if there is any."""

    item_id: str
    state: State
    recorded: State | None
    status: Callable[[], ItemStatus]


def held(
    spec: FolderSpec, clock: Clock, conflicts: Conflicts, unmarked: Unmarked, settling: Settling
) -> Iterator[Held]:
    """All of them, each kind as it is when it is come to.

    A file in conflict has the id of its object, as the file that holds the object has.
    """
    for conflict in tuple(conflicts):
        yield Held(conflict.item.id, State.BLOCKED, conflict.recorded, partial(_blocked, conflict))
    for name, lacking in tuple(unmarked.items()):
        yield Held(lacking.item_id, State.WAITING, lacking.recorded, partial(_lacking, spec, name, lacking, unmarked))
    for name, one in tuple(settling.items()):
        yield Held(one.item_id, State.WAITING, one.recorded, partial(_unsettled, spec, name, one, clock))


def _blocked(conflict: Conflict) -> ItemStatus:
    return _status(conflict.item, State.BLOCKED, Reason.CONFLICT, conflict.message, conflict.since)


def _lacking(spec: FolderSpec, name: str, one: Lacking, unmarked: Unmarked) -> ItemStatus:
    return _status(_item(spec, name, one), State.WAITING, Reason.NO_MARKER, unmarked.message(name), one.since)


def _unsettled(spec: FolderSpec, name: str, one: Unsettled, clock: Clock) -> ItemStatus:
    since = clock.now() - (clock.monotonic() - one.first)
    message = one.message(clock.monotonic())
    return _status(_item(spec, name, one), State.WAITING, Reason.STILL_GROWING, message, since)


def _item(spec: FolderSpec, name: str, one: Unsettled | Lacking) -> Item:
    return item_of(spec, name, one.file.mtime_ns / 1e9 if one.dated is None else one.dated)


def _status(item: Item, state: State, reason: Reason, message: str, since: float) -> ItemStatus:
    return ItemStatus(
        id=item.id,
        entry=item.entry,
        source=item.shown_source,
        destination=str(item.destination),
        store=item.destination.store,
        state=state,
        reason=reason,
        message=message,
        since=since,
    )
