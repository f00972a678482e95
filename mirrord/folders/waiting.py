"""The status of the files of one folder that are not submitted yet: in conflict, without marker, or unsettled.

Owns only their status, and how many there are of each kind. There may be 100,000, so a status is made only when it is
shown.
"""

from collections.abc import Callable, Iterable, Iterator, Sized
from functools import partial
from itertools import islice
from typing import NamedTuple

from mirrord.declared import FolderSpec
from mirrord.errors import Reason, printable
from mirrord.folders.candidates import AwaitingMarker, Candidates, Conflict, Unsettled
from mirrord.model import Item, State
from mirrord.planning.decisions.markers import Markers
from mirrord.planning.items.bind import item_of
from mirrord.ports import Clock, FolderListing
from mirrord.status import MOST_EXAMPLES, FolderWait, ItemStatus


class WaitingFile(NamedTuple):
    """A file that is not submitted yet. `state` replaces the recorded state, if there is one."""

    item_id: str
    state: State
    recorded: State | None
    since: float
    """As that of its status."""
    status: Callable[[], ItemStatus]


def waiting_files(spec: FolderSpec, clock: Clock, candidates: Candidates) -> Iterator[WaitingFile]:
    """All waiting files. Each kind is read when the iteration reaches it.

    A file in conflict has the same item id as the file that has the object.
    """
    waiting = State.WAITING
    for conflict in tuple(candidates.conflicts.values()):
        status = partial(_blocked, conflict)
        yield WaitingFile(conflict.item.id, State.BLOCKED, conflict.recorded, conflict.since, status)
    for name, unmarked in tuple(candidates.unmarked.items()):
        status = partial(_unmarked, spec, name, unmarked)
        yield WaitingFile(unmarked.item_id, waiting, unmarked.recorded, unmarked.since, status)
    offset = clock.now() - clock.monotonic()
    for name, one in tuple(candidates.unsettled.items()):
        since = round(one.first + offset, 2)  # the two clocks are read one after the other
        status = partial(_unsettled, spec, name, one, since, clock)
        yield WaitingFile(one.item_id, waiting, one.recorded, since, status)


def candidate_waits(candidates: Candidates, now: float) -> Iterator[FolderWait]:
    """How many files wait, by kind. `now`: monotonic seconds."""
    unsettled, conflicts = candidates.unsettled, candidates.conflicts.values()
    yield from _wait(
        "settling", unsettled, (f"{printable(name)}: {one.message(now)}" for name, one in unsettled.items())
    )
    yield from _wait("no marker", candidates.unmarked, map(printable, candidates.unmarked))
    yield from _wait("conflict", conflicts, (one.message for one in conflicts))


def scan_waits(listing: FolderListing) -> Iterator[FolderWait]:
    """What the last scan found and did not list, by kind, besides `left_out`."""
    yield from _wait("set aside", listing.quarantined, (printable(one.name) for one in listing.quarantined))
    yield from _wait("unreadable", listing.problems, (f"{one.path}: {one.message}" for one in listing.problems))
    for one in listing.excluded:
        yield FolderWait("excluded", one.count, (one.first,))


def _wait(kind: str, every: Sized, examples: Iterable[str]) -> Iterator[FolderWait]:
    if count := len(every):
        yield FolderWait(kind, count, tuple(islice(examples, MOST_EXAMPLES)))


def _blocked(conflict: Conflict) -> ItemStatus:
    return _status(conflict.item, State.BLOCKED, Reason.CONFLICT, conflict.message, conflict.since)


def _unmarked(spec: FolderSpec, name: str, one: AwaitingMarker) -> ItemStatus:
    message = Markers(spec.selection.ready).missing(name) if spec.selection.ready is not None else ""
    return _status(_item(spec, name, one), State.WAITING, Reason.NO_MARKER, message, one.since)


def _unsettled(spec: FolderSpec, name: str, one: Unsettled, since: float, clock: Clock) -> ItemStatus:
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
