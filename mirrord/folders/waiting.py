"""The status of the files of one folder that are not submitted yet: in conflict, without marker, or unsettled.

Owns only their status. There may be 100,000, so a status is made only when it is shown.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from mirrord.declared import FolderSpec
from mirrord.errors import Reason
from mirrord.folders.candidates import AwaitingMarker, Candidates, Conflict, Unsettled
from mirrord.model import Item, State
from mirrord.planning.decisions.markers import Markers
from mirrord.planning.items.bind import item_of
from mirrord.ports import Clock
from mirrord.status import ItemStatus


class WaitingFile(NamedTuple):
    """A file that is not submitted yet. `state` replaces the recorded state, if there is one."""

    item_id: str
    state: State
    recorded: State | None
    status: Callable[[], ItemStatus]


def waiting_files(spec: FolderSpec, clock: Clock, candidates: Candidates) -> Iterator[WaitingFile]:
    """All waiting files. Each kind is read when the iteration reaches it.

    A file in conflict has the same item id as the file that has the object.
    """
    for conflict in tuple(candidates.conflicts.values()):
        yield WaitingFile(conflict.item.id, State.BLOCKED, conflict.recorded, partial(_blocked, conflict))
    for name, unmarked in tuple(candidates.unmarked.items()):
        yield WaitingFile(unmarked.item_id, State.WAITING, unmarked.recorded, partial(_unmarked, spec, name, unmarked))
    for name, one in tuple(candidates.unsettled.items()):
        yield WaitingFile(one.item_id, State.WAITING, one.recorded, partial(_unsettled, spec, name, one, clock))


def _blocked(conflict: Conflict) -> ItemStatus:
    return _status(conflict.item, State.BLOCKED, Reason.CONFLICT, conflict.message, conflict.since)


def _unmarked(spec: FolderSpec, name: str, one: AwaitingMarker) -> ItemStatus:
    message = Markers(spec.selection.ready).missing(name) if spec.selection.ready is not None else ""
    return _status(_item(spec, name, one), State.WAITING, Reason.NO_MARKER, message, one.since)


def _unsettled(spec: FolderSpec, name: str, one: Unsettled, clock: Clock) -> ItemStatus:
    since = clock.now() - (clock.monotonic() - one.first)
    message = one.message(clock.monotonic())
    return _status(_item(spec, name, one), State.WAITING, Reason.STILL_GROWING, message, since)


def _item(spec: FolderSpec, name: str, one: Unsettled | AwaitingMarker) -> Item:
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
